"""The lane and the view give one answer: status, headers and bytes, whatever is asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from app import create_app
from app.parts import Parts
from app.web.lane import Lane
from tests.campus import open_campus

DAY = timedelta(days=1)


class Counted:
    """The application behind a lane, with what was left to it."""

    def __init__(self, app: Flask) -> None:
        lane: Any = app.wsgi_app
        while not isinstance(lane, Lane):
            lane = lane._app
        self.view = lane._app
        self.paths: list[str] = []
        lane._app = self
        self.both = Client(app)

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        self.paths.append(environ["PATH_INFO"])
        return self.view(environ, start_response)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    parts = open_campus(tmp_path)
    for feed in parts.feeds.list():
        parts.feeds.refresh(feed.slug)
    return parts


@pytest.fixture
def served(parts: Parts) -> Counted:
    served = Counted(create_app(parts))
    for form in ("ics", "json"):
        assert served.both.get(f"/public/{slug(parts)}.{form}").status_code == 200
    served.paths.clear()
    return served


def slug(parts: Parts) -> str:
    return parts.feeds.list()[0].slug


def same(served: Counted, path: str, method: str = "GET", **headers: str) -> tuple[TestResponse, bool]:
    """The answer, equal through the lane and past it; and whether the lane gave it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    before = len(served.paths)
    answer = served.both.open(path, method=method, headers=names)
    in_lane = len(served.paths) == before
    other = Client(served.view).open(path, method=method, headers=names)
    assert (answer.status, answer.data) == (other.status, other.data)
    for each in (answer, other):
        each.headers.remove("X-Request-Id")  # each request has its own, and the lane none
    assert sorted(answer.headers.items()) == sorted(other.headers.items())
    return answer, in_lane


@pytest.mark.parametrize("form", ["ics", "json"])
@pytest.mark.parametrize("coding", ["", "gzip", "gzip;q=0.5, identity", "*"])
def test_the_lane_answers_as_the_view_does(served: Counted, parts: Parts, form: str, coding: str) -> None:
    path = f"/public/{slug(parts)}.{form}"
    full, in_lane = same(served, path, Accept_Encoding=coding)
    assert (full.status_code, in_lane) == (200, True)
    etag, date = full.headers["ETag"], full.headers["Last-Modified"]
    for status, asked in [
        (304, {"If_None_Match": etag}),
        (304, {"If_None_Match": f'"x", W/{etag}'}),
        (304, {"If_None_Match": "*"}),
        (200, {"If_None_Match": '"x"', "If_Modified_Since": date}),
        (200, {"If_None_Match": "", "If_Modified_Since": date}),
        (304, {"If_Modified_Since": date}),
        (200, {"If_Modified_Since": "Mon, 09 Mar 2015 09:00:00 GMT"}),
        (200, {"If_Modified_Since": "yesterday"}),
        (200, {"Authorization": "Basic Og=="}),
    ]:
        for method in ("GET", "HEAD"):
            answer, in_lane = same(served, path, method, Accept_Encoding=coding, **asked)
            assert (answer.status_code, in_lane) == (status, True), asked


def test_a_secret_feed_goes_through_the_lane_too(served: Counted, parts: Parts) -> None:
    _, token = parts.feeds.add("mine", "Mine", parts.feeds.list()[0].calendar, public=False)
    path = f"/feeds/{token}/mine.ics"
    assert not same(served, path)[1]
    answer, in_lane = same(served, path)
    assert (answer.status_code, in_lane, answer.headers["Cache-Control"][:20]) == (200, True, "private, max-age=300")
    parts.feeds.rotate("mine")
    answer, in_lane = same(served, path)
    assert (answer.status_code, in_lane) == (404, False)


def test_a_feed_that_is_never_compressed_is_sent_plain(served: Counted, parts: Parts) -> None:
    parts.feeds.set(slug(parts), ["gzip=off"])
    for _ in range(2):
        answer, _ = same(served, f"/public/{slug(parts)}.ics", Accept_Encoding="gzip")
        assert "Content-Encoding" not in answer.headers
        assert answer.data.startswith(b"BEGIN:VCALENDAR")
        assert not answer.headers["ETag"].endswith('-gzip"')


@pytest.mark.parametrize(
    "path", ["/", "/public/none.ics", "/public/x.txt", "/public/%00.ics", "//public/x.ics", f"/feeds/{'A' * 43}/x.json"]
)
def test_what_is_no_ready_feed_is_left_to_the_view(served: Counted, path: str) -> None:
    assert not same(served, path)[1]


def test_what_is_unusual_is_left_to_the_view(served: Counted, parts: Parts) -> None:
    path = f"/public/{slug(parts)}.ics"
    assert not same(served, path, "OPTIONS")[1]
    assert not same(served, f"{path}?x=1")[1]
    parts.feeds.disable(slug(parts))
    answer, in_lane = same(served, path)
    assert (answer.status_code, in_lane) == (404, False)


def test_what_another_process_changed_is_seen_within_a_second(tmp_path: Path) -> None:
    moment = open_campus(tmp_path).now()
    clock = [moment]
    here = Parts((first := open_campus(tmp_path)).config, first.engine, lambda: clock[0])
    other = open_campus(tmp_path)
    name = slug(other)
    client = Client(create_app(here))
    before = client.get(f"/public/{name}.ics")
    other.feeds.disable(name)
    clock[0] += timedelta(seconds=1)
    assert (before.status_code, client.get(f"/public/{name}.ics").status_code) == (200, 404)
