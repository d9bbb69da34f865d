"""A request with an Idempotency-Key is done once, however often it is sent."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.parts import Parts, open_parts
from app.people import audit, tokens
from app.people.answered import Answers, Kept
from app.store import tables
from app.web import flask_app
from bridges.errors import Transient
from tests.campus import EXAM, LECTURES, NOW, browser, calendar, open_campus

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
NEW = {"slug": "biology", "calendars": ["demo/course/anatomy-1"]}
IMPORT = "/api/imports?calendar=demo/course/statistics&from=2026-10-20&to=2026-12-31"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def kept(campus: Parts) -> int:
    with campus.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(tables.kept_answer)).scalar_one()


def test_the_second_time_it_is_answered_as_the_first_and_not_done(campus: Parts, client: FlaskClient) -> None:
    first, second = (client.post("/api/feeds", json=NEW, headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert first.headers["Location"] == second.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(campus.feeds.tokens("biology")) == 1
    assert [deed.what for _, deed in audit.latest(campus.engine)] == ["POST /api/feeds"]


def test_without_a_key_it_is_done_again(client: FlaskClient) -> None:
    assert [client.post("/api/feeds", json=NEW).status_code for _ in range(2)] == [201, 400]


def test_a_key_with_another_request_is_refused(client: FlaskClient) -> None:
    client.post("/api/feeds", json=NEW, headers=KEY)
    for path, body in (
        ("/api/feeds", {**NEW, "slug": "other"}),
        ("/api/tokens", NEW),
        ("/api/feeds/revoke-every-token", NEW),
    ):
        refused = client.post(path, json=body, headers=KEY)
        assert refused.status_code in (400, 422)
        assert "Idempotency-Replayed" not in refused.headers
    assert "another request" in client.post("/api/feeds", json={**NEW, "slug": "z"}, headers=KEY).json["detail"]  # type: ignore[index]


@pytest.mark.parametrize("form", [False, True])
def test_a_file_is_read_whole_and_told_from_another(client: FlaskClient, form: bool) -> None:
    """Clients put another boundary between the parts of a form each time."""

    def send(*events: str) -> Any:
        data = calendar(*events)
        if form:
            return client.post(IMPORT, data={"file": (io.BytesIO(data), "a.ics")}, headers=KEY)
        return client.post(IMPORT, data=data, content_type="text/calendar", headers=KEY)

    first, again = send(LECTURES), send(LECTURES)
    assert first.json["report"]["created"] == 3
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert send(EXAM).status_code == 422


def test_a_part_of_a_form_that_has_no_name_is_refused_like_any_that_means_nothing(client: FlaskClient) -> None:
    part = b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x\r\n"
    named = b'Content-Disposition: form-data; name="b"\r\n\r\na\r\n--x--\r\n'
    for path in (IMPORT, "/api/explain", "/api/feeds/revoke-every-token"):
        for headers in ({}, {"Idempotency-Key": path}):
            answer = client.post(
                path, data=part + named, headers=headers, content_type="multipart/form-data; boundary=x"
            )
            assert (answer.status_code, "no field" in answer.json["detail"]) == (400, True)  # type: ignore[index]


def test_each_caller_has_keys_of_its_own(campus: Parts, client: FlaskClient) -> None:
    bearers = [{"Authorization": f"Bearer {tokens.add(campus.engine, name, NOW)}"} for name in ("office", "other")]
    assert client.post("/api/feeds", json=NEW, headers=KEY | bearers[0]).status_code == 201
    assert client.post("/api/feeds", json=NEW, headers=KEY | bearers[1]).status_code == 400
    assert client.post("/api/feeds", json=NEW, headers=KEY).status_code == 401


def test_a_refusal_is_an_answer_too(client: FlaskClient) -> None:
    bad = {**NEW, "calendars": ["nowhere/course/1"]}
    first, second = (client.post("/api/feeds", json=bad, headers=KEY) for _ in range(2))
    assert (first.status_code, first.data) == (422, second.data)
    assert second.headers["Idempotency-Replayed"] == "true"


def test_what_failed_for_the_moment_is_tried_again(campus: Parts, client: FlaskClient) -> None:
    """The LMS was away: the same request with the same key may well be done now."""
    away: list[Transient] = [Transient("The LMS is away.")]
    there = campus.feeds.add

    def add(*words: Any, **more: Any) -> Any:
        if away:
            raise away.pop()
        return there(*words, **more)

    campus.feeds.add = add  # type: ignore[method-assign]
    assert [client.post("/api/feeds", json=NEW, headers=KEY).status_code for _ in range(3)] == [503, 201, 201]


def test_while_the_first_is_under_way_the_second_is_told_so(campus: Parts) -> None:
    app, begun, go = flask_app(campus), Event(), Event()
    there = campus.feeds.add

    def slow(*words: Any, **more: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return there(*words, **more)

    campus.feeds.add = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: app.test_client().post("/api/feeds", json=NEW, headers=KEY))
        assert begun.wait(20)
        second = app.test_client().post("/api/feeds", json=NEW, headers=KEY)
        go.set()
        assert first.result(20).status_code == 201
    assert (second.status_code, second.headers["Retry-After"]) == (409, "1")
    assert app.test_client().post("/api/feeds", json=NEW, headers=KEY).headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "schlüssel", "a\tb"])
def test_what_is_no_key_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.post("/api/feeds", json=NEW, headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert (answer.status_code, "UUID" in answer.json["detail"]) == (400, True)  # type: ignore[index]


def test_a_key_may_stand_in_quotes(client: FlaskClient) -> None:
    """The draft has it as a string of structured fields."""
    client.post("/api/feeds", json=NEW, headers=KEY)
    quoted = {"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'}
    assert client.post("/api/feeds", json=NEW, headers=quoted).headers["Idempotency-Replayed"] == "true"


def test_no_secret_of_an_answer_is_kept_as_it_is(campus: Parts, client: FlaskClient) -> None:
    made: Any = client.post("/api/feeds", json=NEW, headers=KEY).json
    secret = made["links"]["ics"].split("/")[-2]
    with campus.engine.connect() as connection:
        (row,) = connection.execute(select(tables.kept_answer)).all()
    for value in (secret, KEY["Idempotency-Key"]):
        assert value.encode() not in row.sealed
        assert value not in (row.key, row.request)


def test_a_secret_is_no_more_for_caches_the_second_time(campus: Parts, client: FlaskClient) -> None:
    headers = KEY | {"Authorization": f"Bearer {tokens.add(campus.engine, 'office', NOW)}"}
    first, second = (client.post("/api/tokens", json={"name": "new"}, headers=headers) for _ in range(2))
    assert [each.headers.get("Cache-Control") for each in (first, second)] == ["no-store", "no-store"]


def test_an_answer_is_kept_for_a_day(tmp_path: Path) -> None:
    now = [NOW]
    parts = open_campus(tmp_path)
    parts = open_parts(parts.config, now=lambda: now[0])
    client = browser(parts)
    client.post("/api/feeds/revoke-every-token", headers=KEY)
    now[0] += timedelta(hours=23)
    assert parts.retention.prune()["kept_answer"] == 0
    assert "Idempotency-Replayed" in client.post("/api/feeds/revoke-every-token", headers=KEY).headers
    now[0] += timedelta(hours=2)
    assert parts.retention.prune()["kept_answer"] == 1
    assert "Idempotency-Replayed" not in client.post("/api/feeds/revoke-every-token", headers=KEY).headers


def test_an_answer_under_a_key_of_the_store_that_is_gone_counts_as_none(campus: Parts) -> None:
    def answers(secret: bytes) -> Answers:
        return Answers(campus.engine, lambda: secret * 32, campus.now)

    answers(b"a").keep("k", "r", Kept(200, (), b"{}"))
    assert answers(b"a").find("k", "r") == Kept(200, [], b"{}")
    assert answers(b"b").find("k", "r") is None
    answers(b"b").keep("k", "r", Kept(201, (), b""))
    assert answers(b"b").find("k", "r") == Kept(201, [], b"")
