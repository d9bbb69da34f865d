"""What a calendar client gets for a feed: the right bytes, honest validators, and no more than it asked for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar
from werkzeug.test import TestResponse

from app.feeds.feed import AT_EVERY_ADDRESS
from app.feeds.schema import SCHEMA
from app.feeds.serve import Feeds
from app.web.feeds import bp
from app.web.lane import gzip_is_better
from bridges.contract import Tools
from bridges.errors import Transient
from bridges.learningspace import LearningSpaceBridge, LearningSpaceSettings
from bridges.model import CalendarRef, Found, Kind, RemoteRef, Window
from tests.fakes.wsgi import session_to
from tests.feeds.world import COURSE, HOUR, MONDAY, World, complaints, lesson, new_world

DAY = timedelta(days=1)
PUBLIC = "/public/math.ics"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    world.school.put("a", lesson("Algebra"))
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    feeds = world.feeds()
    feeds.add("math", "Mathematik", COURSE, public=True)
    return feeds


@pytest.fixture
def client(feeds: Feeds) -> FlaskClient:
    return app_of(feeds).test_client()


@pytest.fixture
def token(feeds: Feeds) -> str:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    return token


def app_of(feeds: Feeds) -> Flask:
    app = Flask("app.web")
    app.extensions["calbridge"] = SimpleNamespace(feeds=feeds)
    app.register_blueprint(bp)
    return app


def get(client: FlaskClient, path: str = PUBLIC, method: str = "GET", **headers: str) -> TestResponse:
    """The answer, held against what is true of every answer."""
    answer = client.open(path, method=method, headers={name.replace("_", "-"): text for name, text in headers.items()})
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Cache-Control"]
    assert "Location" not in answer.headers
    if answer.status_code in (200, 304):
        assert {"ETag", "Last-Modified", "Vary", "X-Calbridge-Read"} <= set(answer.headers.keys())
    if answer.status_code == 200 and answer.mimetype == "application/json" and answer.data:
        plain = gzip.decompress(answer.data) if answer.content_encoding == "gzip" else answer.data
        assert complaints(json.loads(plain), SCHEMA) == []
    return answer


def test_a_feed_is_a_calendar_that_opens_in_place(client: FlaskClient) -> None:
    answer = get(client)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'inline; filename="math.ics"'
    assert answer.data.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert [str(event["SUMMARY"]) for event in Calendar.from_ical(answer.data).walk("VEVENT")] == ["Algebra"]


def test_the_json_form_fits_its_schema_which_is_served_too(client: FlaskClient) -> None:
    answer = get(client, "/public/math.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"] == 'inline; filename="math.json"'
    assert answer.json
    assert [event["title"] for event in answer.json["events"]] == ["Algebra"]
    schema = client.get("/schema/feed-v1.json")
    assert schema.content_type == "application/schema+json"
    assert json.loads(schema.data) == SCHEMA


def test_the_path_decides_the_form_and_accept_never_does(client: FlaskClient) -> None:
    for accept in ("text/html", "application/json", "image/png;q=1, */*;q=0", ""):
        assert get(client, Accept=accept).mimetype == "text/calendar"
        assert get(client, "/public/math.json", Accept=accept).mimetype == "application/json"


def test_a_token_feed_is_for_its_reader_alone(client: FlaskClient, token: str) -> None:
    kept = "max-age=300, stale-while-revalidate=600, stale-if-error=86400"
    assert get(client, f"/feeds/{token}/mine.ics").headers["Cache-Control"] == f"private, {kept}"
    assert get(client, f"/feeds/{token}/mine.json").status_code == 200
    assert get(client).headers["Cache-Control"] == f"public, {kept}"
    assert get(client, "/public/mine.ics").status_code == 404


def test_an_authorization_that_a_client_adds_by_itself_is_ignored(client: FlaskClient, token: str) -> None:
    for value in ("Bearer", "Bearer nonsense", "Basic Og==", "Negotiate"):
        assert get(client, f"/feeds/{token}/mine.ics", Authorization=value).status_code == 200


def test_unknown_revoked_and_malformed_tokens_cannot_be_told_apart(
    client: FlaskClient, feeds: Feeds, token: str
) -> None:
    other = feeds.rotate("mine")
    for form in AT_EVERY_ADDRESS:
        paths = [
            f"/feeds/{token}/mine.{form}",
            f"/feeds/{'A' * 43}/mine.{form}",
            f"/feeds/x/mine.{form}",
            f"/feeds/%00%ff/mine.{form}",
            f"/feeds/{other}/math.{form}",
            f"/feeds/{other}/none.{form}",
            f"/feeds/{other}/%00.{form}",
        ]
        visitor = app_of(feeds).test_client()  # who has not guessed too often yet
        answers = [get(visitor, path) for path in paths]
        assert {answer.status_code for answer in answers} == {404}
        assert len({(answer.data, str(answer.headers)) for answer in answers}) == 1


def test_errors_are_sentences_and_in_json_problems(client: FlaskClient) -> None:
    plain, problem = get(client, "/public/none.ics"), get(client, "/public/none.json")
    assert (plain.status_code, plain.content_type) == (404, "text/plain; charset=utf-8")
    assert plain.text.startswith("There is no such feed.")
    assert (problem.status_code, problem.content_type) == (404, "application/problem+json")
    assert json.loads(problem.data)["status"] == 404
    assert plain.headers["Cache-Control"] == "no-store"


def test_a_feed_that_is_switched_off_says_so(client: FlaskClient, feeds: Feeds) -> None:
    feeds.disable("math")
    assert get(client).status_code == 404
    assert "switched off" in get(client).text
    assert "switched off" in get(client, "/public/math.json").text


def test_a_feed_that_could_not_be_read_yet_says_when_to_come_back(client: FlaskClient, world: World) -> None:
    world.school.down = Transient("The LMS is away.", retry_after=120)
    answer = get(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
    assert "The LMS is away." in answer.text
    assert get(client, "/public/math.json").content_type == "application/problem+json"


def test_head_is_get_without_the_body(client: FlaskClient) -> None:
    full, head = get(client), get(client, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert dict(head.headers) == dict(full.headers)
    assert int(head.headers["Content-Length"]) == len(full.data)
    assert get(client, method="HEAD", If_None_Match=full.headers["ETag"]).status_code == 304


def test_the_etag_is_strong_and_the_same_each_time(client: FlaskClient, world: World) -> None:
    first = get(client).headers["ETag"]
    world.clock.forward(HOUR)
    other = app_of(world.feeds()).test_client()
    assert first == get(client).headers["ETag"] == get(other).headers["ETag"]
    assert first.startswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', 'W/"x",W/{} ,"y"', "*"])
def test_who_names_the_etag_gets_304_with_the_validators(client: FlaskClient, form: str) -> None:
    full = get(client)
    answer = get(client, If_None_Match=form.format(full.headers["ETag"]))
    assert (answer.status_code, answer.data) == (304, b"")
    for name in ("ETag", "Last-Modified", "Cache-Control", "Vary"):
        assert answer.headers[name] == full.headers[name]


@pytest.mark.parametrize("tags", ['"x"', 'W/"x"', "", "x", '"', "gibberish, , ,"])
def test_who_names_another_etag_gets_the_body_whatever_the_date_says(client: FlaskClient, tags: str) -> None:
    date = get(client).headers["Last-Modified"]
    assert get(client, If_None_Match=tags, If_Modified_Since=date).status_code == 200


def test_the_date_counts_where_no_etag_is_sent(client: FlaskClient, world: World) -> None:
    assert get(client).headers["Last-Modified"] == "Mon, 09 Mar 2026 09:00:00 GMT"
    world.clock.forward(2 * DAY)
    for date, status in [
        ("Mon, 09 Mar 2026 09:00:00 GMT", 304),
        ("Tue, 10 Mar 2026 09:00:00 GMT", 304),
        ("Mon, 09 Mar 2026 08:59:59 GMT", 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("yesterday", 200),
        ("", 200),
        ("0", 200),
        ("-1", 200),
        ("2026-03-10T09:00:00Z", 200),
    ]:
        assert get(client, If_Modified_Since=date).status_code == status, date


@pytest.mark.parametrize("what", ["rename", "deletion"])
def test_a_change_in_the_lms_reaches_who_asks_with_old_validators(client: FlaskClient, world: World, what: str) -> None:
    old = get(client).headers
    if what == "rename":
        world.school.put("a", lesson("Geometry"))
    else:
        world.school.drop("a")
    world.clock.forward(HOUR)
    assert get(client, If_None_Match=old["ETag"]).status_code == 200
    assert get(client, If_Modified_Since=old["Last-Modified"]).status_code == 200


def test_two_changes_within_a_second_are_two_dates(client: FlaskClient, world: World, feeds: Feeds) -> None:
    first = get(client).headers["Last-Modified"]
    world.school.put("a", lesson("Geometry"))
    feeds.refresh("math")
    answer = get(client, If_Modified_Since=first)
    assert answer.status_code == 200
    assert get(client, If_Modified_Since=answer.headers["Last-Modified"]).status_code == 304


def test_while_the_lms_is_down_the_last_copy_is_served_with_its_age(client: FlaskClient, world: World) -> None:
    fresh = get(client)
    world.school.down = Transient("The LMS is away.")
    world.clock.forward(2 * HOUR)
    stale = get(client)
    assert (stale.status_code, stale.data, stale.headers["ETag"]) == (200, fresh.data, fresh.headers["ETag"])
    assert stale.headers["X-Calbridge-Stale"] == "7200"
    assert "Age" not in stale.headers  # a cache would take the copy for used up, and pass every request on
    assert stale.headers["X-Calbridge-Read"] == "2026-03-09T09:00:00Z"
    assert "X-Calbridge-Stale" not in fresh.headers
    assert get(client, If_None_Match=fresh.headers["ETag"]).headers["X-Calbridge-Stale"] == "7200"


def test_compression_is_for_those_who_ask(client: FlaskClient) -> None:
    plain, zipped = get(client), get(client, Accept_Encoding="gzip, deflate, br")
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert plain.headers["Vary"] == zipped.headers["Vary"] == "Accept-Encoding"


def test_compressed_bytes_have_an_etag_of_their_own_and_either_revalidates_both(client: FlaskClient) -> None:
    plain, zipped = (get(client, Accept_Encoding=coding).headers["ETag"] for coding in ("identity", "gzip"))
    assert zipped == f'{plain[:-1]}-gzip"'
    for coding, own in (("identity", plain), ("gzip", zipped)):
        for tag in (plain, zipped):
            answer = get(client, Accept_Encoding=coding, If_None_Match=tag)
            assert (answer.status_code, answer.headers["ETag"]) == (304, own)


@pytest.mark.parametrize(
    ("accepted", "better"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *;q=1", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("br, deflate", False),
        ("gzip;q=much", False),
        ("identity;q=0, *;q=0.1", True),
        (",;,", False),
    ],
)
def test_gzip_is_sent_where_it_is_wanted_at_least_as_much_as_plain_bytes(accepted: str, better: bool) -> None:
    assert gzip_is_better(accepted) is better


def test_nobody_can_post_to_a_feed(client: FlaskClient) -> None:
    assert client.post(PUBLIC).status_code == 405


def test_the_feed_of_a_course_without_events_is_a_calendar_too(client: FlaskClient, world: World) -> None:
    world.school.drop("a")
    assert Calendar.from_ical(get(client).data).walk("VEVENT") == []
    assert get(client, "/public/math.json").json["events"] == []  # type: ignore[index]


SPELLINGS = ("/w/api/v2/public_calendar", "/w/api/v2/public-calendar")


@pytest.mark.parametrize("path", SPELLINGS)
def test_learningspaces_addresses_are_off_until_a_feed_answers_there(
    client: FlaskClient, feeds: Feeds, path: str
) -> None:
    assert get(client, f"{path}.ics").status_code == get(client, f"{path}.json").status_code == 404
    feeds.set("math", ["learningspace=on"])
    full = get(client, f"{path}.ics")
    assert full.data == get(client).data
    assert get(client, f"{path}.ics", If_None_Match=full.headers["ETag"]).status_code == 304
    booking = client.get(f"{path}.json").json["events"][0]  # type: ignore[index]
    assert booking["activity"]["title"] == "Algebra"
    assert (booking["eventStart"], booking["eventEnd"]) == ("2026-03-09T09:00:00Z", "2026-03-09T10:00:00Z")
    feeds.set("math", ["learningspace=off"])
    assert get(client, f"{path}.ics").status_code == 404


def test_what_was_written_for_learningspace_reads_any_lms_here(feeds: Feeds, world: World) -> None:
    told = Found(RemoteRef("b"), lesson("OSCE", MONDAY + HOUR, text="Bring\na pen"), extra={"rooms": "Sim 1\nSim 2"})
    world.school.courses["math"][told.ref] = told
    feeds.set("math", ["learningspace=on", "title=osce"])
    given = {"url": "https://here.example", "zone": "Europe/Berlin", "window_days": 180, "tries": 1}
    settings = LearningSpaceSettings.model_validate(given)
    session = session_to({"https://here.example": app_of(feeds)})
    reader = LearningSpaceBridge("sim", settings, Tools(now=world.clock, session=session))
    (found,) = reader.read(CalendarRef("sim", Kind.INSTITUTION), Window(MONDAY, MONDAY + DAY))
    assert (found.event.title, found.event.when, found.event.text) == ("OSCE", told.event.when, "Bring\na pen")
    assert found.extra["rooms"] == "Sim 1\nSim 2"


def test_learningspaces_addresses_are_for_public_feeds(feeds: Feeds, token: str) -> None:
    with pytest.raises(ValueError, match="has to be a public one"):
        feeds.set("mine", ["learningspace=on"])
