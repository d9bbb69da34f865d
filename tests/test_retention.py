"""What is old goes, table by table; the ledger stays, and so does what the next import is measured by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, insert, select

from app import jobs
from app.care.retention import PORTION, RULES
from app.cli import main
from app.config import parse
from app.imports.record.runs import Ending
from app.imports.run import NoRun
from app.parts import Parts, open_parts
from app.store import tables
from app.store.engine import writing
from app.store.leases import lease
from bridges.model import CalendarRef, Window
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.postgresql import schema

HERE = CalendarRef.parse("demo/course/anatomy-1")
OLD = timedelta(days=401)


class Clock:
    """Told, not asked."""

    now: datetime = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def campus(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Parts]:
    if request.param == "sqlite":
        parts = opened(f"sqlite:///{tmp_path}/campus.sqlite3", clock)
        yield parts
        parts.close()
        return
    with schema() as url:
        parts = opened(url, clock)
        yield parts
        parts.close()


def opened(url: str, clock: Clock) -> Parts:
    return open_parts(parse(f'store.url = "{url}"\nstore.key = "{"k" * 43}="', {}), now=lambda: clock.now)


def write(parts: Parts, *events: str) -> int:
    window = Window(parts.now(), parts.now() + timedelta(days=300))
    outcome = parts.imports.run(calendar(*events), HERE, window, approved=True)
    assert outcome.state is Ending.DONE
    return outcome.run_id or 0


def count(parts: Parts, name: str) -> int:
    with parts.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.metadata.tables[name])).scalar_one())


def test_old_runs_go_with_their_journals_and_the_ledger_stays(campus: Parts, clock: Clock) -> None:
    first, second = write(campus, LECTURES, EXAM), write(campus, LECTURES)
    entries = count(campus, "entry")
    clock.now += OLD
    would = campus.retention.prune(dry_run=True)
    assert (would["import_run"], would["import_change"]) == (1, 4)
    assert count(campus, "import_run") == 2
    assert campus.retention.prune() == would
    assert count(campus, "entry") == entries
    with pytest.raises(NoRun):
        campus.imports.undo(first)
    assert campus.imports.get(second).state is Ending.DONE


def test_what_a_file_held_is_forgotten_in_the_end(campus: Parts, clock: Clock) -> None:
    write(campus, LECTURES, EXAM)
    assert count(campus, "imprint") == 1
    clock.now += OLD
    assert campus.retention.prune()["imprint"] == 1


def test_what_is_young_stays(campus: Parts, clock: Clock) -> None:
    write(campus, LECTURES, EXAM)
    write(campus, LECTURES)
    clock.now += timedelta(days=399)
    assert set(campus.retention.prune().values()) == {0}


def test_a_run_that_waits_stays(campus: Parts, clock: Clock) -> None:
    write(campus, LECTURES, EXAM)
    many = [f"UID:{number}\nSUMMARY:Talk\nDTSTART:202611{number:02}T100000Z" for number in range(1, 20)]
    write(campus, *many)
    held = campus.imports.run(calendar(EXAM), HERE, Window(NOW, NOW + timedelta(days=300)))
    assert held.state is Ending.HELD
    clock.now += OLD
    campus.retention.prune()
    with campus.engine.connect() as connection:
        states = connection.execute(select(tables.import_run.c.state)).scalars().all()
    assert sorted(states) == ["done", "held"]


def test_a_lease_of_long_ago_goes_and_a_living_one_stays(campus: Parts, clock: Clock) -> None:
    with lease(campus.engine, "now", lambda: clock.now), writing(campus.engine) as connection:
        row = {"name": "then", "holder": "elsewhere/1/x", "until": clock.now - timedelta(days=2)}
        connection.execute(insert(tables.lease).values(row))
    with lease(campus.engine, "now", lambda: clock.now):
        assert campus.retention.prune()["lease"] == 1
        assert count(campus, "lease") == 1


def test_more_than_a_portion_goes(campus: Parts, clock: Clock) -> None:
    row = {"who": "me", "what": "look", "subject": "", "status": 200, "request": "x", "at": clock.now}
    with writing(campus.engine) as connection:
        connection.execute(insert(tables.audit), [row] * (PORTION + 1))
    clock.now += OLD
    assert campus.retention.prune()["audit"] == PORTION + 1
    assert count(campus, "audit") == 0


def test_a_worker_prunes_once_a_day(campus: Parts, clock: Clock) -> None:
    prune = jobs.chore("retention")
    write(campus, LECTURES, EXAM)
    write(campus, LECTURES)
    assert campus.refreshes.do(prune, clock.now).text == ""
    clock.now += OLD
    assert prune in campus.refreshes.due(clock.now)
    assert "import_run: 1 old rows removed" in campus.refreshes.do(prune, clock.now).text
    assert prune not in campus.refreshes.due(clock.now)
    assert campus.refreshes.do(prune, clock.now).how == "in vain"


def test_the_ledger_is_no_business_of_any_rule() -> None:
    kept = {"entry", "ledger_revision", "import_source", "secret", "subscription", "feed", "local_event"}
    assert kept.isdisjoint(rule.table.name for rule in RULES)


def test_the_command_says_what_goes(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'store.url = "sqlite:///{tmp_path}/campus.sqlite3"\n')
    ran = CliRunner().invoke(main, ["--config", str(config), "prune", "--dry-run", "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.output)["import_run"] == 0
    assert "import_change\t0" in CliRunner().invoke(main, ["--config", str(config), "prune"]).output
