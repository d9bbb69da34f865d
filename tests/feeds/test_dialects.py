"""?for= changes what truly differs between programs and nothing else; without it everybody gets the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar

from app.feeds.dialects import DIFFERENCES, FOR
from app.feeds.feed import Form
from app.feeds.serve import Feeds
from bridges.model import AllDay, Event, Status
from tests.feeds.world import COURSE, HOUR, MONDAY, World, lesson, new_world
from tests.web.test_feeds import app_of

DAY = timedelta(days=1)
LINK = "https://lms.example.edu/a?b=1&c=2"
AGENTS = [
    "",
    "Google-Calendar-Importer",
    "Microsoft Office/16.0 (Microsoft Outlook)",
    "macOS/15.1 dataaccessd/1.0",
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    put = world.school.put
    put("a", lesson("Algebra", text="Read <ch. 2>\nhttps://x.example/1, please", url=LINK))
    put("b", lesson("Maybe", MONDAY + HOUR, status=Status.TENTATIVE))
    put("c", lesson("Gone", MONDAY + DAY, status=Status.CANCELLED))
    put("d", Event("Open day", AllDay(date(2026, 3, 11), date(2026, 3, 12))))
    put("e", lesson("Essay", MONDAY + 2 * DAY, timedelta(0)))
    feeds = world.feeds()
    feeds.add("math", "Maths", COURSE, public=True, settings=["alarm=15", "colour=teal", "cancelled=show"])
    return feeds


@pytest.fixture
def client(feeds: Feeds) -> FlaskClient:
    return app_of(feeds).test_client()


def told(client: FlaskClient, who: str = "") -> dict[str, Any]:
    answer = client.get(f"/public/math.ics{f'?for={who}' if who else ''}")
    assert (answer.status_code, answer.mimetype) == (200, "text/calendar"), answer.text
    assert answer.headers["Content-Disposition"] == 'inline; filename="math.ics"'
    return {str(event["SUMMARY"]): event for event in Calendar.from_ical(answer.data).walk("VEVENT")}


@pytest.mark.parametrize("query", ["", *(f"?for={who}" for who in FOR)])
def test_an_address_gives_the_same_bytes_to_everybody(client: FlaskClient, query: str) -> None:
    answers = [client.get(f"/public/math.ics{query}", headers={"User-Agent": agent}) for agent in AGENTS]
    assert len({(answer.data, answer.headers["ETag"]) for answer in answers}) == 1
    assert {answer.headers["Vary"] for answer in answers} == {"Accept-Encoding"}
    etag = answers[0].headers["ETag"]
    assert client.get(f"/public/math.ics{query}", headers={"If-None-Match": etag}).status_code == 304


def test_each_form_has_bytes_and_validators_of_its_own(client: FlaskClient) -> None:
    etags = {client.get(f"/public/math.ics{query}").headers["ETag"] for query in ("", *(f"?for={who}" for who in FOR))}
    assert len(etags) == 1 + len(FOR)


def test_all_tell_the_same_events_at_the_same_times(client: FlaskClient) -> None:
    plain = {event["UID"]: event["DTSTART"].dt for event in told(client).values()}
    for who in FOR:
        assert {event["UID"]: event["DTSTART"].dt for event in told(client, who).values()} == plain


def test_outlook_is_told_who_is_busy(client: FlaskClient) -> None:
    busy = {title: str(event["X-MICROSOFT-CDO-BUSYSTATUS"]) for title, event in told(client, "outlook").items()}
    assert busy == {
        "Algebra": "BUSY",
        "Maybe": "TENTATIVE",
        "Cancelled: Gone": "FREE",
        "Open day": "FREE",
        "Essay": "FREE",
    }


def test_outlook_is_told_the_text_as_safe_html_too(client: FlaskClient) -> None:
    event = told(client, "outlook")["Algebra"]
    assert str(event["DESCRIPTION"]) == f"Read <ch. 2>\nhttps://x.example/1, please\n\n{LINK}"
    html = event["X-ALT-DESC"]
    assert html.params["FMTTYPE"] == "text/html"
    assert re.sub(r"\\([,;])", r"\1", str(html)) == (
        '<html><body><p>Read &lt;ch. 2&gt;<br><a href="https://x.example/1">https://x.example/1</a>, please</p>'
        f'<p><a href="{LINK.replace("&", "&amp;")}">{LINK.replace("&", "&amp;")}</a></p></body></html>'
    )
    assert "X-ALT-DESC" not in told(client, "outlook")["Maybe"]


def test_outlook_is_told_when_a_deadline_ends_and_nobody_else_is(client: FlaskClient) -> None:
    essay = told(client, "outlook")["Essay"]
    assert essay["DTEND"].dt == essay["DTSTART"].dt == MONDAY + 2 * DAY
    for who in ("", "google", "apple"):
        assert "DTEND" not in told(client, who)["Essay"]


def test_only_outlook_is_told_so(client: FlaskClient) -> None:
    for query in ("", "?for=google", "?for=apple"):
        body = client.get(f"/public/math.ics{query}").data
        assert b"X-ALT-DESC" not in body
        assert b"X-MICROSOFT" not in body


@pytest.mark.parametrize(
    ("policy", "who", "title", "status"),
    [
        ("show", "", "Gone", "CANCELLED"),
        ("show", "apple", "Gone", "CANCELLED"),
        ("show", "outlook", "Cancelled: Gone", "CANCELLED"),
        ("show", "google", "Cancelled: Gone", "CONFIRMED"),
        ("both", "google", "Cancelled: Gone", "CONFIRMED"),
        ("mark", "outlook", "Cancelled: Gone", "CONFIRMED"),
    ],
)
def test_a_cancelled_event_is_seen_to_be_so(
    client: FlaskClient, feeds: Feeds, policy: str, who: str, title: str, status: str
) -> None:
    feeds.set("math", [f"cancelled={policy}"])
    event = told(client, who)[title]
    assert (event["STATUS"], event["TRANSP"]) == (status, "TRANSPARENT")
    feeds.set("math", ["cancelled=omit"])
    assert not [title for title in told(client, who) if "Gone" in title]


def test_google_gets_no_alarms_and_no_colours(client: FlaskClient) -> None:
    plain, google = (client.get(f"/public/math.ics{query}").data for query in ("", "?for=google"))
    assert b"VALARM" in plain
    assert b"COLOR:teal" in plain
    assert b"VALARM" not in google
    assert b"COLOR" not in google


def test_apple_shows_the_url_and_needs_it_once(client: FlaskClient) -> None:
    apple, plain = told(client, "apple")["Algebra"], told(client)["Algebra"]
    assert apple["URL"] == plain["URL"] == LINK
    assert LINK not in apple["DESCRIPTION"]
    assert LINK in plain["DESCRIPTION"]


def test_only_apple_gets_texts_whole_beyond_a_megabyte(feeds: Feeds, world: World) -> None:
    for number in range(300):
        world.school.put(f"n{number}", lesson(f"Long {number}", MONDAY + number * HOUR, text="word " * 800))
    feeds.refresh("math")
    sizes = {form: len(feeds.snapshot_for_public("math", form).body) for form in (Form.ICS, *FOR.values())}
    assert sizes.pop(Form.APPLE) > 1_200_000
    assert max(sizes.values()) <= 1_000_000


def test_a_joined_feed_that_grows_too_large_is_known_to_be(feeds: Feeds, world: World) -> None:
    world.school.courses["art"] = {}
    feeds.add("all", "All", COURSE, COURSE.__class__("school", COURSE.kind, "art"), public=True)
    feeds.snapshot_for_public("all", Form.ICS)
    assert feeds.size(feeds.by_slug("all")) == len(feeds.snapshot_for_public("all", Form.ICS).body)


def test_each_difference_has_its_reason_and_its_source() -> None:
    assert {difference.form for difference in DIFFERENCES} == set(FOR.values())
    assert all(one.what and one.reason and one.source for one in DIFFERENCES)
