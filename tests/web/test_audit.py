"""Whatever is done is written down: by whom, to what, with what result; and no secret with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parts import Parts
from app.people import audit, tokens
from app.web.door.audited import MOST_REFUSED
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


@pytest.mark.parametrize("path", ["/api/imports", "/admin/tokens", "/sign-in", "/lti/launch", "/approve/x/plan"])
def test_those_who_are_refused_without_end_do_not_fill_the_store(campus: Parts, path: str) -> None:
    header = {"Authorization": f"Bearer {tokens.add(campus.engine, 'office', NOW)}"}
    web = browser(campus)
    for number in range(MOST_REFUSED + 5):
        assert web.post(path, environ_base={"REMOTE_ADDR": f"203.0.113.{number}"}).status_code >= 400
    web.post("/api/feeds/anatomy-i/refresh", headers=header)
    noted = [deed.who for _, deed in audit.latest(campus.engine)]
    assert (noted[0], len(noted) <= MOST_REFUSED + 1) == ("token office", True)


def test_nor_do_those_who_ask_too_often(tmp_path: Path) -> None:
    campus = open_campus(tmp_path, "api.per_minute = 3")
    header = {"Authorization": f"Bearer {tokens.add(campus.engine, 'office', NOW)}"}
    web = browser(campus)
    came = [web.post("/api/feeds/anatomy-i/refresh", headers=header).status_code for _ in range(MOST_REFUSED + 10)]
    noted = [deed.status for _, deed in audit.latest(campus.engine)]
    assert (came.count(200), noted.count(200), noted.count(429)) == (3, 3, MOST_REFUSED)


@pytest.mark.parametrize(
    "kind", ["text/calendar", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_a_body_that_is_too_large_is_refused_and_noted_all_the_same(tmp_path: Path, kind: str) -> None:
    campus = open_campus(tmp_path, "imports.max_bytes = 1024")
    header = {"Authorization": f"Bearer {tokens.add(campus.engine, 'office', NOW)}"}
    asked = {"calendar": "demo/course/anatomy-1"}
    answer = browser(campus).post(
        "/api/imports", query_string=asked, data=b"x" * 100_000, content_type=kind, headers=header
    )
    (deed,) = [deed for _, deed in audit.latest(campus.engine)]
    assert (answer.status_code, deed.who, deed.status) == (413, "token office", 413)
    assert deed.subject == "calendar=demo/course/anatomy-1"
