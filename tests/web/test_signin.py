"""People sign in with a password or at a provider, do what their part allows, and nobody else does it for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from app import create_app
from app.config import parse
from app.parts import Parts, open_parts
from app.people import accounts, tokens
from app.web.door.signin import TRIES, Tries
from tests import stores
from tests.campus import LECTURES, NOW, browser, calendar, open_campus
from tests.fakes.oidc import FakeOidc, provider

PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def campus(tmp_path: Path, clock: Clock) -> Parts:
    parts = open_parts(parse(stores.setting(tmp_path / "campus.sqlite3"), {}), now=clock)
    accounts.put(parts.engine, "ada", PASSWORD, NOW)
    clock.now += timedelta(minutes=1)
    return parts


def sign_in(web: FlaskClient, password: str = PASSWORD, name: str = "ada", **more: str) -> TestResponse:
    return web.post("/sign-in", data={"name": name, "password": password, **more})


def csrf(web: FlaskClient) -> str:
    """The token that a page of ours puts into its forms."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', web.get("/").text)
    assert found
    return found[1]


def refresh(web: FlaskClient, **fields: str) -> int:
    return web.post("/refresh/anatomy-i", data=fields).status_code


class TestPasswords:
    def test_with_the_right_one_everything_may_be_done(self, campus: Parts) -> None:
        web = browser(campus)
        assert refresh(web) == 401
        assert sign_in(web).status_code == 303
        assert refresh(web, csrf_token=csrf(web)) == 303
        assert web.get("/api/feeds").status_code == 200

    def test_with_a_wrong_one_nothing(self, campus: Parts) -> None:
        web = browser(campus)
        answer = sign_in(web, "wrong horse battery")
        assert answer.status_code == 401
        assert "not the password" in answer.text
        assert "Set-Cookie" not in answer.headers
        assert web.get("/api/feeds").status_code == 401

    def test_a_name_of_nobody_is_answered_as_a_wrong_password(self, campus: Parts) -> None:
        one, other = sign_in(browser(campus), name="bob"), sign_in(browser(campus), "wrong horse battery")
        assert (one.status_code, one.text) == (other.status_code, other.text)

    def test_guessing_is_slowed_down_and_the_right_one_waits_too(self, campus: Parts, clock: Clock) -> None:
        web = browser(campus)
        for _ in range(accounts.FREE):
            assert sign_in(web, "wrong horse battery").status_code == 401
        assert sign_in(web).status_code == 429
        clock.now += timedelta(minutes=1)
        assert sign_in(web, "wrong horse battery").status_code == 401
        clock.now += timedelta(minutes=1)
        assert sign_in(web).status_code == 429
        clock.now += timedelta(minutes=1)
        assert sign_in(web).status_code == 303
        assert sign_in(browser(campus), "wrong horse battery").status_code == 401

    @pytest.mark.parametrize("path", ["/", "/admin", "/admin/tokens", "/admin/settings", "/imports", "/api/tokens"])
    def test_no_browser_shows_a_page_again_to_whoever_sits_there_next(self, campus: Parts, path: str) -> None:
        web = browser(campus)
        sign_in(web)
        answer = web.get(path)
        assert (answer.status_code, answer.headers.get("Cache-Control")) == (200, "no-store")

    def test_what_is_everybody_s_is_kept_as_ever(self, campus: Parts) -> None:
        web = browser(campus)
        sign_in(web)
        for path in ("/public/anatomy-i.ics", "/static/calbridge.css"):
            with web.get(path) as answer:
                assert (answer.status_code, answer.headers.get("Cache-Control") == "no-store") == (200, False)

    def test_signing_out_ends_it(self, campus: Parts) -> None:
        web = browser(campus)
        sign_in(web)
        web.post("/sign-in/out")
        assert web.get("/api/feeds").status_code == 401

    def test_a_new_password_ends_older_sessions(self, campus: Parts, clock: Clock) -> None:
        web = browser(campus)
        sign_in(web)
        clock.now += timedelta(minutes=1)
        accounts.put(campus.engine, "ada", "another horse battery", clock.now)
        assert web.get("/api/feeds").status_code == 401

    def test_a_removed_administrator_is_out(self, campus: Parts) -> None:
        accounts.put(campus.engine, "bob", PASSWORD, NOW)
        web = browser(campus)
        sign_in(web)
        accounts.remove(campus.engine, "ada")
        assert web.get("/api/feeds").status_code == 401

    def test_a_session_is_over_after_some_hours(self, campus: Parts, clock: Clock) -> None:
        web = browser(campus)
        sign_in(web)
        clock.now += timedelta(hours=10, minutes=1)
        assert web.get("/api/feeds").status_code == 401

    @pytest.mark.parametrize("password", ["short", "x" * 1001])
    def test_a_bad_password_is_not_set(self, campus: Parts, password: str) -> None:
        with pytest.raises(ValueError, match="letters"):
            accounts.put(campus.engine, "bob", password, NOW)

    def test_what_is_kept_is_no_password(self, campus: Parts, tmp_path: Path) -> None:
        campus.engine.dispose()
        assert not any(PASSWORD.encode() in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


class TestSessions:
    def test_the_cookie_is_for_us_alone(self, tmp_path: Path) -> None:
        parts = open_campus(tmp_path, "[server]", 'public_url = "https://cal.example.edu"')
        accounts.put(parts.engine, "ada", PASSWORD, NOW - timedelta(minutes=1))
        cookie = sign_in(browser(parts)).headers["Set-Cookie"]
        assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {each.strip() for each in cookie.split(";")}

    def test_one_that_was_laid_into_the_browser_before_is_not_taken_over(self, campus: Parts) -> None:
        """Session fixation."""
        web = browser(campus)
        sign_in(web)
        before = web.get_cookie("calbridge_session")
        sign_in(web)
        after = web.get_cookie("calbridge_session")
        assert before
        assert after
        other = browser(campus)
        other.set_cookie("calbridge_session", before.value[:-4] + "AAAA")
        assert other.get("/api/feeds").status_code == 401

    @pytest.mark.parametrize(
        "onward", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a\nb"]
    )
    def test_nobody_is_sent_elsewhere(self, campus: Parts, onward: str) -> None:
        assert sign_in(browser(campus), next=onward).headers["Location"] == "/"

    def test_one_comes_back_to_where_one_was(self, campus: Parts) -> None:
        assert sign_in(browser(campus), next="/imports/3?x=1").headers["Location"] == "/imports/3?x=1"

    def test_visitors_get_no_cookie(self, campus: Parts) -> None:
        assert "Set-Cookie" not in browser(campus).get("/").headers

    @pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
    def test_no_other_site_signs_anybody_in(self, campus: Parts, headers: dict[str, str]) -> None:
        answer = browser(campus).post("/sign-in", data={"name": "ada", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "calendar.test", "Origin": "http://calendar.test"},  # plain http: browsers say no more there
            {"Host": "cal.example.edu", "Origin": "https://cal.example.edu", "Sec-Fetch-Site": "same-origin"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # a page without referrers
        ],
    )
    def test_our_own_page_does_under_whatever_name(self, campus: Parts, headers: dict[str, str]) -> None:
        accounts.put(campus.engine, "ada", PASSWORD, NOW)
        client = browser(campus)
        assert client.get("/sign-in").headers["Referrer-Policy"] == "same-origin"  # so that its form has an Origin
        answer = client.post("/sign-in", data={"name": "ada", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 303


class TestOtherSites:
    """Every address that writes, found in the application itself, so that none is forgotten."""

    @staticmethod
    def writing(parts: Parts) -> list[tuple[str, str]]:
        found = []
        for rule in create_app(parts).url_map.iter_rules():
            path = re.sub(r"<int[^>]*>", "1", rule.rule)
            path = re.sub(r"<[^>]+>", "x", path)
            if path.startswith(("/sign-in", "/lti", "/approve", "/feeds")):
                continue
            found += [(method, path) for method in sorted((rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"})]
        return found

    @pytest.mark.parametrize("fields", [{}, {"csrf_token": "forged"}])
    def test_without_our_forms_token_nothing_is_written(self, campus: Parts, fields: dict[str, str]) -> None:
        web = browser(campus)
        sign_in(web)
        for method, path in self.writing(campus):
            assert web.open(path, method=method, data=fields).status_code == 400, (method, path)

    def test_that_of_another_person_does_not_count(self, campus: Parts) -> None:
        one, other = browser(campus), browser(campus)
        sign_in(one)
        sign_in(other)
        assert refresh(other, csrf_token=csrf(one)) == 400

    def test_strangers_write_nowhere(self, campus: Parts) -> None:
        for method, path in self.writing(campus):
            assert browser(campus).open(path, method=method).status_code == 401, (method, path)

    def test_every_form_of_ours_has_the_token(self, campus: Parts) -> None:
        web = browser(campus)
        sign_in(web)
        page = web.get("/").text
        forms = re.findall(r"<form.*?</form>", page, re.S)
        assert forms
        assert all('name="csrf_token"' in form for form in forms if 'method="post"' in form)


class TestTokens:
    @pytest.mark.parametrize(
        ("scope", "answers"), [("read", (200, 403, 403)), ("import", (200, 400, 403)), ("admin", (200, 400, 200))]
    )
    def test_each_may_do_what_its_scope_says(self, campus: Parts, scope: str, answers: tuple[int, ...]) -> None:
        token = tokens.add(campus.engine, scope, NOW, tokens.Scope(scope))
        web, header = browser(campus), {"Authorization": f"Bearer {token}"}
        given = (
            web.get("/api/feeds", headers=header),
            web.post("/api/imports", headers=header),
            web.post("/api/feeds/anatomy-i/refresh", headers=header),
        )
        assert tuple(each.status_code for each in given) == answers


class TestProvider:
    @pytest.fixture
    def idp(self) -> Iterator[FakeOidc]:
        with provider() as fake:
            yield fake

    @pytest.fixture
    def there(self, tmp_path: Path, idp: FakeOidc) -> Parts:
        return open_campus(
            tmp_path,
            "[signin]",
            f'issuer = "{idp.issuer}"',
            'client_id = "calbridge"',
            'client_secret = "a client secret"',
            'claim = "realm_access.roles"',
            'admins = ["cal-admin"]',
            'teachers = ["staff"]',
            'teachers_into = ["demo/course/*"]',
        )

    @staticmethod
    def through(web: FlaskClient, onward: str = "/") -> TestResponse:
        """To the provider and back, as a browser goes."""
        sent = web.post("/sign-in/provider", data={"next": onward})
        assert sent.status_code == 200
        to = sent.headers["Refresh"].partition("url=")[2]
        assert "code_challenge_method=S256" in to
        back = urlsplit(requests.get(to, allow_redirects=False, timeout=5).headers["Location"])
        return web.get(f"{back.path}?{back.query}")

    def test_an_administrator_by_claim_may_do_everything(self, there: Parts, idp: FakeOidc) -> None:
        idp.claims["realm_access"] = {"roles": ["cal-admin"]}
        web = browser(there)
        assert self.through(web, "/imports/7").headers["Location"] == "/imports/7"
        assert refresh(web, csrf_token=csrf(web)) == 303

    def test_a_teacher_imports_into_courses_and_nowhere_else(self, there: Parts, idp: FakeOidc) -> None:
        idp.claims["realm_access"] = {"roles": ["staff"]}
        web = browser(there)
        self.through(web)
        token = csrf(web)

        def upload(into: str) -> int:
            file = (BytesIO(calendar(LECTURES)), "x.ics")
            data = {"calendar": into, "file": file, "csrf_token": token}
            return web.post("/api/imports", data=data, content_type="multipart/form-data").status_code

        assert upload("demo/course/anatomy-1") == 200
        assert upload("demo/institution") == 403
        assert refresh(web, csrf_token=token) == 403

    def test_a_run_of_a_calendar_that_is_not_theirs_does_not_exist_for_them(self, there: Parts, idp: FakeOidc) -> None:
        from bridges.model import CalendarRef, Window

        window = Window(NOW, NOW.replace(year=2027))
        run = there.imports.run(calendar(LECTURES), CalendarRef.parse("demo/institution"), window).run_id
        idp.claims["realm_access"] = {"roles": ["staff"]}
        web = browser(there)
        self.through(web)
        token = csrf(web)
        assert web.get(f"/api/imports/{run}").status_code == 404
        assert web.post(f"/api/imports/{run}/undo", data={"csrf_token": token}).status_code == 404
        assert web.get("/api/imports").json == {"imports": []}

    def test_whoever_has_no_part_here_is_told_so(self, there: Parts, idp: FakeOidc) -> None:
        web = browser(there)
        answer = self.through(web)
        assert answer.status_code == 403
        assert "nobody has given you a part" in answer.text
        assert web.get("/api/feeds").status_code == 401

    def test_a_sign_in_that_was_cancelled_there(self, there: Parts, idp: FakeOidc) -> None:
        idp.denies = True
        assert self.through(browser(there)).status_code == 403

    @pytest.mark.parametrize("claim", ["iss", "aud", "nonce", "exp"])
    def test_a_token_that_is_not_meant_for_this_sign_in_is_refused(
        self, there: Parts, idp: FakeOidc, claim: str
    ) -> None:
        idp.claims["realm_access"] = {"roles": ["cal-admin"]}
        idp.spoil = lambda payload: payload.update({claim: 1 if claim == "exp" else "another"})
        web = browser(there)
        assert self.through(web).status_code == 502
        assert web.get("/api/feeds").status_code == 401

    def test_a_token_that_somebody_else_signed_is_refused(self, there: Parts, idp: FakeOidc) -> None:
        idp.claims["realm_access"] = {"roles": ["cal-admin"]}
        idp.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
        web = browser(there)
        assert self.through(web).status_code == 502
        assert web.get("/api/feeds").status_code == 401

    def test_an_answer_that_another_browser_asked_for_is_refused(self, there: Parts, idp: FakeOidc) -> None:
        """The state is this browser's."""
        idp.claims["realm_access"] = {"roles": ["cal-admin"]}
        sent = browser(there).post("/sign-in/provider", data={})
        to = sent.headers["Refresh"].partition("url=")[2]
        back = urlsplit(requests.get(to, allow_redirects=False, timeout=5).headers["Location"])
        other = browser(there)
        assert other.get(f"{back.path}?{back.query}").status_code == 502
        assert other.get("/api/feeds").status_code == 401

    def test_a_provider_that_is_away_costs_a_sentence(self, tmp_path: Path) -> None:
        parts = open_campus(tmp_path, "[signin]", 'issuer = "http://127.0.0.1:9"', 'client_id = "x"')
        answer = browser(parts).post("/sign-in/provider")
        assert answer.status_code == 502
        assert "Begin again" in answer.text


def test_from_one_address_few_passwords_are_looked_at(campus: Parts) -> None:
    """Each costs a hash that is meant to be slow: whoever sends many is refused before it is made."""
    web, there = browser(campus), {"REMOTE_ADDR": "203.0.113.7"}
    tried = {"name": "nobody", "password": "x"}
    came = [web.post("/sign-in", data=tried, environ_base=there).status_code for _ in range(TRIES + 1)]
    assert came == [401] * TRIES + [429]
    assert sign_in(web).status_code == 303


def test_of_all_together_few_are_looked_at_at_a_time() -> None:
    tries = Tries()
    with tries.turn("203.0.113.1") as first, tries.turn("203.0.113.2") as second, tries.turn("203.0.113.3") as third:
        assert (first, second, third) == (True, True, False)
    with tries.turn("203.0.113.3") as again:
        assert again
