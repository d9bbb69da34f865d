"""The start page: links that are ready to paste, and an upload that ends in a report."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from bridges.model import CalendarRef, Kind
from tests.campus import EXAM, LECTURES, browser, calendar, open_campus


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def upload(client: FlaskClient, data: bytes, **fields: str) -> str:
    target = re.search(r'<option value="([^"]*/course/[^"]*)"', client.get("/").text)
    assert target
    form = {"file": (io.BytesIO(data), "t.ics"), "calendar": target[1], "from": "2026-10-20", "to": "2026-12-31"}
    return client.post("/imports", data=form | fields).text


def test_every_calendar_of_the_demo_campus_has_links_that_answer(client: FlaskClient) -> None:
    page = client.get("/").text
    links = re.findall(r'value="(http://localhost/public/[^"]+)"', page)
    assert len(links) == 8
    for link in links:
        answer = client.get(link.removeprefix("http://localhost"))
        assert answer.status_code == 200
        assert answer.text.startswith("BEGIN:VCALENDAR" if link.endswith(".ics") else "{")


def test_an_upload_ends_in_a_report(client: FlaskClient) -> None:
    page = upload(client, calendar(LECTURES, EXAM))
    assert "Imported" in page
    assert "Wed 2026-10-28 10:15 – 12:00" in page
    assert "Fri 2026-12-11, all day" not in page or "AllDay" not in page


def test_a_preview_writes_nothing(client: FlaskClient) -> None:
    assert "Preview" in upload(client, calendar(LECTURES), dry_run="true")
    assert "<strong>3</strong> created" in upload(client, calendar(LECTURES))


def test_a_held_import_can_be_approved_on_the_page(client: FlaskClient) -> None:
    upload(client, calendar(LECTURES))
    page = upload(client, calendar(EXAM))
    assert "Nothing was written" in page
    assert "<strong>3</strong> deleted" in upload(client, calendar(EXAM), approve="true")


def test_a_feed_shows_an_import_at_once(client: FlaskClient) -> None:
    before = client.get("/public/anatomy-i.ics").headers["ETag"]
    upload(client, calendar(LECTURES))
    answer = client.get("/public/anatomy-i.ics", headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.text.count("SUMMARY:Marine biology") == 3


def test_a_title_that_is_markup_is_shown_as_text(client: FlaskClient) -> None:
    page = upload(client, calendar("UID:x\nSUMMARY:<script>alert(1)</script>\nDTSTART:20261102T100000Z"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_a_file_that_is_no_calendar_gets_a_sentence(client: FlaskClient) -> None:
    page = upload(client, b"%PDF-1.7")
    assert "PDF" in page
    assert "Back to the calendars" in page


def test_a_secret_feed_shows_no_address(campus: Parts, client: FlaskClient) -> None:
    _, token = campus.feeds.add("secret", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    page = client.get("/").text
    assert token
    assert token not in page
    assert "calbridge feed rotate secret" in page


def test_a_stranger_sees_public_feeds_alone(campus: Parts, client: FlaskClient) -> None:
    campus.feeds.add("secret", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    page = client.get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).text
    assert "calbridge feed rotate secret" not in page
    assert "API token" in page


def test_a_feed_that_is_off_is_shown_as_off(campus: Parts, client: FlaskClient) -> None:
    slug = campus.feeds.list()[0].slug
    campus.feeds.disable(slug)
    assert f"calbridge feed enable {slug}" in client.get("/").text
    assert client.get(f"/public/{slug}.ics").status_code == 404


def test_refresh_reads_and_comes_back(campus: Parts, client: FlaskClient) -> None:
    slug = campus.feeds.list()[0].slug
    answer = client.post(f"/refresh/{slug}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/#{slug}")


def test_pages_carry_headers_that_keep_them_to_themselves(client: FlaskClient) -> None:
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
