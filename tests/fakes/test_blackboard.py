"""The fake Learn keeps the rules that the vendor wrote down, and those that a client should never rely on."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import session_to

SITE = "https://learn.example.edu"
API = f"{SITE}/learn/api/public/v1"
ITEMS = f"{API}/calendars/items"
PAIR = ("app-key", "app-secret")
MARCH = {"since": "2025-03-01", "until": "2025-03-31"}
TALK = {
    "type": "Course",
    "calendarId": "_12594_1",
    "title": "Talk",
    "start": "2025-03-05T19:00:00.000Z",
    "end": "2025-03-05T20:00:00.000Z",
}
WEEKLY = {"frequency": "Weekly", "interval": 1, "count": 3, "weekDays": ["Wednesday"]}

Ask = Callable[..., requests.Response]


@pytest.fixture
def learn() -> FakeLearn:
    fake = FakeLearn()
    fake.settings.now = "2025-03-01T08:00:00+00:00"
    return fake


@pytest.fixture
def ask(learn: FakeLearn) -> Ask:
    session = session_to({SITE: learn})()

    def ask(method: str, url: str, **more: Any) -> requests.Response:
        return session.request(method, url, **{"allow_redirects": False} | more)

    return ask


@pytest.fixture
def app(ask: Ask) -> Ask:
    """Calls signed in as an application on its own."""
    token = ask("POST", f"{API}/oauth2/token", data={"grant_type": "client_credentials"}, auth=PAIR).json()
    return signed(ask, token["access_token"])


def signed(ask: Ask, token: str) -> Ask:
    return lambda method, url, **more: ask(method, url, headers={"Authorization": f"Bearer {token}"}, **more)


def visit(learn: FakeLearn, ask: Ask, scope: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Sign a person in through the browser; the form that fetched the token, and the token."""
    learn.visitor = learn.add_user("_5_1", "jdoe", {"_12594_1": "Student"}).id
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    query = {"redirect_uri": "https://sync.example.org/cb", "response_type": "code", "client_id": "app-key"}
    query |= {"scope": scope, "state": "9f3c", "code_challenge": challenge, "code_challenge_method": "S256"}
    answer = ask("GET", f"{API}/oauth2/authorizationcode", params=query)
    given = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert given["state"] == ["9f3c"]
    form = {"grant_type": "authorization_code", "redirect_uri": query["redirect_uri"], "code": given["code"][0]}
    form["code_verifier"] = "v" * 43
    return form, ask("POST", f"{API}/oauth2/token", params=form, auth=PAIR).json()


def test_the_application_gets_the_same_token_with_fewer_seconds(learn: FakeLearn, ask: Ask) -> None:
    ask_for = {"data": {"grant_type": "client_credentials"}, "auth": PAIR}
    first = ask("POST", f"{API}/oauth2/token", **ask_for).json()
    learn.settings.now = "2025-03-01T08:02:35+00:00"
    second = ask("POST", f"{API}/oauth2/token", **ask_for).json()
    assert first["access_token"] == second["access_token"]
    assert (first["expires_in"], second["expires_in"]) == (3599, 3444)


def test_a_person_signs_in_once_for_each_code(learn: FakeLearn, ask: Ask) -> None:
    form, token = visit(learn, ask, "read write delete offline")
    assert len(token["user_id"]) == 32
    again = ask("POST", f"{API}/oauth2/token", data=form, auth=PAIR)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    refresh = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert ask("POST", f"{API}/oauth2/token", data=refresh, auth=PAIR).json()["user_id"] == token["user_id"]
    user = signed(ask, token["access_token"])("GET", f"{API}/users/uuid:{token['user_id']}?fields=id,userName")
    assert user.json() == {"id": "_5_1", "userName": "jdoe"}


def test_only_offline_brings_a_refresh_token(learn: FakeLearn, ask: Ask) -> None:
    _, token = visit(learn, ask, "read")
    assert "refresh_token" not in token
    assert signed(ask, token["access_token"])("POST", ITEMS, json=TALK).status_code == 403


def test_personal_items_are_the_persons_own(learn: FakeLearn, ask: Ask, app: Ask) -> None:
    _, token = visit(learn, ask, "read write")
    person = signed(ask, token["access_token"])
    mine = TALK | {"type": "Personal", "calendarId": "PERSONAL"}
    assert app("POST", ITEMS, json=mine).status_code == 403
    assert person("POST", ITEMS, json=mine).status_code == 201
    assert [item["type"] for item in person("GET", ITEMS, params=MARCH).json()["results"]] == ["Personal"]
    assert app("GET", ITEMS, params=MARCH | {"type": "Personal"}).status_code == 403
    assert "PERSONAL" not in app("GET", f"{API}/calendars").text


