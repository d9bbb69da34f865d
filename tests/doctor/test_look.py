"""The doctor at work on real servers: what they answer becomes findings, and nothing of it an error."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.doctor.finding import Client, Diagnosis, State
from app.doctor.look import look
from app.imports.pull.addresses import Fences
from app.imports.pull.fetch import FetchSettings
from tests.doctor.test_rules import CLEAN, ids, raw
from tests.fakes.web import HOST, Names, Web, answer, onward, serving

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
OPEN = FetchSettings(Fences(frozenset({HOST}), http=True, ports=(range(1, 65536),)), total=5)
HEADERS = ("Content-Type: text/calendar; charset=utf-8", 'ETag: "a"')


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


def seen(web: Web, path: str = "/c.ics", settings: FetchSettings = OPEN, *, once: bool = False) -> Diagnosis:
    return look(web.url(path), settings, NOW, once=once, resolver=Names({HOST: [["127.0.0.1"]]}))


def test_a_good_feed_is_fetched_twice_and_its_robots_are_asked(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, raw(CLEAN), *HEADERS)
    assert ids(seen(web)) == {"plain-http"}
    assert [one.path for one in web.asked] == ["/c.ics", "/c.ics", "/robots.txt"]
    assert web.asked[1].headers["if-none-match"] == '"calbridge-doctor"'


def test_a_server_is_asked_once_if_that_is_wanted(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, raw(CLEAN), *HEADERS)
    seen(web, once=True)
    assert len(web.asked) == 1


def test_what_two_fetches_tell_is_found(web: Web) -> None:
    other = raw(CLEAN.replace("a@school", "z@school"))
    web.replies["/c.ics"] = [answer(200, raw(CLEAN), *HEADERS), answer(200, other, *HEADERS)]
    assert "uids-change" in ids(seen(web))


def test_a_server_that_never_tells_of_a_change_is_found(web: Web) -> None:
    web.replies["/c.ics"] = [answer(200, raw(CLEAN), *HEADERS), answer(304)]
    assert "always-304" in ids(seen(web))


def test_robots_that_keep_google_out_are_found(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, raw(CLEAN), *HEADERS)
    web.replies["/robots.txt"] = answer(200, b"User-agent: *\nDisallow: /\n")
    assert seen(web).verdict(Client.GOOGLE).state is State.REFUSED


def test_a_redirect_is_noted_and_followed(web: Web) -> None:
    web.replies["/c.ics"] = onward("/there.ics")
    web.replies["/there.ics"] = answer(200, raw(CLEAN), *HEADERS)
    assert "redirect" in ids(seen(web))


@pytest.mark.parametrize(
    ("reply", "rule"),
    [
        (answer(401), "sign-in"),
        (answer(404), "no-answer"),
        (answer(500), "no-answer"),
        (answer(200, b"<html><title>Sign in</title>"), "no-answer"),
        (answer(200, b""), "no-answer"),
        (answer(200, raw(CLEAN)[:-20]), "no-answer"),
    ],
)
def test_whatever_comes_instead_is_a_finding_for_everybody(web: Web, reply: bytes, rule: str) -> None:
    web.replies["/c.ics"] = reply
    told = seen(web)
    assert rule in ids(told)
    assert told.trouble
    assert {one.state for one in told.verdicts()} == {State.REFUSED}


def test_an_address_that_our_fences_close_is_not_visited(web: Web) -> None:
    told = look(web.url("/c.ics", host="10.1.2.3"), OPEN, NOW)
    assert not told.seen
    assert ids(told) >= {"not-public"}
    assert web.asked == []
