"""Migrations: an empty database and an old one both come to the shape of the code, once however many try.

On both engines; killed half-way, or two at once, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, event, text

from app.cli import main
from app.config import ConfigError, parse
from app.parts import open_parts
from app.store.check import faults
from app.store.engine import open_engine, writing
from app.store.migrate import NewerStore, differences, is_current, migrate, reshaping, upgrade
from tests import stores
from tests.campus import NOW
from tests.postgresql import schema

KILLED = """
import os, signal, sys
from sqlalchemy import event
from app.store.engine import open_engine
from app.store.migrate import migrate

engine, left = open_engine(sys.argv[1]), int(sys.argv[2])

@event.listens_for(engine, "before_cursor_execute")
def kill(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

migrate(engine)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.sqlite3"
        return
    with schema() as url:
        yield url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def old(engine: Engine) -> None:
    """The first release's, with somebody's feed in it."""
    with reshaping(engine) as connection:
        upgrade(connection, "0001")
        values = "'x', 'X', 'demo/course/x', true, true, '2026-01-01 00:00:00'"
        columns = "slug, title, calendar, public, enabled, created_at"
        connection.execute(text(f"INSERT INTO feed ({columns}) VALUES ({values})"))


def revision(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def killed(url: str, statement: int) -> None:
    """Migrate in a process of its own that is killed at its so-many-th statement."""
    done = subprocess.run([sys.executable, "-c", KILLED, url, str(statement)], check=False)
    assert done.returncode == -9, "it was over before"


def configured(folder: Path, url: str) -> str:
    (folder / "config.toml").write_text(f'store.url = "{url}"\nstore.key = "{stores.KEY}"\n')
    return str(folder / "config.toml")


def shell(config: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["--config", config, *words], catch_exceptions=False)


def test_the_migrations_lead_to_the_tables_of_the_code(engine: Engine) -> None:
    migrate(engine)
    assert differences(engine) == []


def test_a_second_start_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    migrate(engine)
    assert differences(engine) == []


@pytest.mark.parametrize("before", [lambda _: None, old], ids=["empty", "old"])
def test_processes_that_start_at_once_migrate_once(url: str, engine: Engine, before: object) -> None:
    assert callable(before)
    before(engine)
    engines = [open_engine(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(migrate, engines))
    assert differences(engine) == []
    for each in engines:
        each.dispose()


def test_two_commands_at_once_both_end_well(url: str, engine: Engine, tmp_path: Path) -> None:
    old(engine)
    command = [sys.executable, "-m", "app.cli", "--config", configured(tmp_path, url), "migrate"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=False), range(2)))
    assert [(each.returncode, "Traceback" in each.stderr) for each in done] == [(0, False)] * 2
    assert differences(engine) == []


def test_killed_in_the_middle_of_the_first_the_next_start_makes_it_whole(url: str, engine: Engine) -> None:
    for statement in (10, 60):
        killed(url, statement)
        assert not is_current(engine)
    migrate(engine)
    assert (differences(engine), list(faults(engine))) == ([], [])


def test_killed_in_the_middle_the_old_store_is_as_it_was_and_the_command_ends_it(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    old(engine)
    for statement in (8, 40):
        killed(url, statement)
        assert revision(engine) == "0001"
        with engine.connect() as connection:
            assert connection.execute(text("SELECT title FROM feed")).scalar_one() == "X"
    assert shell(configured(tmp_path, url), "migrate").exit_code == 0
    assert (differences(engine), list(faults(engine))) == ([], [])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT title FROM feed")).scalar_one() == "X"


def test_a_store_that_is_not_to_be_changed_names_the_command(url: str, tmp_path: Path) -> None:
    settings = parse(f'store.url = "{url}"\nstore.key = "{stores.KEY}"\nstore.migrate = false', {})
    with pytest.raises(ConfigError, match="calbridge migrate"):
        open_parts(settings)
    assert shell(configured(tmp_path, url), "migrate").exit_code == 0
    open_parts(settings, now=lambda: NOW).close()


def test_a_process_waits_as_long_as_another_migrates(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    first, second = open_engine(url), open_engine(url)
    event.listen(second, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=1"))
    with ThreadPoolExecutor(1) as pool:
        with reshaping(first):
            waits = pool.submit(migrate, second)
            with pytest.raises(TimeoutError):
                waits.result(0.2)
        waits.result(60)
    assert differences(second) == []
    for engine in (first, second):
        engine.dispose()


def test_a_store_of_a_newer_calbridge_is_left_alone_in_a_sentence(url: str, engine: Engine, tmp_path: Path) -> None:
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerStore, match="9999"):
        migrate(engine)
    for words in (("migrate",), ("feed", "list")):
        said = shell(configured(tmp_path, url), *words)
        assert (said.exit_code, "install the newer one" in said.stderr) == (2, True)
