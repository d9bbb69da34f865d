"""Feeds over the API: the whole life of one and of its addresses, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from tests.campus import browser, open_campus

NEW = {"slug": "biology", "calendars": ["demo/course/anatomy-1", "demo/institution"], "title": "Biology"}
ONE = "/api/feeds/biology"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def path_in(told: Any, form: str = "ics") -> str:
    return str(told["links"][form]).removeprefix("http://localhost")


def test_a_secret_feed_is_made_read_and_shown_without_its_address(client: FlaskClient) -> None:
    made = client.post("/api/feeds", json=NEW)
    assert (made.status_code, made.headers["Location"], made.headers["Cache-Control"]) == (201, ONE, "no-store")
    assert client.get(path_in(made.json)).status_code == 200
    assert client.get(path_in(made.json, "json")).status_code == 200
    shown: Any = client.get(ONE).json
    assert (shown["links"], shown["public"], shown["enabled"]) == ({}, False, True)
    assert shown["calendars"] == NEW["calendars"]


def test_who_reads_it_is_told_by_kind(campus: Parts, client: FlaskClient) -> None:
    address = path_in(client.post("/api/feeds", json=NEW).json)
    client.get(address, headers={"User-Agent": "Mozilla/5.0 Thunderbird/140.0"})
    (reader,) = client.get(ONE).json["readers"]  # type: ignore[index]
    assert (reader["client"], reader["addresses"]) == ("Thunderbird", 1)


def test_what_it_shows_is_seen_by_its_operator_also_where_it_is_off(client: FlaskClient) -> None:
    made = client.post("/api/feeds", json=NEW).json
    client.post(f"{ONE}/disable")
    seen = client.get(f"{ONE}/preview")
    assert seen.status_code == 200
    assert seen.json["title"] == "Biology"  # type: ignore[index]
    client.post(f"{ONE}/enable")
    assert client.get(path_in(made, "json")).data == seen.data


def test_a_public_feed_has_its_address_for_everybody(client: FlaskClient) -> None:
    made: Any = client.post("/api/feeds", json={**NEW, "public": True}).json
    assert path_in(made) == "/public/biology.ics"
    assert client.get(ONE).json["links"] == made["links"]  # type: ignore[index]
    assert client.post(f"{ONE}/rotate").status_code == 400
    assert client.post(f"{ONE}/tokens", json={"name": "phone"}).status_code == 400


def test_what_it_shows_is_changed_by_name_and_null_is_the_usual(client: FlaskClient) -> None:
    client.post("/api/feeds", json={**NEW, "policies": {"ahead": 30, "title": ["OSCE*", "!Party*"], "gzip": False}})
    assert client.get(ONE).json["policies"] == {"ahead": 30, "title": ["OSCE*", "!Party*"], "gzip": False}  # type: ignore[index]
    changed: Any = client.patch(ONE, json={"ahead": None, "privacy": "busy-only", "cors": True}).json
    assert changed["policies"] == {"privacy": "busy-only", "title": ["OSCE*", "!Party*"], "cors": True, "gzip": False}


def test_switched_off_it_answers_404_and_switched_on_again_as_before(client: FlaskClient) -> None:
    address = path_in(client.post("/api/feeds", json=NEW).json)
    assert client.post(f"{ONE}/disable").json["enabled"] is False  # type: ignore[index]
    assert client.get(address).status_code == 404
    assert client.post(f"{ONE}/enable").json["enabled"] is True  # type: ignore[index]
    assert client.get(address).status_code == 200


def test_a_new_address_kills_the_old(client: FlaskClient) -> None:
    old = path_in(client.post("/api/feeds", json=NEW).json)
    rotated = client.post(f"{ONE}/rotate")
    assert rotated.status_code == 201
    assert [client.get(path).status_code for path in (old, path_in(rotated.json))] == [404, 200]


def test_a_token_shows_less_ends_and_is_killed_by_name(client: FlaskClient) -> None:
    client.post("/api/feeds", json=NEW)
    asked = {"name": "phone", "until": "2027-06-30", "calendars": ["demo/institution"], "privacy": "busy-only"}
    made = client.post(f"{ONE}/tokens", json=asked)
    child = client.post(f"{ONE}/tokens", json={"name": "watch", "under": "phone"})
    assert (made.status_code, child.status_code) == (201, 201)
    listed: Any = client.get(f"{ONE}/tokens").json
    assert [each["name"] for each in listed["tokens"]] == ["first", "phone", "watch"]
    assert listed["tokens"][1]["until"] == "2027-06-30T22:00:00+00:00"
    assert listed["tokens"][2]["parent"] == "phone"
    assert client.delete(f"{ONE}/tokens?name=phone").json == {"revoked": 2}
    assert client.get(path_in(child.json)).status_code == 404
    assert client.delete(f"{ONE}/tokens").json == {"revoked": 1}
    assert client.delete(f"{ONE}/tokens?name=phone").json == {"revoked": 0}


def test_every_address_of_every_feed_is_killed_at_once(client: FlaskClient) -> None:
    made = [client.post("/api/feeds", json={**NEW, "slug": slug}).json for slug in ("one", "two")]
    assert client.post("/api/feeds/revoke-every-token").json == {"revoked": 2}
    assert {client.get(path_in(each)).status_code for each in made} == {404}


def test_forgotten_it_is_gone(client: FlaskClient) -> None:
    address = path_in(client.post("/api/feeds", json=NEW).json)
    assert client.delete(ONE).status_code == 204
    assert {client.get(path).status_code for path in (ONE, address, f"{ONE}/tokens")} == {404}
    assert client.delete(ONE).status_code == 404


def test_a_list_is_read_part_by_part(client: FlaskClient) -> None:
    path, slugs = "/api/feeds?limit=3&search=", []
    while path:
        answer = client.get(path)
        slugs += [feed["slug"] for feed in answer.json["feeds"]]  # type: ignore[index]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert slugs == sorted(slugs)
    assert len(slugs) == answer.json["of"] == 4  # type: ignore[index]
    assert [feed["slug"] for feed in client.get("/api/feeds?search=ANATOMY").json["feeds"]] == ["anatomy-i"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"slug": "Biology"}, 400, "slug"),
        ({"slug": "anatomy-i"}, 400, "already"),
        ({"calendars": []}, 400, "calendars"),
        ({"calendars": ["anatomy"]}, 400, "lms/kind/id"),
        ({"calendars": ["nowhere/course/1"]}, 422, "nowhere"),
        ({"policies": {"ahead": 3000}}, 400, "feeds.ahead_days"),
        ({"policies": {"colour": "mud"}}, 400, "colour"),
        ({"policies": {"learningspace": True}}, 400, "public"),
        ({"policies": {"size": 3}}, 400, "policies.size: there is no such field"),
        ({"color": "teal"}, 400, "color: there is no such field"),
        ({"title": 3}, 400, "title"),
        ({"public": 0}, 400, "public"),
        ({"policies": {"ahead": "30"}}, 400, "policies.ahead"),
    ],
)
def test_what_is_no_feed_is_said(client: FlaskClient, change: dict[str, Any], status: int, said: str) -> None:
    answer = client.post("/api/feeds", json=NEW | change)
    assert (answer.status_code, said in answer.json["detail"]) == (status, True), answer.json  # type: ignore[index]
    assert len(client.get("/api/feeds").json["feeds"]) == 4  # type: ignore[index]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("offset=-1", "offset"),
        ("limit=all", "limit"),
        ("page=2", "'page'"),
    ],
)
def test_what_cannot_be_asked_is_said(client: FlaskClient, query: str, said: str) -> None:
    answer = client.get(f"/api/feeds?{query}")
    assert (answer.status_code, said in answer.json["detail"]) == (400, True)  # type: ignore[index]
