"""The pages of an import: a file in, a plan to look at, a yes, a report, and a way back; each without JavaScript."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.imports.record.runs import Ending
from app.parts import Parts
from app.people import accounts
from tests.campus import EXAM, LECTURES, NOW, browser, calendar, open_campus

INTO = "demo/course/statistics"
HOSTILE = """
    UID:x
    SUMMARY:<script>alert(1)</script>
    LOCATION:<img src=x onerror=alert(2)>
    DTSTART:20261102T100000Z
"""
STRANGE = """
    UID:y
    SUMMARY:محاضرة 🎓 in <b>
    DTSTART:20261103T100000Z
"""


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def preview(client: FlaskClient, data: bytes, **fields: str) -> TestResponse:
    form = {"file": (io.BytesIO(data), "t.ics"), "calendar": INTO, "from": "2026-10-20", "to": "2026-12-31"}
    return client.post("/imports", data=form | fields)


def previewed(client: FlaskClient, data: bytes, **fields: str) -> str:
    """The address of the run that a preview made."""
    answer = preview(client, data, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def number(page: str) -> int:
    return int(page.rsplit("/", 1)[1])


def approve(campus: Parts, client: FlaskClient, page: str) -> str:
    """The report, after a worker took up what was approved."""
    answer = client.post(f"{page}/approve")
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    campus.imports.take_up(number(page))
    return client.get(page).text


def test_a_preview_shows_the_plan_and_writes_nothing(campus: Parts, client: FlaskClient) -> None:
    page = client.get(previewed(client, calendar(LECTURES, EXAM))).text
    assert "<strong>4</strong> new" in page
    assert "Wednesday, 21 October 2026" in page
    assert "10:15–12:00" in page
    assert "<strong>0</strong> changed" in page
    assert "Exam, part 1; oral" in page
    assert "Forecast: 4 writes" in page
    assert campus.imports.latest()[0].state is Ending.PREVIEWED
    assert "<strong>4</strong> new" in client.get(previewed(client, calendar(LECTURES, EXAM))).text


def test_a_preview_says_how_zones_were_read_and_which_lines_are_odd(client: FlaskClient) -> None:
    odd = "UID:o\nSUMMARY:Odd\nDTSTART;TZID=W. Europe Standard Time:20261102T100000"
    lost = "UID:l\nSUMMARY:Lost\nDTSTART;TZID=Nowhere/Land:20261102T100000"
    floats = "UID:f\nSUMMARY:Floats\nDTSTART:20261102T100000"
    page = client.get(previewed(client, calendar(odd, lost, floats))).text
    assert "by its Windows name" in page
    assert "Nowhere/Land" in page
    assert "Times without a zone" in page
    assert re.search(r"Line \d+: .*unknown", page)


def test_the_file_is_chosen_once_from_preview_to_report(campus: Parts, client: FlaskClient) -> None:
    page = previewed(client, calendar(LECTURES))
    assert 'type="file"' not in client.get(page).text
    report = approve(campus, client, page)
    assert "<strong>3</strong> created" in report
    assert "Imported" in report


def test_while_it_goes_on_the_page_looks_again_by_itself(client: FlaskClient) -> None:
    page = previewed(client, calendar(LECTURES))
    client.post(f"{page}/approve")
    waiting = client.get(page).text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in waiting
    assert f'data-events="/api{page}/events"' in waiting
    assert "Waiting for its turn" in waiting


def test_what_waits_can_be_cancelled_and_what_is_over_cannot(client: FlaskClient) -> None:
    page = previewed(client, calendar(LECTURES))
    assert client.post(f"{page}/cancel").status_code == 303
    assert "Cancelled" in client.get(page).text
    assert client.post(f"{page}/approve").status_code == 409


def test_a_preview_disturbs_neither_the_import_nor_what_waits(campus: Parts, client: FlaskClient) -> None:
    approve(campus, client, previewed(client, calendar(LECTURES, EXAM)))
    held = client.post("/api/imports", data=data_of(calendar("UID:n\nSUMMARY:New\nDTSTART:20261102T100000Z")))
    assert held.status_code == 202
    previewed(client, calendar(LECTURES))
    assert campus.imports.get(held.json["run"]).state is Ending.HELD  # type: ignore[index]


def data_of(body: bytes) -> dict[str, object]:
    return {"file": (io.BytesIO(body), "t.ics"), "calendar": INTO, "from": "2026-10-20", "to": "2026-12-31"}


def test_a_reckless_plan_says_why_before_it_is_approved(campus: Parts, client: FlaskClient) -> None:
    approve(campus, client, previewed(client, calendar(LECTURES, EXAM)))
    page = previewed(client, calendar("UID:n\nSUMMARY:New\nDTSTART:20261102T100000Z"))
    shown = client.get(page).text
    assert "Look twice" in shown
    assert "Import all the same" in shown
    assert "<strong>4</strong> removed" in approve(campus, client, page)


def test_taking_back_shows_first_what_it_would_do(campus: Parts, client: FlaskClient) -> None:
    page = previewed(client, calendar(LECTURES))
    approve(campus, client, page)
    asked = client.get(f"{page}/undo").text
    assert "<strong>3</strong> removed" in asked
    assert "Marine biology" in asked
    undone = client.post(f"{page}/undo")
    assert "<strong>3</strong> removed" in client.get(undone.headers["Location"]).text
    assert client.get(f"{page}/undo").status_code == 409


def test_changes_are_worded_as_well_as_coloured(campus: Parts, client: FlaskClient) -> None:
    approve(campus, client, previewed(client, calendar(LECTURES, EXAM)))
    moved = LECTURES.replace("Room 4", "Room 5")
    page = client.get(previewed(client, calendar(moved))).text
    assert '<span class="badge update">changed</span>' in page
    assert '<span class="badge delete">removed</span>' in page
    assert "before: <bdi>Room 4</bdi>" in page


def test_hostile_titles_are_text_everywhere(campus: Parts, client: FlaskClient) -> None:
    page = previewed(client, calendar(HOSTILE, STRANGE), name="<i>name</i>")
    report = approve(campus, client, page)
    for shown in (report, client.get(f"{page}/undo").text):
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in shown
        assert "<bdi>محاضرة 🎓 in &lt;b&gt;</bdi>" in shown
        assert not re.search(r"<(script>|img|i>|b>)", shown)
    assert "&lt;i&gt;name" in client.get("/imports").text


@pytest.mark.parametrize(
    ("data", "fields", "said"),
    [
        (b"%PDF-1.7", {}, "PDF"),
        (calendar(EXAM), {"calendar": "nowhere/course/1"}, "no LMS is called"),
        (calendar(EXAM), {"from": "2026-12-31", "to": "2026-01-01"}, "window is empty"),
        (calendar(EXAM), {"zone": "Middle/Earth"}, "Middle/Earth"),
        (b"", {"url": "https://127.0.0.1/x.ics"}, "127.0.0.1"),
        (b"", {"url": "file:///etc/passwd"}, "http"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    client: FlaskClient, data: bytes, fields: dict[str, str], said: str
) -> None:
    answer = preview(client, data, **fields)
    assert answer.status_code == 422
    assert said in re.findall(r'role="alert"[^>]*>([^<]*)<', answer.text)[0]
    assert 'name="file"' in answer.text


def test_a_calendar_can_be_called_by_its_name(campus: Parts, client: FlaskClient) -> None:
    page = previewed(client, calendar(EXAM), calendar="statistics")
    assert str(campus.imports.get(number(page)).calendar) == INTO


def test_patterns_stand_on_lines_of_their_own(client: FlaskClient) -> None:
    page = client.get(previewed(client, calendar(LECTURES, EXAM), include="exam*\nnothing", rename="exam=Oral {}")).text
    assert "<strong>1</strong> new" in page


def test_runs_are_listed_by_calendar_and_state(campus: Parts, client: FlaskClient) -> None:
    approve(campus, client, previewed(client, calendar(EXAM), name="first"))
    previewed(client, calendar(EXAM), name="second")
    assert "first" in client.get("/imports").text
    previews = client.get("/imports?state=previewed").text
    assert "second" in previews
    assert "first" not in previews
    assert "second" not in client.get("/imports?calendar=demo/course/other").text


def test_a_batch_shows_its_calendars_and_what_has_no_place(client: FlaskClient) -> None:
    routes = [f"title:Marine*=>{INTO}", "title:Exam*=>demo/course/nowhere"]
    query = {"route": routes, "name": "timetable", "from": "2026-10-20", "to": "2026-12-31"}
    made = client.post("/api/imports", query_string=query, data=calendar(LECTURES, EXAM), content_type="text/calendar")
    page = f"/imports/batches/{made.json['batch']}"  # type: ignore[index]
    shown = client.get(page).text
    assert f">{INTO}</a>" in shown
    assert "there is no calendar demo/course/nowhere" in shown
    assert client.post(f"{page}/undo").status_code == 303
    assert "Taking back (Run 1)" in client.get("/imports").text


def test_a_plan_of_many_changes_comes_in_small_pages(client: FlaskClient) -> None:
    rule = f"SUMMARY:{'Daily ' * 30}\nDTSTART:20261021T100000Z\nRRULE:FREQ=DAILY;COUNT=60"
    page = previewed(client, calendar(*(f"UID:{each}\n{rule}" for each in range(8))))
    sizes = [len(client.get(f"{page}?page={each}").data) for each in (1, 2, 3)]
    assert max(sizes) < 150_000
    assert "Changes 401 to 480 of 480" in client.get(f"{page}?page=3").text


def test_pages_have_no_script_or_style_of_their_own(campus: Parts, client: FlaskClient) -> None:
    page = previewed(client, calendar(EXAM))
    for path in ("/", "/import", "/imports", page, "/subscriptions", "/subscriptions/new", "/drift"):
        shown = client.get(path)
        assert shown.status_code == 200, path
        assert not re.search(r"<script(?! src)|<style| style=| on\w+=", shown.text), path


class TestWhoMay:
    def test_a_stranger_is_asked_to_sign_in_and_comes_back(self, campus: Parts, client: FlaskClient) -> None:
        accounts.put(campus.engine, "ann", "correct horse battery", NOW)
        asked = client.get("/imports?state=held")
        assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?next=%2Fimports%3Fstate%3Dheld")
        form = {"name": "ann", "password": "correct horse battery", "next": "/imports?state=held"}
        assert client.post("/sign-in", data=form).headers["Location"] == "/imports?state=held"
        page = client.get("/imports").text
        assert "Sign out" in page
        assert "<bdi>ann</bdi>" in page

    def test_a_stranger_sees_no_way_in_that_is_closed(self, campus: Parts, client: FlaskClient) -> None:
        accounts.put(campus.engine, "ann", "correct horse battery", NOW)
        page = client.get("/").text
        assert "Sign in" in page
        assert "/subscriptions" not in page

    def test_a_form_of_another_page_does_nothing(self, campus: Parts, client: FlaskClient) -> None:
        accounts.put(campus.engine, "ann", "correct horse battery", NOW)
        client.post("/sign-in", data={"name": "ann", "password": "correct horse battery"})
        assert preview(client, calendar(EXAM)).status_code == 400
        assert campus.imports.latest() == []


class TestZones:
    LOST = "UID:l\nSUMMARY:Lost\nDTSTART;TZID=Nowhere/Land:20261102T100000"
    FLOATS = "UID:f\nSUMMARY:Floats\nDTSTART:20261102T100000"

    def test_a_zone_that_nobody_knows_can_be_named_on_the_preview(self, campus: Parts, client: FlaskClient) -> None:
        page = previewed(client, calendar(self.LOST))
        assert "Zones that nobody knows are" in client.get(page).text
        assert "<strong>0</strong> new" in client.get(page).text
        again = client.post(f"{page}/zone", data={"zone": "America/New_York"}).headers["Location"]
        shown = client.get(again).text
        assert "<strong>1</strong> new" in shown
        assert "America/New_York" in shown
        assert campus.imports.get(number(page)).state is Ending.CANCELLED

    def test_so_can_what_is_meant_by_times_without_one(self, client: FlaskClient) -> None:
        page = previewed(client, calendar(self.FLOATS))
        assert "10:00" in client.get(page).text
        again = client.post(f"{page}/zone", data={"floating": "UTC"}).headers["Location"]
        assert "11:00" in client.get(again).text

    def test_where_all_zones_are_known_nobody_is_asked(self, client: FlaskClient) -> None:
        assert "Plan anew" not in client.get(previewed(client, calendar(LECTURES))).text

    @pytest.mark.parametrize("zone", ["Middle/Earth", "../etc/passwd"])
    def test_a_zone_that_is_none_is_refused(self, client: FlaskClient, zone: str) -> None:
        page = previewed(client, calendar(self.LOST))
        assert client.post(f"{page}/zone", data={"zone": zone}).status_code == 400

    def test_what_is_no_preview_any_more_is_left_alone(self, campus: Parts, client: FlaskClient) -> None:
        page = previewed(client, calendar(LECTURES))
        approve(campus, client, page)
        assert client.post(f"{page}/zone", data={"zone": "UTC"}).status_code == 409


class TestRoutes:
    ROUTES = f"title:Marine*=>{INTO}\ntitle:Exam*=>demo/course/anatomy-1\ntitle:Lost*=>demo/course/nowhere"
    LOST = "UID:l\nSUMMARY:Lost\nDTSTART:20261102T100000Z"

    def batch(self, client: FlaskClient, *events: str, **fields: str) -> str:
        """The address of the batch that the form leads to."""
        answer = preview(client, calendar(*events), **{"routes": self.ROUTES, "name": "timetable"} | fields)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def test_one_file_is_shown_over_many_calendars_and_nothing_is_written(
        self, campus: Parts, client: FlaskClient
    ) -> None:
        page = client.get(self.batch(client, LECTURES, EXAM, self.LOST)).text
        assert "<strong>4</strong> new" in page
        assert f"<bdi>{INTO}</bdi>: 3 new, 0 changed, 0 removed" in page
        assert "Exam, part 1; oral" in page
        assert "there is no calendar demo/course/nowhere" in page
        assert campus.imports.latest() == []

    def test_the_yes_has_a_worker_do_it_and_all_of_it_can_be_taken_back(
        self, campus: Parts, client: FlaskClient
    ) -> None:
        where = self.batch(client, LECTURES, EXAM)
        assert client.post(f"{where}/approve").status_code == 303
        (due,) = campus.routed.due()
        assert "Waiting for its turn" in client.get(where).text
        campus.routed.take_up(due)
        assert {str(run.calendar) for run in campus.imports.latest()} == {INTO, "demo/course/anatomy-1"}
        assert "Take all of it back" in client.get(where).text
        assert client.post(f"{where}/approve").status_code == 409

    def test_a_no_forgets_it(self, campus: Parts, client: FlaskClient) -> None:
        where = self.batch(client, LECTURES)
        assert client.post(f"{where}/cancel").status_code == 303
        assert "Cancelled" in client.get(where).text
        assert client.post(f"{where}/approve").status_code == 409
        assert campus.routed.due() == []

    def test_a_newer_preview_takes_the_place_of_an_older_one(self, client: FlaskClient) -> None:
        first, second = self.batch(client, LECTURES), self.batch(client, LECTURES, EXAM)
        assert client.post(f"{first}/approve").status_code == 409
        assert client.post(f"{second}/approve").status_code == 303

    def test_a_preview_disturbs_no_import_that_waits(self, campus: Parts, client: FlaskClient) -> None:
        earlier = self.batch(client, LECTURES)
        client.post(f"{earlier}/approve")
        self.batch(client, LECTURES, EXAM)
        assert len(campus.routed.due()) == 1

    def test_what_is_reckless_is_said_before_the_yes_which_then_holds(self, campus: Parts, client: FlaskClient) -> None:
        for events in ((LECTURES, EXAM), ("UID:n\nSUMMARY:Exam\nDTSTART:20261102T100000Z",)):
            where = self.batch(client, *events)
            page = client.get(where).text
            client.post(f"{where}/approve")
            (due,) = campus.routed.due()
            outcome = campus.routed.take_up(due)
        assert "Import all the same" in page
        assert outcome is not None
        assert outcome.state is Ending.DONE
        assert sum(each.report.deleted for each in outcome.outcomes if each.report) == 4

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"name": "upload"}, "needs a name of its own"),
            ({"routes": "title:Marine*"}, "Marine*"),
            ({"routes": "nonsense"}, "nonsense"),
        ],
    )
    def test_what_is_wrong_is_said_beside_the_form(
        self, client: FlaskClient, fields: dict[str, str], said: str
    ) -> None:
        answer = preview(client, calendar(LECTURES), **{"routes": self.ROUTES, "name": "timetable"} | fields)
        assert answer.status_code == 422
        assert said in answer.text.partition('role="alert"')[2].partition("</p>")[0]
        assert f"{(fields.get('routes') or self.ROUTES).replace('>', '&gt;')}</textarea>" in answer.text
