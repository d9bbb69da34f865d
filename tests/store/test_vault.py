"""Secrets are unreadable at rest, whole when put, and used up by one at a time."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, make_url, text

from app.config import ConfigError, parse
from app.store.engine import writing
from app.store.keys import key_source
from app.store.vault import StoreVault
from bridges.errors import Denied, Transient
from tests import stores

NOW = datetime(2025, 3, 10, 8, tzinfo=UTC)
KEY, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 250))
Open = Callable[..., StoreVault]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = stores.at(tmp_path / "store.db")
    yield engine
    engine.dispose()


@pytest.fixture
def opened(engine: Engine) -> Open:
    return lambda key=KEY, patience=5.0: StoreVault(engine, lambda: key, lambda: NOW, patience)


def test_what_was_put_comes_back(opened: Open) -> None:
    vault = opened()
    assert vault.get("a") is None
    vault.put("a", "first")
    vault.put("a", "sëcond\0🗝")
    vault.put("b", "other")
    assert (opened().get("a"), opened().get("b")) == ("sëcond\0🗝", "other")


def test_an_empty_secret_is_none(opened: Open) -> None:
    vault = opened()
    vault.put("a", "first")
    vault.put("a", "")
    assert vault.get("a") is None


def test_nothing_is_in_clear_on_disk_or_in_words(engine: Engine, opened: Open, tmp_path: Path) -> None:
    vault = opened()
    vault.put("a", "canary-secret")
    engine.dispose()
    for path in tmp_path.iterdir():
        assert b"canary" not in path.read_bytes()
        assert KEY.encode() not in path.read_bytes()
    assert KEY not in repr(vault)


def test_another_key_gets_a_sentence(opened: Open) -> None:
    opened().put("a", "secret")
    with pytest.raises(Denied, match="stored with another key") as caught:
        opened(OTHER).get("a")
    assert KEY not in str(caught.value)


def test_an_old_key_still_reads_beside_a_new_one(opened: Open) -> None:
    opened().put("a", "secret")
    both = opened(f"{OTHER} {KEY}")
    assert both.get("a") == "secret"
    both.put("a", "newer")
    assert opened(OTHER).get("a") == "newer"


def test_a_row_in_the_place_of_another_is_refused(engine: Engine, opened: Open) -> None:
    vault = opened()
    vault.put("mine", "m")
    vault.put("yours", "y")
    with writing(engine) as connection:
        yours = "(SELECT ciphertext FROM secret WHERE name = 'yours')"
        connection.execute(text(f"UPDATE secret SET ciphertext = {yours} WHERE name = 'mine'"))
    with pytest.raises(Denied):
        vault.get("mine")


def test_many_that_put_one_name_first_at_once_leave_one_of_theirs(opened: Open) -> None:
    vault, ready = opened(), Barrier(6)

    def put(number: int) -> None:
        ready.wait()
        vault.put("a", f"by {number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, range(6)))
    assert vault.get("a") in {f"by {n}" for n in range(6)}


def test_threads_are_alone_one_after_the_other(opened: Open) -> None:
    vault, ready = opened(patience=30.0), Barrier(6)
    vault.put("a", "0")

    def use_up() -> None:
        ready.wait()
        with vault.alone("a"):
            vault.put("a", str(int(vault.get("a") or 0) + 1))

    with ThreadPoolExecutor(6) as pool:
        for each in [pool.submit(use_up) for _ in range(6)]:
            each.result()
    assert vault.get("a") == "6"


WORKER = """
import sys
from datetime import UTC, datetime
from app.store.engine import open_engine
from app.store.vault import StoreVault
url, key, times = sys.argv[1:]
vault = StoreVault(open_engine(url), lambda: key, lambda: datetime(2025, 3, 10, 8, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(times)):
    with vault.alone("a"):
        vault.put("a", str(int(vault.get("a") or 0) + 1))
"""


def test_processes_are_alone_one_after_the_other(engine: Engine, opened: Open) -> None:
    """Each reads, adds one and puts: any two inside at once would lose a step."""
    command = [sys.executable, "-c", WORKER, str(engine.url), KEY, "15"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as two,
    ):
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            process.communicate("go\n")
    assert (one.returncode, two.returncode) == (0, 0)
    assert opened().get("a") == "30"


def test_waiting_has_an_end(opened: Open) -> None:
    with opened().alone("a"):
        with opened(patience=0.05).alone("b"):
            pass
        with pytest.raises(Transient) as caught, opened(patience=0.05).alone("a"):
            pass
    assert caught.value.retry_after == 0.05


def test_an_error_inside_gives_it_back(opened: Open) -> None:
    vault = opened(patience=0.05)
    with pytest.raises(ZeroDivisionError), vault.alone("a"):
        _ = 1 / 0
    with vault.alone("a"):
        pass


def test_what_is_derived_differs_by_purpose_and_key(opened: Open) -> None:
    assert opened().derived("a") == opened().derived("a")
    assert len({opened().derived("a"), opened().derived("b"), opened(OTHER).derived("a")}) == 3


class TestKey:
    """Where the key comes from."""

    def test_the_configured_one_is_used(self, tmp_path: Path) -> None:
        assert key_source(make_url(f"sqlite:///{tmp_path}/s.db"), KEY)() == KEY
        assert not list(tmp_path.iterdir())

    def test_beside_sqlite_one_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        url = make_url(f"sqlite:///{tmp_path}/s.db")
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(lambda _: key_source(url, "")(), range(8)))
        assert len(keys) == 1
        (file,) = tmp_path.iterdir()
        assert (file.name, file.stat().st_mode & 0o777) == ("s.db.key", 0o600)

    def test_a_broken_file_is_named_and_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "s.db.key").write_text("no key")
        with pytest.raises(Denied, match=r"s\.db\.key"):
            key_source(make_url(f"sqlite:///{tmp_path}/s.db"), "")()
        assert (tmp_path / "s.db.key").read_text() == "no key"

    def test_another_database_needs_a_configured_one(self) -> None:
        with pytest.raises(Denied, match=r"store\.key"):
            key_source(make_url("postgresql+psycopg://calbridge@db/calbridge"), "")()

    def test_in_memory_it_lives_as_long_as_the_vault(self) -> None:
        one, other = (key_source(make_url("sqlite://"), "") for _ in range(2))
        assert one() == one() != other()

    @pytest.mark.parametrize("key", [KEY, f"{OTHER} {KEY}"])
    def test_bridges_that_keep_secrets_want_one_beside_other_databases(self, key: str) -> None:
        store = 'url = "postgresql+psycopg://calbridge@db/calbridge"'
        learn = 'bridge = "blackboard"\nurl = "https://learn.example.edu"\nkey = "k"\nsecret = "s"\nzone = "UTC"'
        text = "[store]\n{}\n[lms.learn]\n{}"
        with pytest.raises(ConfigError, match=r"store\.key: missing; 'learn'"):
            parse(text.format(store, f"{learn}\nlinking = true"), {})
        assert parse(text.format(store, learn), {})
        config = parse(text.format(f'{store}\nkey = {{ env = "KEY" }}', f"{learn}\nlinking = true"), {"KEY": key})
        assert config.store.key.get_secret_value() == key
        assert key not in repr(config)

    @pytest.mark.parametrize("key", ["canary", KEY[:-4], "ü" * 44, f"{KEY} canary"])
    def test_what_is_no_key_is_refused_and_not_told(self, key: str) -> None:
        with pytest.raises(ConfigError, match=r"store\.key: is no key of 32 bytes") as caught:
            parse(f'[store]\nkey = "{key}"', {})
        assert "canary" not in str(caught.value)