def test_an_unscoped_listing_is_marked(learn: FakeLearn, app: Ask) -> None:
    assert app("GET", ITEMS, params=MARCH).status_code == 403
    learn.settings.strict = False
    assert app("GET", ITEMS, params=MARCH).json() == {"results": []}
    assert learn.calls["unscoped"] == 2


@pytest.mark.parametrize(("overlong", "status"), [("refuse", 400), ("cut", 200)])
def test_a_span_has_16_weeks(learn: FakeLearn, app: Ask, overlong: str, status: int) -> None:
    learn.settings.overlong = overlong
    learn.put(start="2025-06-01T00:00:00.000Z", end="2025-06-02T00:00:00.000Z")
    span = {"courseId": "_12594_1", "since": "2025-01-01", "until": "2025-07-01"}
    answer = app("GET", ITEMS, params=span)
    assert answer.status_code == status
    assert not answer.json().get("results")


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        ("", "", 1),
        ("2025-03-05T20", "", 0),
        ("2025-03-05T20:00", "", 1),
        ("", "2025-03-05T19:00:00.000Z", 1),
        ("20250305T2000Z", "", 1),
        ("2025-03-05T16:00-05:00", "", 0),
    ],
)
def test_ends_count_and_dates_have_a_grammar(learn: FakeLearn, app: Ask, since: str, until: str, shown: int) -> None:
    app("POST", ITEMS, json=TALK)
    span = {name: value for name, value in (("since", since), ("until", until)) if value}
    answer = app("GET", ITEMS, params=span | {"courseId": "_12594_1"})
    assert len(answer.json().get("results", [])) == shown
    assert answer.status_code == (400 if since == "2025-03-05T20" else 200)


def test_a_series_stays_on_the_wall_clock_of_the_site(learn: FakeLearn, app: Ask) -> None:
    first = app("POST", ITEMS, json=TALK | {"recurrence": WEEKLY}).json()
    assert first["recurrence"]["originalStart"] == TALK["start"]
    items = app("GET", ITEMS, params=MARCH | {"courseId": "_12594_1", "sort": "start"}).json()["results"]
    assert [item["start"][5:16] for item in items] == ["03-05T19:00", "03-12T18:00", "03-19T18:00"]
    assert [item["id"] for item in items] == ["_801_1", "_802_1", "_803_1"]


@pytest.mark.parametrize(
    ("recurrence", "days"),
    [
        ({"frequency": "Daily", "interval": 2, "until": "2025-03-07T19:00:00.000Z", "count": 9}, [5, 7]),
        ({"frequency": "Weekly", "interval": 2, "count": 3, "weekDays": ["Monday", "Wednesday"]}, [5, 17, 19]),
        ({"frequency": "Monthly", "interval": 1, "count": 2, "monthRepeatDay": 30}, [30]),
        ({"frequency": "Monthly", "interval": 1, "count": 1, "monthPosition": -1, "repeatDay": "Friday"}, [28]),
        ({"frequency": "Monthly", "interval": 1, "count": 1, "monthPosition": 2, "repeatDay": "Tuesday"}, [11]),
    ],
)
def test_series_are_expanded(learn: FakeLearn, app: Ask, recurrence: dict[str, Any], days: list[int]) -> None:
    assert app("POST", ITEMS, json=TALK | {"recurrence": recurrence}).status_code == 201
    items = app("GET", ITEMS, params=MARCH | {"courseId": "_12594_1", "sort": "start"}).json()["results"]
    assert [int(item["start"][8:10]) for item in items] == days


def test_a_series_that_is_changed_is_made_anew(learn: FakeLearn, app: Ask) -> None:
    old = app("POST", ITEMS, json=TALK | {"recurrence": WEEKLY}).json()["id"]
    url = f"{ITEMS}/Course/{old}"
    assert app("PATCH", url, json={"title": "x", "recurrence": WEEKLY}).status_code == 400
    assert app("PATCH", f"{url}?updateSeries=true", json={"title": "x"}).status_code == 400
    new = app("PATCH", f"{url}?updateSeries=true", json={"title": "x", "recurrence": WEEKLY}).json()["id"]
    assert new == "_804_1"
    assert app("GET", url).status_code == 404
    assert app("DELETE", f"{ITEMS}/Course/{new}?deleteSeries=true").status_code == 204
    assert learn.items == {}


def test_one_of_a_series_is_changed_alone(learn: FakeLearn, app: Ask) -> None:
    id = app("POST", ITEMS, json=TALK | {"recurrence": WEEKLY}).json()["id"]
    before = app("GET", f"{ITEMS}/Course/{id}").json()
    after = app("PATCH", f"{ITEMS}/Course/{id}", json={"title": "x"}).json()
    assert after["recurrence"]["repeatBroken"] is True
    assert after["modified"] > before["modified"]
    assert after["start"] == before["start"]


