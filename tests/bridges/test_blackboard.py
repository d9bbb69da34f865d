"""Blackboard against a Learn that is as stubborn as the real one: the contract, and what only Blackboard does."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from bridges.blackboard import BlackboardBridge, BlackboardSettings
from bridges.contract import PlainMeter, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Timed, Window
from tests.bridges.contract import AROUND, DAY, HOUR, MONDAY, SPECIMEN, Put, SinkContract, at, key, values
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import serving, session_to

SITE = "https://learn.example.edu"
COURSE = CalendarRef("learn", Kind.COURSE, "_12594_1")
OFFICE = CalendarRef("learn", Kind.OFFICE_HOURS, "_12594_1")
INSTITUTION = CalendarRef("learn", Kind.INSTITUTION)
WEEK = timedelta(weeks=1)
Open = Callable[..., BlackboardBridge]


@pytest.fixture
def learn() -> FakeLearn:
    fake = FakeLearn()
    fake.settings.now = "2025-03-01T08:00:00+00:00"
    return fake


@pytest.fixture
def meter() -> PlainMeter:
    return PlainMeter()


@pytest.fixture
def open_learn(learn: FakeLearn, meter: PlainMeter) -> Open:
    def opened(**more: Any) -> BlackboardBridge:
        given = {"url": SITE, "key": "app-key", "secret": "app-secret", "zone": "America/New_York"}
        settings = BlackboardSettings.model_validate(given | {"backoff_seconds": 0.0} | more)
        tools = Tools(now=lambda: learn.now, session=session_to({SITE: learn}), meter=meter)
        return BlackboardBridge("learn", settings, tools)

    return opened


@pytest.fixture
def bridge(open_learn: Open) -> BlackboardBridge:
    return open_learn()


@pytest.fixture
def seed(learn: FakeLearn, bridge: BlackboardBridge) -> Put:
    return seeder(learn, bridge, type="Course", calendarId="_12594_1")


def seeder(learn: FakeLearn, bridge: BlackboardBridge, **fixed: str) -> Put:
    def seed(event: Event) -> Event:
        fitted = bridge.fit(event)
        assert isinstance(fitted.when, Timed)
        texts = {"title": fitted.title, "description": fitted.text, "location": fitted.place}
        start, end = (learn._stamp(moment) for moment in (fitted.when.start, fitted.when.end))
        learn.put(start=start, end=end, **{name: text for name, text in texts.items() if text}, **fixed)
        return fitted

    return seed


class TestCourse(SinkContract):
    """A course, whose calendar also shows the due dates of its grade columns."""

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return COURSE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(COURSE, id="_404_1")

    @pytest.fixture
    def refused(self) -> list[CalendarRef]:
        return [CalendarRef("learn", Kind.PERSON, "_5_1"), CalendarRef("learn", Kind.ROOM, "4")]

    @pytest.fixture
    def alien(self, learn: FakeLearn, bridge: BlackboardBridge) -> Put:
        def due(event: Event) -> Event:
            assert isinstance(event.when, Timed)
            moment = learn._stamp(event.when.start)
            learn.put(type="GradebookColumn", title=event.title, start=moment, end=moment)
            return replace(event, when=Timed(event.when.start, event.when.start))

        return due

    @pytest.fixture
    def break_lms(self, learn: FakeLearn) -> Callable[[], None]:
        return lambda: learn.faults.append(Fault("status", times=-1))


class TestOfficeHours(TestCourse):
    """The office hours of the same course, a calendar of their own. They hold nothing that may not be written."""

    @pytest.fixture
    def calendar(self, learn: FakeLearn) -> CalendarRef:
        return OFFICE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(OFFICE, id="_404_1")

    @pytest.fixture
    def alien(self) -> None:
        return None

    @pytest.fixture
    def seed(self, learn: FakeLearn, bridge: BlackboardBridge) -> Put:
        return seeder(learn, bridge, type="OfficeHours", calendarId="_12594_1")

    def test_it_lists_the_calendar(self, bridge: Any, calendar: CalendarRef) -> None:
        """Learn lists the course alone; its office hours are found under the course's id."""
        assert replace(calendar, kind=Kind.COURSE) in [each.ref for each in bridge.calendars()]


def window(span: timedelta) -> Window:
    return Window(MONDAY, MONDAY + span)


def add_items(learn: FakeLearn, count: int) -> None:
    for number in range(count):
        learn.put(start=learn._stamp(MONDAY + number * HOUR), end=learn._stamp(MONDAY + (number + 1) * HOUR))


