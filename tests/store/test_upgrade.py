"""A store of any earlier release is opened by this one, on either engine, and everything in it goes on.

Each of `releases/*.backup` was written by the release of that revision: a demo campus on 2026-10-20 with a row in every
table that there was. The second is the first, gone on with under the second release.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from app.config import parse
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.people import accounts, tokens
from app.store import tables
from app.store.backup import restore
from app.store.engine import open_engine
from bridges import kept_tables
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.postgresql import schema
from tests.store.test_backup import COURSE, TERM, lacks

RELEASES = Path(__file__).parent / "releases"
FEED_TOKEN = "JXVeUvuJzdjRN3zsUFAbljgYcUto3vf_wnh0R1Xmddg"
API_TOKEN = "cb_p84xPv4cJvTje2EGgzxr8C_k-sfqOuEjW3kNyTN3ALU"
CHILD_TOKEN = "PFuYyMqMnh4sDXNe-Cr5eL444yAPf5vEoB1fIpnIHvw"
HELD = {
    "0001": {"import_run": 4, "import_change": 6, "held_import": 1, "feed_token": 1, "fetch_history": 1, "entry": 5},
    "0002": {"import_run": 6, "import_change": 37, "held_import": 1, "feed_token": 2, "fetch_history": 1, "entry": 36}
    | {"account": 1, "audit": 1, "import_batch": 1, "import_page": 2, "import_source": 1, "lane": 1, "notice": 1}
    | {"calendar_history": 2, "drift_check": 3, "job_count": 1, "ledger_revision": 2, "schedule": 1, "worker": 1},
}
"""Rows, by revision: of what must not be lost."""


@pytest.fixture(params=HELD)
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, revision: str, tmp_path: Path) -> Iterator[Parts]:
    with ExitStack() as stack:
        on_sqlite = nullcontext(f"sqlite:///{tmp_path}/old.sqlite3")
        url = stack.enter_context(on_sqlite if request.param == "sqlite" else schema())
        engine = open_engine(url)
        told = restore(engine, RELEASES / f"revision-{revision}.backup", kept_tables())
        assert told.counts.items() >= HELD[revision].items()
        engine.dispose()
        parts = open_parts(parse(f'store.url = "{url}"\nstore.key = "{stores.KEY}"', {}), now=lambda: NOW)
        stack.callback(parts.close)
        yield parts


def count(engine: Engine, table: str = "entry") -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one())


def test_it_has_the_shape_of_today(upgraded: Parts) -> None:
    assert lacks(upgraded.engine) == []


def test_no_row_is_lost(upgraded: Parts, revision: str) -> None:
    """SQLite changes a table by dropping it, and what refers to it must not go with it."""
    assert {table: count(upgraded.engine, table) for table in HELD[revision]} == HELD[revision]


def test_the_same_file_writes_nothing(upgraded: Parts, revision: str) -> None:
    outcome = upgraded.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    assert outcome.report
    assert (outcome.state, outcome.report.unchanged, len(outcome.report.done)) == (Ending.DONE, 4, 0)
    assert count(upgraded.engine) == HELD[revision]["entry"]


def test_a_run_of_an_earlier_release_is_taken_back(upgraded: Parts) -> None:
    outcome = upgraded.imports.undo(3)
    assert outcome.report
    assert (outcome.state, len(outcome.report.done)) == (Ending.DONE, 1)


@pytest.mark.parametrize("revision", ["0002"], indirect=True)
def test_so_are_a_long_one_and_a_batch(upgraded: Parts) -> None:
    long = upgraded.imports.undo(6)
    assert long.report
    assert (long.state, len(long.report.done)) == (Ending.DONE, 30)
    assert [each.state for each in upgraded.routed.undo(1)] == [Ending.DONE]


def test_secrets_and_tokens_open(upgraded: Parts) -> None:
    assert upgraded.vault.get("learn/token") == "a refresh token"
    found = tokens.opened(upgraded.engine, API_TOKEN)
    assert found
    assert (found.name, found.scope) == ("office", tokens.Scope.ADMIN)
    assert upgraded.feeds.snapshot_for_token(FEED_TOKEN, "secret", Form.ICS).body


@pytest.mark.parametrize("revision", ["0002"], indirect=True)
def test_so_do_a_narrower_token_and_an_account(upgraded: Parts) -> None:
    busy = upgraded.feeds.snapshot_for_token(CHILD_TOKEN, "secret", Form.ICS).body
    assert (b"Marine biology" in busy, busy.count(b"SUMMARY:Busy")) == (False, busy.count(b"BEGIN:VEVENT"))
    assert accounts.check(upgraded.engine, "jane", "a long password of hers", NOW)


def test_feeds_have_the_same_bytes(upgraded: Parts) -> None:
    """Nobody's calendar program is told that anything changed."""
    body = upgraded.feeds.snapshot_for_token(FEED_TOKEN, "secret", Form.ICS).body
    assert body == (RELEASES / "revision-0001.ics").read_bytes()
