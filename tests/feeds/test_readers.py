"""Who reads a feed: kinds of programs, each noted once in ten minutes, and nothing of whose they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.feeds.feed import Form
from app.feeds.readers import Reader, Readers
from app.parts import Parts
from bridges.model import CalendarRef, Kind
from tests.campus import NOW, open_campus
from tests.servers import until

INSTITUTION = CalendarRef("demo", Kind.INSTITUTION)
GOOGLE, THUNDERBIRD = "Google-Calendar-Importer", "Mozilla/5.0 Thunderbird/128.0"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


def readers(parts: Parts, slug: str) -> list[Reader]:
    feed = parts.feeds.by_slug(slug)
    return list(parts.feeds.readers([feed]).get(feed.id, ()))


def test_a_public_feed_knows_the_kinds_of_its_readers_alone(campus: Parts) -> None:
    for agent in (THUNDERBIRD, GOOGLE, GOOGLE):
        campus.feeds.snapshot_for_public("anatomy-i", Form.ICS, agent)
    until(lambda: len(readers(campus, "anatomy-i")) == 2, 10, "what is noted behind a request's back")
    assert {(one.client, one.addresses) for one in readers(campus, "anatomy-i")} == {("Google", 0), ("Thunderbird", 0)}


def test_whoever_looked_last_stands_first(campus: Parts) -> None:
    feed, clock = campus.feeds.by_slug("anatomy-i"), Readers(campus.engine)
    for minutes, agent in ((0, GOOGLE), (1, THUNDERBIRD), (11, GOOGLE)):
        clock.note(feed, agent, NOW + timedelta(minutes=minutes))
    told = [(one.client, one.used_at - NOW) for one in readers(campus, "anatomy-i")]
    assert told == [("Google", timedelta(minutes=11)), ("Thunderbird", timedelta(minutes=1))]


def test_one_kind_of_program_is_noted_once_in_ten_minutes(campus: Parts) -> None:
    feed, clock = campus.feeds.by_slug("anatomy-i"), Readers(campus.engine)
    for minutes in (0, 4, 9):
        clock.note(feed, GOOGLE, NOW + timedelta(minutes=minutes))
    assert clock.of_public([feed])[feed.id] == [Reader("Google", NOW)]
    clock.note(feed, GOOGLE, NOW + timedelta(minutes=10))
    assert clock.of_public([feed])[feed.id] == [Reader("Google", NOW + timedelta(minutes=10))]


def test_our_own_pages_are_no_readers(campus: Parts) -> None:
    campus.feeds.snapshot_for_public("anatomy-i", Form.JSON)
    assert readers(campus, "anatomy-i") == []


def test_a_secret_feeds_readers_are_counted_by_their_addresses(campus: Parts) -> None:
    _, first = campus.feeds.add("secret", "Secret", INSTITUTION, public=False)
    second, third = (campus.feeds.add_token("secret", name) for name in ("phone", "desk"))
    for token, agent in ((first, GOOGLE), (second, GOOGLE), (third, THUNDERBIRD)):
        campus.feeds.snapshot_for_token(str(token), "secret", Form.ICS, agent)
    campus.feeds.add_token("secret", "unused")
    assert {(one.client, one.addresses) for one in readers(campus, "secret")} == {("Google", 2), ("Thunderbird", 1)}


def test_readers_go_with_their_feed(campus: Parts) -> None:
    campus.feeds.snapshot_for_public("anatomy-i", Form.ICS, GOOGLE)
    feed = campus.feeds.by_slug("anatomy-i")
    until(lambda: readers(campus, "anatomy-i") != [], 10, "what is noted behind a request's back")
    campus.feeds.remove("anatomy-i")
    assert campus.feeds.readers([feed]) == {}
