"""People come from inside a course and are known: students to its calendar, teachers to its import page, no others."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.config import ConfigError, parse
from app.parts import Parts, open_parts
from app.people import audit
from app.store import tables
from tests import stores
from tests.campus import LECTURES, NOW, browser, calendar
from tests.fakes.blackboard import FakeLearn
from tests.fakes.lti import CLAIM, MEMBER, PERSON, STUDENT, TEACHER, FakePlatform, new_key, platform
from tests.fakes.wsgi import serving

OURS = "https://cal.example.edu"
COURSE, OTHER = "anatomy-1", "statistics"
MORE = """
[lti.second]
lms = "demo"
issuer = "{issuer}"
client_id = "{client}"
deployments = ["d-2"]
auth_login_url = "{issuer}/auth"
jwks_url = "{issuer}/keys"
"""


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lms(clock: Clock) -> Iterator[FakePlatform]:
    with platform(OURS, clock) as fake:
        yield fake


@pytest.fixture
def opened(tmp_path: Path, lms: FakePlatform, clock: Clock) -> Iterator[Callable[..., Parts]]:
    """A calbridge that knows the platform, with further lines in its table."""
    made: list[Parts] = []

    def open_with(*lines: str, more: str = "", of: str = "demo") -> Parts:
        text = [
            stores.setting(tmp_path / "campus.sqlite3"),
            f'[server]\npublic_url = "{OURS}"',
            f'[lti.school]\nlms = "{of}"\nissuer = "{lms.issuer}"\nclient_id = "{lms.client_id}"',
            f'auth_login_url = "{lms.issuer}/auth"\njwks_url = "{lms.issuer}/keys"',
            *lines,
            more,
        ]
        made.append(open_parts(parse("\n".join(text), {}), now=clock))
        return made[-1]

    yield open_with
    for parts in made:
        parts.close()


@pytest.fixture
def parts(opened: Callable[..., Parts]) -> Parts:
    return opened()


@dataclass
class Visitor:
    """Somebody's browser: ours and the platform's pages in turn, as the redirects and forms lead."""

    parts: Parts
    lms: FakePlatform
    web: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.web = browser(self.parts)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.web.get(path, base_url=OURS, **more)

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.web.post(path, base_url=OURS, **more)

    def sent(self, person: str, course: str = COURSE, message: str = "LtiResourceLinkRequest") -> str:
        """Where the sign-in that a course page begins leads to, at the platform."""
        answer = self.get("/lti/login", query_string=self.lms.begun(person, course, message))
        while urlsplit(answer.headers["Location"]).path == "/lti/login":
            answer = self.get(answer.headers["Location"])
        return answer.headers["Location"]

    def answered(self, person: str, course: str = COURSE, message: str = "LtiResourceLinkRequest") -> dict[str, str]:
        """What the platform has the browser post to us."""
        page = requests.get(self.sent(person, course, message), timeout=5)
        assert page.status_code == 200, page.text
        return dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))

    def launch(self, person: str, course: str = COURSE, message: str = "LtiResourceLinkRequest") -> TestResponse:
        return self.post("/lti/launch", data=self.answered(person, course, message))

    def address(self, course: str = COURSE) -> str:
        """The secret address that a student's launch ends at."""
        answer = self.launch(STUDENT, course)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def may_import(self) -> bool:
        return self.get("/import").status_code == 200

    def upload(self, into: str, file: bytes) -> TestResponse:
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/import").text)
        assert token
        data = {"file": (BytesIO(file), "x.ics"), "calendar": into, "name": "upload", "csrf_token": token[1]}
        return self.post("/imports", data=data, content_type="multipart/form-data")


@pytest.fixture
def visitor(parts: Parts, lms: FakePlatform) -> Visitor:
    return Visitor(parts, lms)


def tokens_alive(parts: Parts) -> int:
    with parts.engine.connect() as connection:
        count = select(func.count()).where(tables.feed_token.c.revoked_at.is_(None))
        return int(connection.execute(count).scalar_one())


