"""Scripts of any web page may read a feed with cors=on, ask whether it has changed, and see why they do not get it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.feeds.serve import Feeds
from app.web.door.guesses import MOST
from bridges.errors import Transient
from bridges.model import CalendarRef, Kind
from tests.feeds.world import COURSE, World, lesson, new_world
from tests.web.test_feeds import app_of

ASKS = {"Origin": "https://timetable.example.edu", "Access-Control-Request-Method": "GET"}
UNKNOWN = "A" * 43


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    world.school.put("a", lesson())
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    feeds = world.feeds()
    feeds.add("open", "Open", COURSE, public=True, settings=["cors=on"])
    feeds.add("shut", "Shut", COURSE, public=True)
    return feeds


@pytest.fixture
def client(feeds: Feeds) -> FlaskClient:
    return app_of(feeds).test_client()


def readable(answer: TestResponse) -> bool:
    """Whether a browser hands the answer to a script of another page."""
    return answer.headers.get("Access-Control-Allow-Origin") == "*"


def preflight(client: FlaskClient, path: str) -> TestResponse:
    return client.options(path, headers={**ASKS, "Access-Control-Request-Headers": "if-none-match"})


@pytest.mark.parametrize("path", ["open.json", "open.ics", "open.jcal", "open.atom", "open/rooms.json"])
def test_a_script_may_ask_with_if_none_match(client: FlaskClient, path: str) -> None:
    asked = preflight(client, f"/public/{path}")
    assert (asked.status_code, asked.data, readable(asked)) == (200, b"", True)
    assert "If-None-Match" in asked.headers["Access-Control-Allow-Headers"]
    assert "GET" in asked.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in asked.headers
    full = client.get(f"/public/{path}", headers=ASKS)
    assert readable(full)
    assert "ETag" in full.headers["Access-Control-Expose-Headers"]
    again = client.get(f"/public/{path}", headers={**ASKS, "If-None-Match": full.headers["ETag"]})
    assert (again.status_code, readable(again)) == (304, True)


def test_what_is_asked_first_tells_nothing_of_a_secret_address(client: FlaskClient, feeds: Feeds, world: World) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    paths = [f"/feeds/{token}/mine.ics", f"/feeds/{UNKNOWN}/mine.ics", "/public/shut.ics", "/public/none.ics"]
    answers = [preflight(client, path) for path in paths]
    assert len({(each.status_code, each.data, tuple(sorted(each.headers.items()))) for each in answers}) == 1
    assert world.school.reads == 0


def test_making_a_narrower_address_is_for_no_foreign_page(client: FlaskClient) -> None:
    answer = client.options(f"/feeds/{UNKNOWN}/mine/children", headers=ASKS)
    assert not readable(answer)


def test_a_feed_without_it_is_read_by_no_foreign_page(client: FlaskClient, feeds: Feeds, world: World) -> None:
    assert not readable(client.get("/public/shut.json", headers=ASKS))
    feeds.disable("shut")
    refused = client.get("/public/shut.json", headers=ASKS)
    assert (refused.status_code, readable(refused)) == (404, False)


def test_a_script_sees_why_it_gets_no_feed(client: FlaskClient, feeds: Feeds, world: World) -> None:
    old = client.get("/public/open.json").get_json()["cursor"]
    feeds.set("open", ["title=!x"])
    told = {
        "/public/none.json": 404,
        "/public/open.json?from=never": 400,
        "/public/open.ics?x=1": 400,
        f"/public/open.json?since={old}": 410,
        "/public/open/now.json": 400,
    }
    for path, status in told.items():
        answer = client.get(path, headers=ASKS)
        assert (answer.status_code, readable(answer)) == (status, True), path
    feeds.disable("open")
    answer = client.get("/public/open.json", headers=ASKS)
    assert (answer.status_code, readable(answer)) == (404, True)


def test_a_script_sees_when_to_come_back(client: FlaskClient, feeds: Feeds, world: World) -> None:
    world.school.courses["art"] = {}
    world.school.down = Transient("away")
    feeds.add("new", "New", CalendarRef("school", Kind.COURSE, "art"), public=True, settings=["cors=on"])
    world.clock.forward(timedelta(seconds=1))
    answer = client.get("/public/new.json", headers=ASKS)
    assert (answer.status_code, readable(answer)) == (503, True)
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    for _ in range(MOST + 1):
        answer = client.get(f"/feeds/{UNKNOWN}/mine.json", headers=ASKS)
    assert (answer.status_code, readable(answer)) == (429, True)
