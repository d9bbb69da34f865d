"""While the store is away, feeds are answered as they were last; what was never answered, or was refused, is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.config import parse
from app.parts import Parts, open_parts
from app.store.engine import writing
from bridges.model import CalendarRef
from tests import stores
from tests.campus import NOW, browser

COURSE = CalendarRef.parse("demo/course/anatomy-1")


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> Iterator[Parts]:
    parts = open_parts(parse(stores.setting(tmp_path / "campus.sqlite3"), {}), now=clock)
    yield parts
    parts.close()


@pytest.fixture
def client(parts: Parts) -> FlaskClient:
    return browser(parts)


@contextmanager
def away(parts: Parts) -> Iterator[None]:
    """A store that cannot answer what feeds ask."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with writing(parts.engine) as connection:
        connection.execute(text(rename.format("calendar_reading", "gone")))
    try:
        yield
    finally:
        with writing(parts.engine) as connection:
            connection.execute(text(rename.format("gone", "calendar_reading")))


def opened(parts: Parts, client: FlaskClient) -> str:
    """The address of a secret feed that was asked for before."""
    _, token = parts.feeds.add("anatomy", "Anatomy", COURSE, public=False)
    path = f"/feeds/{token}/anatomy.ics"
    for _ in range(2):
        assert client.get(path).status_code == 200
    return path


def test_a_feed_is_answered_as_it_was_last_and_says_how_old_it_is(
    parts: Parts, client: FlaskClient, clock: Clock
) -> None:
    path = opened(parts, client)
    before = client.get(path)
    clock.now += timedelta(minutes=5)
    with away(parts):
        during = client.get(path)
        assert (during.status_code, during.data, during.headers["ETag"]) == (200, before.data, before.headers["ETag"])
        assert during.headers["X-Calbridge-Stale"] == "300"
        assert client.get(path, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    clock.now += timedelta(seconds=2)
    assert "X-Calbridge-Stale" not in client.get(path).headers


def test_what_was_never_answered_is_refused_for_the_time(parts: Parts, client: FlaskClient) -> None:
    with away(parts):
        assert client.get("/public/anatomy-i.ics").status_code in (404, 500, 503)
        assert client.get(f"/feeds/{'x' * 43}/anatomy.ics").status_code in (404, 500, 503)


def test_what_was_refused_before_is_not_given_away(parts: Parts, client: FlaskClient, clock: Clock) -> None:
    path = opened(parts, client)
    parts.feeds.disable("anatomy")
    clock.now += timedelta(seconds=2)
    assert client.get(path).status_code in (404, 410)
    with away(parts):
        assert client.get(path).status_code != 200


def test_after_a_day_an_answer_is_too_old(parts: Parts, client: FlaskClient, clock: Clock) -> None:
    path = opened(parts, client)
    clock.now += timedelta(days=1, seconds=1)
    with away(parts):
        assert client.get(path).status_code != 200
