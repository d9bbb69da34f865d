"""Invitations by e-mail keep a Sink's contract, as a calendar client at the other end of a real SMTP server sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import icalendar
import pytest
from dateutil.rrule import rrulestr
from pydantic import ValidationError

from bridges.contract import BatchSink, Drop, Order, PlainMeter, PlainVault, Put, Tools
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient
from bridges.imip import ImipBridge, ImipSettings
from bridges.model import AllDay, Calendar, CalendarRef, Event, Found, Kind, RemoteRef, Status, SyncKey, Timed, Window
from tests.bridges.contract import AROUND, DAY, HOUR, MONDAY, NEW_YORK, SPECIMEN, SinkContract, at, key
from tests.bridges.contract import Put as PutEvent
from tests.fakes.smtp import FakeRelay, certificate

ANN = CalendarRef("mail", Kind.PERSON, "ann@example.edu")
STAFF = CalendarRef("mail", Kind.PERSON, "staff")
MEMBERS = ["ann@example.edu", "bob@example.edu", "cy@example.org"]
YEAR = Window(MONDAY - 180 * DAY, MONDAY + 180 * DAY)


class Clock:
    now = datetime(2025, 3, 1, 8, tzinfo=UTC)


@dataclass
class Client:
    """A calendar client over one person's messages: it obeys METHOD, UID, SEQUENCE and RECURRENCE-ID."""

    entries: dict[tuple[str, str], Any] = field(default_factory=dict)

    def take(self, message: EmailMessage) -> None:
        (part,) = [each for each in message.walk() if each.get_content_type() == "text/calendar"]
        calendar = body(message)
        assert part.get_param("method") == calendar["METHOD"]
        if calendar["METHOD"] != "PUBLISH":
            assert len({str(event["UID"]) for event in calendar.events}) == 1
        for event in calendar.events:
            self._apply(event)

    def _apply(self, event: Any) -> None:
        name = (str(event["UID"]), _slot(event))
        known = self.entries.get(name)
        if known is not None and known["SEQUENCE"] > event["SEQUENCE"]:
            return
        if event["STATUS"] == "CANCELLED" and not name[1]:
            for other in [other for other in self.entries if other[0] == name[0]]:
                self.entries[other] = event
        self.entries[name] = event

    def found(self) -> Iterator[Found]:
        for (uid, slot), entry in self.entries.items():
            if entry["STATUS"] == "CANCELLED":
                continue
            event = _event(entry)
            ref = RemoteRef(f"{uid} {entry['SEQUENCE']} - -")
            if "RRULE" not in entry:
                yield Found(ref, event)
            for start in _dates(entry) if "RRULE" in entry else ():
                if (uid, _text(start)) not in self.entries:
                    length = event.when.end - event.when.start
                    timed = isinstance(start, datetime)
                    when = Timed(start, start + length) if timed else AllDay(start, start + length)
                    yield Found(RemoteRef(f"{ref}/{slot}{_text(start)}"), replace(event, when=when))


def _text(moment: datetime | date) -> str:
    return icalendar.vDDDTypes(moment).to_ical().decode()


def _slot(entry: Any) -> str:
    return _text(entry["RECURRENCE-ID"].dt) if "RECURRENCE-ID" in entry else ""


def _dates(entry: Any) -> list[Any]:
    start = entry["DTSTART"].dt
    timed = isinstance(start, datetime)
    first = start.replace(tzinfo=None) if timed else datetime(start.year, start.month, start.day)
    exdates = entry.get("EXDATE", [])
    out = {each.dt for listed in (exdates if isinstance(exdates, list) else [exdates]) for each in listed.dts}
    slots = rrulestr(entry["RRULE"].to_ical().decode(), dtstart=first)
    moments: list[datetime | date] = [slot.replace(tzinfo=UTC) if timed else slot.date() for slot in slots]
    return [moment for moment in moments if moment not in out]


def _event(entry: Any) -> Event:
    start = entry["DTSTART"].dt
    end = entry["DTEND"].dt if "DTEND" in entry else start
    return Event(
        title=str(entry["SUMMARY"]),
        when=Timed(start, end) if isinstance(start, datetime) else AllDay(start, end),
        text=str(entry.get("DESCRIPTION", "")),
        place=str(entry.get("LOCATION", "")),
        categories=tuple(str(each) for each in entry["CATEGORIES"].cats) if "CATEGORIES" in entry else (),
        url=str(entry.get("URL", "")),
        status=Status(str(entry["STATUS"]).lower()),
    )


