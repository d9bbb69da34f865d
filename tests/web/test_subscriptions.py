"""Subscriptions over the API: the whole life of one, clear refusals, and no answer with a secret in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.web import flask_app
from tests.fakes.web import LECTURE, answer, serving
from tests.test_refresh import Campus

PATH = "/api/subscriptions"
INTO = "demo/course/anatomy-1"


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with serving() as web:
        web.replies["/c.ics?key=geheim"] = answer(200, LECTURE)
        yield Campus(tmp_path, web)


@pytest.fixture
def client(campus: Campus) -> Any:
    return flask_app(campus.parts).test_client()


def add(client: Any, campus: Campus, **more: object) -> Any:
    given = {"url": campus.url, "calendar": INTO, "name": "timetable"}
    return client.post(PATH, json=given | more)


def test_the_whole_life_of_one(client: Any, campus: Campus) -> None:
    made = add(client, campus, floating="hold", every_minutes=30, include=["title:Marine*"])
    assert made.status_code == 201
    assert made.headers["Location"] == f"{PATH}/1"
    facts = client.get(f"{PATH}/1").json
    assert facts == made.json
    assert (facts["name"], facts["host"], facts["calendar"]) == ("timetable", "127.0.0.1", INTO)
    assert (facts["floating"], facts["every_minutes"], facts["include"]) == ("hold", 30, ["title:Marine*"])
    done = client.post(f"{PATH}/1/run")
    assert (done.status_code, done.json["what"], done.json["created"]) == (200, "done", 1)
    changed = client.patch(f"{PATH}/1", json={"rename": ["Marine*=Sea"], "floating": None})
    assert (changed.json["rename"], changed.json["floating"], changed.json["every_minutes"]) == (
        ["Marine*=Sea"],
        "",
        30,
    )
    campus.now += timedelta(hours=1)
    assert client.post(f"{PATH}/1/run").json["updated"] == 1
    assert [visit["what"] for visit in client.get(f"{PATH}/1/history?count=1").json["history"]] == ["done"]
    older = client.get(f"{PATH}/1/history?limit=1").headers["Link"].partition(">")[0].removeprefix("<")
    assert [visit["created"] for visit in client.get(older).json["history"]] == [1]
    assert "Link" not in client.get(older).headers
    assert client.post(f"{PATH}/1/disable").json["standing"] == "off"
    assert client.post(f"{PATH}/1/enable").json["standing"] == "fine"
    assert [one["id"] for one in client.get(PATH).json["subscriptions"]] == [1]
    assert client.delete(f"{PATH}/1").status_code == 204
    assert client.get(PATH).json["subscriptions"] == []


def test_what_came_of_a_run_is_in_its_status(client: Any, campus: Campus) -> None:
    add(client, campus)
    for reply, status, what in ((answer(500), 502, "failed"), (answer(404), 502, "missing")):
        campus.serves(reply)
        visit = client.post(f"{PATH}/1/run")
        assert (visit.status_code, visit.json["what"]) == (status, what)
        assert visit.json["problem"].startswith("127.0.0.1 ")


def test_no_answer_holds_an_address_or_a_secret(client: Any, campus: Campus) -> None:
    answers = [
        add(client, campus, headers={"X-Key": "mellon"}, user="ada", password="opensesame"),
        client.patch(f"{PATH}/1", json={"headers": {"X-Other": "friend"}}),
        add(client, campus),
        add(client, campus, name="b", url="http://127.0.0.2/?key=geheim"),
        client.post(f"{PATH}/1/run"),
        *(client.get(f"{PATH}{path}") for path in ("", "/1", "/1/history")),
    ]
    assert answers[1].json["headers"] == ["Authorization", "X-Key", "X-Other"]
    sent = campus.web.asked[-1].headers
    assert (sent["x-key"], sent["x-other"]) == ("mellon", "friend")
    for each in answers:
        text = each.get_data(as_text=True) + str(each.headers)
        assert not [secret for secret in ("geheim", "mellon", "friend", "opensesame", "YWRh") if secret in text]
    client.patch(f"{PATH}/1", json={"headers": {"x-key": None, "Authorization": None}})
    client.post(f"{PATH}/1/run")
    assert not {"x-key", "authorization"} & set(campus.web.asked[-1].headers)


def test_an_address_may_be_replaced(client: Any, campus: Campus) -> None:
    add(client, campus)
    campus.web.replies["/new.ics"] = answer(200, LECTURE)
    assert client.patch(f"{PATH}/1", json={"url": campus.web.url("/new.ics", host="127.0.0.1")}).status_code == 200
    client.post(f"{PATH}/1/run")
    assert campus.web.asked[-1].path == "/new.ics"


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"url": None}, 400, "'url' is missing"),
        ({"name": ""}, 400, "'name' is missing"),
        ({"calendar": "nowhere/course/1"}, 422, "nowhere"),
        ({"calendar": "x"}, 400, "x"),
        ({"url": "https://169.254.169.254/"}, 400, "closed network"),
        ({"grace": "often"}, 400, "grace"),
        ({"colour": "red"}, 400, "no setting 'colour'"),
        ({"headers": ["X-Key"]}, 400, "'headers' is an object"),
        ({"headers": {"Host": "x"}}, 400, "'Host'"),
        ({"user": "ada"}, 400, "come together"),
        ({"user": 1, "password": 2}, 400, "are texts"),
    ],
)
def test_what_is_no_subscription_is_said(
    client: Any, campus: Campus, given: dict[str, object], status: int, words: str
) -> None:
    refusal = add(client, campus, **given)
    assert refusal.status_code == status
    assert refusal.content_type == "application/problem+json"
    assert words in refusal.json["detail"]
    assert client.get(PATH).json["subscriptions"] == []


def test_what_cannot_be_changed_or_is_not_there_is_said(client: Any, campus: Campus) -> None:
    add(client, campus)
    assert "make a new" in client.patch(f"{PATH}/1", json={"name": "b"}).json["detail"]
    assert client.patch(f"{PATH}/1", json=["x"]).status_code == 400
    assert client.patch(f"{PATH}/1", data="x").status_code == 400
    assert client.post(f"{PATH}/1/run?approve=perhaps").status_code == 400
    for ask in (client.get, client.patch, client.delete):
        assert ask(f"{PATH}/7", **({"json": {}} if ask == client.patch else {})).status_code == 404
    for verb in ("run", "enable", "disable"):
        assert client.post(f"{PATH}/7/{verb}").status_code == 404
    assert client.get(f"{PATH}/7/history").status_code == 404


def test_two_of_one_name_are_refused(client: Any, campus: Campus) -> None:
    assert add(client, campus).status_code == 201
    assert "already" in add(client, campus).json["detail"]


def test_times_without_a_zone_in_an_upload_are_as_somebody_said(client: Any) -> None:
    data = LECTURE.replace(b"20261021T101500Z", b"20261021T101500")

    def start(floating: str) -> Any:
        path = f"/api/imports?calendar={INTO}&dry_run=true&floating={floating}"
        return client.post(path, data=data, content_type="text/calendar").json

    home, tokyo = (start(name)["plan"]["changes"][0]["event"] for name in ("home", "Asia/Tokyo"))
    assert home != tokyo
    assert "names no time zone" in start("hold")["problems"][0]["text"]
    assert "'hold'" in start("guess")["detail"]
