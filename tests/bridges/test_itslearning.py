"""The itslearning bridge keeps the contract, and sends what the Organisation API takes: batches, and no key twice."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from bridges.contract import BatchSink, Drop, Keyed, Order, PlainMeter, Tools
from bridges.contract import Put as Write
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, NotSent, Rejected, Transient
from bridges.itslearning import ItslearningBridge, ItslearningSettings, Outcome
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status, SyncKey, Timed, Window
from bridges.soap import ServerFault, parse
from tests.bridges.contract import AROUND, MONDAY, SPECIMEN, Put, SinkContract, at, events, generated, key, values
from tests.fakes import itslearning as fake
from tests.fakes.itslearning import READ, WRITE, FakeItslearning, Fault, Partner, User
from tests.fakes.wsgi import serving, session_to

HOST = "https://migra.example.test"
NOW = datetime(2025, 3, 12, 10, tzinfo=UTC)
COURSE = CalendarRef("its", Kind.COURSE, "CourseSyncKey:bio-9b-2026")
PERSON = CalendarRef("its", Kind.PERSON, "UserSyncKey:teacher-0815")


class Remembering(ItslearningBridge):
    """The bridge with a ledger as the app keeps one: what is to be written is noted before it is sent."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.ledger: dict[str, CalendarRef] = {}
        self.known_keys = self.noted

    def noted(self, calendar: CalendarRef, window: Window) -> list[RemoteRef]:
        return [RemoteRef(key) for key, where in self.ledger.items() if where == calendar]

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        self.ledger[str(key)] = calendar
        return super().create(calendar, key, event)

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> list[Outcome]:
        self.ledger |= {str(order.key): calendar for order in orders if isinstance(order, Write)}
        return super().carry_out(calendar, orders)


def settings(**more: Any) -> ItslearningSettings:
    given = {
        "write_url": HOST + WRITE,
        "read_url": HOST + READ,
        "username": "partner-user",
        "password": "partner-pass",
        "zone": "Europe/Oslo",
        "owner": "UserSyncKey:timetable",
        "calendars": {"course/CourseSyncKey:bio-9b-2026": "Biology 9b"},
        "calls_per_second": 0,
    }
    return ItslearningSettings.model_validate(given | more)


def opened(site: FakeItslearning, sleep: Callable[[float], None] = lambda seconds: None, **more: Any) -> Remembering:
    return Remembering("its", settings(**more), Tools(lambda: NOW, session_to({HOST: site})), sleep=sleep)


def puts(count: int, start: float = 0) -> list[Order]:
    """So many new events, an hour apart, named by their number."""
    return [Write(key(f"event {n}"), at(start + n, title=f"Event {n}")) for n in range(count)]


def errors(outcomes: Sequence[Outcome]) -> list[type[BridgeError] | None]:
    return [type(each) if isinstance(each, BridgeError) else None for each in outcomes]


def titles(site: FakeItslearning) -> list[str]:
    return sorted(event.fields["Title"] for event in site.events.values())


@pytest.fixture
def site() -> FakeItslearning:
    return FakeItslearning()


@pytest.fixture
def bridge(site: FakeItslearning) -> Remembering:
    return opened(site)


