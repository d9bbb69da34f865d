"""Whatever is done is written down: by whom, to what, with what result; and no secret with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import tokens
from app.parts import Parts
from tests.campus import NOW, browser, open_campus


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


def test_a_deed_is_noted_with_its_doer_and_its_result(campus: Parts) -> None:
    token = tokens.add(campus.engine, "office", NOW)
    web, header = browser(campus), {"Authorization": f"Bearer {token}"}
    web.post("/api/feeds/anatomy-i/refresh", headers=header | {"X-Request-Id": "0123456789"})
    web.post("/api/imports?calendar=demo/course/anatomy-1&name=plan", headers=header)
    web.post("/api/feeds/anatomy-i/refresh")
    answer = web.get("/api/audit", headers=header).json
    assert answer
    newest, second, first = answer["audit"]
    assert (first["who"], first["what"]) == ("token office", "POST /api/feeds/<slug>/refresh")
    assert (first["subject"], first["status"], first["request"]) == ("slug=anatomy-i", 200, "0123456789")
    assert (second["subject"], second["status"]) == ("calendar=demo/course/anatomy-1 name=plan", 400)
    assert (newest["who"], newest["status"]) == ("nobody", 401)
    assert token not in str(answer)


def test_reading_is_no_deed(campus: Parts) -> None:
    web = browser(campus)
    web.get("/")
    web.get("/public/anatomy-i.ics")
    assert web.get("/api/audit").json == {"audit": []}


def test_of_an_address_only_the_host_is_told(campus: Parts) -> None:
    web = browser(campus)
    web.post("/api/subscriptions", data={"url": "https://me:word@cal.example.edu/secret.ics", "name": "x"})
    answer = web.get("/api/audit").text
    assert "cal.example.edu" in answer
    assert "secret" not in answer
    assert "word" not in answer


def test_long_logs_are_read_in_parts(campus: Parts) -> None:
    web = browser(campus)
    for _ in range(5):
        web.post("/api/feeds/anatomy-i/refresh")
    first = web.get("/api/audit?count=2").json
    assert first
    rest = web.get(f"/api/audit?before={first['audit'][-1]['id']}").json
    assert rest
    assert [each["id"] for each in first["audit"] + rest["audit"]] == [5, 4, 3, 2, 1]
