"""A store of the first release is opened by this one, on either engine, and everything in it goes on.

`releases/revision-0001.backup` was written by the first release: a demo campus on 2026-10-20 with a row in every table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from app import tokens
from app.config import parse
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.store import tables
from app.store.backup import restore
from app.store.engine import open_engine
from bridges import kept_tables
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.postgresql import schema
from tests.store.test_backup import COURSE, TERM, lacks

FIRST = Path(__file__).parent / "releases" / "revision-0001.backup"
FEED_TOKEN = "JXVeUvuJzdjRN3zsUFAbljgYcUto3vf_wnh0R1Xmddg"
API_TOKEN = "cb_p84xPv4cJvTje2EGgzxr8C_k-sfqOuEjW3kNyTN3ALU"
FIRST_TABLES = {"api_token", "calendar_reading", "enrolment", "entry", "event_version", "feed", "feed_body"} | {
    *("feed_token", "fetch_history", "held_import", "import_change", "import_run", "lease", "quota", "secret"),
    "subscription",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Parts]:
    with ExitStack() as stack:
        on_sqlite = nullcontext(f"sqlite:///{tmp_path}/old.sqlite3")
        url = stack.enter_context(on_sqlite if request.param == "sqlite" else schema())
        engine = open_engine(url)
        told = restore(engine, FIRST, kept_tables())
        assert {name for name, count in told.counts.items() if count} >= FIRST_TABLES
        engine.dispose()
        parts = open_parts(parse(f'store.url = "{url}"\nstore.key = "{stores.KEY}"', {}), now=lambda: NOW)
        stack.callback(parts.close)
        yield parts


def count(engine: Engine, table: str = "entry") -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one())


def test_it_has_the_shape_of_today(upgraded: Parts) -> None:
    assert lacks(upgraded.engine) == []


def test_no_row_is_lost(upgraded: Parts) -> None:
    """SQLite changes a table by dropping it, and what refers to it must not go with it."""
    held = {"import_run": 4, "import_change": 6, "held_import": 1, "feed_token": 1, "fetch_history": 1, "entry": 5}
    assert {table: count(upgraded.engine, table) for table in held} == held


def test_the_same_file_writes_nothing(upgraded: Parts) -> None:
    outcome = upgraded.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    assert outcome.report
    assert (outcome.state, outcome.report.unchanged, len(outcome.report.done)) == (Ending.DONE, 4, 0)
    assert count(upgraded.engine) == 5


def test_a_run_of_the_first_release_is_taken_back(upgraded: Parts) -> None:
    outcome = upgraded.imports.undo(3)
    assert outcome.report
    assert (outcome.state, len(outcome.report.done)) == (Ending.DONE, 1)


def test_secrets_and_tokens_open(upgraded: Parts) -> None:
    assert upgraded.vault.get("learn/token") == "a refresh token"
    found = tokens.opened(upgraded.engine, API_TOKEN)
    assert found
    assert (found.name, found.scope) == ("office", tokens.Scope.ADMIN)
    assert upgraded.feeds.snapshot_for_token(FEED_TOKEN, "secret", Form.ICS).body


def test_feeds_have_the_same_bytes(upgraded: Parts) -> None:
    """Nobody's calendar program is told that anything changed."""
    body = upgraded.feeds.snapshot_for_token(FEED_TOKEN, "secret", Form.ICS).body
    assert body == FIRST.with_suffix(".ics").read_bytes()
