"""The administration: what waits, connections that are tried, tokens, settings and the log; for administrators."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.care.waiting import waiting
from app.imports.drift.changes import Policy
from app.imports.pull.wish import Wish
from app.imports.record.runs import Ending
from app.parts import Parts
from app.people import accounts, audit, tokens
from app.people.tokens import Scope
from app.store import workers
from app.store.quota import StoreMeter
from bridges.contract import Quota
from bridges.model import CalendarRef, Window
from tests.campus import EXAM, LECTURES, NOW, browser, calendar, open_campus

PAGES = ["", "/connections", "/links", "/tokens", "/workers", "/settings", "/log", "/feeds/new", "/feeds/anatomy-i"]
INTO = "demo/course/statistics"
WINDOW = Window(NOW, NOW + timedelta(days=90))


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def signed_in(campus: Parts, client: FlaskClient) -> FlaskClient:
    accounts.put(campus.engine, "ann", "correct horse battery", NOW)
    client.post("/sign-in", data={"name": "ann", "password": "correct horse battery"})
    return client


def form(client: FlaskClient, path: str) -> dict[str, str]:
    """What a form of that page carries unseen."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', client.get(path).text))


@pytest.mark.parametrize("path", PAGES)
class TestWhoMay:
    def test_an_administrator_sees_the_page(self, client: FlaskClient, path: str) -> None:
        page = client.get(f"/admin{path}")
        assert page.status_code == 200
        assert page.text.count("<h1") == 1
        assert 'href="/admin" aria-current="page">Administration</a>' in page.text

    @pytest.mark.parametrize("scope", [Scope.READ, Scope.IMPORT])
    def test_nobody_less_does(self, campus: Parts, client: FlaskClient, path: str, scope: Scope) -> None:
        token = tokens.add(campus.engine, "office", NOW, scope)
        answer = client.get(f"/admin{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403

    def test_a_stranger_is_asked_to_sign_in(self, campus: Parts, client: FlaskClient, path: str) -> None:
        accounts.put(campus.engine, "ann", "correct horse battery", NOW)
        assert client.get(f"/admin{path}").headers["Location"].startswith("/sign-in?next=%2Fadmin")


def test_teachers_find_no_way_there(campus: Parts, client: FlaskClient) -> None:
    token = tokens.add(campus.engine, "office", NOW, Scope.IMPORT)
    assert "/admin" not in client.get("/", headers={"Authorization": f"Bearer {token}"}).text


class TestWhatWaits:
    def test_nothing_at_first(self, client: FlaskClient) -> None:
        assert "Nothing waits for anybody’s word." in client.get("/admin").text

    def test_a_held_plan_with_its_reason_and_the_way_to_it(self, campus: Parts, client: FlaskClient) -> None:
        window = {"calendar": INTO, "from": "2026-10-20", "to": "2026-12-31"}
        for events in ((LECTURES, EXAM), ("UID:n\nSUMMARY:New\nDTSTART:20261102T100000Z",)):
            client.post("/api/imports", data={"file": (io.BytesIO(calendar(*events)), "t.ics"), **window})
        (held,) = campus.imports.latest(state=Ending.HELD)
        page = client.get("/admin").text
        assert f'href="/imports/{held.id}"' in page
        assert held.objections
        assert all(objection.split("'")[0] in page for objection in held.objections)

    def test_that_no_worker_is_at_work(self, campus: Parts, client: FlaskClient) -> None:
        assert "No worker is at work" in client.get("/admin").text
        workers.begin(campus.engine, "one", NOW)
        assert "1 worker is at work." in client.get("/admin").text


class TestConnections:
    def test_one_that_answers_says_what_it_lists(self, client: FlaskClient) -> None:
        page = client.post("/admin/connections/demo/try").text
        assert "It answers." in page
        assert "4 calendars, in" in page

    def test_one_that_nobody_configured_is_refused(self, client: FlaskClient) -> None:
        assert client.post("/admin/connections/nowhere/try").status_code == 422

    def test_looking_at_them_asks_none(self, client: FlaskClient) -> None:
        assert 'role="status"' not in client.get("/admin/connections").text

    @pytest.mark.parametrize(
        ("left", "said"),
        [(9000, "enough"), (1500, "scarce"), (10, "not enough")],
    )
    def test_the_weather_is_told_in_words_and_figures(
        self, campus: Parts, client: FlaskClient, left: int, said: str
    ) -> None:
        StoreMeter(campus.engine, "demo", campus.now).note(Quota(10_000, left, NOW + timedelta(hours=12)))
        page = client.get("/admin/connections").text
        assert f'">{said}</span>\n{left:,} of 10,000 calls left' in page
        assert f'<meter min="0" max="10000" value="{left}"' in page


class TestTokens:
    def test_the_first_one_locks_nobody_out(self, campus: Parts, client: FlaskClient) -> None:
        assert client.post("/admin/tokens", data={"name": "office", "scope": "read"}).status_code == 422
        assert not tokens.any_made(campus.engine)
        assert "Make an administrator first" in client.get("/admin/tokens").text

    def test_one_is_shown_once_and_works_until_it_is_revoked(self, campus: Parts, client: FlaskClient) -> None:
        signed_in(campus, client)
        hidden = form(client, "/admin/tokens")
        made = client.post("/admin/tokens", data={**hidden, "name": "office", "scope": "read"})
        secret = re.findall(r'value="(cb_[\w-]+)"', made.text)[0]
        assert made.headers["Cache-Control"] == "no-store"
        stranger = browser(campus)
        asked = {"headers": {"Authorization": f"Bearer {secret}"}}
        assert stranger.get("/api/feeds", **asked).status_code == 200
        listed = client.get("/admin/tokens").text
        assert secret not in listed
        assert "20 October 2026" in listed.partition("office")[2].partition("</tr>")[0]
        asked_again = client.get("/admin/tokens/revoke?name=office").text
        assert "Revoke the token “office”?" in asked_again
        assert client.post("/admin/tokens/revoke", data={**hidden, "name": "office"}).status_code == 303
        assert stranger.get("/api/feeds", **asked).status_code == 401

    def test_when_it_was_last_used_is_told(self, campus: Parts, client: FlaskClient) -> None:
        signed_in(campus, client)
        secret = tokens.add(campus.engine, "office", NOW - timedelta(days=30))
        assert "never" in client.get("/admin/tokens").text
        browser(campus).get("/api/feeds", headers={"Authorization": f"Bearer {secret}"})
        assert tokens.every_one(campus.engine)[0].used_at == NOW
        assert "never" not in client.get("/admin/tokens").text

    @pytest.mark.parametrize("given", [{"name": ""}, {"name": "x" * 101}, {"name": "a", "scope": "all"}])
    def test_what_is_wrong_is_said_beside_the_form(
        self, campus: Parts, client: FlaskClient, given: dict[str, str]
    ) -> None:
        signed_in(campus, client)
        answer = client.post("/admin/tokens", data={**form(client, "/admin/tokens"), **given})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert tokens.every_one(campus.engine) == []

    def test_a_form_of_another_page_makes_none(self, campus: Parts, client: FlaskClient) -> None:
        signed_in(campus, client)
        assert client.post("/admin/tokens", data={"name": "office", "scope": "admin"}).status_code == 400
        assert tokens.every_one(campus.engine) == []

    def test_administrators_are_listed(self, campus: Parts, client: FlaskClient) -> None:
        signed_in(campus, client)
        assert "<bdi>ann</bdi> <span" in client.get("/admin/tokens").text


class TestTheLog:
    @pytest.fixture
    def deeds(self, campus: Parts) -> None:
        for number in range(120):
            who = "ann" if number % 2 else "token office"
            deed = audit.Deed(NOW, who, "POST /api/imports", f"calendar=demo/course/{number}")
            audit.note(campus.engine, deed)

    @pytest.mark.usefixtures("deeds")
    def test_it_comes_in_pages_the_newest_first(self, client: FlaskClient) -> None:
        first, third = (client.get(f"/admin/log?page={number}").text for number in (1, 3))
        assert (first.count("<tr><td>"), third.count("<tr><td>")) == (50, 20)
        assert first.index("course/119") < first.index("course/118")
        assert "course/0<" in third
        assert 'rel="next"' not in third

    @pytest.mark.usefixtures("deeds")
    def test_it_is_searched_by_person_deed_and_subject(self, client: FlaskClient) -> None:
        assert client.get("/admin/log?search=office").text.count("<tr><td>") == 50
        assert "60 lines" in client.get("/admin/log?search=office").text
        assert client.get("/admin/log?search=course/77").text.count("<tr><td>") == 1

    def test_a_deed_on_a_page_is_in_it_without_its_secrets(self, campus: Parts, client: FlaskClient) -> None:
        signed_in(campus, client)
        client.post("/admin/tokens", data={**form(client, "/admin/tokens"), "name": "office", "scope": "read"})
        page = client.get("/admin/log?search=tokens").text
        assert "<bdi>ann</bdi>" in page
        assert "name=office" in page
        assert "cb_" not in page


class TestSettings:
    def test_each_says_where_it_came_from(self, tmp_path: Path) -> None:
        client = browser(open_campus(tmp_path, 'server.public_url = "https://cal.example.edu"'))
        page = client.get("/admin/settings").text
        one = page.partition("<code>public_url</code>")[2].partition("</dd>")[0]
        assert "https://cal.example.edu" in one
        assert "file config.toml" in one
        assert "default" in page.partition("<code>port</code>")[2].partition("</dd>")[0]

    def test_what_the_configuration_tells_can_be_seen_alone(self, tmp_path: Path) -> None:
        client = browser(open_campus(tmp_path, "imports.ahead_days = 90"))
        page = client.get("/admin/settings?told=yes").text
        assert "<code>ahead_days</code>" in page
        assert "<code>port</code>" not in page

    def test_no_secret_is_shown(self, tmp_path: Path) -> None:
        secret = "a-very-secret-word"
        client = browser(open_campus(tmp_path, f'mail.password = "{secret}"', 'mail.user = "cal"'))
        page = client.get("/admin/settings").text
        assert secret not in page
        assert "kept secret" in page


class TestWhatElseWaits:
    """People's changes and subscriptions, beside plans."""

    @pytest.fixture
    def changed(self, campus: Parts) -> None:
        """Somebody moved a lecture that an import wrote."""
        into = CalendarRef.parse(INTO)
        campus.imports.run(calendar(LECTURES), into, WINDOW, source="timetable")
        sink, found = campus.sink("demo"), campus.source("demo").read(into, WINDOW)
        lecture = next(each for each in found if each.event.title == "Marine biology")
        sink.update(into, lecture.ref, sink.fit(replace(lecture.event, title="Moved")))
        campus.drifts.check(into)

    @pytest.mark.usefixtures("changed")
    def test_a_change_waits_where_its_import_asks(self, campus: Parts, client: FlaskClient) -> None:
        assert "stay as people made them" in client.get("/admin").text
        assert waiting(campus).count == 0
        campus.drifts.policies.set(CalendarRef.parse(INTO), "timetable", Policy.ASK)
        assert "waits for your word" in client.get("/admin").text
        assert waiting(campus).count == 1
        campus.drifts.accept([one.id for one in campus.drifts.list()])
        assert waiting(campus).changes == []

    def test_a_subscription_that_fails_is_named_until_it_is_switched_off(self, tmp_path: Path) -> None:
        campus = open_campus(tmp_path, "fetch.http = true", 'fetch.allow_hosts = ["127.0.0.1"]')
        wish = Wish("timetable", "http://127.0.0.1:8999/x.ics", CalendarRef.parse(INTO), timedelta(hours=1), 90)
        one = campus.subscriptions.add(wish)
        assert waiting(campus).stopped == []
        campus.subscriptions.run(one.id)
        page = browser(campus).get("/admin").text
        assert f'href="/subscriptions/{one.id}"' in page
        assert '<span class="state failing">fails</span>' in page
        campus.subscriptions.disable(one.id)
        assert waiting(campus).stopped == []
