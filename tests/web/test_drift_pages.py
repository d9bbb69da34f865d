"""The page of people's changes: both sides of each, and a button for either."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from bridges.model import CalendarRef, Window
from tests.campus import EXAM, LECTURES, NOW, browser, calendar, open_campus

INTO = CalendarRef.parse("demo/course/statistics")
WINDOW = Window(NOW, NOW + timedelta(days=90))


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    """One lecture has another title there, and one is deleted."""
    parts = open_campus(tmp_path)
    parts.imports.run(calendar(LECTURES, EXAM), INTO, WINDOW, source="timetable")
    sink, found = parts.sink("demo"), parts.source("demo").read(INTO, WINDOW)
    first, second, *_ = [each for each in found if each.event.title == "Marine biology"]
    sink.update(INTO, first.ref, sink.fit(replace(first.event, title="<i>Moved</i>")))
    sink.delete(INTO, second.ref)
    return parts


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    client = browser(campus)
    assert client.post("/drift/check", data={"calendar": str(INTO)}).status_code == 303
    return client


def ids(campus: Parts) -> dict[str, int]:
    return {each.kind.value: each.id for each in campus.drifts.list()}


def test_both_sides_stand_beside_one_another(client: FlaskClient) -> None:
    page = client.get("/drift").text
    assert "<td><bdi>&#39;Marine biology&#39;</bdi></td><td><bdi>&#39;&lt;i&gt;Moved&lt;/i&gt;&#39;</bdi></td>" in page
    assert "Somebody has deleted it there." in page
    assert "<i>" not in page


def test_what_is_accepted_stays_and_what_is_restored_is_as_written(campus: Parts, client: FlaskClient) -> None:
    edited, deleted = ids(campus)["edited"], ids(campus)["deleted"]
    client.post(f"/drift/{edited}/accept")
    assert "<strong>accepted</strong>" in client.get("/drift").text
    back = client.post(f"/drift/{deleted}/restore")
    assert "<strong>1</strong> created" in client.get(back.headers["Location"]).text
    assert list(ids(campus)) == ["edited"]


def test_the_policy_of_an_import_is_kept(campus: Parts, client: FlaskClient) -> None:
    form = {"calendar": str(INTO), "name": "timetable", "policy": "ask"}
    assert "wait here" in client.post("/drift/policy", data=form, follow_redirects=True).text
    assert campus.drifts.policies.of(INTO)("timetable") == "ask"
    assert '<option value="ask" selected>' in client.get("/drift").text
    assert client.post("/drift/policy", data=form | {"policy": "guess"}).status_code == 400
