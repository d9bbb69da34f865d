"""The feed doctor over HTTP: a page for people, a call for programs, and neither for everybody."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from app.web.pages.doctor import MOST
from tests.campus import browser, open_campus
from tests.doctor.test_rules import CLEAN, FAULTS, changed, raw

STRANGER = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def judged(client: FlaskClient, body: bytes, **fields: str) -> str:
    answer = client.post("/doctor", data={"file": (io.BytesIO(body), "c.ics"), **fields})
    assert answer.status_code == 200
    return answer.text


def test_a_file_gets_a_verdict_for_each_program_and_its_times_explained(client: FlaskClient) -> None:
    page = judged(client, FAULTS["zone-undefined"])
    assert page.count("<span>works with flaws</span>") == 1
    assert page.count("<span>works</span>") == 3
    assert "line 12: " in page
    assert "openstreetmap-calendar/issues/185" in page
    assert "is the IANA zone Europe/Oslo" in page


def test_a_feed_without_fault_is_told_so(client: FlaskClient) -> None:
    assert "No rule is broken." in judged(client, raw(CLEAN))


def test_what_a_feed_says_is_shown_as_text(client: FlaskClient) -> None:
    page = judged(client, changed(("Marine biology", "<script>alert(1)</script>")))
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


def test_an_address_that_is_closed_to_us_is_a_finding_and_no_error(client: FlaskClient) -> None:
    told = client.post("/api/doctor", data={"url": "https://10.1.2.3/c.ics"}).get_json()
    assert told["read"] is False
    assert [one["rule"] for one in told["findings"]] == ["not-public"]


def test_a_program_gets_what_the_page_shows(client: FlaskClient) -> None:
    answer = client.post(
        "/api/doctor?client=outlook&uid=a@school", data=FAULTS["endless"], content_type="text/calendar"
    )
    told = answer.get_json()
    assert told["verdicts"] == {"outlook": {"verdict": "works with flaws", "findings": ["endless"]}}
    assert told["explained"][0]["zone"] == "Europe/Oslo"


def test_a_program_that_misspells_a_field_is_told(client: FlaskClient) -> None:
    answer = client.post("/api/doctor?clients=outlook", data=raw(CLEAN), content_type="text/calendar")
    assert (answer.status_code, "clients" in answer.get_json()["detail"]) == (400, True)


def test_strangers_cannot_have_us_fetch(client: FlaskClient) -> None:
    for path in ("/doctor", "/api/doctor"):
        assert client.post(path, data={"url": "https://school.example/c.ics"}, **STRANGER).status_code == 403


def test_nobody_can_have_us_fetch_without_end(client: FlaskClient) -> None:
    answers = [client.post("/api/doctor", data=b"x", content_type="text/calendar") for _ in range(MOST + 1)]
    assert [one.status_code for one in answers] == [200] * MOST + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_our_own_feeds_can_be_pasted_and_are_well(client: FlaskClient) -> None:
    page = client.post(
        "/doctor", data={"url": "http://localhost/public/anatomy-i.ics"}, content_type="multipart/form-data"
    )
    assert page.text.count("<span>works</span>") >= 3
    assert "does not take it" not in page.text