class ReadableImip(ImipBridge):
    """The bridge, and people's calendars at the other end of the relay, to be read back."""

    relay: FakeRelay

    def calendars(self) -> Sequence[Calendar]:
        self._look()
        return [Calendar(ANN, "Ann", writable=True)]

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        self._look()
        if not self.relay.knows(calendar.id):
            raise Gone(f"there is no {calendar.id}")
        client = Client()
        for message in self.relay.mail_to(calendar.id):
            client.take(message)
        inside = [each for each in client.found() if window.overlaps(each.event.when)]
        return sorted(inside, key=lambda each: (window.span(each.event.when)[0], each.ref))

    def _look(self) -> None:
        if not self.relay.running:
            raise Transient("nobody can look into a mailbox whose server is away")


def opened(relay: FakeRelay, vault: PlainVault | None = None, **settings: Any) -> ReadableImip:
    given = {"host": "127.0.0.1", "port": relay.port, "security": "none", "sender": "calendar@example.edu"}
    tools = Tools(now=lambda: Clock.now, session=no_session, meter=PlainMeter(), vault=vault or PlainVault())
    bridge = ReadableImip("mail", ImipSettings.model_validate(given | settings), tools)
    bridge.relay = relay
    return bridge


def no_session() -> Any:
    raise AssertionError("mail needs no HTTP")


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay(unknown={"nobody@example.edu"}) as relay:
        yield relay


@pytest.fixture
def bridge(relay: FakeRelay) -> ReadableImip:
    return opened(relay)


