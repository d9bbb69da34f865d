"""The pages of those who publish feeds: a new one, what it shows, its addresses given out and taken back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.feeds.feed import Unknown
from app.feeds.policies import Cancelled, Privacy
from app.parts import Parts
from bridges.model import CalendarRef, Kind
from tests.campus import browser, open_campus

INSTITUTION = CalendarRef("demo", Kind.INSTITUTION)


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


@pytest.fixture
def secret(campus: Parts) -> str:
    """The first token of a secret feed called `team`."""
    _, token = campus.feeds.add(
        "team", "Team", INSTITUTION, CalendarRef("demo", Kind.ROOM, "simulation-1"), public=False
    )
    return str(token)


def links(page: str) -> dict[str, str]:
    """The addresses that a page shows once."""
    return dict(re.findall(r'id="new-(\w+)" value="http://localhost([^"]+)"', page))


class TestANewFeed:
    def test_a_public_one_is_read_at_once_and_answers(self, campus: Parts, client: FlaskClient) -> None:
        given = {"calendar": "demo/institution", "title": "All of us", "public": "yes", "gzip": "on"}
        answer = client.post("/admin/feeds", data=given)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/feeds/all-of-us")
        assert client.get("/public/all-of-us.ics").text.startswith("BEGIN:VCALENDAR")
        assert re.search(r"\d+ events", client.get("/admin/feeds/all-of-us").text)

    def test_a_secret_ones_address_is_shown_once(self, client: FlaskClient) -> None:
        made = client.post("/admin/feeds", data={"calendar": "demo/institution", "title": "Staff", "slug": "staff"})
        assert made.headers["Cache-Control"] == "no-store"
        shown = links(made.text)
        assert set(shown) == {"ics", "json", "page"}
        for path in shown.values():
            assert client.get(path).status_code == 200
        for path in ("/", "/admin/feeds/staff"):
            assert shown["ics"].split("/")[2] not in client.get(path).text

    def test_calendars_are_called_by_their_names_and_joined(self, campus: Parts, client: FlaskClient) -> None:
        given = {
            "calendar": "anatomy i",
            "also": "Campus calendar\ndemo/room/simulation-1",
            "title": "All",
            "public": "yes",
        }
        assert client.post("/admin/feeds", data=given).status_code == 303
        told = [str(one) for one in campus.feeds.by_slug("all").calendars]
        assert told == ["demo/course/anatomy-1", "demo/institution", "demo/room/simulation-1"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"calendar": "", "title": "X"}, "Choose a calendar."),
            ({"calendar": "nowhere/course/1", "title": "X"}, "no LMS is called"),
            ({"calendar": "demo/institution", "title": ""}, "title"),
            ({"calendar": "demo/institution", "title": "X", "slug": "Æ B"}, "cannot stand in an address"),
            ({"calendar": "demo/institution", "title": "X", "slug": "anatomy-i"}, "called &#39;anatomy-i&#39; already"),
            ({"calendar": "demo/institution", "title": "X", "back": "9999"}, "no number of days"),
        ],
    )
    def test_what_is_wrong_is_said_and_what_was_written_is_kept(
        self, client: FlaskClient, given: dict[str, str], said: str
    ) -> None:
        answer = client.post("/admin/feeds", data={**given, "category": "Lab*"})
        assert answer.status_code == 422
        assert said in answer.text.partition('role="alert"')[2].partition("</p>")[0]
        assert "Lab*</textarea>" in answer.text

    def test_the_form_lists_what_the_lms_shows(self, client: FlaskClient) -> None:
        assert '<option value="demo/room/simulation-1">' in client.get("/admin/feeds/new").text


class TestWhatItShows:
    def test_all_that_feed_set_knows_can_be_said_and_is_shown_again(self, campus: Parts, client: FlaskClient) -> None:
        given = {
            "back": "3",
            "ahead": "30",
            "privacy": "busy-only",
            "cancelled": "mark",
            "titles": "OSCE*\n!*draft*",
            "kind": "Lecture",
            "category": "Lab",
            "rename": "OSCE 1=>Exam",
            "tag": "demo/*=>Campus",
            "alarm": "15",
            "colour": "teal",
            "utc": "on",
            "cors": "on",
            "learningspace": "on",
        }
        assert client.post("/admin/feeds/anatomy-i", data=given).status_code == 303
        policies = campus.feeds.by_slug("anatomy-i").policies
        assert (policies.back, policies.ahead, policies.alarm, policies.colour) == (3, 30, 15, "teal")
        assert (policies.privacy, policies.cancelled) == (Privacy.BUSY_ONLY, Cancelled.MARK)
        assert policies.title == ("OSCE*", "!*draft*")
        assert (policies.kind, policies.category) == (("Lecture",), ("Lab",))
        assert (policies.rename, policies.tag) == (("OSCE 1=>Exam",), ("demo/*=>Campus",))
        assert (policies.utc, policies.cors, policies.gzip, policies.learningspace) == (True, True, False, True)
        page = client.get("/admin/feeds/anatomy-i?told=kept").text
        assert "OSCE*\n!*draft*</textarea>" in page
        assert '<option value="busy-only" selected>' in page
        assert 'name="utc" value="on" checked' in page
        assert 'name="gzip" value="on" checked' not in page

    def test_a_form_sent_as_it_stands_changes_nothing(self, campus: Parts, client: FlaskClient) -> None:
        before = campus.feeds.by_slug("anatomy-i").policies
        client.post("/admin/feeds/anatomy-i", data={"gzip": "on", "privacy": "full", "cancelled": "omit"})
        assert campus.feeds.by_slug("anatomy-i").policies == before

    def test_what_cannot_be_is_said_and_nothing_is_changed(
        self, campus: Parts, client: FlaskClient, secret: str
    ) -> None:
        answer = client.post("/admin/feeds/team", data={"learningspace": "on", "rename": "x=>y"})
        assert answer.status_code == 422
        assert "learningspace: its addresses hold no secret" in answer.text
        assert "x=&gt;y</textarea>" in answer.text
        assert campus.feeds.by_slug("team").policies.rename == ()


@pytest.mark.usefixtures("secret")
class TestAddresses:
    def test_one_is_given_out_for_less_and_until_a_day(self, client: FlaskClient) -> None:
        given = {"name": "phone", "until": "2026-12-31", "calendar": "demo/institution", "at_most": "busy-only"}
        path = links(client.post("/admin/feeds/team/addresses", data=given).text)["ics"]
        feed = client.get(path, headers={"User-Agent": "Thunderbird/128"}).text
        assert set(re.findall(r"SUMMARY:(.*)\r", feed)) == {"Busy"}
        page = client.get("/admin/feeds/team").text
        row = page.partition("<bdi>phone</bdi>")[2].partition("</tr>")[0]
        assert "through 2026-12-31" in row
        assert "Thunderbird last looked 0 min ago" in row
        assert "busy-only" in row

    def test_one_is_taken_back_and_the_others_go_on(self, client: FlaskClient, secret: str) -> None:
        phone = links(client.post("/admin/feeds/team/addresses", data={"name": "phone"}).text)["ics"]
        assert "Take back the address “phone”?" in client.get("/admin/feeds/team/revoke?name=phone").text
        assert client.get(phone).status_code == 200
        client.post("/admin/feeds/team/revoke", data={"name": "phone"})
        assert client.get(phone).status_code == 404
        assert client.get(f"/feeds/{secret}/team.ics").status_code == 200

    def test_a_new_one_in_place_of_all(self, client: FlaskClient, secret: str) -> None:
        assert "All of its addresses are dead at once" in client.get("/admin/feeds/team/rotate").text
        made = links(client.post("/admin/feeds/team/rotate").text)["ics"]
        assert client.get(made).status_code == 200
        assert client.get(f"/feeds/{secret}/team.ics").status_code == 404

    @pytest.mark.parametrize(
        "given", [{"name": ""}, {"name": "first"}, {"name": "a", "until": "2020-01-01"}, {"name": "a", "until": "soon"}]
    )
    def test_what_cannot_be_is_said(self, client: FlaskClient, given: dict[str, str]) -> None:
        answer = client.post("/admin/feeds/team/addresses", data=given)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text

    def test_a_public_feed_has_none(self, client: FlaskClient) -> None:
        assert "Give one out" not in client.get("/admin/feeds/anatomy-i").text
        assert client.post("/admin/feeds/anatomy-i/rotate").status_code == 422


def test_a_feed_is_removed_after_a_question(campus: Parts, client: FlaskClient) -> None:
    assert "Remove “Anatomy I”?" in client.get("/admin/feeds/anatomy-i/remove").text
    assert client.post("/admin/feeds/anatomy-i/remove").status_code == 303
    with pytest.raises(Unknown):
        campus.feeds.by_slug("anatomy-i")


def test_a_feed_that_is_not_there_is_404(client: FlaskClient) -> None:
    for path in ("", "/rotate", "/remove"):
        assert client.get(f"/admin/feeds/nothing{path}").status_code == 404


class TestThousandsOfFeeds:
    @pytest.fixture
    def many(self, campus: Parts) -> None:
        for number in range(120):
            campus.feeds.add(f"course-{number}", f"Course {number} Anatomi Ø", INSTITUTION, public=number % 2 == 0)

    @pytest.mark.usefixtures("many")
    def test_they_are_searched_and_come_in_pages(self, client: FlaskClient) -> None:
        page = client.get("/?search=Course+11").text
        assert re.findall(r'id="(course-\d+)"', page) == ["course-11", *(f"course-11{n}" for n in range(10))]
        last = client.get("/?search=Anatomi&page=5").text
        assert last.count('class="card"') == 20
        assert "search=Anatomi" in last

    @pytest.mark.usefixtures("many")
    def test_a_switch_leads_back_to_where_it_was_pressed(self, client: FlaskClient) -> None:
        answer = client.post("/disable/course-7", data={"page": "2", "search": "Course"})
        assert answer.headers["Location"] == "/?page=2&search=Course#course-7"

    @pytest.mark.usefixtures("many")
    def test_strangers_find_public_ones_alone(self, client: FlaskClient) -> None:
        stranger = {"REMOTE_ADDR": "192.0.2.7"}
        page = client.get("/?search=Course+11", environ_overrides=stranger).text
        assert all(int(number) % 2 == 0 for number in re.findall(r'id="course-(\d+)"', page))