class TestStudents:
    def test_a_student_comes_to_the_calendar_of_the_course(self, visitor: Visitor) -> None:
        page = visitor.get(visitor.address())
        assert page.status_code == 200
        assert "Course anatomy-1" in page.text
        ics = re.search(rf'value="{OURS}(/feeds/[^"?]+\.ics)"', page.text)
        assert ics
        assert b"BEGIN:VEVENT" in visitor.get(ics[1]).data

    def test_each_has_an_address_of_their_own(self, visitor: Visitor, parts: Parts, lms: FakePlatform) -> None:
        lms.people["c-9"] = ("Cy", [f"{MEMBER}Learner"])
        mine = visitor.address()
        other = Visitor(parts, lms).launch("c-9").headers["Location"]
        assert mine != other
        (feed,) = [feed for feed in parts.feeds.list() if not feed.public]
        assert [token.name for token in parts.feeds.tokens(feed.slug)] == [f"school {STUDENT}", "school c-9"]

    def test_a_second_launch_shows_the_same_address(self, visitor: Visitor, parts: Parts, lms: FakePlatform) -> None:
        first = visitor.address()
        assert Visitor(parts, lms).address() == first
        assert tokens_alive(parts) == 1

    def test_one_that_was_renewed_on_its_page_is_shown_from_then_on(self, visitor: Visitor, parts: Parts) -> None:
        first = visitor.address()
        renewed = visitor.post(f"{first}renew", data={"sure": "yes"}).headers["Location"]
        assert renewed != first
        assert visitor.address() == renewed
        assert visitor.get(first).status_code == 404
        assert tokens_alive(parts) == 1

    def test_one_that_was_ended_makes_room_for_another(self, visitor: Visitor, parts: Parts) -> None:
        first = visitor.address()
        assert visitor.post(f"{first}revoke", data={"sure": "yes"}).status_code == 200
        assert visitor.address() != first
        assert tokens_alive(parts) == 1

    def test_the_feed_that_an_administrator_made_is_taken(self, visitor: Visitor, parts: Parts) -> None:
        parts.feeds.add("our-anatomy", "Ours", parts.named(f"demo/course/{COURSE}"), public=False)
        assert visitor.address().endswith("/our-anatomy/")

    def test_one_that_is_switched_off_stays_so(self, visitor: Visitor, parts: Parts) -> None:
        parts.feeds.add("our-anatomy", "Ours", parts.named(f"demo/course/{COURSE}"), public=False)
        parts.feeds.disable("our-anatomy")
        answer = visitor.launch(STUDENT)
        assert answer.status_code == 404
        assert "switched off" in answer.text

    def test_where_none_may_be_made_a_public_one_has_to_do(
        self, opened: Callable[..., Parts], lms: FakePlatform
    ) -> None:
        parts = opened("feeds = false")
        visitor = Visitor(parts, lms)
        there = visitor.launch(STUDENT).headers["Location"]
        assert there == "/public/anatomy-i/"
        assert visitor.get(there).headers["Cache-Control"] == "no-store"  # it leads to what is of the course
        assert Visitor(parts, lms).get(there).headers["Cache-Control"] == "private, max-age=60"
        parts.feeds.remove("anatomy-i")
        answer = Visitor(parts, lms).launch(STUDENT)
        assert answer.status_code == 404
        assert "ask your administrator" in answer.text

    def test_the_store_holds_no_address(self, visitor: Visitor, parts: Parts) -> None:
        token = visitor.address().split("/")[2]
        assert token.encode() not in stores.kept_in(parts.engine)

    def test_who_is_erased_leaves_no_address(self, visitor: Visitor, parts: Parts) -> None:
        address = visitor.address()
        told = parts.erasure.erase(parts.named("demo/person/nobody"), names=[STUDENT])
        assert told.removed["lti_address"] == 1
        assert visitor.get(address).status_code == 404
        assert STUDENT.encode() not in stores.kept_in(parts.engine)

    def test_a_student_may_import_nothing(self, visitor: Visitor) -> None:
        visitor.launch(STUDENT)
        assert visitor.get("/import").status_code == 403

    def test_a_page_within_the_lms_leads_to_what_is_of_the_course(self, visitor: Visitor) -> None:
        page = visitor.get(visitor.address()).text
        assert re.findall(r'<li><a href="(/[^"]*)"', page) == ["/lti/subscribe"]
        visitor.launch(TEACHER)
        page = visitor.get("/import").text
        assert re.findall(r'<li><a href="(/[^"]*)"', page) == ["/lti/subscribe", "/import", "/imports"]


