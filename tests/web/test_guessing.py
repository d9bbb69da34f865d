"""Who guesses at secret addresses learns nothing, neither from answers nor from time, and is soon told to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from app import create_app
from app.feeds.serve import Feeds
from app.web.door.guesses import HOUR, MANY, MOST, SPAN, Guesses, neighbourhood
from app.web.proxied import Proxied
from tests.campus import open_campus
from tests.feeds.world import COURSE, MONDAY, World, lesson, new_world
from tests.soak import timing
from tests.web.test_feeds import app_of

DAY = timedelta(days=1)
UNKNOWN = "A" * 43


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    world.school.put("a", lesson("Algebra"))
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    feeds = world.feeds()
    feeds.add("mine", "Mine", COURSE, public=False)
    return feeds


def tried(client: FlaskClient, token: str, address: str = "192.0.2.1") -> int:
    return client.get(f"/feeds/{token}/mine.ics", environ_base={"REMOTE_ADDR": address}).status_code


def test_after_twenty_wrong_addresses_in_a_minute_one_has_to_wait(feeds: Feeds) -> None:
    client = app_of(feeds).test_client()
    assert [tried(client, UNKNOWN) for _ in range(MOST + 5)] == [404] * MOST + [429] * 5
    refused = client.get(f"/feeds/{UNKNOWN}/mine/now.json?room=x", environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert 0 < int(refused.headers["Retry-After"]) <= SPAN
    assert tried(client, UNKNOWN, "192.0.2.2") == 404


def test_who_has_a_right_address_is_never_hindered(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    _, token = parts.feeds.add("mine", "Mine", parts.feeds.list()[0].calendar, public=False)
    client = Client(create_app(parts))
    for number in range(3 * MOST):
        wrong = client.get(f"/feeds/{UNKNOWN}/mine.ics")
        assert wrong.status_code == (404 if number < MOST else 429)
        assert client.get(f"/feeds/{token}/mine.ics").status_code == 200
        assert client.get(f"/feeds/{token}/mine.json?limit=1").status_code == 200


def test_public_names_that_are_wrong_count_for_nothing(feeds: Feeds) -> None:
    client = app_of(feeds).test_client()
    assert {client.get("/public/none.ics").status_code for _ in range(3 * MOST)} == {404}


def test_a_spell_ends_after_a_minute_however_busy_it_was() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(MOST):
        assert guesses.wrong("192.0.2.1") is None
    for _ in range(100):
        assert guesses.wrong("192.0.2.1") == SPAN
    now[0] = SPAN - 1
    assert guesses.wrong("192.0.2.1") == 1
    now[0] = SPAN
    assert guesses.wrong("192.0.2.1") is None


def test_a_net_that_one_person_has_counts_as_one() -> None:
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1") == "2001:db8::/64"
    assert neighbourhood("2001:db8:0:1::1") != neighbourhood("2001:db8::1")
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("fe80::1%eth0") == "fe80::/64"
    assert neighbourhood("") == ""


def test_guesses_are_told_in_the_log_once_and_without_the_address_that_was_tried(
    feeds: Feeds, caplog: pytest.LogCaptureFixture
) -> None:
    client = app_of(feeds).test_client()
    for _ in range(3 * MOST):
        tried(client, UNKNOWN)
    assert [record.getMessage() for record in caplog.records] == [
        "20 wrong feed addresses in a minute from 192.0.2.1: more are refused"
    ]


def test_no_time_tells_a_revoked_address_from_one_that_never_was(feeds: Feeds, world: World) -> None:
    """The share of pairs in which one takes longer than the other (Mann and Whitney) is near a half, as for equals."""
    revoked, ended = feeds.add_token("mine", "gone"), feeds.add_token("mine", "ended", MONDAY + DAY)
    feeds.revoke("mine", "gone")
    world.clock.forward(2 * DAY)
    client = app_of(feeds).test_client()
    kinds = {"unknown": UNKNOWN, "near": revoked[:42] + ("A" if revoked[42] != "A" else "B")}
    kinds |= {"revoked": revoked, "ended": ended, "malformed": "x"}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(300):
        for kind, token in kinds.items():  # in turns, so that a busy machine is busy for all of them
            begun = perf_counter()
            status = tried(client, token, f"198.51.{number // 250}.{number % 250}")
            took[kind].append(perf_counter() - begun)
            assert status == 404
    for kind in kinds:
        assert 0.35 < _share(took[kind], took["unknown"]) < 0.65, kind


def test_a_nearly_right_address_is_refused_as_fast_as_any() -> None:
    """Equals differ as much once in a hundred times: what tells a token apart does so each time."""
    for _ in range(3):
        with suppress(AssertionError):
            assert "p = " in timing.measured(800)
            return
    pytest.fail("three times the times of refusals told right from wrong")


def test_the_probability_would_tell() -> None:
    one, other = [1.0 + number for number in range(200)], [20.0 + number for number in range(200)]
    assert timing.probability(one, other) < 0.01 < 0.9 < timing.probability(one, one)
    assert timing.probability([1.0] * 9, [1.0] * 9) == 1


def test_clients_behind_our_proxy_are_counted_apart_and_nobody_else_is_believed(feeds: Feeds) -> None:
    app = app_of(feeds)
    app.wsgi_app = Proxied(app.wsgi_app, ["192.0.2.1"])  # type: ignore[method-assign]
    client = app.test_client()

    def tried_through(proxy: str, told: str) -> int:
        path, headers = f"/feeds/{UNKNOWN}/mine.ics", {"X-Forwarded-For": told}
        return client.get(path, environ_base={"REMOTE_ADDR": proxy}, headers=headers).status_code

    assert [tried_through("192.0.2.1", "198.51.100.1") for _ in range(MOST + 1)] == [404] * MOST + [429]
    assert tried_through("192.0.2.1", "198.51.100.2") == 404
    assert tried_through("192.0.2.1", "198.51.100.2, 198.51.100.1") == 429  # the client's own invention on the left
    assert [tried_through("203.0.113.9", f"198.51.100.{n}") for n in range(MOST + 1)] == [404] * MOST + [429]


def test_ten_thousand_wrong_addresses_in_an_hour_ring_once_from_wherever_they_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for number in range(2 * MANY):
        guesses.wrong(f"10.0.{number % 1000 // 250}.{number % 250}")
        now[0] += HOUR / MANY / 2
    alarms = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(alarms) == 1
    assert alarms[0].getMessage().startswith("10000 wrong feed addresses in an hour")
    for number in range(MANY - 1):
        guesses.wrong(f"10.0.0.{number % 250}")
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def _share(ours: list[float], theirs: list[float]) -> float:
    wins = sum((one > other) + (one == other) / 2 for one in ours for other in theirs)
    return wins / (len(ours) * len(theirs))


def test_the_share_would_tell() -> None:
    slow, fast = [1.1 + number / 1000 for number in range(100)], [1 + number / 1000 for number in range(100)]
    assert _share(slow, fast) > 0.9
