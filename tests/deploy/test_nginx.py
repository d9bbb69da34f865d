"""nginx, set up by the file that we ship, before a real calbridge: TLS, cache, real clients, no secret in its logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app import create_app
from app.config import Imports, Server
from app.parts import Parts
from app.web.door.guesses import MOST
from tests.campus import open_campus
from tests.deploy.nginx import NAME, PATIENCE, SHIPPED, Nginx, free_port, nginx
from tests.deploy.served import calbridge
from tests.fakes.wsgi import serving

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

FEED = "/public/anatomy-i.ics"
SECRET = "T0ken-" + "x" * 37


@dataclass(frozen=True)
class Place:
    """An nginx with a calbridge behind it, and that calbridge's own port."""

    nginx: Nginx
    behind: int
    log: Path

    def answers(self, status: str) -> float:
        """How many of the requests for feeds that reached calbridge were answered so."""
        text = requests.get(f"http://127.0.0.1:{self.behind}/metrics", timeout=20).text
        line = f'calbridge_answers_total{{status="{status}",what="feed"}} '
        return sum(float(each.removeprefix(line)) for each in text.splitlines() if each.startswith(line))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port = free_port()
    with (
        calbridge(tmp_path_factory.mktemp("calbridge"), port) as log,
        nginx(tmp_path_factory.mktemp("nginx"), port) as front,
    ):
        yield Place(front, port, log)


def test_feeds_come_over_tls_and_plain_http_is_sent_there(place: Place) -> None:
    answer = place.nginx.get(FEED)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    plain = requests.get(f"http://127.0.0.1:{place.nginx.plain}{FEED}", allow_redirects=False, timeout=20)
    assert (plain.status_code, plain.headers["Location"]) == (301, f"https://{NAME}{FEED}")


def test_the_second_reader_of_a_public_feed_costs_calbridge_nothing(place: Place) -> None:
    path = "/public/campus-calendar.json"
    before = sum(map(place.answers, ("200", "304")))
    first, second = place.nginx.get(path), place.nginx.get(path)
    assert [answer.headers.get("X-Cache") for answer in (first, second)] == ["MISS", "HIT"]
    assert first.content == second.content
    assert sum(map(place.answers, ("200", "304"))) == before + 1