class TestTeachers:
    def test_a_teacher_comes_to_the_import_page_with_the_calendar_chosen(self, visitor: Visitor) -> None:
        answer = visitor.launch(TEACHER)
        assert answer.headers["Location"] == "/import?calendar=demo%2Fcourse%2Fanatomy-1"
        page = visitor.get(answer.headers["Location"]).text
        assert re.findall(r'<option value="(demo/[^"]+)"( selected)?', page) == [(f"demo/course/{COURSE}", " selected")]
        assert "Ada Lærer" in page

    def test_and_sees_what_a_file_would_change(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        answer = visitor.upload(f"demo/course/{COURSE}", calendar(LECTURES))
        assert answer.status_code == 303
        assert "Marine biology" in visitor.get(answer.headers["Location"]).text

    @pytest.mark.parametrize("into", [f"demo/course/{OTHER}", "demo/institution", "demo/course/*"])
    def test_and_writes_into_no_other_calendar(self, visitor: Visitor, into: str) -> None:
        visitor.launch(TEACHER)
        assert visitor.upload(into, calendar(LECTURES)).status_code == 403

    def test_nor_into_others_by_routes(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.get("/import").text)
        assert token
        data = {"file": (BytesIO(calendar(LECTURES)), "x.ics"), "route": f"title:*=>demo/course/{OTHER}", "name": "r"}
        data |= {"csrf_token": token[1]}
        answer = visitor.post("/api/imports", data=data, content_type="multipart/form-data")
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "path",
        ["/api/feeds", "/api/feeds/anatomy-i/tokens", "/subscriptions", "/drift", "/metrics", "/api/audit", "/admin"],
    )
    def test_and_sees_nothing_of_other_people(self, visitor: Visitor, path: str) -> None:
        visitor.launch(TEACHER)
        assert visitor.get(path).status_code == 403

    def test_a_course_called_like_a_pattern_opens_itself_alone(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER, "*")
        assert visitor.upload(f"demo/course/{COURSE}", calendar(LECTURES)).status_code == 403

    def test_a_second_course_takes_the_place_of_the_first(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        visitor.launch(TEACHER, OTHER)
        assert visitor.upload(f"demo/course/{COURSE}", calendar(LECTURES)).status_code == 403
        assert visitor.upload(f"demo/course/{OTHER}", calendar(LECTURES)).status_code == 303

    def test_what_is_sent_without_our_forms_token_is_refused(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        data = {"file": (BytesIO(calendar(LECTURES)), "x.ics"), "calendar": f"demo/course/{COURSE}"}
        assert visitor.post("/imports", data=data, content_type="multipart/form-data").status_code == 400

    def test_a_link_leads_to_the_calendar_of_the_course(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        assert 'href="/lti/subscribe"' in visitor.get("/import").text
        page = visitor.get(visitor.get("/lti/subscribe").headers["Location"])
        assert "Course anatomy-1" in page.text

    def test_who_teaches_elsewhere_in_the_school_is_no_teacher_here(self, visitor: Visitor, lms: FakePlatform) -> None:
        lms.people[TEACHER] = ("Ada", [f"{PERSON}Instructor", f"{MEMBER}Learner"])
        assert visitor.launch(TEACHER).headers["Location"].startswith("/feeds/")

    def test_signing_out_ends_it(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER)
        visitor.post("/sign-in/out")
        assert not visitor.may_import()
        assert visitor.get("/lti/subscribe").status_code == 403

    def test_the_visit_is_over_after_some_hours(self, visitor: Visitor, clock: Clock) -> None:
        visitor.launch(TEACHER)
        clock.now += timedelta(hours=10, minutes=1)
        assert not visitor.may_import()

    def test_the_visit_ends_with_the_platform(
        self, visitor: Visitor, opened: Callable[..., Parts], lms: FakePlatform
    ) -> None:
        visitor.launch(TEACHER)
        kept = visitor.web.get_cookie("__Host-calbridge_launched", "cal.example.edu")
        assert kept
        renamed = Visitor(opened("", more='[lti.other]\nlms = "demo"'), lms)
        renamed.web.set_cookie("__Host-calbridge_launched", kept.value, domain="cal.example.edu")
        assert renamed.may_import()  # the same platform, known here too
        del renamed.parts.config.lti["school"]  # type: ignore[attr-defined]
        assert not renamed.may_import()


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda payload: payload.pop(name)


def _with(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda payload: payload.update({name: value})


SECONDS = NOW.timestamp()
SPOILT: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another issuer": (_with("iss", "https://evil.example"), "another LMS"),
    "no issuer": (_without("iss"), "another LMS"),
    "for another tool": (_with("aud", "another"), "meant for another tool"),
    "for several, and not ours": (_with("aud", ["one", "two"]), "meant for another tool"),
    "for several, made out to nobody": (_with("aud", ["calbridge-at-school", "two"]), "made out to another tool"),
    "made out to another": (_with("azp", "two"), "made out to another tool"),
    "another nonce": (_with("nonce", "guessed"), "answers another sign-in"),
    "no nonce": (_without("nonce"), "answers another sign-in"),
    "run out": (_with("exp", SECONDS - 61), "run out"),
    "without an end": (_without("exp"), "until when it holds"),
    "an end that is no time": (_with("exp", "tomorrow"), "until when it holds"),
    "an end that is no number": (_with("exp", float("nan")), "until when it holds"),
    "an end beyond all numbers": (_with("exp", 10**400), "until when it holds"),
    "from the future": (_with("iat", SECONDS + 61), "from the future"),
    "too old": (_with("iat", SECONDS - 661), "too old"),
    "another version": (_with(f"{CLAIM}version", "1.1"), "another version of LTI"),
    "another message": (_with(f"{CLAIM}message_type", "LtiSubmissionReviewRequest"), "kind of message"),
    "no deployment": (_without(f"{CLAIM}deployment_id"), "names no deployment"),
    "nobody": (_without("sub"), "does not say who you are"),
    "somebody without a name of ASCII": (_with("sub", "Bø"), "does not say who you are"),
    "no course": (_without(f"{CLAIM}context"), "outside of a course"),
    "a course without a name": (_with(f"{CLAIM}context", {"title": "x"}), "what the course is called"),
    "a course that is a path": (_with(f"{CLAIM}context", {"id": "a/b"}), "a name that cannot be one"),
    "a variable that was not filled in": (
        _with(f"{CLAIM}context", {"id": "$Context.id"}),
        "does not know the variable",
    ),
    "no roles": (_without(f"{CLAIM}roles"), "role that you have"),
    "roles that are none": (_with(f"{CLAIM}roles", "Instructor"), "role that you have"),
    "a role of the school alone": (_with(f"{CLAIM}roles", [f"{PERSON}Administrator"]), "role that you have"),
}


class TestRefusals:
    """A launch that is not true, not for us or not of now opens nothing, and says why."""

    @pytest.mark.parametrize("fault", SPOILT)
    def test_a_launch_with_a_fault_is_refused_with_a_sentence(
        self, visitor: Visitor, lms: FakePlatform, fault: str
    ) -> None:
        lms.spoil, said = SPOILT[fault]
        answer = visitor.launch(TEACHER)
        assert answer.status_code in {400, 403}
        assert said in answer.text
        assert not visitor.may_import()

    def test_clocks_may_differ_by_less_than_a_minute(self, visitor: Visitor, lms: FakePlatform) -> None:
        lms.spoil = lambda payload: payload.update(iat=SECONDS + 50, exp=SECONDS - 50)
        assert visitor.launch(TEACHER).status_code == 303

    @pytest.mark.parametrize(
        ("header", "by", "said"),
        [
            ({"alg": "none", "kid": "one"}, "one", "not signed by RS256"),
            ({"alg": "HS256", "kid": "one"}, "one", "not signed by RS256"),
            ({"alg": "RS256"}, "one", "which key"),
            ({"alg": "RS256", "kid": "two"}, "two", "does not publish"),
            ({"alg": "RS256", "kid": "one"}, "two", "was not signed by the LMS"),
        ],
        ids=["none", "HS256", "no kid", "an unknown kid", "another key"],
    )
    def test_only_the_key_of_the_platform_counts(
        self, visitor: Visitor, lms: FakePlatform, header: dict[str, Any], by: str, said: str
    ) -> None:
        lms.header, lms.signs_with = header, new_key(by)
        answer = visitor.launch(TEACHER)
        assert answer.status_code == 403
        assert said in answer.text

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "é" * 10, "x" * 200_000])
    def test_what_is_no_token_is_refused(self, visitor: Visitor, token: str) -> None:
        answered = visitor.answered(TEACHER) | {"id_token": token}
        assert visitor.post("/lti/launch", data=answered).status_code == 400

    def test_a_launch_counts_once(self, visitor: Visitor) -> None:
        answered = visitor.answered(TEACHER)
        assert visitor.post("/lti/launch", data=answered).status_code == 303
        again = visitor.post("/lti/launch", data=answered)
        assert again.status_code == 403
        assert "used before" in again.text

    def test_an_answer_does_not_fit_another_question(self, visitor: Visitor) -> None:
        one, two = visitor.answered(TEACHER), visitor.answered(TEACHER)
        assert visitor.post("/lti/launch", data=one | {"state": two["state"]}).status_code == 403

    def test_another_browser_cannot_end_what_one_began(self, visitor: Visitor, parts: Parts, lms: FakePlatform) -> None:
        """Login CSRF: nobody is brought into another's account."""
        answered, other = visitor.answered(TEACHER), Visitor(parts, lms)
        assert "another browser" in other.post("/lti/launch", data=answered).text
        other.answered(STUDENT)  # with a cookie of its own
        assert "another browser" in other.post("/lti/launch", data=answered).text
        assert not other.may_import()

    @pytest.mark.parametrize("state", ["", "x", "é", "WyJzY2hvb2wiXQ.forged"])
    def test_a_state_that_is_not_ours_is_refused(self, visitor: Visitor, state: str) -> None:
        answer = visitor.post("/lti/launch", data=visitor.answered(TEACHER) | {"state": state})
        assert answer.status_code == 403
        assert "too long ago, or not here" in answer.text

    def test_the_platform_may_take_ten_minutes(self, visitor: Visitor, clock: Clock) -> None:
        answered = visitor.answered(TEACHER)
        clock.now += timedelta(minutes=10)
        assert "too long ago" in visitor.post("/lti/launch", data=answered).text

    @pytest.mark.parametrize("wrong", [{"iss": "https://evil.example"}, {"client_id": "another"}, {"iss": ""}])
    def test_an_lms_that_nobody_named_is_refused(
        self, visitor: Visitor, lms: FakePlatform, wrong: dict[str, str]
    ) -> None:
        answer = visitor.get("/lti/login", query_string=lms.begun(TEACHER, COURSE) | wrong)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers

    def test_the_platform_may_begin_with_a_form_too(self, visitor: Visitor, lms: FakePlatform) -> None:
        answer = visitor.post("/lti/login", data=lms.begun(TEACHER, COURSE))
        assert visitor.get(answer.headers["Location"]).headers["Location"].startswith(f"{lms.issuer}/auth?")

    def test_who_is_not_signed_in_there_is_told_so(self, visitor: Visitor, lms: FakePlatform) -> None:
        lms.denies = "login_required"
        answer = visitor.launch(TEACHER)
        assert answer.status_code == 403
        assert "login_required" in answer.text

    def test_the_log_says_why_and_holds_no_token(
        self, visitor: Visitor, lms: FakePlatform, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "app")
        lms.spoil = _with("aud", "another")
        answered = visitor.answered(TEACHER)
        visitor.post("/lti/launch", data=answered)
        assert "meant for another tool" in caplog.text
        assert answered["id_token"] not in caplog.text
        assert answered["state"] not in caplog.text

    def test_whoever_only_begins_leaves_nothing_behind(self, visitor: Visitor, parts: Parts) -> None:
        before = stores.kept_in(parts.engine)
        visitor.sent(TEACHER)
        assert stores.kept_in(parts.engine) == before


class TestKeys:
    def test_they_are_fetched_once(self, visitor: Visitor, lms: FakePlatform) -> None:
        visitor.launch(TEACHER)
        visitor.launch(STUDENT)
        assert lms.asked == 1

    def test_a_new_key_is_found_at_once_but_not_looked_for_all_the_time(
        self, visitor: Visitor, lms: FakePlatform, clock: Clock
    ) -> None:
        visitor.launch(TEACHER)
        lms.header = {"alg": "RS256", "kid": "two"}
        for _ in range(3):
            assert visitor.launch(TEACHER).status_code == 403
        assert lms.asked == 1
        clock.now += timedelta(minutes=1)
        lms.key = new_key("two")
        assert visitor.launch(TEACHER).status_code == 303
        assert lms.asked == 2

    def test_a_platform_that_is_away_costs_a_sentence(self, visitor: Visitor, lms: FakePlatform, clock: Clock) -> None:
        lms.away = True
        answer = visitor.launch(TEACHER)
        assert answer.status_code == 503
        assert "cannot be read just now" in answer.text
        visitor.launch(TEACHER)
        assert lms.asked == 1
        lms.away = False
        clock.now += timedelta(minutes=1)
        assert visitor.launch(TEACHER).status_code == 303

    def test_known_keys_last_while_it_is_away(self, visitor: Visitor, lms: FakePlatform, clock: Clock) -> None:
        visitor.launch(TEACHER)
        lms.away = True
        clock.now += timedelta(hours=13)
        assert visitor.launch(TEACHER).status_code == 303
        assert lms.asked == 2


class TestDeployments:
    def test_only_those_that_are_named_come_in(self, opened: Callable[..., Parts], lms: FakePlatform) -> None:
        visitor = Visitor(opened('deployments = ["d-2"]'), lms)
        answer = visitor.launch(TEACHER)
        assert answer.status_code == 403
        assert "deployment" in answer.text
        lms.deployment = "d-2"
        assert visitor.launch(TEACHER).status_code == 303

    def test_each_has_settings_of_its_own(self, opened: Callable[..., Parts], lms: FakePlatform) -> None:
        more = MORE.format(issuer=lms.issuer, client=lms.client_id)
        parts = opened('deployments = ["d-1"]\ncourse = "first-{context.id}"', more=more)
        lms.deployment = "d-2"
        assert Visitor(parts, lms).launch(TEACHER).headers["Location"].endswith("%2Fanatomy-1")
        lms.deployment = "d-1"
        assert Visitor(parts, lms).launch(TEACHER).headers["Location"].endswith("%2Ffirst-anatomy-1")

    def test_nobody_takes_another_s_settings_by_beginning_as_another(
        self, opened: Callable[..., Parts], lms: FakePlatform
    ) -> None:
        """What a sign-in begins with is the browser's to change; what it ends with is signed."""
        more = MORE.format(issuer=lms.issuer, client=lms.client_id)
        visitor = Visitor(opened('course = "first-{context.id}"', more=more), lms)
        lms.deployment = "d-1"
        sent = visitor.sent(TEACHER)
        lms.deployment = "d-2"
        answered = dict(re.findall(r'name="(\w+)" value="([^"]*)"', requests.get(sent, timeout=5).text))
        assert visitor.post("/lti/launch", data=answered).headers["Location"].endswith("%2Fanatomy-1")

    @pytest.mark.parametrize(
        ("pattern", "claims", "course"),
        [
            ("courseId:{context.label}", {}, "courseId:ANATOMY-1"),
            ("{custom.course}", {f"{CLAIM}custom": {"course": "_4_1"}}, "_4_1"),
            ("{context.id}", {f"{CLAIM}context": {"id": 6700}}, "6700"),
            ("x-{lis.course_offering_sourcedid}", {f"{CLAIM}lis": {"course_offering_sourcedid": "bio-9b"}}, "x-bio-9b"),
        ],
    )
    def test_a_course_is_called_as_the_pattern_says(
        self, opened: Callable[..., Parts], lms: FakePlatform, pattern: str, claims: dict[str, Any], course: str
    ) -> None:
        lms.spoil = lambda payload: payload.update(claims)
        answer = Visitor(opened(f'course = "{pattern}"'), lms).launch(TEACHER)
        assert answer.headers["Location"] == f"/import?calendar=demo%2Fcourse%2F{course.replace(':', '%3A')}"

    def test_blackboard_is_asked_which_course_has_that_uuid(
        self, opened: Callable[..., Parts], lms: FakePlatform
    ) -> None:
        """A launch tells the uuid; the right to import is for the course by its primary id, as imports know it."""
        learn = FakeLearn()
        learn.settings.now = NOW.isoformat()
        learn.add_course("_12594_1", "BIO101", "Biology")
        with serving(learn) as url:
            connection = f'[lms.learn]\nbridge = "blackboard"\nurl = "{url}"\nkey = "app-key"\nsecret = "app-secret"'
            parts = opened('course = "uuid:{context.id}"', more=f'{connection}\nzone = "UTC"', of="learn")
            visitor = Visitor(parts, lms)
            answer = visitor.launch(TEACHER, uuid5(NAMESPACE_URL, "_12594_1").hex)
            assert answer.headers["Location"] == "/import?calendar=learn%2Fcourse%2F_12594_1"
            assert visitor.upload("learn/course/courseId:BIO101", calendar(LECTURES)).status_code == 303
            assert visitor.launch(TEACHER, uuid5(NAMESPACE_URL, "_7_1").hex).status_code == 422

    def test_roles_are_a_setting(self, opened: Callable[..., Parts], lms: FakePlatform) -> None:
        visitor = Visitor(opened('teachers = ["urn:school:planner"]'), lms)
        assert visitor.launch(TEACHER).status_code == 403
        lms.people[TEACHER] = ("Ada", ["urn:school:planner"])
        assert visitor.launch(TEACHER).headers["Location"].startswith("/import")

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            ('client_id = "x"', "lti.a: with a client_id it needs issuer and auth_login_url and jwks_url, too"),
            ('course = "anatomy"', "lti.a.course: names no claim"),
            ('course = "{context.id}{secret}"', "lti.a.course: the claims are"),
            ('jwks_url = "http://lms.example.edu/keys"', "lti.a.jwks_url: has to begin with https://"),
            ('sites = ["lms.example.edu"]', "lti.a.sites: 'lms.example.edu' is no site"),
            ('sites = ["https://lms.example.edu; script-src *"]', "is no site"),
        ],
    )
    def test_a_table_that_cannot_be_used_says_why(self, lines: str, said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            parse(f'server.public_url = "{OURS}"\n[lti.a]\nlms = "demo"\n{lines}', {})
        assert said in str(caught.value)

    def test_it_needs_an_address_and_an_lms(self) -> None:
        with pytest.raises(ConfigError) as caught:
            parse('store.url = "postgresql+psycopg://x/y"\n[lti."a/b"]\nlms = "canvas"', {})
        said = "\n".join(caught.value.problems)
        for part in (
            "server.public_url: missing",
            "store.key: missing",
            "no LMS is called 'canvas'",
            "lti.a/b: its name",
        ):
            assert part in said


class TestFrames:
    def test_pages_may_be_framed_by_the_platform_after_a_launch_and_by_nobody_before(
        self, visitor: Visitor, lms: FakePlatform
    ) -> None:
        assert "frame-ancestors 'none'" in visitor.get("/").headers["Content-Security-Policy"]
        there = visitor.address()
        for path in (there, "/import", "/"):
            assert f"frame-ancestors 'self' {lms.issuer};" in f"{visitor.get(path).headers['Content-Security-Policy']};"

    def test_other_sites_are_a_setting(self, opened: Callable[..., Parts], lms: FakePlatform) -> None:
        visitor = Visitor(opened('sites = ["https://learn.example.edu"]'), lms)
        visitor.launch(TEACHER)
        policy = visitor.get("/import").headers["Content-Security-Policy"]
        assert policy.endswith("frame-ancestors 'self' https://learn.example.edu")

    def test_a_refusal_can_be_read_there(self, visitor: Visitor, lms: FakePlatform) -> None:
        lms.spoil = _with("aud", "another")
        assert lms.issuer in visitor.launch(TEACHER).headers["Content-Security-Policy"]

    def test_the_cookies_are_sent_within_a_frame_and_to_us_alone(self, visitor: Visitor, lms: FakePlatform) -> None:
        first = visitor.get("/lti/login", query_string=lms.begun(TEACHER, COURSE))
        last = visitor.launch(TEACHER)
        for answer, name in ((first, "__Host-calbridge_lti"), (last, "__Host-calbridge_launched")):
            (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith(name)]
            told = {each.strip() for each in cookie.split(";")}
            assert {"Secure", "HttpOnly", "SameSite=None", "Partitioned", "Path=/"} <= told
            assert not any(each.startswith("Domain") for each in told)

    def test_without_cookies_one_goes_on_in_a_window_before_the_platform_is_asked(
        self, parts: Parts, lms: FakePlatform
    ) -> None:
        web = browser_without_cookies(parts)
        tried = web.get("/lti/login", query_string=lms.begun(TEACHER, COURSE), base_url=OURS)
        page = web.get(tried.headers["Location"], base_url=OURS)
        link = re.search(r'href="(/lti/login\?[^"]+)" target="_blank"', page.text)
        assert link
        window = Visitor(parts, lms)
        sent = window.get(link[1].replace("&amp;", "&"))
        assert window.get(sent.headers["Location"]).headers["Location"].startswith(f"{lms.issuer}/auth?")

    def test_without_any_cookies_there_is_a_sentence_and_no_circle(self, parts: Parts, lms: FakePlatform) -> None:
        web = browser_without_cookies(parts)
        asked = lms.begun(TEACHER, COURSE) | {"window": "1"}
        page = web.get(web.get("/lti/login", query_string=asked, base_url=OURS).headers["Location"], base_url=OURS)
        assert "no cookies for calbridge at all" in page.text
        assert "/lti/login" not in page.text

    def test_an_administrators_session_and_a_launch_do_not_mix(self, visitor: Visitor, parts: Parts) -> None:
        from app.people import accounts

        accounts.put(parts.engine, "ada", "correct horse battery", NOW - timedelta(minutes=1))
        visitor.post("/sign-in", data={"name": "ada", "password": "correct horse battery"})
        visitor.launch(STUDENT)
        assert visitor.get("/import").status_code == 403
        visitor.post("/sign-in", data={"name": "ada", "password": "correct horse battery"})
        assert visitor.get("/import").status_code == 200
        assert "frame-ancestors 'none'" in visitor.get("/import").headers["Content-Security-Policy"]


def browser_without_cookies(parts: Parts) -> FlaskClient:
    from app import create_app

    return create_app(parts).test_client(use_cookies=False)


class TestDeepLinking:
    def test_a_teacher_lays_a_signed_link_into_the_course(self, visitor: Visitor, lms: FakePlatform) -> None:
        page = visitor.launch(TEACHER, message="LtiDeepLinkingRequest")
        assert page.status_code == 200
        assert f"form-action {lms.issuer};" in page.headers["Content-Security-Policy"]
        assert f'action="{lms.issuer}/links"' in page.text
        token = re.search(r'name="JWT" value="([^"]+)"', page.text)
        assert token
        claims = lms.taken(token[1], visitor.get("/lti/keys").json)
        (item,) = claims["https://purl.imsglobal.org/spec/lti-dl/claim/content_items"]
        assert (item["type"], item["url"]) == ("ltiResourceLink", f"{OURS}/lti/launch")
        assert claims["https://purl.imsglobal.org/spec/lti-dl/claim/data"] == "remember me"
        assert claims[f"{CLAIM}deployment_id"] == "d-1"

    def test_the_platform_need_not_say_for_which_course(self, visitor: Visitor, lms: FakePlatform) -> None:
        lms.spoil = _without(f"{CLAIM}context")
        assert visitor.launch(TEACHER, message="LtiDeepLinkingRequest").status_code == 200

    @pytest.mark.parametrize("taken", [["file"], "ltiResourceLink", None, 7])
    def test_what_else_is_asked_for_is_not_there(self, visitor: Visitor, lms: FakePlatform, taken: Any) -> None:
        settings = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
        lms.spoil = lambda payload: payload[settings].update(accept_types=taken)
        assert visitor.launch(TEACHER, message="LtiDeepLinkingRequest").status_code == 400

    def test_it_opens_no_session(self, visitor: Visitor) -> None:
        visitor.launch(TEACHER, message="LtiDeepLinkingRequest")
        assert not visitor.may_import()

    def test_a_student_lays_none(self, visitor: Visitor) -> None:
        assert visitor.launch(STUDENT, message="LtiDeepLinkingRequest").status_code == 403

    @pytest.mark.parametrize("to", ["", "javascript:alert(1)", "http://evil.example/"])
    def test_a_link_goes_nowhere_unencrypted(self, visitor: Visitor, lms: FakePlatform, to: str) -> None:
        settings = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
        lms.spoil = lambda payload: payload[settings].update(deep_link_return_url=to)
        assert visitor.launch(TEACHER, message="LtiDeepLinkingRequest").status_code == 400

    def test_no_private_key_is_published(self, visitor: Visitor) -> None:
        (key,) = visitor.get("/lti/keys").json["keys"]  # type: ignore[index]
        assert {"kty", "n", "e", "kid"} <= set(key)
        assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)


