"""A routed import over the API: one call in, one answer, and the batch afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from tests.campus import browser, calendar, open_campus
from tests.web.test_api import TWO_WEEKS

ROUTE = "route=title:*%20of%20*=>demo/course/{2}"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


@pytest.fixture
def courses(client: FlaskClient) -> list[str]:
    calendars: Any = client.get("/api/calendars").json
    return [one["ref"].rpartition("/")[2] for one in calendars["calendars"] if "/course/" in one["ref"]]


def send(client: FlaskClient, *titles: str, query: str = "", route: str = ROUTE) -> Any:
    talk = "UID:{0}\nSUMMARY:{0}\nDTSTART:20261103T100000Z\nDTEND:20261103T103000Z"
    data = calendar(*(talk.format(title) for title in titles))
    return client.post(f"/api/imports?{route}&{TWO_WEEKS}&{query}", data=data, content_type="text/calendar")


def test_one_call_writes_many_calendars_and_one_takes_them_back(client: FlaskClient, courses: list[str]) -> None:
    titles = [f"Talk of {course}" for course in courses]
    answer = send(client, *titles, "Talk of nowhere", "Party", query="name=timetable")
    assert answer.status_code == 200
    assert [one["report"]["created"] for one in answer.json["outcomes"]] == [1] * len(courses)
    assert answer.json["unmatched"]["samples"][0]["title"] == "Party"
    assert answer.json["missing"][0]["calendar"] == "demo/course/nowhere"
    batch = answer.json["batch"]
    shown: Any = client.get(f"/api/imports/batches/{batch}").json
    assert len(shown["runs"]) == len(courses)
    undone: Any = client.post(f"/api/imports/batches/{batch}/undo").json
    assert [one["report"]["deleted"] for one in undone["outcomes"]] == [1] * len(courses)
    assert client.post(f"/api/imports/batches/{batch}/undo").status_code == 409
    assert client.get("/api/imports/batches/99").status_code == 404


@pytest.mark.parametrize(
    ("route", "query", "said"),
    [
        (ROUTE, "", "needs a name of its own"),
        (ROUTE, "name=timetable&calendar=demo/institution", "not both"),
        ("route=nonsense", "name=timetable", "is no route"),
        ("route=title:*=>demo/{1}/x", "name=timetable", "names no calendar"),
    ],
)
def test_what_is_no_routed_import_is_refused(client: FlaskClient, route: str, query: str, said: str) -> None:
    answer = send(client, "Talk", route=route, query=query)
    assert answer.status_code == 400
    assert said in answer.json["detail"]


def test_a_held_batch_is_approved_in_one_call(client: FlaskClient, courses: list[str]) -> None:
    titles = [f"{n} of {course}" for course in courses for n in range(9)]
    send(client, *titles, query="name=timetable")
    answer = send(client, *titles[:1], query="name=timetable")
    assert (answer.status_code, answer.json["state"]) == (202, "held")
    approved: Any = client.post(f"/api/imports/batches/{answer.json['batch']}/approve")
    assert approved.json["state"] == "done"
    assert sum(one["report"]["deleted"] for one in approved.json["outcomes"]) == len(titles) - 1


def test_unstable_uids_are_held_with_a_way_out_that_works(client: FlaskClient, courses: list[str]) -> None:
    target = f"calendar=demo/course/{courses[0]}"
    titles = [f"Talk {n}" for n in range(8)]
    send(client, *titles, route=target)

    def renamed(query: str = "") -> Any:
        talk = "UID:new {0}\nSUMMARY:{0}\nDTSTART:20261103T100000Z\nDTEND:20261103T103000Z"
        data = calendar(*(talk.format(title) for title in titles))
        return client.post(f"/api/imports?{target}&{TWO_WEEKS}&{query}", data=data, content_type="text/calendar")

    (objection,) = renamed().json["held"]
    assert "match=content" in objection
    report = renamed("match=content").json["report"]
    assert (report["unchanged"], report["created"], report["deleted"]) == (8, 0, 0)
    assert renamed("match=nonsense").status_code == 400


def test_in_the_background_it_is_answered_at_once_and_done_by_a_worker(campus: Parts, client: FlaskClient) -> None:
    """By what a sweep finds: nobody's word is needed."""
    answer = send(client, "Talk of anatomy-1", query="name=timetable&background=true")
    batch = answer.json["batch"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/imports/batches/{batch}")
    assert answer.json["state"] == "queued"
    told = {str(job): done.how for job, done in campus.refreshes.run(campus.now())}
    assert told[f"route {batch}"] == "done"
    shown: Any = client.get(answer.headers["Location"]).json
    assert (shown["state"], len(shown["runs"])) == ("done", 1)


def test_a_dry_run_is_not_sent_to_a_worker(client: FlaskClient) -> None:
    assert send(client, "Talk of anatomy-1", query="name=t&background=true&dry_run=true").status_code == 400