class TestItslearning(SinkContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return COURSE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return CalendarRef("its", Kind.COURSE, "CourseSyncKey:none")

    @pytest.fixture
    def refused(self) -> list[CalendarRef]:
        return [
            CalendarRef("theirs", Kind.COURSE, "CourseId:77"),
            CalendarRef("its", Kind.INSTITUTION),
            CalendarRef("its", Kind.ROOM, "1"),
            CalendarRef("its", Kind.COURSE, "77"),
            CalendarRef("its", Kind.COURSE, "CourseId:bio"),
            CalendarRef("its", Kind.PERSON, "CourseId:77"),
        ]

    @pytest.fixture
    def seed(self, bridge: Remembering, site: FakeItslearning, calendar: CalendarRef) -> Put:
        """Another process of ours writes it; the ledger is shared."""
        another = opened(site)
        another.ledger = bridge.ledger

        def put(event: Event) -> Event:
            another.create(calendar, SyncKey("calbridge", uuid4()), another.fit(event))
            return another.fit(event)

        return put

    @pytest.fixture
    def break_lms(self, site: FakeItslearning) -> Callable[[], None]:
        return lambda: site.faults.append(Fault("status", times=-1))

    def test_it_takes_batches_and_asks_for_keys(self, bridge: Remembering) -> None:
        assert isinstance(bridge, BatchSink)
        assert isinstance(bridge, Keyed)


class TestPersonal(TestItslearning):
    """The same for the calendar of a person."""

    @pytest.fixture
    def bridge(self, site: FakeItslearning) -> Remembering:
        return opened(site, owner="", calendars={"person/UserSyncKey:teacher-0815": "Ann"})

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return PERSON

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return CalendarRef("its", Kind.PERSON, "UserId:99")


class TestFit:
    @pytest.mark.parametrize(
        ("title", "fitted"),
        [
            ("", "(untitled)"),
            (" \t\u2028 ", "(untitled)"),
            ("a\nb \x00 c", "a b c"),
            ("x" * 80, "x" * 80),
            ("x" * 81, "x" * 79 + "…"),
            ("word " * 17, "word " * 15 + "word…"),
            ("🎓" * 40, "🎓" * 40),
            ("🎓" * 41, "🎓" * 39 + "…"),
            ("x" * 78 + "e\u0301e", "x" * 78 + "…"),
            ("x" * 76 + "👩‍🔬 and more", "x" * 76 + "…"),
            ("x" * 74 + "🇳🇴🇸🇪", "x" * 74 + "🇳🇴…"),
            ("x" * 78 + "กี้", "x" * 78 + "…"),
        ],
    )
    def test_titles(self, bridge: Remembering, title: str, fitted: str) -> None:
        assert bridge.fit(replace(at(0), title=title)).title == fitted

    def test_a_cancelled_event_says_so_once(self, bridge: Remembering) -> None:
        gone = bridge.fit(replace(at(0), status=Status.CANCELLED))
        assert gone.title == "Cancelled: Seminar"
        assert bridge.fit(replace(gone, status=Status.CANCELLED)) == gone

    def test_what_has_no_field_goes_below_the_text(self, bridge: Remembering) -> None:
        fitted = bridge.fit(SPECIMEN)
        assert fitted.text == (
            "First line, with a comma; a semicolon\nsecond line: née 🧪 & <b>no markup</b>\n\n"
            "Place: Höðr Hall, room 4; desk 🪑\nLink: https://example.edu/events/1?a=1&b=2\nCategories: Lab, Größe, A;B"
        )
        assert (fitted.place, fitted.url, fitted.categories, fitted.status) == ("", "", (), Status.CONFIRMED)

    def test_a_link_that_the_text_has_is_not_said_again(self, bridge: Remembering) -> None:
        fitted = bridge.fit(replace(at(0), text="See https://a.example/x", url="https://a.example/x"))
        assert fitted.text == "See https://a.example/x"

    def test_labels_are_ours_to_choose(self, site: FakeItslearning) -> None:
        fitted = opened(site, place_label="Sted", link_label="", categories_label="").fit(SPECIMEN)
        assert fitted.text.endswith(
            "\n\nSted: Höðr Hall, room 4; desk 🪑\nhttps://example.edu/events/1?a=1&b=2\nLab, Größe, A;B"
        )

    @pytest.mark.parametrize(
        ("first", "after", "start", "end"),
        [
            (date(2025, 3, 30), date(2025, 3, 31), "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"),
            (date(2025, 10, 26), date(2025, 10, 27), "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z"),
            (date(2025, 7, 1), date(2025, 7, 4), "2025-06-30T22:00:00Z", "2025-07-03T22:00:00Z"),
        ],
    )
    def test_days_are_midnights_of_the_site(
        self, bridge: Remembering, site: FakeItslearning, first: date, after: date, start: str, end: str
    ) -> None:
        bridge.create(COURSE, key("a"), bridge.fit(Event("Days", AllDay(first, after))))
        (event,) = site.events.values()
        assert (event.fields["StartDateTime"], event.fields["EndDateTime"]) == (start, end)

    def test_times_are_whole_seconds_and_end_after_they_start(self, bridge: Remembering) -> None:
        start = datetime(2025, 10, 26, 2, 30, 15, 999, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
        when = bridge.fit(Event("x", Timed(start, start))).when
        assert when == Timed(
            datetime(2025, 10, 26, 1, 30, 15, tzinfo=UTC), datetime(2025, 10, 26, 1, 31, 15, tzinfo=UTC)
        )

    @pytest.mark.parametrize("when", [AllDay(date(1, 1, 1), date(1, 1, 2)), AllDay(date(9999, 12, 30), date.max)])
    def test_the_ends_of_time(self, bridge: Remembering, when: AllDay) -> None:
        try:
            fitted = bridge.fit(Event("x", when))
        except Rejected:
            return
        assert bridge.fit(fitted) == fitted

    @generated(100)
    @given(event=events(), letters=st.integers(100, 300))
    @example(event=replace(SPECIMEN, text="x" * 500, place="y" * 90), letters=100)
    def test_a_long_text_is_cut_before_its_place(self, event: Event, letters: int) -> None:
        small = opened(FakeItslearning(), text_letters=letters)
        fitted = small.fit(event)
        assert small.fit(fitted) == fitted
        assert len(fitted.text.encode("utf-16-le")) // 2 <= letters


class TestBatches:
    def test_a_job_costs_the_least_that_the_api_allows(self, site: FakeItslearning) -> None:
        bridge = opened(site, batch=100)
        made = bridge.carry_out(COURSE, puts(501))
        assert made == [str(key(f"event {n}")) for n in range(501)]
        assert site.calls == {"GetMessageTypes": 1, "AddMessage": 6}
        moved: list[Order] = [Write(key(f"event {n}"), at(600 + n), RemoteRef(str(made[n]))) for n in range(250)]
        dropped: list[Order] = [Drop(RemoteRef(str(ref))) for ref in made[250:]]
        assert bridge.carry_out(COURSE, [*dropped, *moved]) == [None] * 251 + made[:250]
        assert site.sent == {fake.CREATE: 6, fake.UPDATE: 3, fake.DELETE: 3}
        assert len(site.events) == 250
        assert site.calls["GetMessageTypes"] == 1

    def test_a_reading_costs_a_call_per_hundred(self, site: FakeItslearning, bridge: Remembering) -> None:
        bridge.carry_out(COURSE, puts(160, -100))
        assert len(bridge.read(COURSE, AROUND)) == 160
        assert site.calls["ReadCalendarEvent"] == 2

    @pytest.mark.parametrize("one_for_all", [False, True])
    @pytest.mark.parametrize("error_status", ["Finished", "Warning", "Error", "Failed"])
    def test_what_is_refused_costs_nobody_else(
        self, site: FakeItslearning, bridge: Remembering, one_for_all: bool, error_status: str
    ) -> None:
        site.courses[0].locked_before = MONDAY
        site.settings.one_for_all, site.settings.error_status = one_for_all, error_status
        outcomes = bridge.carry_out(COURSE, puts(6, -2))
        assert errors(outcomes) == [Rejected, Rejected, None, None, None, None]
        assert "locked" in str(outcomes[0])
        assert titles(site) == ["Event 2", "Event 3", "Event 4", "Event 5"]

    def test_only_the_refused_are_sent_again(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.courses[0].locked_before = MONDAY
        bridge.carry_out(COURSE, puts(6, -2))
        assert site.sent == {fake.CREATE: 3}
        assert site.calls["ReadCalendarEvent"] == 1

    def test_a_batch_that_is_too_big_goes_one_by_one(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.most_events = 3
        assert errors(bridge.carry_out(COURSE, puts(5))) == [None] * 5
        site.settings.most_events, site.settings.most_bytes = 0, 4000
        more: list[Order] = [Write(key(f"more {n}"), at(n, title="More")) for n in range(9)]
        assert errors(bridge.carry_out(COURSE, more)) == [None] * 9
        assert len(site.events) == 14

    def test_refusals_have_their_meaning(self, site: FakeItslearning, bridge: Remembering) -> None:
        bridge.carry_out(COURSE, puts(3))
        site.remove(str(key("event 1")))
        orders: list[Order] = [
            *puts(2),
            Write(key("new"), at(9)),
            Write(key("event 1"), at(8), RemoteRef(str(key("event 1")))),
            Write(key("event 2"), at(7), RemoteRef(str(key("event 2")))),
            Drop(RemoteRef(str(key("event 0")))),
            Drop(RemoteRef("never-there")),
        ]
        assert errors(bridge.carry_out(COURSE, orders)) == [KeyTaken, KeyTaken, None, Gone, None, None, None]

    @pytest.mark.parametrize(
        "wording", ["SyncKey is not unique", "The SyncKey has already been used", "Duplicate sync key", "{key}: sorry"]
    )
    def test_a_used_key_is_known_by_its_wording_or_by_what_stands_there(
        self, site: FakeItslearning, bridge: Remembering, wording: str
    ) -> None:
        site.settings.used_text = wording
        bridge.create(COURSE, key("a"), at(0))
        with pytest.raises(KeyTaken):
            bridge.create(COURSE, key("a"), at(0))

    def test_nothing_is_sent_after_the_lms_went_away(self, site: FakeItslearning) -> None:
        site.faults.append(Fault("status", on="AddMessage", after=1, times=-1))
        outcomes = opened(site, batch=2).carry_out(COURSE, puts(10))
        assert errors(outcomes) == [None, None, *[Transient] * 2, *[NotSent] * 6]
        assert site.calls["AddMessage"] == 2

    def test_no_orders_cost_no_call(self, site: FakeItslearning, bridge: Remembering) -> None:
        assert bridge.carry_out(COURSE, []) == []
        assert not site.calls

    def test_a_target_that_cannot_be_is_an_outcome(self, bridge: Remembering) -> None:
        assert errors(bridge.carry_out(CalendarRef("its", Kind.ROOM, "1"), puts(2))) == [Denied, Denied]
        assert errors(bridge.carry_out(COURSE, [Write(SyncKey("UPPER", uuid4()), at(0))])) == [Denied]
        whole_day = Event("Day", AllDay(date(2025, 3, 10), date(2025, 3, 11)))
        assert errors(bridge.carry_out(COURSE, [Write(key("a"), whole_day)])) == [Rejected]


class TestAnswers:
    def test_a_queue_is_waited_for_longer_and_longer(self, site: FakeItslearning) -> None:
        site.settings.queued = 6
        pauses: list[float] = []
        assert errors(opened(site, pauses.append).carry_out(COURSE, puts(3))) == [None] * 3
        assert pauses == [0.5, 1, 2, 4, 8, 8]
        assert site.calls["GetMessageResult"] == 6

    def test_a_queue_without_end_leaves_it_open(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.queued = 1000
        with pytest.raises(Transient, match="queue"):
            bridge.create(COURSE, key("a"), at(0))
        assert bridge.find(COURSE, key("a"), at(0)) == []
        site.work_off()
        assert bridge.find(COURSE, key("a"), at(0)) == [str(key("a"))]

    def test_a_queued_message_may_be_refused(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.queued = 2
        site.courses[0].locked_before = MONDAY
        assert errors(bridge.carry_out(COURSE, puts(3, -1))) == [Rejected, None, None]

    def test_a_message_that_the_queue_forgot_is_open(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.queued, site.settings.forgets = 2, True
        assert errors(bridge.carry_out(COURSE, puts(2))) == [Transient, Transient]

    @pytest.mark.parametrize("details", ["nil", "one"])
    @pytest.mark.parametrize("forgets", [False, True])
    def test_few_details_are_enough(
        self, site: FakeItslearning, bridge: Remembering, details: str, forgets: bool
    ) -> None:
        site.settings.details, site.settings.forgets = details, forgets
        assert errors(bridge.carry_out(COURSE, puts(4))) == [None] * 4
        assert site.calls["GetMessageResult"] == (details == "nil")

    def test_a_remark_is_checked_by_a_reading(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.put_type = "Warning"
        refs = bridge.carry_out(COURSE, puts(3))
        assert refs == [str(key(f"event {n}")) for n in range(3)]
        assert bridge.update(COURSE, RemoteRef(str(refs[0])), at(9)) == refs[0]
        assert site.calls["ReadCalendarEvent"] == 2
        assert site.sent == {fake.CREATE: 1, fake.UPDATE: 1}

    def test_errors_that_come_only_with_the_result(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.details = "nil"
        site.courses[0].locked_before = MONDAY
        assert errors(bridge.carry_out(COURSE, puts(3, -1))) == [Rejected, None, None]


LOST = [
    Fault("lost"),
    Fault("half"),
    Fault("short"),
    Fault("cut"),
    Fault("late", status=500),
    Fault("late", status=503),
    Fault("late", code="a:InternalServiceFault"),
    Fault("unheard"),
    Fault("status", status=500),
    Fault("status", status=503, retry_after="1"),
    Fault("status", status=429, retry_after="1"),
    Fault("html"),
    Fault("bomb"),
    Fault("fault"),
]


def written(bridge: Remembering, orders: Sequence[Order]) -> None:
    """As a caller does it: after a lost answer look for what landed, and send the rest again under the same keys."""
    for _ in range(20):
        outcomes = bridge.carry_out(COURSE, orders)
        orders = [order for order, outcome in zip(orders, outcomes, strict=True) if isinstance(outcome, BridgeError)]
        assert not any(isinstance(each, (Rejected, Denied)) for each in outcomes)
        orders = [each for each in orders if isinstance(each, Write) and not found(bridge, each)]
        if not orders:
            return
    raise AssertionError("never done")


def found(bridge: Remembering, order: Write) -> list[RemoteRef]:
    try:
        return bridge.find(COURSE, order.key, order.event)
    except Transient:
        return bridge.find(COURSE, order.key, order.event)


class TestLostAnswers:
    @pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind} {fault.status} {fault.code}")
    def test_a_create_leaves_it_open_and_is_found(
        self, site: FakeItslearning, bridge: Remembering, fault: Fault
    ) -> None:
        site.faults.append(replace(fault, on="AddMessage"))
        with pytest.raises(Transient):
            bridge.create(COURSE, key("a"), at(0))
        landed = fault.kind in ("lost", "half", "short", "cut", "late")
        assert bridge.find(COURSE, key("a"), at(0)) == ([str(key("a"))] if landed else [])
        if landed:
            with pytest.raises(KeyTaken):
                bridge.create(COURSE, key("a"), at(0))
        else:
            bridge.create(COURSE, key("a"), at(0))
        assert len(site.events) == 1

    @pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind} {fault.status} {fault.code}")
    def test_updates_and_deletes_are_repeated(self, site: FakeItslearning, bridge: Remembering, fault: Fault) -> None:
        ref = bridge.create(COURSE, key("a"), at(0))
        site.faults.append(replace(fault, on="AddMessage", times=1))
        with pytest.raises(Transient):
            bridge.update(COURSE, ref, at(2))
        bridge.update(COURSE, ref, at(2))
        assert values(bridge.read(COURSE, AROUND)) == [at(2)]
        site.faults.append(replace(fault, on="AddMessage", times=1))
        with pytest.raises(Transient):
            bridge.delete(COURSE, ref)
        bridge.delete(COURSE, ref)
        assert not site.events

    @pytest.mark.parametrize("fault", LOST, ids=lambda fault: f"{fault.kind} {fault.status} {fault.code}")
    @pytest.mark.parametrize("queued", [0, 1])
    def test_fifty_events_stay_fifty_whatever_breaks_at_whichever_call(self, fault: Fault, queued: int) -> None:
        for after in range(8):
            site = FakeItslearning()
            site.settings.queued = queued
            site.faults.append(replace(fault, after=after))
            written(opened(site, batch=15), puts(50))
            assert titles(site) == sorted(f"Event {n}" for n in range(50))

    def test_an_answer_lost_on_the_second_try_is_open(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.courses[0].locked_before = MONDAY
        site.faults.append(Fault("lost", on="AddMessage", after=2))
        assert errors(bridge.carry_out(COURSE, puts(4, -3))) == [Rejected, Transient, Transient, None]

    def test_a_batch_that_landed_unsaid_is_found_when_sent_again(self, site: FakeItslearning) -> None:
        """All were written, and the message was called a failure: the second try says that the keys are used."""
        bridge = opened(site)
        site.settings.error_status = "Error"
        site.courses[0].locked_before = MONDAY
        outcomes = bridge.carry_out(COURSE, puts(3, -1))
        assert errors(outcomes) == [Rejected, None, None]
        assert max(site.created.values()) == 2
        assert len(site.events) == 2


class TestTypes:
    @pytest.mark.parametrize("kind", ["renumber", "swap"])
    @pytest.mark.parametrize("type_fault", ["client", "internal", "status"])
    def test_new_numbers_are_fetched_once(
        self, site: FakeItslearning, bridge: Remembering, kind: str, type_fault: str
    ) -> None:
        site.settings.type_fault = type_fault
        made = bridge.carry_out(COURSE, puts(2))
        site.faults.append(Fault(kind, on="AddMessage"))
        more: list[Order] = [Write(key("more"), at(5, title="More"))]
        assert errors(bridge.carry_out(COURSE, more)) == [None]
        site.faults.append(Fault(kind, on="AddMessage"))
        assert errors(bridge.carry_out(COURSE, [Write(key("x"), at(7), RemoteRef(str(made[0])))])) == [None]
        site.faults.append(Fault(kind, on="AddMessage"))
        assert errors(bridge.carry_out(COURSE, [Drop(RemoteRef(str(made[1])))])) == [None]
        assert site.calls["GetMessageTypes"] == 4
        assert titles(site) == ["More", "Seminar"]

    def test_numbers_may_change_between_the_batch_and_its_single_events(
        self, site: FakeItslearning, bridge: Remembering
    ) -> None:
        site.courses[0].locked_before = MONDAY
        site.settings.one_for_all = True
        bridge.calendars()
        site.faults.append(Fault("renumber", on="AddMessage", after=1))
        assert errors(bridge.carry_out(COURSE, puts(4, -2))) == [Rejected, Rejected, None, None]
        assert site.calls["GetMessageTypes"] == 3

    def test_a_message_without_the_right_is_denied(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.partners["partner-user"] = Partner("partner-pass", frozenset({fake.CREATE, fake.UPDATE}))
        ref = bridge.create(COURSE, key("a"), at(0))
        with pytest.raises(Denied, match=re.escape(fake.DELETE)):
            bridge.delete(COURSE, ref)
        assert [each.writable for each in bridge.calendars()] == [False]

    def test_a_wrong_password_is_denied_and_not_repeated(self, site: FakeItslearning) -> None:
        bridge = opened(site, password="wrong")
        for call in (bridge.calendars, lambda: bridge.create(COURSE, key("a"), at(0))):
            with pytest.raises(Denied, match="sign-in"):
                call()
        assert site.calls == {"GetMessageTypes": 2}

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("w:FailedAuthentication", Denied),
            ("a:AccessDenied", Denied),
            ("s:Client", Rejected),
            ("s:Server", ServerFault),
            ("a:InternalServiceFault", ServerFault),
            ("", Transient),
        ],
    )
    def test_faults_by_meaning(
        self, site: FakeItslearning, bridge: Remembering, code: str, error: type[BridgeError]
    ) -> None:
        site.faults.append(Fault("fault", on="AddMessage", code=code))
        with pytest.raises(error) as caught:
            bridge.create(COURSE, key("a"), at(0))
        assert type(caught.value) is (ServerFault if error is Transient else error)
        assert not site.events

    def test_a_login_page_is_denied_and_a_busy_page_passes(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.faults += [Fault("html", page="login"), Fault("html")]
        with pytest.raises(Denied, match="login"):
            bridge.calendars()
        assert len(bridge.calendars()) == 1

    def test_reads_are_tried_again(self, site: FakeItslearning, bridge: Remembering) -> None:
        bridge.create(COURSE, key("a"), at(0))
        site.faults += [Fault("fault", on="ReadCalendarEvent"), Fault("half", on="ReadCalendarEvent")]
        assert values(bridge.read(COURSE, AROUND)) == [at(0)]
        assert site.calls["ReadCalendarEvent"] == 3


class TestKeys:
    def test_an_event_that_comes_back_comes_under_new_keys(self, site: FakeItslearning, bridge: Remembering) -> None:
        for generation in range(10):
            ref = bridge.create(COURSE, key(f"a/{generation}"), at(0))
            assert values(bridge.read(COURSE, AROUND)) == [at(0)]
            bridge.delete(COURSE, ref)
        assert site.created == Counter({str(key(f"a/{generation}")): 1 for generation in range(10)})
        assert len(site.used) == 10
        assert bridge.read(COURSE, AROUND) == []

    def test_an_event_that_a_person_deleted_is_gone_and_its_key_spent(
        self, site: FakeItslearning, bridge: Remembering
    ) -> None:
        ref = bridge.create(COURSE, key("a"), at(0))
        site.remove(ref)
        with pytest.raises(Gone):
            bridge.update(COURSE, ref, at(1))
        with pytest.raises(KeyTaken):
            bridge.create(COURSE, key("a"), at(1))
        bridge.delete(COURSE, ref)
        bridge.create(COURSE, key("a/1"), at(1))
        assert values(bridge.read(COURSE, AROUND)) == [at(1)]

    def test_partners_have_keys_of_their_own(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.partners["other"] = Partner("secret")
        other = opened(site, username="other", password="secret")
        bridge.create(COURSE, key("a"), at(0))
        other.create(COURSE, key("a"), at(1))
        assert values(bridge.read(COURSE, AROUND)) == [at(0)]
        assert values(other.read(COURSE, AROUND)) == [at(1)]

    def test_an_update_never_moves_an_event(self, site: FakeItslearning, bridge: Remembering) -> None:
        ref = bridge.create(COURSE, key("a"), at(0))
        with pytest.raises(Rejected, match="another calendar"):
            bridge.update(PERSON, ref, at(0))

    def test_what_is_left_out_is_cleared_even_so(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.keep_omitted = True
        ref = bridge.create(COURSE, key("a"), bridge.fit(SPECIMEN))
        bridge.update(COURSE, ref, at(0))
        assert values(bridge.read(COURSE, AROUND)) == [at(0)]


class TestReading:
    def test_without_a_ledger_there_is_nothing_to_ask_for(self, bridge: Remembering) -> None:
        bridge.known_keys = None
        with pytest.raises(Denied, match="keys"):
            bridge.read(COURSE, AROUND)

    def test_a_calendar_is_readable_where_something_of_ours_is(self, bridge: Remembering) -> None:
        with pytest.raises(Denied):
            bridge.read(PERSON, AROUND)
        bridge.create(PERSON, key("a"), at(0))
        assert values(bridge.read(PERSON, AROUND)) == [at(0)]

    def test_what_people_changed_is_read(self, site: FakeItslearning, bridge: Remembering) -> None:
        ref = bridge.create(COURSE, key("a"), bridge.fit(SPECIMEN))
        site.settings.french = True
        site.edit(
            ref,
            Title="Moved",
            StartDateTime="2025-03-11T10:00:00.1234567+01:00",
            EndDateTime="2025-03-11T10:00:00",
            Description="<div>Bring<br/>a&nbsp; coat<ul><li>one</li><li>two</li></ul><a href='https://x.example/'>here</a>"
            "<a href='javascript:x'>there</a><script>alert(1)</script></div>",
        )
        (found,) = bridge.read(COURSE, AROUND)
        assert found.event == Event(
            "Moved",
            Timed(datetime(2025, 3, 11, 9, tzinfo=UTC), datetime(2025, 3, 11, 10, tzinfo=UTC)),
            text="Bring\na coat\n\n- one\n- two\n\nhere (https://x.example/)there",
        )

    def test_an_event_without_its_time_breaks_the_reading(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.edit(bridge.create(COURSE, key("a"), at(0)), StartDateTime="")
        with pytest.raises(Transient):
            bridge.read(COURSE, AROUND)

    def test_unknown_keys_may_be_faults(self, site: FakeItslearning) -> None:
        site.settings.unknown_key = "fault"
        bridge = opened(site, unknown_key_faults=True)
        bridge.carry_out(COURSE, puts(3))
        site.remove(str(key("event 1")))
        assert len(bridge.read(COURSE, AROUND)) == 2
        assert bridge.find(COURSE, key("none"), at(0)) == []
        with pytest.raises(ServerFault):
            opened(site).find(COURSE, key("none"), at(0))

    def test_a_read_that_the_lms_does_not_know_is_no_silence(self, site: FakeItslearning) -> None:
        bridge = opened(site, read_action="http://tempuri.org/IReadDataService/ReadCalendarEvents")
        bridge.create(COURSE, key("a"), at(0))
        with pytest.raises(Denied):
            bridge.read(COURSE, AROUND)
        with pytest.raises(Denied):
            bridge.find(COURSE, key("a"), at(0))


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "javascript:alert(1) data:text/html,<b>x</b>",
    "<svg/onload=alert(1)>",
    "]]> & <!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]> &y; &lt;b&gt;",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/?a=1&b=<2>&amp;c;",
    "<!-- --><p>a</p><br>--></Description></Event>",
    "\u2028x\u0085y\u00a0z\u200b\ufeff\ufffe",
]


class TestMarkup:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_text_stays_text(self, site: FakeItslearning, bridge: Remembering, text: str) -> None:
        fitted = bridge.fit(replace(at(0), title=text, text=text, place=text, url=text, categories=(text,)))
        bridge.create(COURSE, key("a"), fitted)
        assert values(bridge.read(COURSE, AROUND)) == [fitted]
        (event,) = site.events.values()
        tree = parse(f"<x>{event.fields['Description'].replace('<br />', '<br></br>')}</x>")
        assert {each.tag for each in tree.iter()} <= {"x", "p", "br", "a"}
        assert all(href.startswith("https://x.example/") for href in tree.xpath("//@href"))

    def test_what_is_sent_is_cleaned_already(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.tags = "p br a"
        bridge.create(COURSE, key("a"), bridge.fit(SPECIMEN))
        (event,) = site.events.values()
        link = "https://example.edu/events/1?a=1&amp;b=2"
        assert event.fields["Description"].splitlines()[3] == (
            f'Link: <a href="{link}" rel="noopener noreferrer">{link}</a><br />'
        )

    def test_links_can_be_off(self, site: FakeItslearning) -> None:
        site.settings.tags = "p br"
        bridge = opened(site, links=False)
        fitted = bridge.fit(SPECIMEN)
        bridge.create(COURSE, key("a"), fitted)
        assert "<a" not in next(iter(site.events.values())).fields["Description"]
        assert values(bridge.read(COURSE, AROUND)) == [fitted]

    @generated(60)
    @given(text=st.text(st.sampled_from("ab <>&;'\"\n\t#x/:.?\u00a0é🎓p"), max_size=60))
    @example(text="http://a.b/&amp")
    @example(text="&#x0;&nbsp;<p>\n\n\n<br>")
    def test_any_text_comes_back(self, bridge: Remembering, text: str) -> None:
        fitted = bridge.fit(replace(at(0), text=f"https://a {text}"))
        ref = bridge.create(COURSE, SyncKey("calbridge", uuid4()), fitted)
        read = bridge.read(COURSE, AROUND)
        bridge.delete(COURSE, ref)
        assert values(read) == [fitted]


class TestXml:
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"nothing",
            b"<a><b></a>",
            b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><a>&x;</a>',
            b"<!DOCTYPE html><a/>",
            b"<a>" * 100_000 + b"</a>" * 100_000,
            b"<a " + b" ".join(b"x%d='1'" % n for n in range(10**6)) + b"/>",
            b'<?xml version="1.0" encoding="utf-16"?><a/>',
            b"<a>\xff</a>",
            b"<a>\x00</a>",
        ],
        ids=range(12),
    )
    def test_bombs_and_rubbish_are_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError):
            parse(text)

    def test_an_inclusion_is_left_alone(self) -> None:
        root = parse('<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></a>')
        assert root[0].text is None

    def test_every_switch_of_the_sign_in_is_taken(self, site: FakeItslearning) -> None:
        bridge = opened(site, password_type=False, must_understand=True, timestamp=True, keep_alive=True)
        bridge.create(COURSE, key("a"), at(0))

    def test_every_tag_is_taken(self, site: FakeItslearning) -> None:
        bridge = opened(site, site_id=3, vendor_id="calbridge", lock_titles=True)
        ref = bridge.create(COURSE, key("a"), at(0))
        (event,) = site.events.values()
        assert (event.fields["VendorId"], event.fields["TitleReadOnlyInUi"]) == ("calbridge", "true")
        assert (event.user, event.course) == (User(7, "timetable"), site.courses[0])
        bridge.delete(COURSE, ref)
        assert not site.events

    def test_people_and_courses_go_by_number_too(self, site: FakeItslearning) -> None:
        bridge = opened(site, owner="UserId:1488")
        bridge.create(CalendarRef("its", Kind.COURSE, "CourseId:77"), key("a"), at(0))
        bridge.create(CalendarRef("its", Kind.PERSON, "UserId:7"), key("b"), at(0))
        course, personal = site.events.values()
        assert (course.user.id, course.course) == (1488, site.courses[0])
        assert (personal.user.id, personal.course) == (7, None)


class TestSchema:
    def test_it_agrees_with_us(self, site: FakeItslearning, bridge: Remembering) -> None:
        site.settings.schemas = True
        told = bridge.schema()
        assert told.types[fake.CREATE] == site.types[fake.CREATE]
        assert told.documents[fake.DELETE] == fake.DELETE_XSD.strip()
        assert list(told.differences) == []

    def test_its_differences_are_named(self, site: FakeItslearning, monkeypatch: pytest.MonkeyPatch) -> None:
        site.settings.schemas = True
        site.partners["partner-user"] = Partner("partner-pass", frozenset({fake.CREATE, fake.UPDATE}))
        strange = fake.EVENT_XSD.replace('name="Title"', 'name="Heading"').replace(
            'name="StartDateTime"', 'name="From"'
        )
        monkeypatch.setitem(fake.DOCUMENTS, fake.CREATE, strange)
        monkeypatch.setitem(fake.DOCUMENTS, fake.UPDATE, "no XML")
        differences = opened(site).schema().differences
        assert f"{fake.CREATE}: we send StartDateTime, which the schema does not know" in differences
        assert f"{fake.CREATE}: the schema wants From, which we do not send" in differences
        assert any(each.startswith(f"{fake.UPDATE}: the site's schema cannot be read") for each in differences)
        assert f"{fake.DELETE}: these credentials may not send it" in differences

    def test_no_schema_is_said(self, bridge: Remembering) -> None:
        assert len([each for each in bridge.schema().differences if "sent no schema" in each]) == 3


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"write_url": "http://migra.example.test/DataService.svc"},
            {"read_url": "https://migra.example.test"},
            {"zone": "Europe/Oslow"},
            {"owner": "timetable"},
            {"owner": "CourseId:7"},
            {"calendars": {"course/77": "x"}},
            {"calendars": {"room/1": "x"}},
            {"vendor_id": "x" * 37},
            {"batch": 501},
            {"read_batch": 101},
            {"used_key_words": "("},
            {"user": "x"},
        ],
    )
    def test_what_cannot_be_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            settings(**wrong)

    def test_the_password_is_shown_nowhere(self, site: FakeItslearning) -> None:
        bridge = opened(site, password="hunter2-hunter2")
        with pytest.raises(Denied) as caught:
            bridge.calendars()
        assert "hunter2" not in f"{bridge!r} {settings(password='hunter2-hunter2')!r} {caught.value} {caught.value.raw}"

    def test_a_course_needs_an_owner(self, site: FakeItslearning) -> None:
        with pytest.raises(Denied, match="owner"):
            opened(site, owner="").check_target(COURSE)

    def test_calls_are_paced(self, site: FakeItslearning) -> None:
        pauses: list[float] = []
        bridge = opened(site, pauses.append, calls_per_second=2)
        bridge.create(COURSE, key("a"), at(0))
        bridge.find(COURSE, key("a"), at(0))
        assert [round(pause, 1) for pause in pauses] == [0.5, 1.0]

    def test_calls_are_counted(self, site: FakeItslearning) -> None:
        meter = PlainMeter()
        bridge = ItslearningBridge("its", settings(), Tools(lambda: NOW, session_to({HOST: site}), meter))
        bridge.create(COURSE, key("a"), at(0))
        assert meter.calls == 2


def test_it_works_over_a_real_line(site: FakeItslearning) -> None:
    with serving(site) as url:
        given = settings(write_url=url + WRITE, read_url=url + READ)
        bridge = Remembering("its", given, Tools(lambda: NOW, requests.Session))
        assert errors(bridge.carry_out(COURSE, puts(3))) == [None] * 3
        requests.delete(f"{url}/_fake/events/{key('event 1')}", timeout=5)
        requests.post(f"{url}/_fake/faults", json={"kind": "lost", "on": "AddMessage"}, timeout=5)
        with pytest.raises(Transient):
            bridge.delete(COURSE, RemoteRef(str(key("event 2"))))
        state = requests.get(f"{url}/_fake/state", timeout=5).json()
    assert [each["Title"] for each in state["events"]] == ["Event 0"]
    assert len(state["used"]) == 3


def test_the_fake_keeps_to_the_order_of_elements(site: FakeItslearning) -> None:
    event = "<Event><Title>x</Title><StartDateTime>2025-03-10T09:00:00Z</StartDateTime></Event>"
    data = f'<Message xmlns="urn:message-schema"><Events>{event}</Events></Message>'
    with pytest.raises(fake.Invalid):
        fake._valid(fake.CREATE, data, 0)
    assert etree.XMLSchema(etree.fromstring(fake.EVENT_XSD))