class TestRegistration:
    def test_a_page_tells_what_to_enter_at_the_lms(self, visitor: Visitor) -> None:
        page = visitor.get("/lti/config/school").text
        for path in ("login", "launch", "keys"):
            assert f'value="{OURS}/lti/{path}"' in page

    def test_it_is_there_before_the_lms_told_anything(self, opened: Callable[..., Parts], lms: FakePlatform) -> None:
        page = Visitor(opened(more='[lti.new]\nlms = "demo"'), lms).get("/lti/config/new").text
        assert "[lti.new] lacks issuer, client_id, auth_login_url, jwks_url" in page

    def test_the_administrator_finds_it_beside_the_connection(self, parts: Parts) -> None:
        assert 'href="/lti/config/school"' in browser(parts).get("/admin/connections").text

    def test_programs_can_read_it(self, visitor: Visitor) -> None:
        told = visitor.get("/lti/config/school.json").json
        assert told
        assert told["redirect_uris"] == [f"{OURS}/lti/launch"]
        assert told["initiate_login_uri"] == f"{OURS}/lti/login"

    def test_there_is_none_for_others(self, visitor: Visitor) -> None:
        assert visitor.get("/lti/config/other").status_code == 404


def test_a_launch_is_noted_by_the_platforms_id_and_without_a_name(visitor: Visitor, parts: Parts) -> None:
    visitor.launch(TEACHER)
    (_, deed), *_ = audit.latest(parts.engine)
    assert (deed.who, deed.what) == (f"school {TEACHER}", "POST /lti/launch")
    assert deed.subject == f"calendar=demo/course/{COURSE} part=teacher"
    assert b"Ada L" not in stores.kept_in(parts.engine)


def test_launches_that_are_over_are_forgotten(visitor: Visitor, parts: Parts, clock: Clock) -> None:
    visitor.launch(TEACHER)
    clock.now += timedelta(days=1, minutes=11)
    assert parts.retention.prune()["lti_nonce"] == 1