def test_who_has_it_already_gets_a_304_without_calbridge(place: Place) -> None:
    tag = place.nginx.get(FEED).headers["ETag"]
    before = place.answers("304")
    again = place.nginx.get(FEED, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert place.answers("304") == before


def test_packed_and_plain_are_kept_apart_and_packed_once(place: Place) -> None:
    asked = ("gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "identity", "gzip;q=0")
    answers = [place.nginx.get(FEED, headers={"Accept-Encoding": each}) for each in asked]
    assert [answer.headers.get("Content-Encoding") for answer in answers] == ["gzip", "gzip", None, None]
    assert len({answer.content for answer in answers}) == 1
    assert answers[1].headers["X-Cache"] == answers[3].headers["X-Cache"] == "HIT"


def test_a_secret_feed_is_kept_nowhere_and_stands_in_no_log(place: Place) -> None:
    path = f"/feeds/{SECRET}/none.ics?key={SECRET}"
    answers = [place.nginx.get(path) for _ in range(2)]
    answers += [place.nginx.get(f"//x/..//feeds/{SECRET}/none.ics"), place.nginx.get(f"/approve/{SECRET}.s/plan")]
    assert [answer.headers.get("X-Cache") for answer in answers[:2]] == [None, None]
    log = place.nginx.logs(until='"path":"/approve/…"')
    assert '"path":"/feeds/T0ken-…/none.ics","status":"400"' in log
    assert "x" * 10 not in log
    assert not any(SECRET.encode() in file.read_bytes() for file in place.nginx.folder.rglob("*") if file.is_file())


def test_calbridge_sees_the_client_and_not_nginx_nor_what_the_client_invents(place: Place) -> None:
    """Each guesser is counted under an address of its own, so that one who guesses keeps no other waiting."""
    invented = (f"192.0.2.{number}" for number in range(MOST + 1))
    path = f"/feeds/{'A' * 43}/none.ics"
    answers = [
        place.nginx.get(path, "127.0.0.66", headers={"X-Forwarded-For": address}).status_code for address in invented
    ]
    assert answers == [404] * MOST + [429]
    assert place.nginx.get(path, "127.0.0.7").status_code == 404
    assert "from 127.0.0.66: more are refused" in place.log.read_text()


def test_nobody_who_comes_through_nginx_is_the_person_at_this_machine(place: Place) -> None:
    assert requests.get(f"http://127.0.0.1:{place.behind}/api/feeds", timeout=20).status_code == 200
    assert place.nginx.get("/api/feeds").status_code == 403


def test_figures_are_not_for_the_world(place: Place) -> None:
    assert place.nginx.get("/metrics").status_code == 404


def test_a_request_has_one_id_in_both_logs(place: Place) -> None:
    number = place.nginx.get("/healthz").headers["X-Request-Id"]
    assert number in place.nginx.logs(until=number)
    assert number in place.log.read_text()


def test_what_is_larger_than_an_import_may_be_stops_at_nginx(place: Place) -> None:
    answer = place.nginx.ask("POST", "/api/imports", data=b"x" * (Imports().max_bytes + 1))
    assert answer.status_code == 413
    answer = place.nginx.ask("POST", "/api/imports", data=b"x" * 1000)
    assert answer.status_code != 413


def test_the_file_says_what_calbridge_uses_by_default() -> None:
    text = SHIPPED.read_text("utf-8")
    assert f"server 127.0.0.1:{Server().port};" in text
    assert f"client_max_body_size  {Imports().max_bytes // 2**20}m;" in text


class TestWhenAFeedIsOld:
    """The same nginx before a calbridge whose answers grow old within a second, where it says five minutes."""

    @pytest.fixture
    def campus(self, tmp_path: Path) -> Iterator[Parts]:
        parts = open_campus(tmp_path)
        yield parts
        parts.close()

    @pytest.mark.parametrize("kept", [", stale-while-revalidate=600", ""], ids=["by our word", "by nginx's own"])
    def test_it_answers_while_calbridge_is_away(self, campus: Parts, tmp_path: Path, kept: str) -> None:
        port = free_port()
        with nginx(tmp_path, port) as front:
            with serving(quickly_old(create_app(campus), kept), port):
                first = front.get(FEED)
            time.sleep(2.1)
            answer, secret = front.get(FEED), front.get(f"/feeds/{SECRET}/none.ics")
            log = front.logs(until='"path":"/feeds/T0ken-…/none.ics","status":"502"')
        assert first.headers["X-Cache"] == "MISS"
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "STALE")
        assert answer.content == first.content
        assert secret.status_code == 502
        assert SECRET not in log

    def test_it_answers_at_once_and_is_fetched_anew_behind_it(self, campus: Parts, tmp_path: Path) -> None:
        fetched: list[str] = []
        app = quickly_old(create_app(campus), ", stale-while-revalidate=600", fetched)
        with serving(app) as url, nginx(tmp_path, int(url.rpartition(":")[2])) as front:
            front.get(FEED)
            time.sleep(2.1)
            old = front.get(FEED).headers["X-Cache"]
            until = time.monotonic() + PATIENCE
            while len(fetched) < 2 and time.monotonic() < until:
                time.sleep(0.05)
        assert old == "STALE"
        assert fetched == ["200 OK", "304 NOT MODIFIED"], "asked again with its validator, in the background"


def quickly_old(app: WSGIApplication, kept: str, fetched: list[str] | None = None) -> WSGIApplication:
    """The same answers, but that they are to be asked for again after a second; their status goes into `fetched`."""

    def behind(environ: Any, start_response: Any) -> Any:
        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said = dict(headers) | {"Cache-Control": f"public, max-age=1{kept}"}
            if fetched is not None:
                fetched.append(status)
            return start_response(status, list(said.items()), *rest)

        return app(environ, started)

    return behind
