"""A subscription that has stopped is told of by mail, once each time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.imports.pull.wish import Wish
from app.parts import Parts
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef
from tests.campus import NOW, open_campus
from tests.fakes.smtp import FakeRelay

ADMIN = "boss@example.edu"


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as relay:
        yield relay


@pytest.fixture
def campus(tmp_path: Path, relay: FakeRelay) -> Iterator[Parts]:
    mail = ['security = "none"', 'sender = "calbridge@example.edu"', f'to = ["{ADMIN}"]']
    lines = ["[mail]", 'host = "127.0.0.1"', f"port = {relay.port}", *mail, "[fetch]", 'allow_hosts = ["127.0.0.1"]']
    parts = open_campus(tmp_path, 'server.public_url = "https://cal.example.edu"', *lines)
    there = CalendarRef.parse("demo/course/anatomy-1")
    parts.subscriptions.add(Wish("timetable", "https://127.0.0.1/c.ics", there, timedelta(hours=1), 180))
    yield parts
    parts.close()


def stands(parts: Parts, **values: object) -> None:
    with writing(parts.engine) as connection:
        connection.execute(update(tables.subscription).values(**values))


def said(parts: Parts) -> list[str]:
    return [outcome for _, outcome in parts.notices.run()]


def test_one_that_is_parked_is_told_of_once(campus: Parts, relay: FakeRelay) -> None:
    stands(campus, standing="parked", problem="There is no such calendar\r\nBcc: x@example.org", ok_at=NOW)
    assert (said(campus), said(campus)) == (["sent"], [])
    (message,) = relay.mail_to(ADMIN)
    assert message["Subject"] == "calbridge: the subscription 'timetable' is no longer looked at"
    body = message.get_content()
    assert "There is no such calendar Bcc: x@example.org" in body
    assert "calbridge subscription enable 1" in body
    stands(campus, ok_at=NOW + timedelta(hours=1))
    assert said(campus) == ["sent"]


@pytest.mark.parametrize(("since", "mails"), [(timedelta(hours=23), 0), (timedelta(hours=24), 1)])
def test_one_that_fails_is_told_of_after_a_day(campus: Parts, relay: FakeRelay, since: timedelta, mails: int) -> None:
    stands(campus, standing="failing", problem="The server answers 500.", ok_at=NOW - since)
    said(campus)
    assert len(relay.received) == mails


def test_one_that_is_well_is_not_told_of(campus: Parts, relay: FakeRelay) -> None:
    stands(campus, standing="fine", ok_at=NOW - timedelta(days=3))
    assert said(campus) == []
