"""What displays and scripts ask a feed: a part of it, rooms by day, the next events of a title, a room now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.feeds.schema import NEXT, NOW, PART, ROOMS, SCHEMA, SCHEMAS, SINCE
from app.feeds.serve import Feeds
from bridges.model import AllDay, Event, Found, RemoteRef
from tests.feeds.world import COURSE, HOUR, MONDAY, World, complaints, lesson, new_world
from tests.web.test_feeds import app_of

DAY = timedelta(days=1)
SIM, EXAM = "Sim 1 (Sim Room)", "Exam 2 (Exam Room)"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    for ref, event, rooms in [
        ("a", lesson("OSCE Year 3", MONDAY - HOUR, 2 * HOUR), [SIM, EXAM]),
        ("b", lesson("Airway workshop", MONDAY + 2 * HOUR), [SIM]),
        ("c", lesson("osce-prep", MONDAY + DAY), [EXAM]),
        ("d", lesson("Oscendale", MONDAY + 2 * DAY), []),
        ("e", Event("Open day", AllDay(date(2026, 3, 11), date(2026, 3, 12))), []),
    ]:
        found = Found(RemoteRef(ref), event, extra={"rooms": "\n".join(rooms)})
        world.school.courses["math"][found.ref] = found
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    feeds = world.feeds()
    feeds.add("sim", "Sim centre", COURSE, public=True)
    return feeds


@pytest.fixture
def client(feeds: Feeds) -> FlaskClient:
    return app_of(feeds).test_client()


def asked(client: FlaskClient, path: str, schema: dict[str, Any]) -> Any:
    answer = client.get(f"/public/{path}")
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    assert client.get(f"/public/{path}", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    told = json.loads(answer.data)
    assert complaints(told, schema) == []
    return told


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("from=2026-03-10", ["osce-prep", "Open day", "Oscendale"]),
        ("to=2026-03-10", ["OSCE Year 3", "Airway workshop"]),
        ("from=2026-03-11&to=2026-03-12", ["Open day", "Oscendale"]),
        ("from=2026-03-09T10:00:00Z&to=2026-03-09T13:00:00%2B01:00", ["Airway workshop"]),
        ("from=2026-03-12", []),
        ("order=-start&limit=2", ["Oscendale", "Open day"]),
        ("limit=2&offset=2", ["osce-prep", "Open day"]),
        ("offset=9", []),
    ],
)
def test_a_part_is_what_was_asked_for(client: FlaskClient, query: str, titles: list[str]) -> None:
    told = asked(client, f"sim.json?{query}", PART)
    assert [event["title"] for event in told["events"]] == titles


def test_pages_lead_on_to_the_end(client: FlaskClient) -> None:
    titles, offset = [], 0
    while offset is not None:
        page = asked(client, f"sim.json?limit=2&fields=title&offset={offset}", PART)
        assert page["total"] == 5
        titles += [event["title"] for event in page["events"]]
        offset = page.get("next_offset")
    assert titles == ["OSCE Year 3", "Airway workshop", "osce-prep", "Open day", "Oscendale"]


def test_fields_are_those_wanted(client: FlaskClient) -> None:
    told = asked(client, "sim.json?fields=start,title&limit=1", PART)
    assert told["events"] == [{"title": "OSCE Year 3", "start": "2026-03-09T09:00:00+01:00"}]


def test_rooms_are_counted_by_day(client: FlaskClient) -> None:
    told = asked(client, "sim/rooms.json", ROOMS)
    assert told == {
        "date": "2026-03-09",
        "timezone": "Europe/Berlin",
        "rooms": [{"room": EXAM, "count": 1}, {"room": SIM, "count": 2}],
        "generated": "2026-03-09T09:00:00Z",
    }
    other = asked(client, "sim/rooms.json?date=2026-03-10&room=Debrief", ROOMS)
    assert [(one["room"], one["count"]) for one in other["rooms"]] == [("Debrief", 0), (EXAM, 1), (SIM, 0)]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("title=osce", ["OSCE Year 3"]),
        ("title=OSCE&count=9", ["OSCE Year 3", "osce-prep"]),
        ("title=osce%20year&count=9", ["OSCE Year 3"]),
        ("title=osce&match=starts&count=9", ["OSCE Year 3", "osce-prep", "Oscendale"]),
        ("title=oscendale&match=equals", ["Oscendale"]),
        ("title=osce&match=equals", []),
    ],
)
def test_the_next_events_of_a_title(client: FlaskClient, query: str, titles: list[str]) -> None:
    told = asked(client, f"sim/next.json?{query}", NEXT)
    assert [one["title"] for one in told["next"]] == titles


def test_an_event_that_runs_is_marked_and_one_that_is_over_is_gone(client: FlaskClient, world: World) -> None:
    (running,) = asked(client, "sim/next.json?title=OSCE", NEXT)["next"]
    assert running == {
        "title": "OSCE Year 3",
        "start": "2026-03-09T08:00:00Z",
        "end": "2026-03-09T10:00:00Z",
        "rooms": [SIM, EXAM],
        "running": True,
    }
    world.clock.forward(HOUR)
    (coming,) = asked(client, "sim/next.json?title=OSCE", NEXT)["next"]
    assert (coming["title"], coming["running"]) == ("osce-prep", False)


def test_a_room_now_by_either_of_its_names(client: FlaskClient, world: World) -> None:
    busy = asked(client, "sim/now.json?room=sim%201", NOW)
    assert (busy["now"]["title"], busy["next"]["title"], busy["free"]) == ("OSCE Year 3", "Airway workshop", False)
    world.clock.forward(HOUR)
    free = asked(client, "sim/now.json?room=Sim 1 (Sim Room)", NOW)
    assert (free["now"], free["free"], free["free_until"]) == (None, True, "2026-03-09T11:00:00Z")
    assert asked(client, "sim/now.json?room=Nowhere", NOW)["free_until"] is None


def test_a_secret_feed_answers_at_its_own_address(client: FlaskClient, feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False, settings=["privacy=busy-only"])
    answer = client.get(f"/feeds/{token}/mine/next.json?title=busy")
    assert (answer.status_code, json.loads(answer.data)["next"][0]["rooms"]) == (200, [])
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert client.get("/public/mine/next.json?title=busy").status_code == 404
    assert client.get(f"/feeds/{'A' * 43}/mine/next.json?title=busy").status_code == 404


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sim.json?from=soon", "from: 'soon' is no date"),
        ("sim.json?limit=0", "limit: '0' is no whole number"),
        ("sim.json?limit=99999999999", "limit:"),
        ("sim.json?offset=-1", "offset:"),
        ("sim.json?order=title", "neither start nor -start"),
        ("sim.json?fields=title,size", "there is no 'size'"),
        ("sim.json?from=2026-03-12&to=2026-03-11", "'2026-03-12' is not before '2026-03-11'"),
        ("sim.json?from=2026-03-12&to=2026-03-12", "is not before"),
        ("sim.json?x=1", "'x' cannot be asked here; this address takes from, to, order"),
        ("sim.json?limit=1&limit=2", "limit: it is asked twice"),
        ("sim.json?since=x&limit=1", "since: it is asked alone"),
        ("sim.json?since=x", "since: 'x' is no cursor"),
        ("sim.json?for=google", "'for' cannot be asked"),
        ("sim/rooms.json?x=1", "takes date, room"),
        ("sim/next.json?date=2026-03-12", "takes title, match, count"),
        ("sim/now.json?date=2026-03-12", "takes room"),
        ("sim/rooms.json?date=monday", "no date"),
        ("sim/next.json", "?title=OSCE"),
        ("sim/next.json?title=x&match=like", "word, equals, starts"),
        ("sim/next.json?title=x&count=x", "count:"),
        ("sim/now.json", "which room"),
    ],
)
def test_a_question_that_is_wrong_says_what_is_wrong(client: FlaskClient, path: str, said: str) -> None:
    answer = client.get(f"/public/{path}")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert said in json.loads(answer.data)["detail"]


@pytest.mark.parametrize("ending", ["ics?from=2026-03-12", "ics?x=1", "ics?for=lotus", "jcal?for=apple", "atom?from=1"])
def test_a_calendar_takes_for_and_nothing_else(client: FlaskClient, ending: str) -> None:
    answer = client.get(f"/public/sim.{ending}")
    assert (answer.status_code, answer.mimetype) == (400, "text/plain")
    assert "takes for" in answer.text or "takes no questions" in answer.text or "outlook, google, apple" in answer.text


def test_every_schema_is_served_and_no_other(client: FlaskClient) -> None:
    for path, schema in SCHEMAS.items():
        assert json.loads(client.get(path).data) == schema
    assert client.get("/schema/none.json").status_code == 404


def test_scripts_of_other_pages_read_it_where_that_is_wanted(client: FlaskClient, feeds: Feeds) -> None:
    assert "Access-Control-Allow-Origin" not in client.get("/public/sim.json").headers
    feeds.set("sim", ["cors=on"])
    assert client.get("/public/sim.json").headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/public/sim/rooms.json").headers["Access-Control-Allow-Origin"] == "*"


NASTY = "a\rb\nc\r\nd\x85e\u2028f\u2029g\x00h\\n;,:\"'</script>BEGIN:VEVENT\r\nX-EVIL:1" + "\N{PILE OF POO}" * 300


def test_hostile_texts_stay_texts_in_every_answer(client: FlaskClient, feeds: Feeds, world: World) -> None:
    event = lesson(NASTY, MONDAY + HOUR, text=NASTY, place=NASTY, categories=(NASTY,), url=f"https://x.example/{NASTY}")
    world.school.courses["math"] = {}
    found = Found(RemoteRef("x"), event, extra={"rooms": "Sim 1"})
    world.school.courses["math"][found.ref] = found
    feeds.add("evil", NASTY[:200], COURSE, public=True)
    feeds.refresh("evil")
    (told,) = asked(client, "evil.json", SCHEMA)["events"]
    assert told["title"] == told["text"] == told["place"]
    assert told["title"].startswith("a\nb\nc\nd\x85e\u2028f\u2029gh\\n;,:\"'</script>BEGIN:VEVENT\nX-EVIL:1")
    for path in ("evil.json?limit=1", "evil/next.json?title=a", "evil/now.json?room=Sim%201", "evil/rooms.json"):
        answer = client.get(f"/public/{path}")
        assert (answer.status_code, answer.mimetype) == (200, "application/json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        json.loads(answer.data)
    assert client.get("/public/evil.json?callback=alert").status_code == 400


def test_a_cursor_is_asked_for_at_the_feeds_own_address(client: FlaskClient, feeds: Feeds, world: World) -> None:
    before = asked(client, "sim.json", SCHEMA)
    world.school.put("new", lesson("Debriefing"))
    feeds.refresh("sim")
    told = asked(client, f"sim.json?since={before['cursor']}", SINCE)
    assert [event["title"] for event in told["added"]] == ["Debriefing"]
    feeds.set("sim", ["title=x*"])
    gone = client.get(f"/public/sim.json?since={before['cursor']}")
    assert (gone.status_code, gone.mimetype) == (410, "application/problem+json")
    assert json.loads(gone.data)["detail"] == "cursor too old: fetch the whole feed"
    assert "cursor" not in asked(client, "sim.json?limit=1", PART)


def test_changes_and_jcal_have_addresses_and_types_of_their_own(client: FlaskClient) -> None:
    for ending, kind in (("atom", "application/atom+xml"), ("jcal", "application/calendar+json")):
        answer = client.get(f"/public/sim.{ending}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["Content-Disposition"] == f'inline; filename="sim.{ending}"'
        again = client.get(f"/public/sim.{ending}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
