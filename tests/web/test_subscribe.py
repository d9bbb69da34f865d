"""The page of a feed: how to subscribe, what will be seen, and what a holder of a secret address can do with it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.imports.subscription import Import
from app.parts import Parts
from bridges.model import Window
from tests.campus import NOW, browser, calendar, open_campus

TITLES = ("<script>alert(1)</script>", "محاضرة في الأحياء", "Skulls 💀 & bones")
FEED = "/public/anatomy-i/"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path, 'server.public_url = "https://cal.example.edu"')


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


@pytest.fixture
def secret(campus: Parts) -> str:
    """The path of a secret feed's page."""
    course = next(one for one in campus.feeds.list() if one.slug == "anatomy-i").calendar
    _, token = campus.feeds.add("mine", "My own", course, public=False)
    return f"/feeds/{token}/mine/"


def write(campus: Parts, *titles: str) -> None:
    """Events of these titles, tomorrow, in the course whose feed is looked at."""
    course = next(one for one in campus.feeds.list() if one.slug == "anatomy-i").calendar
    events = [
        f"UID:{number}\nSUMMARY:{title}\nLOCATION:{title}\nDTSTART:20261021T{number:02}0000Z\nDTEND:20261021T{number:02}3000Z"
        for number, title in enumerate(titles)
    ]
    window = Window(NOW, NOW.replace(year=2027))
    campus.imports.do(Import(calendar(*events), course, window, "titles"))


def test_the_plain_address_stands_first_and_then_each_programs_own(client: FlaskClient) -> None:
    values = re.findall(r'<input id="[a-z]+" value="([^"]+)"', client.get(FEED).text)
    address = "https://cal.example.edu/public/anatomy-i.ics"
    assert values == [address, f"{address}?for=outlook", f"{address}?for=google"]
    for value in values:
        assert client.get(value.removeprefix("https://cal.example.edu")).text.startswith("BEGIN:VCALENDAR")


def test_the_page_links_into_programs_and_loads_nothing_of_others(client: FlaskClient) -> None:
    page = unescape(client.get(FEED).text)
    assert 'href="webcal://cal.example.edu/public/anatomy-i.ics"' in page
    assert "cid=webcal%3A%2F%2Fcal.example.edu" in page
    assert "addfromweb?url=https%3A%2F%2Fcal.example.edu" in page
    assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', page.split("<textarea")[0])


def test_the_page_is_light(client: FlaskClient, campus: Parts) -> None:
    write(campus, *(f"{number} {'x' * 300}" for number in range(24)))
    assert len(client.get(FEED).data) < 150_000


def test_hostile_titles_are_shown_as_text_and_keep_to_themselves(client: FlaskClient, campus: Parts) -> None:
    write(campus, *TITLES)
    for path in (FEED, f"{FEED}list"):
        page = client.get(path).text
        assert "<script>alert" not in page
        for title in TITLES:
            assert f"<bdi>{title}</bdi>" in unescape(page)


def test_the_month_and_the_list_show_the_same_events(client: FlaskClient, campus: Parts) -> None:
    write(campus, "Dissection")
    page = client.get(FEED).text
    grid, _, agenda = page.partition("Coming up")
    assert "Dissection" in grid
    assert "02:00–02:30" in agenda
    assert "Dissection" not in client.get(f"{FEED}?month=2026-12").text.partition("Coming up")[0]
    assert client.get(f"{FEED}?month=nonsense").status_code == 200


def test_a_public_page_has_a_code_of_its_own_address(client: FlaskClient) -> None:
    assert 'src="qr.svg"' in client.get(FEED).text
    code = client.get(f"{FEED}qr.svg")
    assert code.content_type.startswith("image/svg+xml")
    assert code.data.startswith(b"<svg")


def test_a_secret_pages_code_is_shown_after_a_warning_alone(client: FlaskClient, secret: str) -> None:
    page = client.get(secret)
    assert 'src="qr.svg"' not in page.text
    assert "show it to nobody" in page.text
    assert 'src="qr.svg"' in client.get(f"{secret}?qr=show").text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"


def test_the_list_may_be_framed_where_the_operator_says(tmp_path: Path) -> None:
    client = browser(open_campus(tmp_path, 'feeds.embed = ["https://learn.example.edu"]'))
    assert "frame-ancestors https://learn.example.edu" in client.get(f"{FEED}list").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in client.get(FEED).headers["Content-Security-Policy"]
    assert "&lt;iframe" in client.get(FEED).text


def test_nobody_may_frame_where_the_operator_says_so(tmp_path: Path) -> None:
    client = browser(open_campus(tmp_path, "feeds.embed = []"))
    assert "frame-ancestors 'none'" in client.get(f"{FEED}list").headers["Content-Security-Policy"]
    assert "iframe" not in client.get(FEED).text


def test_a_holder_makes_a_new_address_and_the_old_one_is_dead(client: FlaskClient, secret: str) -> None:
    answer = client.post(f"{secret}renew", data={"sure": "yes"})
    assert answer.status_code == 303
    assert answer.headers["Location"] != secret
    assert client.get(secret).status_code == 404
    assert client.get(f"{secret.rstrip('/')}.ics").status_code == 404
    assert "My own" in client.get(answer.headers["Location"]).text


def test_what_was_made_from_an_address_dies_with_it(client: FlaskClient, secret: str) -> None:
    child = client.post(f"{secret}children", json={"name": "friend"}).get_json()["ics"]
    assert client.get(child).status_code == 200
    client.post(f"{secret}renew", data={"sure": "yes"})
    assert client.get(child).status_code == 404


def test_a_holder_ends_an_address(client: FlaskClient, secret: str) -> None:
    assert "dead now" in client.post(f"{secret}revoke", data={"sure": "yes"}).text
    assert client.get(secret).status_code == 404


def test_nothing_is_ended_by_a_slip(client: FlaskClient, secret: str) -> None:
    for deed in ("renew", "revoke"):
        assert client.post(f"{secret}{deed}").status_code == 400
    assert client.get(secret).status_code == 200


def test_a_feed_that_is_off_says_so_and_a_wrong_address_does_not(
    client: FlaskClient, campus: Parts, secret: str
) -> None:
    campus.feeds.disable("anatomy-i")
    campus.feeds.disable("mine")
    for path in (FEED, secret, f"{FEED}list", f"{FEED}qr.svg"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "switched off" in answer.text
    assert "no such feed" in client.get(f"/feeds/{'x' * 43}/mine/").text


def test_an_address_that_others_cannot_reach_says_so(tmp_path: Path) -> None:
    assert "not a public https address" in browser(open_campus(tmp_path)).get(FEED).text
