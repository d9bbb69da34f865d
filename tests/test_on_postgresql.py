"""The same calbridge on PostgreSQL: migrations, feeds, imports, leases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from app.config import parse
from app.feeds.feed import Form
from app.parts import Parts, open_parts
from app.store.engine import open_engine
from app.store.leases import Busy, lease
from app.store.migrate import differences, migrate
from bridges.model import CalendarRef, Kind, Window
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.postgresql import schema

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
TERM = Window(datetime(2026, 10, 20, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture
def url() -> Iterator[str]:
    with schema() as url:
        yield url


@pytest.fixture
def campus(url: str) -> Iterator[Parts]:
    parts = open_parts(parse(f'store.url = "{url}"\nstore.key = "{"k" * 43}="', {}), now=lambda: NOW)
    yield parts
    parts.close()


def test_migrations_lead_to_the_tables_of_the_code(url: str) -> None:
    engines = [open_engine(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, engines))
    assert differences(engines[0]) == []
    for engine in engines:
        engine.dispose()


def test_an_import_lands_once_and_shows_in_the_feed(campus: Parts) -> None:
    first = campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    again = campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    assert first.report
    assert again.report
    assert (first.report.created, again.report.created, again.report.unchanged) == (4, 0, 4)
    body = campus.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
    assert body.count(b"SUMMARY:Marine biology") == 3


def test_two_never_hold_one_lease(campus: Parts) -> None:
    with lease(campus.engine, "x", campus.now), pytest.raises(Busy), lease(campus.engine, "x", campus.now):
        pass
