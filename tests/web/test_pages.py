"""The start page: links that are ready to paste."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from bridges.model import CalendarRef, Kind
from tests.campus import browser, open_campus


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def test_every_calendar_of_the_demo_campus_has_links_that_answer(client: FlaskClient) -> None:
    page = client.get("/").text
    links = re.findall(r'value="(http://localhost/public/[^"]+)"', page)
    assert len(links) == 8
    for link in links:
        answer = client.get(link.removeprefix("http://localhost"))
        assert answer.status_code == 200
        assert answer.text.startswith("BEGIN:VCALENDAR" if link.endswith(".ics") else "{")


def test_a_secret_feed_shows_no_address(campus: Parts, client: FlaskClient) -> None:
    _, token = campus.feeds.add("secret", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    page = client.get("/").text
    assert token
    assert token not in page
    assert 'href="/admin/feeds/secret#addresses"' in page


def test_a_stranger_sees_public_feeds_alone(campus: Parts, client: FlaskClient) -> None:
    campus.feeds.add("secret", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    page = client.get("/", environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).text
    assert "/admin" not in page
    assert "/import" not in page


def test_a_feed_is_switched_off_and_on_and_its_links_are_shown_all_the_while(client: FlaskClient) -> None:
    answer = client.post("/disable/anatomy-i")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#anatomy-i")
    page = client.get("/").text
    assert 'value="http://localhost/public/anatomy-i.ics" disabled' in page
    assert "answer 404 until it is on again" in page
    refused = client.get("/public/anatomy-i.ics")
    assert (refused.status_code, refused.text) == (404, "This feed has been switched off.\n")
    client.post("/enable/anatomy-i")
    assert client.get("/public/anatomy-i.ics").status_code == 200
    assert 'value="http://localhost/public/anatomy-i.ics" readonly' in client.get("/").text


def test_a_card_tells_when_its_feed_was_and_will_be_read_and_how_much_it_is(client: FlaskClient) -> None:
    events = client.get("/public/anatomy-i.ics").text.count("BEGIN:VEVENT")
    card = client.get("/").text.partition('id="anatomy-i"')[2].partition("</li>")[0]
    assert "last read <time" in card
    assert "next <time" in card
    assert f" · {events} events" in card
    assert re.search(r" · \d+ kB", card)


def test_strangers_switch_nothing(client: FlaskClient) -> None:
    stranger = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    assert client.post("/disable/anatomy-i", **stranger).status_code == 403
    assert 'role="switch"' not in client.get("/", **stranger).text


def test_many_feeds_come_in_pages(campus: Parts, client: FlaskClient) -> None:
    for number in range(60):
        campus.feeds.add(f"feed-{number}", f"Feed {number}", CalendarRef("demo", Kind.INSTITUTION), public=True)
    first, last = (client.get(f"/?page={number}").text for number in (1, 3))
    assert first.count('class="card"') == 25
    assert last.count('class="card"') == 14


def test_refresh_reads_and_comes_back(campus: Parts, client: FlaskClient) -> None:
    slug = campus.feeds.list()[0].slug
    answer = client.post(f"/refresh/{slug}")
    assert (answer.status_code, answer.headers["Location"].endswith(f"#{slug}")) == (303, True)
    card = client.get(answer.headers["Location"]).text.partition(f'id="{slug}"')[2].partition("</li>")[0]
    assert "Refreshed on 20 October" in card


def test_pages_carry_headers_that_keep_them_to_themselves(client: FlaskClient) -> None:
    headers = client.get("/").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_page_whose_address_is_a_secret_tells_it_nobody(campus: Parts, client: FlaskClient) -> None:
    _, token = campus.feeds.add("secret", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    for path in (f"/feeds/{token}/secret/", "/feeds/wrong/secret/", "/approve/wrong/plan", "/sign-in/back?code=x"):
        assert client.get(path).headers["Referrer-Policy"] == "no-referrer", path
