"""What one feed or one import costs does not grow with all others: the database finds rows by index, on either engine.

The statements are those that a request really runs; the plans are those that the database says of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, text

from app.feeds.feed import Form
from app.parts import Parts
from app.store import tables
from bridges.model import CalendarRef, Kind, Window
from tests.campus import EXAM, LECTURES, NOW, calendar, open_campus

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
TERM = Window(datetime(2026, 10, 20, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MANY = 400
LATER = NOW + timedelta(days=400)
GROWING = {
    *("feed", "feed_token", "feed_body", "calendar_reading", "calendar_piece", "calendar_history", "event_version"),
    *("entry", "import_run", "import_change", "held_import", "import_batch", "import_source", "ledger_revision"),
    *("drift_check", "enrolment", "subscription", "fetch_history", "secret", "audit", "notice", "api_token"),
}
"""Tables whose size grows with what a calbridge serves; leases, lanes and quotas do not."""

Asked = list[tuple[str, Any]]


def fill(engine: Engine) -> None:
    """A campus among hundreds."""
    reading = {"next_check": LATER, "failures": 0, "problem": "", "quiet": 0, "read_at": NOW}
    run = {"source": "upload", "started_at": NOW, "ended_at": NOW, "state": "done", "body_hash": "", "read_count": 1}
    entry = {"slot": "", "source": "upload", "generation": 0, "state": "present", "event": {"title": "x"}}
    entry |= {"starts": NOW, "ends": NOW, "missing": 0, "changed_at": NOW, "error": "", "run": 1}
    each = [(number, f"demo/course/other-{number}") for number in range(MANY)]
    feed = {"public": True, "enabled": True, "created_at": NOW}
    pull = {"every_minutes": 60, "ahead_days": 9, "mode": "replace", "agent": "", "opened": False, "enabled": True}
    pull |= {"created_at": NOW, "standing": "fine", "next_check": LATER, "failures": 0, "problem": "", "etag": ""}
    pull |= {"modified": "", "hash": "", "readings": 0}
    rows: dict[str, list[dict[str, Any]]] = {
        "feed": [{"slug": f"f{n}", "title": "x", "calendar": name, **feed} for n, name in each],
        "calendar_reading": [{"calendar": name, **reading} for _, name in each],
        "import_run": [{"calendar": name, **run} for _, name in each],
        "entry": [{"calendar": name, "uid": f"u{k}", "ref": f"{k}", **entry} for _, name in each for k in range(3)],
        "import_change": [
            {"run_id": n + 2, "calendar": name, "uid": f"u{k}", "slot": ""} for n, name in each for k in range(3)
        ],
        "held_import": [
            {"run_id": n + 2, "data": b"", "terms": {}, "objections": [], "expires_at": LATER} for n, _ in each
        ],
        "drift_check": [{"calendar": name, "next_check": LATER, "failures": 0, "problem": ""} for _, name in each],
        "subscription": [
            {"source": f"s{n}", "url": "https://x.example/", "calendar": name, **pull} for n, name in each
        ],
    }
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(insert(tables.metadata.tables[table]), values)
        connection.execute(text("ANALYZE"))


@contextmanager
def heard(engine: Engine) -> Iterator[Asked]:
    """The statements that are run meanwhile, with their parameters."""
    asked: Asked = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            asked.append((statement, parameters[0] if many else parameters))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def scanned(engine: Engine, statement: str, parameters: Any) -> set[str]:
    """The growing tables that the database would look through whole."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            return {found[1] for row in rows if (found := re.match(r"SCAN (\w+)", row[3]))} & GROWING
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table is small here: can it be found by index?
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
        return set(_seq(plan if isinstance(plan, list) else json.loads(plan))) & GROWING


def _seq(node: Any) -> Iterator[str]:
    for each in node if isinstance(node, list) else [node]:
        if isinstance(each, dict):
            if each.get("Node Type") == "Seq Scan":
                yield each["Relation Name"]
            yield from _seq([value for value in each.values() if isinstance(value, list | dict)])
        elif isinstance(each, list):
            yield from _seq(each)


def looked_through(engine: Engine, asked: Asked) -> dict[str, set[str]]:
    """By statement, the growing tables that it goes through whole."""
    found = {" ".join(statement.split()): scanned(engine, statement, values) for statement, values in asked}
    return {statement: whole for statement, whole in found.items() if whole}


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Parts]:
    parts = open_campus(tmp_path)
    parts.imports.run(calendar(LECTURES), COURSE, TERM)
    fill(parts.engine)
    yield parts
    parts.close()


def secret_feed(parts: Parts) -> None:
    _, token = parts.feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    assert parts.feeds.snapshot_for_token(token, "mine", Form.ICS).body
    assert parts.feeds.snapshot_for_token(token, "mine", Form.JSON).body


def public_feed(parts: Parts) -> None:
    assert parts.feeds.snapshot_for_public("anatomy-i", Form.ICS).body


def reading(parts: Parts) -> None:
    parts.feeds.refresh(COURSE)


def importing(parts: Parts) -> None:
    outcome = parts.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    assert outcome.report
    assert outcome.report.created == 1
    parts.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)


def taking_back(parts: Parts) -> None:
    parts.imports.undo(1)


def drifting(parts: Parts) -> None:
    parts.drifts.wrote(COURSE)


@pytest.mark.parametrize("deed", [secret_feed, public_feed, reading, importing, taking_back, drifting])
def test_no_table_is_looked_through_for_one(campus: Parts, deed: Callable[[Parts], None]) -> None:
    with heard(campus.engine) as asked:
        deed(campus)
    assert asked or deed is drifting
    assert looked_through(campus.engine, asked) == {}


def test_a_look_at_what_is_due_finds_it_by_index(campus: Parts) -> None:
    with heard(campus.engine) as asked:
        campus.feeds.due()
        campus.subscriptions.due(NOW)
        campus.drifts.due(NOW)
    whole = looked_through(campus.engine, asked)
    assert {statement for statement, found in whole.items() if found != {"feed"}} == set()
    assert len(whole) <= 1, "one look at which calendars any feed shows, for all of them"


def test_a_table_without_an_index_would_be_told(campus: Parts) -> None:
    """The judge itself: a question that no index answers."""
    assert scanned(campus.engine, "SELECT title FROM feed WHERE title = 'x'", ()) == {"feed"}