class ImipContract(SinkContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return ANN

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return CalendarRef("mail", Kind.PERSON, "nobody@example.edu")

    @pytest.fixture
    def refused(self) -> list[CalendarRef]:
        kinds = [CalendarRef("mail", Kind.COURSE, "ann@example.edu"), CalendarRef("mail", Kind.INSTITUTION)]
        people = ["nobody", "a@b", "ann@example.edu\r\nBcc: x@example.edu", "Ann <ann@example.edu>", "é@example.edu"]
        return [*kinds, *(CalendarRef("mail", Kind.PERSON, id) for id in people), replace(ANN, lms="other")]

    @pytest.fixture
    def seed(self, relay: FakeRelay) -> PutEvent:
        another = opened(relay)

        def put(event: Event) -> Event:
            another.create(ANN, key(repr(event)), another.fit(event))
            return another.fit(event)

        return put

    @pytest.fixture
    def break_lms(self, relay: FakeRelay) -> Callable[[], None]:
        return relay.stop

    def test_a_broken_lms_is_never_a_success(
        self, bridge: Any, calendar: CalendarRef, break_lms: Callable[[], None]
    ) -> None:
        """But `find` asks our own memory, which is there while mail is away."""
        event = bridge.fit(at(0))
        ref = bridge.create(calendar, key("a"), event)
        break_lms()
        with pytest.raises(Transient):
            bridge.update(calendar, ref, bridge.fit(at(3)))
        with pytest.raises(Transient):
            bridge.delete(calendar, ref)
        with pytest.raises(Transient):
            bridge.create(calendar, key("b"), event)
        assert bridge.find(calendar, key("a"), event) == [ref]
        assert bridge.find(calendar, key("b"), event) == []


class TestRequest(ImipContract):
    @pytest.fixture
    def bridge(self, relay: FakeRelay) -> ReadableImip:
        return opened(relay)


class TestPublish(ImipContract):
    @pytest.fixture
    def bridge(self, relay: FakeRelay) -> ReadableImip:
        return opened(relay, method="publish")


def weekly(count: int, *, skip: Sequence[int] = (), days: int = 7, **more: Any) -> list[Event]:
    """Lectures at 09:00 in New York from 3 March 2025; the clocks change on the 9th."""
    first = datetime(2025, 3, 3, 9, tzinfo=NEW_YORK)
    starts = [first + number * days * DAY for number in range(count) if number not in skip]
    return [Event("Anatomy", Timed(start, start + HOUR), **more) for start in starts]


def puts(bridge: ImipBridge, events: Sequence[Event]) -> list[Put]:
    return [Put(key(str(number)), bridge.fit(event)) for number, event in enumerate(events)]


def shown(bridge: ReadableImip, calendar: CalendarRef = ANN) -> list[Event]:
    return [each.event for each in bridge.read(calendar, YEAR)]


def ordered(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (YEAR.span(event.when)[0], event.title))


def refs(outcomes: Sequence[RemoteRef | BridgeError | None]) -> list[RemoteRef]:
    assert all(isinstance(each, str) for each in outcomes), outcomes
    return [RemoteRef(each) for each in outcomes if isinstance(each, str)]


def body(message: EmailMessage) -> Any:
    """The calendar part, parsed."""
    (part,) = [each for each in message.walk() if each.get_content_type() == "text/calendar"]
    return icalendar.Calendar.from_ical(part.get_content())


class TestMessage:
    def test_it_has_text_page_calendar_and_file(self, relay: FakeRelay) -> None:
        bridge = opened(relay, sender_name="Timetables", zone="Europe/Oslo")
        bridge.create(ANN, key("a"), bridge.fit(SPECIMEN))
        (received,) = relay.received
        message = received.message
        assert (received.sender, received.recipients) == ("calendar@example.edu", ("ann@example.edu",))
        assert message["From"] == "Timetables <calendar@example.edu>"
        assert message["To"] == "ann@example.edu"
        assert message["Subject"] == SPECIMEN.title
        assert message["Auto-Submitted"] == "auto-generated"
        assert [part.get_content_type() for part in message.walk()] == [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "text/calendar",
            "application/ics",
        ]
        text, page, calendar, attached = (part for part in message.walk() if not part.is_multipart())
        assert "Monday 2025-03-10, 10:00-11:00 (Europe/Oslo)" in text.get_content()
        assert "&lt;b&gt;no markup&lt;/b&gt;" in page.get_content()
        assert '<a href="https://example.edu/events/1?a=1&amp;b=2">' in page.get_content()
        assert calendar["Content-Type"].params == {"charset": "utf-8", "method": "REQUEST", "component": "VEVENT"}
        assert attached.get_content() == calendar.get_content().encode()

    def test_an_invitation_names_who_invites_whom(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        bridge.create(ANN, key("a"), bridge.fit(at(0)))
        (event,) = body(relay.received[0].message).events
        assert event["ORGANIZER"] == "mailto:calendar@example.edu"
        assert event["ATTENDEE"] == "mailto:ann@example.edu"
        assert event["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"
        assert event["UID"] == str(key("a"))

    def test_names_come_from_the_key_alone(self, relay: FakeRelay) -> None:
        for _ in range(2):
            bridge = opened(relay)
            bridge.create(ANN, key("a"), bridge.fit(at(0)))
        one, two = relay.mail_to(ANN.id)
        assert one["Message-ID"] == two["Message-ID"]
        assert body(one) == body(two)

    def test_changes_and_cancellations_say_so(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        ref = bridge.create(ANN, key("a"), bridge.fit(at(0)))
        ref = bridge.update(ANN, ref, bridge.fit(at(1)))
        bridge.delete(ANN, ref)
        messages = relay.mail_to(ANN.id)
        assert [each["Subject"] for each in messages] == ["Seminar", "Changed: Seminar", "Cancelled: Seminar"]
        assert len({each["Message-ID"] for each in messages}) == 3
        bodies = [body(each) for each in messages]
        assert [each["METHOD"] for each in bodies] == ["REQUEST", "REQUEST", "CANCEL"]
        assert [each.events[0]["SEQUENCE"] for each in bodies] == [0, 1, 2]
        assert bodies[2].events[0]["DTSTART"].dt == MONDAY + HOUR

    def test_what_did_not_change_is_not_sent(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        ref = bridge.create(ANN, key("a"), bridge.fit(at(0)))
        assert bridge.update(ANN, ref, bridge.fit(at(0))) == ref
        assert len(relay.received) == 1

    def test_no_field_can_add_a_header_or_an_event(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        evil = 'x\r\nBcc: eve@example.edu\r\n\r\nBEGIN:VEVENT\nUID:evil\u2028\x85;,:"\\n'
        event = bridge.fit(Event(evil, at(0).when, evil, evil, (evil, "b"), f"https://example.edu/{evil}"))
        bridge.create(ANN, key("a"), event)
        (received,) = relay.received
        assert received.recipients == ("ann@example.edu",)
        assert sorted(received.message.keys()) == sorted(
            ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
        )
        assert shown(bridge) == [event]

    def test_a_cancelled_event_stays_with_a_word(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        fitted = bridge.fit(replace(at(0), status=Status.CANCELLED))
        assert (fitted.title, fitted.status) == ("Cancelled: Seminar", Status.CONFIRMED)

    def test_days_are_told_as_days(self, relay: FakeRelay) -> None:
        bridge = opened(relay, attach=False)
        bridge.create(ANN, key("a"), Event("Fair", AllDay(date(2025, 3, 10), date(2025, 3, 12))))
        text = next(part for part in relay.received[0].message.walk() if part.get_content_type() == "text/plain")
        assert "Monday 2025-03-10 to Tuesday 2025-03-11" in text.get_content()
        assert [part.get_content_type() for part in relay.received[0].message.walk()][-1] == "text/calendar"

    @pytest.mark.parametrize("year", [1, 9999])
    def test_years_that_no_zone_can_show_are_refused(self, bridge: ReadableImip, year: int) -> None:
        start = datetime(year, 6, 1, tzinfo=UTC)
        for when in (Timed(start, start), AllDay(start.date(), start.date() + DAY)):
            with pytest.raises(Rejected):
                bridge.fit(Event("far", when))


class TestSeries:
    def test_a_term_is_one_message_on_either_side_of_the_clock_change(
        self, relay: FakeRelay, bridge: ReadableImip
    ) -> None:
        assert isinstance(bridge, BatchSink)
        events = weekly(3, days=-7) + weekly(15)[1:]
        outcomes = refs(bridge.carry_out(ANN, puts(bridge, events)))
        assert len(set(outcomes)) == 17
        assert (len(relay.received), relay.connections) == (2, 1)
        assert shown(bridge) == ordered(map(bridge.fit, events))
        rules = [body(each).events[0]["RRULE"].to_ical() for each in relay.mail_to(ANN.id)]
        assert rules[0] == b"FREQ=WEEKLY;COUNT=3;INTERVAL=1;BYDAY=MO"

    def test_a_holiday_is_an_exception(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        events = weekly(12, skip=[0, 4, 5])
        bridge.carry_out(ANN, puts(bridge, events))
        assert len(relay.received) == 1
        assert shown(bridge) == [bridge.fit(event) for event in events]

    @pytest.mark.parametrize("days", [1, 2, 14])
    def test_other_distances(self, relay: FakeRelay, bridge: ReadableImip, days: int) -> None:
        events = [
            Event("Clinic", AllDay(date(2025, 3, 3) + n * days * DAY, date(2025, 3, 4) + n * days * DAY))
            for n in range(4)
        ]
        bridge.carry_out(ANN, puts(bridge, events))
        assert len(relay.received) == 1
        assert shown(bridge) == events

    def test_only_equal_events_share_a_series(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        events = [replace(event, title=f"Part {n}") for n, event in enumerate(weekly(4))] + [at(0), at(0), at(0)]
        bridge.carry_out(ANN, puts(bridge, events))
        assert (len(relay.received), relay.connections) == (7, 1)
        assert ordered(shown(bridge)) == ordered(map(bridge.fit, events))

    def test_it_can_be_switched_off(self, relay: FakeRelay) -> None:
        bridge = opened(relay, series_from=0)
        bridge.carry_out(ANN, puts(bridge, weekly(4)))
        assert len(relay.received) == 4

    def test_every_date_can_change_move_and_go(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        orders = puts(bridge, weekly(6)[1:])
        outcomes = refs(bridge.carry_out(ANN, orders))
        moved = replace(orders[1].event, when=at(50).when, title="Moved")
        ref = bridge.update(ANN, outcomes[1], moved)
        bridge.delete(ANN, outcomes[3])
        bridge.delete(ANN, outcomes[3])
        left = [orders[0].event, moved, orders[2].event, orders[4].event]
        assert shown(bridge) == ordered(left)
        assert bridge.find(ANN, orders[1].key, moved) == [ref]
        with pytest.raises(Gone):
            bridge.update(ANN, outcomes[3], moved)
        again = bridge.update(ANN, ref, orders[1].event)
        assert again != ref
        assert len(relay.received) == 4

    def test_the_whole_goes_in_one_message(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        outcomes = refs(bridge.carry_out(ANN, puts(bridge, weekly(6)[1:])))
        changed = bridge.update(ANN, outcomes[2], bridge.fit(at(50)))
        outcomes[2] = changed
        assert list(bridge.carry_out(ANN, [Drop(ref) for ref in outcomes])) == [None] * 5
        assert shown(bridge) == []
        (event,) = body(relay.received[-1].message).events
        assert "RECURRENCE-ID" not in event
        assert len(relay.received) == 3

    def test_some_dates_go_in_one_message_too(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        orders = puts(bridge, weekly(6)[1:])
        outcomes = refs(bridge.carry_out(ANN, orders))
        mixed: list[Order] = [Drop(outcomes[0]), Put(orders[1].key, bridge.fit(at(1)), outcomes[1]), Drop(outcomes[2])]
        answers = bridge.carry_out(ANN, mixed)
        assert (answers[0], answers[2]) == (None, None)
        assert len(relay.received) == 3
        assert len(shown(bridge)) == 3


class TestPublishing:
    def test_a_call_is_one_message(self, relay: FakeRelay) -> None:
        bridge = opened(relay, method="publish", bundle=20)
        events = [at(hours, title=f"at {hours}") for hours in range(50)]
        outcomes = refs(bridge.carry_out(ANN, puts(bridge, events)))
        assert len(relay.received) == 3
        assert shown(bridge) == [bridge.fit(event) for event in events]
        assert relay.received[0].message["Subject"] == "at 0 (and 19 more)"
        bridge.carry_out(ANN, [Drop(ref) for ref in outcomes[:2]])
        assert len(shown(bridge)) == 48

    def test_members_of_a_list_do_not_see_each_other(self, relay: FakeRelay) -> None:
        bridge = opened(relay, lists={"staff": MEMBERS})
        bridge.check_target(STAFF)
        ref = bridge.create(STAFF, key("a"), bridge.fit(at(0)))
        bridge.delete(STAFF, bridge.update(STAFF, ref, bridge.fit(at(1))))
        assert [body(each.message)["METHOD"] for each in relay.received] == ["PUBLISH", "PUBLISH", "CANCEL"]
        for received in relay.received:
            assert list(received.recipients) == MEMBERS
            assert "bob" not in received.message.as_string()
            assert received.message["To"] == "undisclosed-recipients:;"
            assert "ATTENDEE" not in body(received.message).events[0]


class TestLostAnswers:
    def lose(self, deed: Callable[[], Any]) -> None:
        with pytest.raises(Transient):
            deed()

    @pytest.mark.parametrize("looks", [True, False])
    def test_a_create_is_sent_again_under_its_old_name(
        self, relay: FakeRelay, bridge: ReadableImip, looks: bool
    ) -> None:
        event, relay.lost = bridge.fit(at(0)), 1
        self.lose(lambda: bridge.create(ANN, key("a"), event))
        if looks:
            ref = bridge.find(ANN, key("a"), event)[0]
            assert bridge.find(ANN, key("a"), event) == [ref]
        else:
            ref = bridge.create(ANN, key("a"), event)
        one, two = relay.mail_to(ANN.id)
        assert one["Message-ID"] == two["Message-ID"]
        assert [each.ref for each in bridge.read(ANN, AROUND)] == [ref]
        with pytest.raises(KeyTaken):
            bridge.create(ANN, key("a"), event)

    def test_looking_fails_as_sending_does(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        event, relay.lost = bridge.fit(at(0)), 2
        self.lose(lambda: bridge.create(ANN, key("a"), event))
        self.lose(lambda: bridge.find(ANN, key("a"), event))
        relay.says = {"DATA": "554 5.6.0 Spam"}
        assert bridge.find(ANN, key("a"), event) == []
        relay.says = {}
        assert [each.ref for each in bridge.read(ANN, AROUND)] == bridge.find(ANN, key("a"), event)
        assert len({each["Message-ID"] for each in relay.mail_to(ANN.id)}) == 1

    def test_looking_for_something_else_sends_that(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        relay.lost = 1
        self.lose(lambda: bridge.create(ANN, key("a"), bridge.fit(at(0))))
        (ref,) = bridge.find(ANN, key("a"), bridge.fit(at(3)))
        assert [(each.ref, each.event) for each in bridge.read(ANN, AROUND)] == [(ref, bridge.fit(at(3)))]

    @pytest.mark.parametrize("landed", [True, False])
    def test_a_series_is_looked_for_with_one_message(
        self, relay: FakeRelay, bridge: ReadableImip, landed: bool
    ) -> None:
        orders = puts(bridge, weekly(6)[1:])
        relay.lost, relay.unheard = (1, 0) if landed else (0, 1)
        bridge.carry_out(ANN, orders)
        found = [bridge.find(ANN, order.key, order.event)[0] for order in orders]
        assert len(relay.received) == (2 if landed else 1)
        assert shown(bridge) == [order.event for order in orders]
        bridge.delete(ANN, found[0])
        assert shown(bridge) == [order.event for order in orders[1:]]

    def test_what_changed_meanwhile_has_the_next_number(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        relay.lost = 1
        self.lose(lambda: bridge.create(ANN, key("a"), bridge.fit(at(0))))
        ref = bridge.create(ANN, key("a"), bridge.fit(at(3)))
        assert [(each.ref, each.event) for each in bridge.read(ANN, AROUND)] == [(ref, bridge.fit(at(3)))]

    def test_updates_and_cancellations_too(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        ref, moved = bridge.create(ANN, key("a"), bridge.fit(at(0))), bridge.fit(at(3))
        relay.lost = 1
        self.lose(lambda: bridge.update(ANN, ref, moved))
        assert bridge.find(ANN, key("a"), moved) == [f"{key('a')} 1 - -"]
        ref = bridge.update(ANN, ref, moved)
        assert [each.ref for each in bridge.read(ANN, AROUND)] == [ref]
        relay.lost = 1
        self.lose(lambda: bridge.delete(ANN, ref))
        back = bridge.update(ANN, ref, moved)
        assert [each.ref for each in bridge.read(ANN, AROUND)] == [back]
        relay.lost = 1
        self.lose(lambda: bridge.delete(ANN, back))
        bridge.delete(ANN, back)
        bridge.delete(ANN, back)
        assert shown(bridge) == []
        assert len(relay.received) == 7

    @pytest.mark.parametrize("landed", [True, False])
    @pytest.mark.parametrize("again", [range(5), range(1, 5), [2]])
    def test_a_series_shows_once_whatever_comes_again(
        self, relay: FakeRelay, bridge: ReadableImip, landed: bool, again: Sequence[int]
    ) -> None:
        orders = puts(bridge, weekly(6)[1:])
        relay.lost, relay.unheard = (1, 0) if landed else (0, 1)
        assert all(isinstance(each, Transient) for each in bridge.carry_out(ANN, orders))
        refs(bridge.carry_out(ANN, [orders[number] for number in again]))
        expected = orders if landed else [orders[number] for number in again]
        assert shown(bridge) == [order.event for order in expected]
        if len(again) == 5:
            assert len({each["Message-ID"] for each in relay.mail_to(ANN.id)}) == 1

    @pytest.mark.parametrize("series_from", [0, 3])
    @pytest.mark.parametrize("fault", ["lost", "unheard"])
    @pytest.mark.parametrize("after", range(0, 12, 3))
    def test_wherever_it_breaks_off_everything_shows_once(
        self, relay: FakeRelay, fault: str, after: int, series_from: int
    ) -> None:
        bridge = opened(relay, series_from=series_from)
        orders = puts(bridge, [*weekly(8), *(at(hours, title=f"at {hours}") for hours in range(10))])
        relay.after = after
        setattr(relay, fault, 1)
        outcomes = bridge.carry_out(ANN, orders)
        assert any(isinstance(each, Transient) for each in outcomes)
        left = [order for order in orders if not bridge.find(ANN, order.key, order.event)]
        refs(bridge.carry_out(ANN, left))
        assert ordered(shown(bridge)) == ordered(order.event for order in orders)

    def test_a_lost_memory_leaves_the_refs(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        ref = bridge.update(ANN, bridge.create(ANN, key("a"), bridge.fit(at(0))), bridge.fit(at(1)))
        other = opened(relay)
        ref = other.update(ANN, ref, bridge.fit(at(2)))
        assert [(each.ref, each.event) for each in bridge.read(ANN, AROUND)] == [(ref, bridge.fit(at(2)))]
        opened(relay).delete(ANN, ref)
        assert relay.received[-1].message["Subject"] == "Cancelled: an event"
        assert shown(bridge) == []

    def test_other_refs_name_nothing(self, bridge: ReadableImip) -> None:
        for ref in map(RemoteRef, ("", "Course/_1_1", "a b c d", "a ² - -")):
            bridge.delete(ANN, ref)
            with pytest.raises(Gone):
                bridge.update(ANN, ref, bridge.fit(at(0)))


class TestRefusals:
    def three(self, bridge: ImipBridge, calendar: CalendarRef = ANN) -> list[RemoteRef | BridgeError | None]:
        return list(bridge.carry_out(calendar, puts(bridge, [at(n, title=str(n)) for n in range(3)])))

    def test_a_refused_recipient_is_told_in_the_words_of_the_server(
        self, relay: FakeRelay, bridge: ReadableImip
    ) -> None:
        outcomes = self.three(bridge, replace(ANN, id="nobody@example.edu"))
        assert {str(each) for each in outcomes} == {
            "127.0.0.1 does not take mail to nobody@example.edu (5.1.1 <nobody@example.edu>: no such user here)."
        }
        assert all(isinstance(each, Rejected) for each in outcomes)
        relay.unknown.clear()
        assert len(refs(self.three(bridge, replace(ANN, id="nobody@example.edu")))) == 3

    def test_a_list_is_written_to_as_a_whole_or_not_at_all(
        self, relay: FakeRelay, caplog: pytest.LogCaptureFixture
    ) -> None:
        relay.unknown.add("@example.org")
        with pytest.raises(Rejected, match=r"cy@example\.org"):
            opened(relay, lists={"staff": MEMBERS}).create(STAFF, key("a"), at(0))
        assert relay.received == []
        opened(relay, lists={"staff": MEMBERS}, skip_refused=True).create(STAFF, key("a"), at(0))
        assert relay.received[0].recipients == ("ann@example.edu", "bob@example.edu")
        assert "cy@example.org" in caplog.text

    @pytest.mark.parametrize(
        ("stage", "answer", "kind", "more"),
        [
            ("MAIL", "451 4.3.0 Later", Transient, 0),
            ("MAIL", "553 5.7.1 Not yours", Denied, 0),
            ("RCPT", "450 4.2.0 Greylisted", Transient, 0),
            ("DATA", "452 4.3.1 Full", Transient, 0),
            ("DATA", "554 5.6.0 Spam", Rejected, 2),
            ("DATA", "530 5.7.0 Sign in", Denied, 0),
        ],
    )
    def test_4xx_passes_and_5xx_stays(
        self, relay: FakeRelay, bridge: ReadableImip, stage: str, answer: str, kind: type[BridgeError], more: int
    ) -> None:
        relay.says = {stage: answer}
        outcomes = self.three(bridge)
        assert all(isinstance(each, kind) for each in outcomes)
        assert answer[4:] in str(outcomes[0])
        tools_calls = bridge._tools.meter
        assert isinstance(tools_calls, PlainMeter)
        assert tools_calls.calls == 1 + more
        relay.says = {}
        assert bridge.find(ANN, key("0"), at(0)) == []
        assert len(refs(self.three(bridge))) == 3
        assert {event["SEQUENCE"] for each in relay.mail_to(ANN.id) for event in body(each).events} == {0}

    def test_a_wrong_target_is_told_for_every_order(self, bridge: ReadableImip) -> None:
        outcomes = self.three(bridge, CalendarRef("mail", Kind.ROOM, "1"))
        assert all(isinstance(each, Denied) for each in outcomes)

    def test_domains_may_be_limited(self, relay: FakeRelay) -> None:
        bridge = opened(relay, domains=["Example.EDU"])
        bridge.check_target(ANN)
        with pytest.raises(Denied, match=r"example\.com"):
            bridge.check_target(CalendarRef("mail", Kind.PERSON, "ann@example.com"))


class TestDailyCap:
    @pytest.fixture(autouse=True)
    def _clock(self) -> Iterator[None]:
        before = Clock.now
        yield
        Clock.now = before

    def test_it_holds_across_restarts_until_midnight(self, relay: FakeRelay) -> None:
        vault = PlainVault()
        for number in range(3):
            bridge = opened(relay, vault, daily_cap=3)
            bridge.create(ANN, key(str(number)), bridge.fit(at(0)))
        with pytest.raises(Transient) as caught:
            bridge.create(ANN, key("3"), bridge.fit(at(0)))
        assert caught.value.retry_after == 16 * 3600
        assert len(relay.received) == 3
        Clock.now += timedelta(hours=16)
        bridge.create(ANN, key("3"), bridge.fit(at(0)))

    def test_it_counts_recipients(self, relay: FakeRelay) -> None:
        with pytest.raises(Denied, match="3 members"):
            opened(relay, daily_cap=2, lists={"staff": MEMBERS}).create(STAFF, key("a"), at(0))


class TestConnection:
    def secured(self, relay: FakeRelay, tmp_path: Path, **settings: Any) -> ReadableImip:
        given = {"host": "localhost", "security": relay.security, "ca_file": str(certificate(tmp_path))}
        return opened(relay, **(given | settings))

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_it_is_encrypted_and_the_certificate_is_checked(self, security: str, tmp_path: Path) -> None:
        with FakeRelay(security=security) as relay:
            bridge = self.secured(relay, tmp_path)
            bridge.create(ANN, key("a"), bridge.fit(at(0)))
            with pytest.raises(Denied, match="certificate"):
                self.secured(relay, tmp_path, ca_file="").create(ANN, key("a"), at(0))
            assert len(relay.received) == 1

    def test_mail_is_not_sent_in_the_clear_instead(self, relay: FakeRelay, tmp_path: Path) -> None:
        with pytest.raises(Denied, match="encryption"):
            self.secured(relay, tmp_path, security="starttls").create(ANN, key("a"), at(0))

    def test_it_signs_in(self, tmp_path: Path) -> None:
        with FakeRelay(security="starttls", login=("ann", "secret")) as relay:
            self.secured(relay, tmp_path, user="ann", password="secret").create(ANN, key("a"), at(0))
            with pytest.raises(Denied, match="sign-in"):
                self.secured(relay, tmp_path, user="ann", password="wrong").create(ANN, key("b"), at(0))
            with pytest.raises(Denied):
                self.secured(relay, tmp_path).create(ANN, key("b"), at(0))
            assert len(relay.received) == 1

    def test_a_server_that_takes_its_time_is_cut_off(self, relay: FakeRelay) -> None:
        bridge, relay.slow = opened(relay, total_seconds=0.05), 0.5
        started = time.monotonic()
        with pytest.raises(Transient):
            bridge.create(ANN, key("a"), at(0))
        assert time.monotonic() - started < 0.4

    def test_a_server_that_is_away_is_tried_once_a_call(self, relay: FakeRelay, bridge: ReadableImip) -> None:
        relay.stop()
        outcomes = bridge.carry_out(ANN, puts(bridge, [at(n) for n in range(3)]))
        assert len({id(each) for each in outcomes}) == 1
        assert isinstance(outcomes[0], Transient)
        assert bridge.find(ANN, key("0"), at(0)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "Calendar <calendar@example.edu>"},
        {"sender_name": 'x"y'},
        {"sender_name": "x\r\nBcc: eve@example.edu"},
        {"security": "none"},
        {"lists": {"staff": []}},
        {"lists": {"a@b": MEMBERS}},
        {"lists": {"staff": ["bob"]}},
        {"zone": "Europe/Oslow"},
        {"daily_cap": 0},
        {"smtp": "x"},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    given = {"host": "smtp.example.edu", "sender": "calendar@example.edu"}
    assert "smtp.example.edu" in repr(
        ImipBridge("mail", ImipSettings.model_validate(given), Tools(lambda: MONDAY, no_session))
    )
    with pytest.raises(ValidationError):
        ImipSettings.model_validate(given | wrong)


def test_keys_of_two_calendars_do_not_meet(relay: FakeRelay, bridge: ReadableImip) -> None:
    bob, name = replace(ANN, id="bob@example.edu"), SyncKey("x y", key("a").guid)
    refs_of = [bridge.create(each, name, bridge.fit(at(0))) for each in (ANN, bob)]
    bridge.delete(ANN, refs_of[0])
    assert (shown(bridge, ANN), shown(bridge, bob)) == ([], [bridge.fit(at(0))])
