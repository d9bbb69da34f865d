"""Whoever holds a feed's address may make a narrower one of it, for somebody else, without asking anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar

from app.parts import Parts
from app.people.tokens import add as let_in
from tests.campus import browser, open_campus

COURSE, CAMPUS = "demo/course/anatomy-1", "demo/institution"


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def address(parts: Parts) -> str:
    _, token = parts.feeds.add("mine", "Mine", parts.named(COURSE), parts.named(CAMPUS), public=False)
    return f"/feeds/{token}/mine"


@pytest.fixture
def client(parts: Parts, address: str) -> FlaskClient:
    """A stranger: an API token was made, and this one has none."""
    let_in(parts.engine, "office", parts.now())
    return browser(parts)


def titles(client: FlaskClient, path: str) -> set[str]:
    answer = client.get(path)
    assert answer.status_code == 200
    return {str(event["SUMMARY"]) for event in Calendar.from_ical(answer.data).walk("VEVENT")}


def test_a_narrower_address_is_made_by_who_holds_one(client: FlaskClient, parts: Parts, address: str) -> None:
    wish = {"name": "door sign", "until": "2026-12-31", "calendars": [CAMPUS], "privacy": "busy-only"}
    made = client.post(f"{address}/children", json=wish)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    assert made.json
    assert titles(client, made.json["ics"]) == {"Busy"}
    assert len(titles(client, f"{address}.ics")) > 1
    sign = parts.feeds.tokens("mine")[1]
    assert (sign.name, sign.parent, sign.shows) == ("door sign", "first", f"{CAMPUS} busy-only")
    assert str(sign.until) == "2026-12-31 23:00:00+00:00"
    parts.feeds.revoke("mine", "first")
    assert client.get(made.json["ics"]).status_code == 404


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (None, "send JSON"),
        ([], "send JSON"),
        ({}, "send JSON"),
        ({"name": 1}, "send JSON"),
        ({"name": ""}, "needs a name"),
        ({"name": "first"}, "has a token called 'first' already"),
        ({"name": "x", "size": 1}, "'size' is not known"),
        ({"name": "x", "until": "soon"}, "last day"),
        ({"name": "x", "until": 1}, "last day"),
        ({"name": "x", "until": "9999-12-31"}, "last day"),
        ({"name": "x", "until": "2020-01-01"}, "is past"),
        ({"name": "x", "calendars": CAMPUS}, "list of names"),
        ({"name": "x", "calendars": ["x"]}, "names no calendar"),
        ({"name": "x", "calendars": ["demo/course/other"]}, "is no calendar of 'mine'"),
        ({"name": "x", "privacy": "none"}, "full, no-description, busy-only"),
    ],
)
def test_a_wish_that_cannot_be_says_why(client: FlaskClient, address: str, wish: Any, said: str) -> None:
    answer = client.post(f"{address}/children", json=wish)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert said in answer.text


def test_a_wrong_address_makes_nothing_and_counts_as_a_guess(client: FlaskClient) -> None:
    path = f"/feeds/{'A' * 43}/mine/children"
    answers = [client.post(path, json=wish).status_code for wish in [{"name": "x"}, None] * 11]
    assert answers == [404] * 20 + [429] * 2


def test_the_address_opens_nothing_else_that_writes(client: FlaskClient, address: str) -> None:
    for path in (f"{address}.ics", f"{address}.json", address):
        assert client.post(path, json={}).status_code in (404, 405)
