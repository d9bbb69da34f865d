"""A new key in place of the old one: whenever it is stopped, every secret still opens, and the next try ends it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, make_url, select

from app.cli import main
from app.store import tables
from app.store.engine import open_engine
from app.store.keys import key_source
from app.store.leases import Busy
from app.store.migrate import migrate
from app.store.rekey import rotate
from app.store.vault import StoreVault
from bridges.errors import Denied
from tests import stores
from tests.store.test_vault import KEY, NOW, OTHER

SECRETS = {f"learn/{number}": f"refresh token {number}" for number in range(20)}


def vault_of(engine: Engine, keys: str = "") -> StoreVault:
    return StoreVault(engine, key_source(engine.url, keys), lambda: NOW)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Engine]:
    """A SQLite store with its key in the file beside it."""
    engine = open_engine(f"sqlite:///{tmp_path}/s.db")
    migrate(engine)
    for name, secret in SECRETS.items():
        vault_of(engine).put(name, secret)
    yield engine
    engine.dispose()


def all_open(engine: Engine, keys: str = "") -> bool:
    return {name: vault_of(engine, keys).get(name) for name in SECRETS} == SECRETS


def ciphertexts(engine: Engine) -> list[bytes]:
    with engine.connect() as connection:
        return list(connection.execute(select(tables.secret.c.ciphertext)).scalars())


def test_the_file_holds_another_key_and_the_old_one_opens_nothing(filled: Engine, tmp_path: Path) -> None:
    old = (tmp_path / "s.db.key").read_text()
    running = vault_of(filled)
    assert len(list(rotate(filled, "", NOW))) == 3
    new = (tmp_path / "s.db.key").read_text()
    assert (len(new.split()), new != old) == (1, True)
    assert (tmp_path / "s.db.key").stat().st_mode & 0o777 == 0o600
    assert all_open(filled)
    assert running.get("learn/3") == "refresh token 3", "whoever runs meanwhile goes on"
    with pytest.raises(Denied):
        vault_of(filled, old).get("learn/3")


STOPPED = """
import os, signal, sys
from datetime import UTC, datetime
from app.store.engine import open_engine
from app.store.rekey import rotate
url, last = sys.argv[1], int(sys.argv[2])
for step, _ in enumerate(rotate(open_engine(url), "", datetime(2025, 3, 10, 8, tzinfo=UTC))):
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("last", [0, 1, 2])
def test_killed_after_each_step_every_secret_opens_and_the_next_try_ends_it(
    filled: Engine, tmp_path: Path, last: int
) -> None:
    old = (tmp_path / "s.db.key").read_text().strip()
    done = subprocess.run([sys.executable, "-c", STOPPED, str(filled.url), str(last)], check=False)
    assert done.returncode == -9
    assert all_open(filled)
    list(rotate(filled, "", NOW))
    keys = (tmp_path / "s.db.key").read_text().split()
    assert (len(keys), old in keys) == (1, False)
    assert all_open(filled)


BUSY = """
import sys
from datetime import UTC, datetime
from app.store.engine import open_engine
from app.store.rekey import rotate
while True:
    for _ in rotate(open_engine(sys.argv[1]), "", datetime(2025, 3, 10, 8, tzinfo=UTC)):
        print("step", flush=True)
"""


def test_killed_anywhere_every_secret_opens(filled: Engine, tmp_path: Path) -> None:
    for number in range(6):
        with subprocess.Popen([sys.executable, "-c", BUSY, str(filled.url)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005 * number)
            process.kill()
        assert all_open(filled)
    list(rotate(filled, "", NOW))
    assert all_open(filled)
    assert not list(tmp_path.glob(".*")), "no key lies about"


def test_what_is_put_meanwhile_is_not_lost(filled: Engine) -> None:
    over = Event()

    def put() -> int:
        vault, number = vault_of(filled), 0
        while not over.is_set():
            number += 1
            vault.put("learn/busy", f"token {number}")
            assert vault.get("learn/busy") == f"token {number}"
        return number

    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(put)
        for _ in range(5):
            list(rotate(filled, "", NOW))
        over.set()
        last = putting.result()
    assert vault_of(filled).get("learn/busy") == f"token {last}"


def test_of_two_at_once_one_waits_for_another_day(filled: Engine) -> None:
    first = rotate(filled, "", NOW)
    next(first)
    with pytest.raises(Busy):
        list(rotate(filled, "", NOW))
    list(first)
    assert all_open(filled)


class TestConfigured:
    """store.key: a new key before the old."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = stores.at(tmp_path / "s.db")
        for name, secret in SECRETS.items():
            vault_of(engine, OTHER).put(name, secret)
        yield engine
        engine.dispose()

    def test_then_the_old_one_can_go(self, engine: Engine) -> None:
        assert len(list(rotate(engine, f"{KEY} {OTHER}", NOW))) == 1
        assert all_open(engine, KEY)
        with pytest.raises(Denied):
            vault_of(engine, OTHER).get("learn/1")

    def test_one_key_alone_is_no_new_one(self, engine: Engine) -> None:
        with pytest.raises(ValueError, match="put a new one"):
            list(rotate(engine, OTHER, NOW))

    def test_a_secret_that_no_key_opens_is_named_and_nothing_is_changed(self, engine: Engine) -> None:
        before = ciphertexts(engine)
        third = "Q" * 43 + "="
        with pytest.raises(Denied, match="'learn/0'"):
            list(rotate(engine, f"{third} {KEY}", NOW))
        assert ciphertexts(engine) == before

    def test_another_database_needs_one(self) -> None:
        with pytest.raises(Denied, match=r"store\.key"):
            key_source(make_url("postgresql+psycopg://calbridge@db/calbridge"), "")()


def test_the_command_tells_each_step(filled: Engine, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'store.url = "sqlite:///{tmp_path}/s.db"\n')
    said = CliRunner().invoke(main, ["--config", str(tmp_path / "config.toml"), "rotate-key"], catch_exceptions=False)
    assert (said.exit_code, "20 secrets" in said.stdout) == (0, True)
    assert all_open(filled)
    key = (tmp_path / "s.db.key").read_text().strip()
    assert key not in said.output
