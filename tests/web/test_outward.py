"""A slow server that somebody names keeps few requests waiting, and never all that this calbridge can serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from typing import TYPE_CHECKING

import pytest
from werkzeug.test import TestResponse

from app.people import tokens
from app.people.tokens import Scope
from app.web import flask_app
from app.web.outward import EACH, MOST, Outward
from bridges.errors import Transient
from tests.campus import LECTURES, NOW, browser, calendar, open_campus
from tests.fakes.wsgi import serving

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

INTO = "demo/course/statistics"


class Slow:
    """A server that answers once it is let."""

    def __init__(self) -> None:
        self.asked, self.go = Semaphore(0), Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.release()
        assert self.go.wait(20)
        start_response("200 OK", [("Content-Type", "text/calendar")])
        return [calendar(LECTURES)]


@pytest.fixture
def slow() -> Iterator[tuple[Slow, str]]:
    server = Slow()
    with serving(server) as url:
        yield server, url
        server.go.set()


@pytest.mark.parametrize("path", ["/imports", "/api/doctor"])
def test_one_caller_keeps_few_threads_waiting(tmp_path: Path, slow: tuple[Slow, str], path: str) -> None:
    server, url = slow
    host = url.removeprefix("http://")
    campus = open_campus(tmp_path, f'[fetch]\nhttp = true\nallow_hosts = ["{host}"]')
    headers = {"Authorization": f"Bearer {tokens.add(campus.engine, 'office', NOW, Scope.IMPORT)}"}
    form = {"url": f"{url}/c.ics"} | ({"calendar": INTO} if path == "/imports" else {})
    app = flask_app(campus)

    def post() -> TestResponse:
        return app.test_client().post(path, data=form, headers=headers)

    with ThreadPoolExecutor(EACH) as pool:
        waiting: list[Future[TestResponse]] = [pool.submit(post) for _ in range(EACH)]
        assert all(server.asked.acquire(timeout=20) for _ in range(EACH))
        refused = post()
        server.go.set()
        assert all(each.result(20).status_code < 400 for each in waiting)
    assert (refused.status_code, "try again in a moment" in refused.text) == (422 if path == "/imports" else 503, True)
    assert post().status_code < 400


def test_all_callers_together_keep_few_waiting_and_one_not_all_of_those() -> None:
    turns = Outward()
    with turns.turn("ada"), turns.turn("ada"):
        with pytest.raises(Transient), turns.turn("ada"):
            pass
        with turns.turn("bob"), turns.turn("bob"), pytest.raises(Transient), turns.turn("eve"):
            pass
        with turns.turn("eve"):
            pass
    assert 2 * EACH == MOST


def test_what_fails_gives_its_turn_back(tmp_path: Path) -> None:
    web = browser(open_campus(tmp_path))
    for _ in range(MOST + 1):
        told = web.post("/imports", data={"url": "https://10.1.2.3/c.ics", "calendar": INTO})
        assert (told.status_code, "try again in a moment" in told.text) == (422, False)
