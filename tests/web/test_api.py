"""The API: an import from bytes to report, and clear answers to everything that is no import."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.campus import EXAM, LECTURES, browser, calendar, open_campus

TARGET = "demo/course/BIO101"
TWO_WEEKS = "from=2026-10-20&to=2026-12-31"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return browser(open_campus(tmp_path))


@pytest.fixture
def target(client: FlaskClient) -> str:
    calendars: Any = client.get("/api/calendars").json
    return next(str(one["ref"]) for one in calendars["calendars"] if one["writable"] and "/course/" in one["ref"])


def send(client: FlaskClient, target: str, data: bytes, query: str = "") -> Any:
    path = f"/api/imports?calendar={target}&{TWO_WEEKS}&{query}"
    return client.post(path, data=data, content_type="text/calendar")


def test_a_file_lands_occurrence_by_occurrence(client: FlaskClient, target: str) -> None:
    answer = send(client, target, calendar(LECTURES, EXAM))
    assert answer.status_code == 200
    assert answer.json["state"] == "done"
    assert answer.json["report"]["created"] == 4


def test_the_same_file_again_writes_nothing(client: FlaskClient, target: str) -> None:
    send(client, target, calendar(LECTURES, EXAM))
    report = send(client, target, calendar(LECTURES, EXAM)).json["report"]
    assert (report["created"], report["updated"], report["deleted"], report["unchanged"]) == (0, 0, 0, 4)


def test_one_moved_one_renamed_one_dropped_is_two_updates_and_a_delete(client: FlaskClient, target: str) -> None:
    talk = "UID:{0}\nSUMMARY:{1}\nDTSTART:20261103T{2}0000Z\nDTEND:20261103T{2}3000Z"
    send(client, target, calendar(*(talk.format(name, name, "10") for name in "abcd")))
    changed = [talk.format("a", "a", "12"), talk.format("b", "renamed", "10"), talk.format("c", "c", "10")]
    report = send(client, target, calendar(*changed)).json["report"]
    assert (report["created"], report["updated"], report["deleted"], report["unchanged"]) == (0, 2, 1, 1)


def test_a_dry_run_answers_the_plan_and_writes_nothing(client: FlaskClient, target: str) -> None:
    answer = send(client, target, calendar(LECTURES), "dry_run=true").json
    assert (answer["state"], answer["plan"]["create"], answer["report"]) == ("dry", 3, None)
    assert send(client, target, calendar(LECTURES)).json["report"]["created"] == 3


def test_the_changes_of_a_run_are_answered_in_parts(client: FlaskClient, target: str) -> None:
    run = send(client, target, calendar(LECTURES, EXAM)).json["run"]
    whole: Any = client.get(f"/api/imports/{run}").json
    some = client.get(f"/api/imports/{run}/changes?offset=1&limit=2").json
    assert some == {"run": run, "offset": 1, "of": 4, "changes": whole["plan"]["changes"][1:3]}
    done: Any = client.get(f"/api/imports/{run}/done").json
    assert done["done"] == whole["report"]["done"]
    assert client.get(f"/api/imports/{run}/nothing").status_code == 404


def test_a_form_upload_is_the_same(client: FlaskClient, target: str) -> None:
    form = {
        "file": (io.BytesIO(calendar(LECTURES)), "timetable.ics"),
        "calendar": target,
        "from": "2026-10-20",
        "to": "2026-12-31",
    }
    answer = client.post("/api/imports", data=form)
    assert answer.json["report"]["created"] == 3  # type: ignore[index]


def test_another_file_under_the_same_name_is_held_until_somebody_says_yes(client: FlaskClient, target: str) -> None:
    send(client, target, calendar(LECTURES))
    held = send(client, target, calendar(EXAM))
    assert (held.status_code, held.json["state"]) == (202, "held")
    assert held.json["held"]
    assert send(client, target, calendar(EXAM), "source=exams").json["report"]["created"] == 1
    report = send(client, target, calendar(EXAM), "approve=true").json["report"]
    assert report["deleted"] == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (calendar(LECTURES)[:-30], "END:VCALENDAR"),
        (b"hello", "BEGIN:VCALENDAR"),
    ],
)
def test_what_is_no_calendar_is_named_for_what_it_is(client: FlaskClient, target: str, body: bytes, said: str) -> None:
    answer = send(client, target, body)
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert said in answer.json["detail"]


def test_a_calendar_without_events_writes_nothing_and_says_so(client: FlaskClient, target: str) -> None:
    answer = send(client, target, calendar())
    assert answer.status_code == 200
    assert (answer.json["events"], answer.json["plan"]["changes"]) == (0, [])


def test_a_file_that_is_too_large_is_refused_before_it_is_read(client: FlaskClient, target: str) -> None:
    answer = send(client, target, b"x" * (50 * 2**20))
    assert answer.status_code == 413
    assert "imports.max_bytes" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "lms/kind/id"),
        ("calendar=nonsense", 400, "lms/kind/id"),
        ("calendar=learn/course/1", 422, "no LMS is called 'learn'"),
        ("calendar=demo/course/NONE", 422, "demo/course/NONE"),
        ("calendar=demo/course/BIO101&from=soon", 400, "2026-09-01"),
        ("calendar=demo/course/BIO101&from=2026-09-01&to=2026-08-01", 400, "empty"),
        ("calendar=demo/course/anatomy-1&dry_run=maybe", 400, "dry_run"),
        ("calendar=demo/course/anatomy-1&dryrun=true", 400, "no field 'dryrun'"),
    ],
)
def test_a_call_that_is_wrong_says_what_is_wrong(client: FlaskClient, query: str, status: int, said: str) -> None:
    answer = client.post(f"/api/imports?{query}", data=calendar(LECTURES), content_type="text/calendar")
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (status, status)
    assert said in answer.json["detail"]


def test_a_body_of_another_type_is_refused_with_the_types_that_are_taken(client: FlaskClient) -> None:
    answer = client.post("/api/imports?calendar=demo/course/BIO101", json={})
    assert answer.status_code == 400
    assert "text/calendar" in answer.json["detail"]  # type: ignore[index]


def test_feeds_are_listed_with_the_links_that_may_be_told(client: FlaskClient) -> None:
    feeds = client.get("/api/feeds").json["feeds"]  # type: ignore[index]
    assert all(feed["links"]["ics"].startswith("http://localhost/public/") for feed in feeds)


def test_a_refresh_says_what_it_came_to(client: FlaskClient) -> None:
    slug = client.get("/api/feeds").json["feeds"][0]["slug"]  # type: ignore[index]
    assert client.post(f"/api/feeds/{slug}/refresh").json == {"slug": slug, "did": "read", "problem": ""}
    assert client.post("/api/feeds/none/refresh").status_code == 404


def test_a_bad_event_is_reported_by_its_line_and_the_rest_goes_on(client: FlaskClient, target: str) -> None:
    crooked = send(client, target, calendar("UID:broken\nSUMMARY:no such day\nDTSTART:20261332T100000Z", EXAM))
    assert crooked.json["report"]["created"] == 1
    (problem,) = crooked.json["problems"]
    assert (problem["uid"], problem["lost"]) == ("broken", True)
    assert 4 <= problem["line"] <= 8


@pytest.mark.parametrize(
    "path",
    [
        "/api/imports/99999999999999999999999",
        "/public/anatomy-i.json?from=0001-01-01",
        "/public/anatomy-i/rooms.json?date=9999-12-31",
    ],
)
def test_numbers_and_dates_from_far_away_are_the_callers_fault(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert answer.content_type == "application/problem+json"
