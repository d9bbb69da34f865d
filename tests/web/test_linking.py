"""Linking from the page to Learn and back: only by who began it, once, in time; and no secret in sight anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.cli import main
from app.config import parse
from app.parts import Parts, open_parts
from app.people import tokens
from app.web.pages.linking import COOKIE, PATIENCE
from bridges.errors import Denied
from bridges.model import CalendarRef, Horizon, Kind
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, browser, calendar
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import serving

PAGE = "/link/learn"
BACK = f"{PAGE}/callback"
ANN = CalendarRef("learn", Kind.PERSON, "_5_1")
WINDOW = {"from": "2026-10-20", "to": "2026-12-31"}


@dataclass
class Campus:
    """calbridge over a fake Learn on a loopback port, at a time that is set by hand."""

    folder: Path
    url: str
    learn: FakeLearn
    now: datetime = NOW
    opened: list[Parts] = field(default_factory=list)

    def settings(self, *lines: str) -> str:
        learn = f'bridge = "blackboard"\nurl = "{self.url}"\nkey = "app-key"\nsecret = "app-secret"\nzone = "UTC"'
        store = stores.setting(self.folder / "campus.sqlite3")
        return "\n".join([store, *lines, "[lms.learn]", learn, "linking = true", "backoff_seconds = 0"])

    def parts(self, *lines: str) -> Parts:
        self.opened.append(open_parts(parse(self.settings(*lines), {}), now=lambda: self.now))
        return self.opened[-1]

    def pass_by(self, time: timedelta) -> None:
        self.now += time
        self.learn.settings.now = self.now.isoformat()


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    learn = FakeLearn()
    learn.settings.now = NOW.isoformat()
    learn.add_user("_5_1", "ann", {"_12594_1": "Instructor"})
    learn.visitor = "_5_1"
    with serving(learn) as url:
        made = Campus(tmp_path, url, learn)
        yield made
        for parts in made.opened:
            parts.engine.dispose()


@pytest.fixture
def parts(campus: Campus) -> Parts:
    return campus.parts()


@pytest.fixture
def client(parts: Parts) -> FlaskClient:
    return browser(parts)


def sent_on(client: FlaskClient, **options: Any) -> str:
    """Press the button; the address at Learn that the browser is sent to."""
    page = client.post(PAGE, **options)
    assert page.status_code == 200
    link = re.search(r'href="([^"]+)" id="onward"', page.text)
    assert link
    assert page.headers["Refresh"] == f"0; url={unescape(link[1])}"
    return unescape(link[1])


def at_learn(url: str) -> str:
    """Sign in at Learn and press Allow (or Deny); path and query that Learn sends the browser back to."""
    answer = requests.get(url, allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    return answer.headers["Location"].removeprefix("http://localhost")


def link(client: FlaskClient) -> TestResponse:
    return client.get(at_learn(sent_on(client)))


def test_from_the_button_to_an_import_and_back_out(campus: Campus, parts: Parts, client: FlaskClient) -> None:
    with pytest.raises(Denied, match="linked no account"):
        parts.sink("learn").check_target(ANN)
    assert "Link your account at learn" in client.get(PAGE).text
    page = link(client)
    assert page.status_code == 200
    assert "learn/person/_5_1" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    answer = client.post(
        "/api/imports",
        query_string=WINDOW | {"calendar": str(ANN)},
        data=calendar(LECTURES, EXAM),
        content_type="text/calendar",
    )
    assert answer.get_json()["report"]["created"] == 4
    window = Horizon(timedelta(days=1), timedelta(days=90)).at(NOW)
    assert len(parts.source("learn").read(ANN, window)) == 4
    assert {item["createdByUserId"] for item in campus.learn.items.values()} == {"_5_1"}
    assert parts.linkable("learn").unlink("_5_1")
    refused = client.post(
        "/api/imports", query_string=WINDOW | {"calendar": str(ANN)}, data=calendar(EXAM), content_type="text/calendar"
    )
    assert refused.status_code == 422
    assert "by e-mail" in refused.get_json()["detail"]


def test_an_import_into_an_unlinked_person_is_refused_when_it_is_checked(campus: Campus, client: FlaskClient) -> None:
    query = WINDOW | {"calendar": str(ANN), "dry_run": "true"}
    answer = client.post("/api/imports", query_string=query, data=calendar(EXAM), content_type="text/calendar")
    assert answer.status_code == 422
    assert "/link/learn" in answer.get_json()["detail"]
    assert "by e-mail" in answer.get_json()["detail"]
    assert not campus.learn.calls


def test_a_link_outlives_a_restart(campus: Campus, client: FlaskClient) -> None:
    link(client)
    campus.pass_by(timedelta(days=30))
    campus.parts().sink("learn").check_target(ANN)
    assert campus.parts().source("learn").read(ANN, Horizon(timedelta(1), timedelta(1)).at(campus.now)) == []


def test_who_says_no_gets_a_sentence(campus: Campus, parts: Parts, client: FlaskClient) -> None:
    campus.learn.visitor = ""
    page = link(client)
    assert page.status_code == 403
    assert "You did not permit it, so nothing was linked" in page.text
    assert not parts.linkable("learn").links()


@pytest.mark.parametrize(
    ("error", "shown"), [("server_error", "server_error"), ("<b>x</b>", "nothing that we understand")]
)
def test_other_errors_of_the_lms_are_said_and_not_quoted(client: FlaskClient, error: str, shown: str) -> None:
    state = re.search(r"state=([\w-]+)", sent_on(client))
    assert state
    page = client.get(BACK, query_string={"error": error, "state": state[1]})
    assert page.status_code == 422
    assert shown in page.text
    assert "<b>x" not in page.text


def test_another_state_is_not_ours(campus: Campus, parts: Parts, client: FlaskClient) -> None:
    back = at_learn(sent_on(client))
    campus.learn.calls.clear()
    for wrong in (re.sub(r"state=[\w-]+", "state=guess", back), re.sub(r"&state=.*", "", back), BACK):
        sent_on(client)
        assert client.get(wrong).status_code == 400
    assert not campus.learn.calls
    assert not parts.linkable("learn").links()


def test_a_code_brought_by_another_browser_is_not_taken(campus: Campus, parts: Parts, client: FlaskClient) -> None:
    """Somebody who begins a sign-in and sends the way back to a victim, or steals it from one, gets nothing."""
    back = at_learn(sent_on(client))
    stranger = browser(parts)
    assert stranger.get(back).status_code == 400
    sent_on(stranger)
    assert stranger.get(back).status_code == 400
    assert campus.learn.calls["token"] == 0
    assert client.get(back).status_code == 200


def test_a_way_back_is_gone_once_only(campus: Campus, client: FlaskClient) -> None:
    back = at_learn(sent_on(client))
    cookie = client.get_cookie(COOKIE)
    assert cookie
    assert client.get(back).status_code == 200
    assert client.get_cookie(COOKIE) is None
    assert client.get(back).status_code == 400
    client.set_cookie(COOKIE, cookie.value)
    page = client.get(back)
    assert page.status_code == 422
    assert "used before" in page.text


def test_a_sign_in_that_took_too_long_begins_again(campus: Campus, client: FlaskClient) -> None:
    back = at_learn(sent_on(client))
    campus.pass_by(PATIENCE)
    assert client.get(back).status_code == 400
    assert campus.learn.calls["token"] == 0


def test_a_cookie_is_good_for_its_own_lms_and_not_if_it_is_changed(client: FlaskClient) -> None:
    back = at_learn(sent_on(client))
    assert client.get(back.replace("/learn/", "/other/")).status_code == 400
    sent_on(client)
    cookie = client.get_cookie(COOKIE)
    assert cookie
    for value in (cookie.value[:-1], "x" + cookie.value, "", "a.b"):
        client.set_cookie(COOKIE, value)
        assert client.get(back).status_code == 400


def test_a_stolen_code_is_worth_nothing_without_our_verifier(campus: Campus, client: FlaskClient) -> None:
    code = re.search(r"code=(\w+)", at_learn(sent_on(client)))
    assert code
    token = f"{campus.url}/learn/api/public/v1/oauth2/token"
    fields = {"grant_type": "authorization_code", "code": code[1], "redirect_uri": f"http://localhost{BACK}"}
    answer = requests.post(token, fields | {"code_verifier": "x" * 43}, auth=("app-key", "app-secret"), timeout=5)
    assert answer.json()["error"] == "invalid_grant"


def test_a_learn_that_is_down_is_said_and_nothing_is_linked(campus: Campus, parts: Parts, client: FlaskClient) -> None:
    back = at_learn(sent_on(client))
    campus.learn.faults.append(Fault("status", on="token", times=-1))
    assert client.get(back).status_code == 503
    assert client.get_cookie(COOKIE) is None
    assert not parts.linkable("learn").links()


class TestWhoMayLink:
    """Linking stores a credential: it is for those who may write."""

    @pytest.mark.parametrize(
        ("headers", "address"),
        [
            ({}, "192.0.2.7"),
            ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1"),
            ({"Host": "rebound.example"}, "127.0.0.1"),
            ({"Origin": "https://evil.example"}, "127.0.0.1"),
            ({"Sec-Fetch-Site": "cross-site"}, "127.0.0.1"),
        ],
    )
    def test_nobody_else_begins(self, client: FlaskClient, headers: dict[str, str], address: str) -> None:
        answer = client.post(PAGE, headers=headers, environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert "Refresh" not in answer.headers

    def test_a_get_begins_nothing(self, campus: Campus, client: FlaskClient) -> None:
        page = client.get(PAGE)
        assert "Set-Cookie" not in page.headers
        assert "Refresh" not in page.headers

    def test_a_stranger_is_told_no_names(self, client: FlaskClient) -> None:
        page = client.get("/link/guess", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
        assert "API token" in page.text
        assert "the configuration has" not in page.text

    def test_once_a_token_exists_it_is_asked_for(self, campus: Campus, parts: Parts, client: FlaskClient) -> None:
        token = tokens.add(parts.engine, "office", NOW)
        assert 'name="token"' in client.get(PAGE).text
        assert client.post(PAGE).status_code == 401
        assert client.post(PAGE, data={"token": f"{token}x"}).status_code == 401
        url = sent_on(client, data={"token": token})
        assert token not in url
        assert client.get(at_learn(url)).status_code == 200

    def test_an_lms_without_such_accounts_says_so(self, tmp_path: Path) -> None:
        parts = open_parts(parse(stores.setting(tmp_path / "demo.sqlite3"), {}), now=lambda: NOW)
        for name, said in (("demo", "cannot link accounts"), ("other", "no LMS is called")):
            page = browser(parts).get(f"/link/{name}")
            assert page.status_code == 422
            assert said in page.text
        parts.engine.dispose()

    def test_where_linking_is_off_there_is_no_button(self, campus: Campus) -> None:
        text = campus.settings().replace("linking = true", "linking = false")
        parts = open_parts(parse(text, {}), now=lambda: NOW)
        page = browser(parts).get(PAGE)
        assert page.status_code == 422
        assert "lms.learn.linking is off" in page.text
        parts.engine.dispose()


class TestTheWayBack:
    """The address that Learn sends people back to."""

    def test_a_public_address_is_used_and_the_cookie_is_secure_there(self, campus: Campus) -> None:
        parts = campus.parts('server.public_url = "https://cal.example.edu/cal/"')
        token = tokens.add(parts.engine, "office", NOW)
        client = create_app(parts).test_client()
        url = sent_on(client, data={"token": token}, base_url="https://cal.example.edu")
        assert "redirect_uri=https%3A%2F%2Fcal.example.edu%2Fcal%2Flink%2Flearn%2Fcallback&" in url
        cookie = client.get_cookie(COOKIE, domain="cal.example.edu")
        assert cookie
        assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, "Lax")
        back = urlsplit(at_learn(url))
        page = client.get(f"{BACK}?{back.query}", base_url="https://cal.example.edu")
        assert page.status_code == 200

    def test_a_host_that_anyone_can_make_up_is_not_used(self, campus: Campus, parts: Parts) -> None:
        token = tokens.add(parts.engine, "office", NOW)
        page = browser(parts).post(PAGE, data={"token": token}, base_url="http://made.up")
        assert page.status_code == 422
        assert "server.public_url" in page.text


def test_two_that_refresh_at_once_spend_one_token_each_in_turn(campus: Campus, client: FlaskClient) -> None:
    """Two calbridges over one database, and a Learn whose refresh tokens are good once."""
    campus.learn.settings.one_time_refresh = True
    link(client)
    sources = [campus.parts().source("learn") for _ in range(2)]
    campus.learn.faults.append(Fault("slow", on="token", times=-1, seconds=0.05))
    ready, readings = Barrier(2), list[Any]()
    window = Horizon(timedelta(1), timedelta(1)).at(NOW)

    def read(source: Any) -> None:
        ready.wait()
        readings.append(source.read(ANN, window))

    threads = [Thread(target=read, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert readings == [[], []]


def test_no_secret_is_in_the_database_the_pages_or_the_log(
    campus: Campus, parts: Parts, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = sent_on(client)
    back = at_learn(url)
    pages = [client.get(back).text, client.get("/").text, client.get("/api/calendars").text, url]
    kept = json.loads(parts.vault.get("blackboard/learn/_5_1") or "")["refresh"]
    beside = campus.folder / "campus.sqlite3.key"
    key = beside.read_text().strip() if stores.ON == "sqlite" else stores.KEY
    secrets = [kept, *campus.learn._grants, "app-secret", key]
    files = [stores.kept_in(parts.engine)]
    parts.engine.dispose()
    files += [path.read_bytes() for path in campus.folder.iterdir() if path.suffix != ".key"]
    for secret in secrets:
        assert all(secret.encode() not in data for data in files)
        assert all(secret not in text for text in [*pages, repr(parts), repr(parts.vault)])
        assert secret not in caplog.text


def test_the_command_line_lists_links_and_takes_them_back(campus: Campus, client: FlaskClient) -> None:
    link(client)
    config = campus.folder / "config.toml"
    config.write_text(campus.settings())

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--config", str(config), "link", *words], catch_exceptions=False)
        return result.exit_code, result.output

    assert run("list") == (0, "learn/person/_5_1\tPersonal: ann\n")
    assert run("remove", "learn/person/_5_1") == (0, "")
    assert run("list") == (0, "")
    status, said = run("remove", "learn/person/_5_1")
    assert status == 2
    assert "nobody has linked" in said
