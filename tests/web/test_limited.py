"""One caller may ask the API so often in a minute: told with each answer, refused beyond it. Feeds are not counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parts import Parts
from app.people import tokens
from app.redis import Tallies
from app.web.door.pace import SPAN, Here
from tests.campus import NOW, browser, open_campus
from tests.redis import a_redis


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path, "api.per_minute = 3")


def test_each_answer_tells_what_is_left_and_too_many_are_told_when(campus: Parts) -> None:
    client = browser(campus)
    answers = [client.get("/api/workers") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"minute";q=3;w=60'}
    left = [answer.headers["RateLimit"].split(";")[1] for answer in answers]
    assert left == ["r=2", "r=1", "r=0", "r=0", "r=0"]
    wait = int(answers[-1].headers["Retry-After"])
    assert 1 <= wait <= 60
    assert answers[-1].content_type == "application/problem+json"
    assert f"wait {wait} seconds" in answers[-1].json["detail"]  # type: ignore[index]


def test_each_caller_is_counted_alone(campus: Parts) -> None:
    client = browser(campus)
    bearers = [{"Authorization": f"Bearer {tokens.add(campus.engine, name, NOW)}"} for name in ("office", "other")]
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert [client.get("/api/workers", headers=bearers[0]).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get("/api/workers", headers=bearers[0], environ_overrides=elsewhere).status_code == 429
    assert client.get("/api/workers", headers=bearers[1]).status_code == 200
    assert [client.get("/api/workers").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert client.get("/api/workers", environ_overrides=elsewhere).status_code == 401


def test_what_is_refused_is_not_done(campus: Parts) -> None:
    client = browser(campus)
    for _ in range(3):
        client.get("/api/workers")
    assert client.delete(f"/api/feeds/{campus.feeds.list()[0].slug}").status_code == 429
    assert len(campus.feeds.list()) == 4


def test_feeds_and_pages_are_never_counted(campus: Parts) -> None:
    client, slug = browser(campus), campus.feeds.list()[0].slug
    for path in (f"/public/{slug}.ics", f"/public/{slug}.json?limit=1", "/", "/healthz"):
        answers = [client.get(path) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[-1].headers


def test_nobody_is_limited_where_that_is_configured(tmp_path: Path) -> None:
    client = browser(open_campus(tmp_path, "api.per_minute = 0"))
    answers = [client.get("/api/workers") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[-1].headers


def test_a_minute_begins_with_the_first_request_and_ends() -> None:
    now = [100.0]
    here = Here(lambda: now[0])
    assert (here.add("a").count, here.add("a").count, here.add("b").count) == (1, 2, 1)
    now[0] += SPAN - 1
    assert here.add("a").seconds == 1
    now[0] += 1
    assert (here.add("a").count, here.add("a").seconds) == (1, SPAN)


def test_processes_count_together_in_redis_and_each_for_itself_without(tmp_path: Path) -> None:
    with a_redis(tmp_path) as url:
        first, second = Tallies(url), Tallies(url)
        told = [each.add("office", 60) for each in (first, second, first)]
        assert [tally and tally.count for tally in told] == [1, 2, 3]
        assert all(tally and 0 < tally.seconds <= 60 for tally in told)
    assert second.add("office", 60) is None