@pytest.mark.parametrize(
    ("span", "calls"),
    [(HOUR, 1), (16 * WEEK, 1), (16 * WEEK + HOUR, 2), (32 * WEEK, 2), (32 * WEEK - HOUR, 2), (53 * WEEK, 4)],
)
def test_a_reading_costs_one_call_for_each_16_weeks(
    bridge: BlackboardBridge, learn: FakeLearn, span: timedelta, calls: int
) -> None:
    bridge.read(COURSE, window(span))
    assert learn.calls == {"token": 1, "items": calls}


def test_a_window_of_odd_microseconds_costs_no_call_more(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    start = MONDAY + timedelta(microseconds=333)
    bridge.read(COURSE, Window(start, start + 16 * WEEK))
    assert learn.calls["items"] == 1


def test_what_lies_across_two_spans_comes_once(bridge: BlackboardBridge, seed: Put) -> None:
    expected = [seed(at(16 * 7 * 24 - 1, length=2 * HOUR)), seed(at(16 * 7 * 24))]
    assert values(bridge.read(COURSE, window(33 * WEEK))) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_are_followed_to_the_end(open_learn: Open, learn: FakeLearn, size: int) -> None:
    add_items(learn, 7)
    assert len(open_learn(page_size=size).read(COURSE, AROUND)) == 7
    assert learn.calls["items"] == -(-7 // size)


def test_calendars_come_page_by_page(open_learn: Open, learn: FakeLearn) -> None:
    learn.add_course("_2_1", "ART5", "Art")
    listed = list(open_learn(page_size=1).calendars())
    assert [(str(each.ref), each.name) for each in listed] == [
        ("learn/institution", "Institution"),
        ("learn/course/_12594_1", "BIO101: Biology"),
        ("learn/course/_2_1", "ART5: Art"),
    ]


def test_an_unscoped_listing_is_refused_before_it_costs_a_call(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    for scope in ({}, {"courseId": ""}, {"type": "OfficeHours"}, {"type": "GradebookColumn"}):
        with pytest.raises(Denied):
            list(bridge._items(bridge._http, scope, MONDAY, MONDAY + WEEK))
    with pytest.raises(Denied):
        list(bridge._items(bridge._http, {"courseId": "_1_1"}, MONDAY, MONDAY + 17 * WEEK))
    with pytest.raises(Denied):
        bridge.read(CalendarRef("learn", Kind.COURSE, ""), AROUND)
    assert not learn.calls


def test_refusals_cost_no_call(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    person = CalendarRef("learn", Kind.PERSON, "_5_1")
    with pytest.raises(Denied, match="by e-mail"):
        bridge.check_target(person)
    with pytest.raises(Denied):
        bridge.read(person, AROUND)
    with pytest.raises(Denied):
        bridge.create(person, key("a"), bridge.fit(SPECIMEN))
    with pytest.raises(Rejected, match="Grade Center"):
        bridge.update(COURSE, RemoteRef("GradebookColumn/_1_1"), bridge.fit(SPECIMEN))
    assert not learn.calls


@pytest.mark.parametrize("name", ["courseId:BIO101", "externalId:sis-BIO101"])
def test_a_course_by_another_name_is_looked_up_once(bridge: BlackboardBridge, learn: FakeLearn, name: str) -> None:
    course = replace(COURSE, id=name)
    bridge.create(course, key("a"), bridge.fit(SPECIMEN))
    assert values(bridge.read(course, AROUND)) == values(bridge.read(COURSE, AROUND)) == [bridge.fit(SPECIMEN)]
    assert learn.calls["course"] == 1


def test_a_course_that_nobody_knows_is_named(bridge: BlackboardBridge) -> None:
    with pytest.raises(Gone, match="no course 'courseId:NONE'"):
        bridge.read(replace(COURSE, id="courseId:NONE"), AROUND)


def test_course_and_office_hours_and_institution_are_apart(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    refs = {each: bridge.create(each, key("a"), bridge.fit(SPECIMEN)) for each in (COURSE, OFFICE, INSTITUTION)}
    for calendar, ref in refs.items():
        assert [found.ref for found in bridge.read(calendar, AROUND)] == [ref]
    assert refs[COURSE] == "Course/_801_1"
    assert [ref.partition("/")[0] for ref in refs.values()] == ["Course", "OfficeHours", "Institution"]


def test_each_write_is_one_call(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    bridge.update(COURSE, ref, bridge.fit(at(1)))
    bridge.delete(COURSE, ref)
    assert learn.calls == {"token": 1, "create": 1, "update": 1, "delete": 1}
    assert [entry["do"] for entry in learn.journal] == ["create", "update", "delete"]


def test_one_item_of_a_series_changes_alone(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    """Three weeks across the start of summer time in New York: 14:00 there, and so in UTC an hour earlier."""
    weekly = {"frequency": "Weekly", "interval": 1, "count": 3, "weekDays": ["Wednesday"]}
    times = {"start": "2025-03-05T19:00:00.000Z", "end": "2025-03-05T20:00:00.000Z"}
    learn._make({"title": "Talk", "recurrence": weekly} | times, type="Course", calendar="_12594_1", author="_1354_1")
    found = bridge.read(COURSE, Window(MONDAY - 10 * DAY, MONDAY + 20 * DAY))
    assert [AROUND.span(each.event.when)[0].hour for each in found] == [19, 18, 18]
    bridge.update(COURSE, found[1].ref, bridge.fit(at(0)))
    bridge.delete(COURSE, found[2].ref)
    items = list(learn.items.values())
    assert [(item["title"], item["recurrence"]["repeatBroken"]) for item in items] == [
        ("Talk", False),
        ("Seminar", True),
    ]


def test_days_become_midnights_of_the_site(bridge: BlackboardBridge) -> None:
    """The clocks of New York go forward on 9 March 2025."""
    fitted = bridge.fit(Event("Break", AllDay(date(2025, 3, 9), date(2025, 3, 10))))
    assert fitted.when == Timed(datetime(2025, 3, 9, 5, tzinfo=UTC), datetime(2025, 3, 10, 4, tzinfo=UTC))


def test_what_has_no_field_is_told_in_words(open_learn: Open) -> None:
    bridge = open_learn(cancelled_prefix="Off:")
    fitted = bridge.fit(SPECIMEN)
    assert fitted.text == f"{SPECIMEN.text}\n\n{SPECIMEN.url}"
    assert (fitted.url, fitted.categories, fitted.status) == ("", (), "confirmed")
    cancelled = bridge.fit(Event("\x00 ", at(0).when, status=type(SPECIMEN.status)("cancelled")))
    assert cancelled.title == "Off: (untitled)"


@pytest.mark.parametrize(
    ("title", "fitted"),
    [
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 254 + "…"),
        ("x" * 253 + "e\u0301" + "y", "x" * 253 + "…"),
        ("x" * 250 + "👩‍🔬yy", "x" * 250 + "…"),
        ("x" * 251 + "👍🏽y", "x" * 251 + "…"),
        ("x" * 249 + "🇩🇪🇫🇷", "x" * 249 + "🇩🇪…"),
        ("🎓" * 200, "🎓" * 127 + "…"),
        ("one\r\ntwo\tthree", "one two three"),
    ],
)
def test_titles_are_cut_between_characters(bridge: BlackboardBridge, title: str, fitted: str) -> None:
    assert bridge.fit(Event(title, at(0).when)).title == fitted


def test_times_are_floored_to_milliseconds_and_last(bridge: BlackboardBridge) -> None:
    odd = MONDAY + timedelta(microseconds=1999)
    assert bridge.fit(Event("x", Timed(odd, odd + HOUR))).when == Timed(
        MONDAY + timedelta(milliseconds=1), MONDAY + HOUR + timedelta(milliseconds=1)
    )
    assert bridge.fit(Event("x", Timed(odd, odd))).when == Timed(
        MONDAY + timedelta(milliseconds=1), MONDAY + timedelta(minutes=1, milliseconds=1)
    )


def test_days_outside_of_the_calendar_are_refused(open_learn: Open) -> None:
    with pytest.raises(Rejected):
        open_learn(zone="Europe/Berlin").fit(Event("x", AllDay(date.min, date(1, 1, 2))))


@pytest.mark.parametrize(
    ("broken", "event"),
    [
        ({"title": None}, Event("(untitled)", at(0).when)),
        ({"title": "a\x00b\ud800c\x1b"}, Event("abc", at(0).when)),
        ({"title": "x" * 65536}, Event("x" * 65536, at(0).when)),
        ({"description": 7, "location": []}, at(0)),
        ({"end": None}, Event("Seminar", Timed(MONDAY, MONDAY))),
        ({"end": "2025-03-01T00:00:00.000Z"}, Event("Seminar", Timed(MONDAY, MONDAY))),
        (
            {"end": "9999-12-31T23:59:59.999Z"},
            Event("Seminar", Timed(MONDAY, datetime.max.replace(microsecond=999000, tzinfo=UTC))),
        ),
    ],
)
def test_broken_items_are_mended(
    bridge: BlackboardBridge, learn: FakeLearn, broken: dict[str, Any], event: Event
) -> None:
    learn.put(**({"start": "2025-03-10T09:00:00.000Z", "end": "2025-03-10T10:00:00.000Z"} | broken))
    assert values(bridge.read(COURSE, AROUND)) == [event]


@pytest.mark.parametrize("broken", [{"start": None}, {"start": "soon"}, {"start": "0001-01-01T00:00:00+05:00"}])
def test_an_item_without_a_time_costs_no_other(
    bridge: BlackboardBridge, learn: FakeLearn, seed: Put, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    learn.put(**({"end": "2025-03-10T10:00:00.000Z"} | broken))
    expected = seed(at(1))
    assert values(bridge.read(COURSE, AROUND)) == [expected]
    assert "left out" in caplog.text


def test_one_token_serves_until_near_its_end(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    bridge.read(COURSE, AROUND)
    learn.settings.now = "2025-03-01T08:58:00+00:00"
    bridge.read(COURSE, AROUND)
    assert learn.calls["token"] == 1
    learn.settings.now = "2025-03-01T08:59:10+00:00"
    bridge.read(COURSE, AROUND)
    assert learn.calls["token"] == 2


def test_a_token_that_died_is_renewed_once_for_all_threads(open_learn: Open, learn: FakeLearn) -> None:
    bridge = open_learn(concurrency=8)
    bridge.read(COURSE, AROUND)
    learn.expire_tokens()
    threads = [threading.Thread(target=bridge.read, args=(COURSE, AROUND)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert learn.calls["token"] == 2
    assert learn.calls["items"] <= 1 + 8 + 8


def test_a_token_that_dies_within_a_write_costs_no_second_write(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    learn.faults.append(Fault("expire", on="create"))
    bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    assert (len(learn.journal), learn.calls["token"], learn.calls["create"]) == (1, 2, 2)


def test_tokens_that_die_always_end_in_denied(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    learn.faults.append(Fault("expire", on="items", times=-1))
    with pytest.raises(Denied, match="sign-in"):
        bridge.read(COURSE, AROUND)
    assert (learn.calls["token"], learn.calls["items"]) == (2, 2)


def test_a_wrong_secret_is_denied_and_not_told(open_learn: Open, learn: FakeLearn) -> None:
    bridge = open_learn(secret="wrong-canary-secret")
    with pytest.raises(Denied, match="Invalid client credentials") as caught:
        bridge.read(COURSE, AROUND)
    assert "canary" not in f"{caught.value!r}{caught.value.raw}{bridge!r}{bridge._settings!r}"
    assert learn.calls == {"token": 1}


def test_a_token_endpoint_that_is_down_is_not_stormed(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    learn.faults.append(Fault("status", on="token", times=-1))
    with pytest.raises(Transient):
        bridge.read(COURSE, AROUND)
    with pytest.raises(Transient):
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    assert learn.calls == {"token": 3 + 1}


@pytest.mark.parametrize("status", [400, 404])
def test_a_token_endpoint_that_refuses_is_no_word_about_an_event(
    open_learn: Open, bridge: BlackboardBridge, learn: FakeLearn, status: int
) -> None:
    ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    learn.faults.append(Fault("status", on="token", status=status, times=-1))
    with pytest.raises(Denied, match="signing in"):
        open_learn().delete(COURSE, ref)
    assert len(learn.items) == 1


@pytest.mark.parametrize("status", [429, 402, 403])
def test_an_empty_quota_stops_everything_until_it_resets(
    bridge: BlackboardBridge, learn: FakeLearn, meter: PlainMeter, status: int
) -> None:
    bridge.read(COURSE, AROUND)
    learn.exhaust(status)
    with pytest.raises(Transient) as caught:
        bridge.read(COURSE, AROUND)
    assert caught.value.retry_after == 900
    calls, spent = learn.calls.total(), meter.calls
    with pytest.raises(Transient, match="2025-03-01 14:00"):
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    assert (learn.calls.total(), meter.calls) == (calls, spent) == (3, 3)
    learn.settings.now, learn.used = "2025-03-01T14:00:00+00:00", 0
    bridge.read(COURSE, AROUND)


def test_the_meter_knows_what_is_left(bridge: BlackboardBridge, meter: PlainMeter) -> None:
    bridge.read(COURSE, AROUND)
    assert meter.last is not None
    assert (meter.last.limit, meter.last.remaining, meter.calls) == (10_000, 9_998, 2)
    assert meter.last.resets_at == datetime(2025, 3, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["lost", "half", "short", "cut", "unheard"])
@pytest.mark.parametrize("deed", ["create", "update", "delete"])
def test_a_write_whose_answer_is_lost_leaves_once(
    bridge: BlackboardBridge, learn: FakeLearn, kind: str, deed: str
) -> None:
    ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    learn.faults.append(Fault(kind, on=deed))
    event = bridge.fit(SPECIMEN)
    deeds: dict[str, Callable[[], Any]] = {
        "create": lambda: bridge.create(COURSE, key("b"), event),
        "update": lambda: bridge.update(COURSE, ref, event),
        "delete": lambda: bridge.delete(COURSE, ref),
    }
    nothing_to_cut = deed == "delete" and kind in ("half", "short", "cut")
    if nothing_to_cut:
        deeds[deed]()
    else:
        with pytest.raises(Transient):
            deeds[deed]()
    landed = kind != "unheard"
    assert learn.calls[deed] == (2 if deed == "create" else 1)
    assert len(learn.journal) == 1 + landed
    if deed == "create":
        assert len(bridge.find(COURSE, key("b"), event)) == landed


@pytest.mark.parametrize("kind", ["status", "unheard", "lost", "half", "short", "cut", "html"])
def test_a_reading_that_stumbles_is_tried_again(
    bridge: BlackboardBridge, learn: FakeLearn, seed: Put, kind: str
) -> None:
    expected = seed(SPECIMEN)
    learn.faults.append(Fault(kind, on="items", times=2))
    assert values(bridge.read(COURSE, AROUND)) == [expected]
    assert learn.calls["items"] == 3


@pytest.mark.parametrize("fault", [Fault("loop", times=-1), Fault("foreign", times=-1), Fault("null", times=-1)])
def test_a_listing_without_an_end_is_no_reading(
    bridge: BlackboardBridge, learn: FakeLearn, seed: Put, fault: Fault
) -> None:
    seed(SPECIMEN)
    learn.faults.append(replace(fault, on="items"))
    with pytest.raises(Transient):
        bridge.read(COURSE, AROUND)
    assert learn.calls["items"] <= 2


def test_a_login_page_is_no_empty_calendar(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    learn.faults.append(Fault("html", on="items", page="login"))
    with pytest.raises(Denied, match="login page"):
        bridge.read(COURSE, AROUND)


def test_a_proxys_404_page_is_not_taken_for_gone(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    for deed in ("update", "delete"):
        learn.faults.append(Fault("html", on=deed, status=404))
    with pytest.raises(Transient):
        bridge.update(COURSE, ref, bridge.fit(at(1)))
    with pytest.raises(Transient):
        bridge.delete(COURSE, ref)


def test_many_503s_at_random_end_well(bridge: BlackboardBridge, learn: FakeLearn, seed: Put) -> None:
    seed(SPECIMEN)
    learn.faults.append(Fault("status", on="items", times=-1, share=0.3))
    readings = whole = 0
    for _ in range(50):
        readings += 1
        try:
            whole += len(bridge.read(COURSE, AROUND))
        except Transient:
            continue
    assert whole >= 45
    assert learn.calls["items"] <= 50 * 2


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_calendar_that_is_off_takes_nothing(bridge: BlackboardBridge, learn: FakeLearn, state: str) -> None:
    learn.courses["_12594_1"].calendar = state
    with pytest.raises(Denied, match="calendar on"):
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))
    if state == "missing":
        with pytest.raises(Gone, match="its calendar is off"):
            bridge.read(COURSE, AROUND)
    else:
        assert bridge.read(COURSE, AROUND) == []


def test_missing_rights_are_denied(bridge: BlackboardBridge, learn: FakeLearn) -> None:
    learn.rights = frozenset({"course.calendar.VIEW"})
    with pytest.raises(Denied, match=r"privileges.*may the application's user create"):
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))


def test_one_call_at_a_time_is_the_default(open_learn: Open, learn: FakeLearn) -> None:
    learn.faults.append(Fault("slow", times=-1, seconds=0.01))
    for bridge, most in ((open_learn(), 1), (open_learn(concurrency=4), 4)):
        learn.most_at_once = 0
        threads = [threading.Thread(target=bridge.read, args=(COURSE, AROUND)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert learn.most_at_once <= most


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://learn.example.edu"},
        {"url": "https://learn.example.edu/learn"},
        {"url": "https://me:it@learn.example.edu"},
        {"url": "learn.example.edu"},
        {"zone": "Mars/Olympus"},
        {"span_weeks": 17},
        {"unknown": 1},
        {"secret": ""},
    ],
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    given = {"url": SITE + "/", "key": "k", "secret": "canary", "zone": "America/New_York"}
    assert BlackboardSettings.model_validate(given).url == SITE
    assert BlackboardSettings.model_validate(given | {"url": "http://127.0.0.1:8123"}).url == "http://127.0.0.1:8123"
    assert "canary" not in repr(BlackboardSettings.model_validate(given))
    with pytest.raises(ValidationError):
        BlackboardSettings.model_validate(given | wrong)


def test_every_setting_is_described() -> None:
    for name, each in BlackboardSettings.model_fields.items():
        assert each.description, name
        assert "\n" not in each.description


def test_the_fake_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fakes", "blackboard", "--journal", str(tmp_path / "journal")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(8)]
            given = tomllib.loads("".join(lines))["lms"]["learn"]
            assert lines[0].strip() == f"# {given['url']}"
            assert given.pop("bridge") == "blackboard"
            tools = Tools(now=lambda: datetime.now(UTC), session=requests.Session)
            bridge = BlackboardBridge("learn", BlackboardSettings.model_validate(given), tools)
            bridge.create(COURSE, key("a"), bridge.fit(SPECIMEN))
        finally:
            process.kill()
    assert (tmp_path / "journal").read_text(encoding="utf-8").count("\n") == 1


@pytest.fixture
def site(learn: FakeLearn) -> Iterator[str]:
    with serving(learn) as url:
        yield url


def test_the_same_holds_over_a_socket(learn: FakeLearn, open_learn: Open, site: str, meter: PlainMeter) -> None:
    settings = open_learn()._settings.model_copy(update={"url": site})
    tools = Tools(now=lambda: learn.now, session=requests.Session, meter=meter)
    bridge = BlackboardBridge("learn", settings, tools)
    event = bridge.fit(SPECIMEN)
    for kind in ("lost", "half", "short"):
        learn.faults.append(Fault(kind, on="create"))
        with pytest.raises(Transient):
            bridge.create(COURSE, key(kind), event)
    learn.faults.append(Fault("half", on="items"))
    assert len(bridge.find(COURSE, key("a"), event)) == 3
    assert len(learn.journal) == 3


def test_the_fake_keeps_a_journal_on_disk(tmp_path: Path) -> None:
    fake = FakeLearn(journal=tmp_path / "journal")
    with serving(fake) as url:
        requests.post(f"{url}/_fake/settings", json={"now": "2025-03-01T08:00:00+00:00"}, timeout=5)
        requests.post(f"{url}/_fake/faults", json={"kind": "lost", "on": "create"}, timeout=5)
        settings = BlackboardSettings.model_validate(
            {"url": url, "key": "app-key", "secret": "app-secret", "zone": "UTC"}
        )
        bridge = BlackboardBridge("learn", settings, Tools(now=lambda: fake.now, session=requests.Session))
        with pytest.raises(Transient):
            bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        state = requests.get(f"{url}/_fake/state", timeout=5).json()
    fake.close()
    assert state["calls"] == {"token": 1, "create": 1}
    assert (tmp_path / "journal").read_text().count('"do": "create"') == 1


@pytest.mark.parametrize("kind", [Kind.COURSE, Kind.OFFICE_HOURS])
def test_all_names_of_a_course_stand_for_one(bridge: BlackboardBridge, learn: FakeLearn, kind: Kind) -> None:
    plain = CalendarRef("learn", kind, COURSE.id)
    for name in (COURSE.id, "courseId:BIO101", "externalId:sis-BIO101"):
        assert bridge.canonical(replace(plain, id=name)) == plain
    assert bridge.canonical(INSTITUTION) == INSTITUTION
    assert learn.calls["course"] == 2