def test_due_dates_move_in_the_gradebook_alone(learn: FakeLearn, app: Ask) -> None:
    moment = "2025-03-14T03:59:00.000Z"
    id = learn.put(type="GradebookColumn", title="Essay", start=moment, end=moment)
    assert app("GET", f"{ITEMS}/GradebookColumn/{id}").json()["modified"] is None
    assert app("PATCH", f"{ITEMS}/GradebookColumn/{id}", json={"title": "x"}).status_code == 403
    assert app("DELETE", f"{ITEMS}/GradebookColumn/{id}").status_code == 403
    column = f"{SITE}/learn/api/public/v2/courses/_12594_1/gradebook/columns/{id}"
    app("PATCH", column, json={"grading": {"due": "2025-03-21T03:59:00.000Z"}})
    item = app("GET", f"{ITEMS}/GradebookColumn/{id}").json()
    assert item["start"] == item["end"] == "2025-03-21T03:59:00.000Z"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"title": ""}, 400),
        ({"title": "x" * 256}, 400),
        ({"title": "🎓" * 128}, 400),
        ({"location": "x" * 1025}, 400),
        ({"end": TALK["start"]}, 400),
        ({"start": "tomorrow"}, 400),
        ({"type": "Party"}, 400),
        ({"type": "GradebookColumn"}, 403),
        ({"type": "OfficeHours"}, 400),
        ({"calendarId": "_404_1"}, 404),
        ({"type": "Institution"}, 400),
    ],
)
def test_what_is_wrong_is_refused(learn: FakeLearn, app: Ask, wrong: dict[str, str], status: int) -> None:
    assert app("POST", ITEMS, json=TALK | wrong).status_code == status
    assert (learn.items, learn.journal) == ({}, [])


def test_lists_are_sorted_and_chosen_and_paged(learn: FakeLearn, app: Ask) -> None:
    for title in ("b", "a", "c"):
        app("POST", ITEMS, json=TALK | {"title": title})
    query = MARCH | {"courseId": "_12594_1", "sort": "start,title(desc)", "fields": "title", "limit": "2"}
    page = app("GET", ITEMS, params=query).json()
    assert page["results"] == [{"title": "c"}, {"title": "b"}]
    assert page["paging"]["nextPage"].startswith("/learn/api/public/v1/calendars/items?")
    assert app("GET", SITE + page["paging"]["nextPage"]).json() == {"results": [{"title": "a"}]}


def test_a_course_is_listed_by_its_primary_id_alone(app: Ask) -> None:
    assert app("GET", ITEMS, params=MARCH | {"courseId": "courseId:BIO101"}).status_code == 400
    course = app("GET", f"{SITE}/learn/api/public/v3/courses/courseId:BIO101?fields=id,name")
    assert course.json() == {"id": "_12594_1", "name": "Biology"}


def test_every_answer_tells_the_quota(learn: FakeLearn, app: Ask) -> None:
    answer = app("GET", f"{API}/calendars")
    assert (answer.headers["X-Rate-Limit-Limit"], answer.headers["X-Rate-Limit-Remaining"]) == ("10000", "9998")
    learn.exhaust(402)
    assert app("GET", f"{API}/calendars").status_code == 402


def test_no_token_and_a_bad_token_are_told_apart(ask: Ask) -> None:
    assert ask("GET", f"{API}/calendars").json()["message"] == "API request is not authenticated."
    assert signed(ask, "stale")("GET", f"{API}/calendars").json()["message"] == "Bearer token is invalid"


def test_faults_strike_as_often_as_told(learn: FakeLearn, app: Ask) -> None:
    learn.faults.append(Fault("status", on="calendars", times=2, after=1, retry_after="7"))
    answers = [app("GET", f"{API}/calendars") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["Retry-After"] == "7"


def test_the_switches_are_reached_over_http(learn: FakeLearn, ask: Ask) -> None:
    ask("POST", f"{SITE}/_fake/courses", json={"id": "_7_1", "course_id": "ART5", "name": "Art"})
    ask("POST", f"{SITE}/_fake/items", json={"title": "Seeded", "start": TALK["start"], "end": TALK["end"]})
    ask("POST", f"{SITE}/_fake/settings", json={"zone": "Europe/Oslo", "rights": [], "exhaust": 429})
    ask("POST", f"{SITE}/_fake/faults", json={"kind": "lost", "on": "create"})
    state = ask("GET", f"{SITE}/_fake/state").json()
    assert [item["title"] for item in state["items"]] == ["Seeded"]
    assert (state["settings"]["zone"], state["faults"][0]["kind"], state["calls"]) == ("Europe/Oslo", "lost", {})
    assert ask("DELETE", f"{SITE}/_fake/faults").json()["faults"] == []
    assert learn.courses["_7_1"].course_id == "ART5"
