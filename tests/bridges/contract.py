"""The contract of bridges.contract as two suites, SourceContract and SinkContract, that every bridge inherits.

How to inherit: a class `TestX(SinkContract)` (or SourceContract, for a Source that is no Sink) that gives these
fixtures; all but `alien` are required:

    bridge      the bridge under test, connected to a fresh and empty LMS (its fake at the end, real code between)
    calendar    a CalendarRef that the bridge can read, and write if it is a Sink; it stands in `bridge.calendars()`
    missing     a CalendarRef of the same kind that the LMS does not know
    refused     a list of CalendarRefs that `check_target` must deny (Sink only)
    seed        seed(event) -> Event: puts an event into `calendar` behind the bridge's back, as another person would,
                and returns it as the bridge should report it (a Sink's seed may return `bridge.fit(event)`)
    alien       alien(event) -> Event: the same for an item that the bridge reports as not writable (a due date, say);
                leave it out where the LMS has none, and the suite asserts that everything found is writable
    break_lms   break_lms(): from now on the LMS answers nothing useful (down, unreachable, its table gone)

Times lie around MONDAY. An ability that a bridge lacks changes what is asserted, never whether something is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridges.contract import Lookup, Roster, Sink, Source
from bridges.errors import Denied, Gone, KeyTaken, Rejected, Transient
from bridges.model import AllDay, CalendarRef, Event, Found, RemoteRef, Status, SyncKey, Timed, Window

MONDAY = datetime(2025, 3, 10, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
AROUND = Window(MONDAY - 7 * DAY, MONDAY + 7 * DAY)

SPECIMEN = Event(
    title="Übung 1: Knöpfe, Schalter; Ñandú 🎓",
    when=Timed(MONDAY, MONDAY + HOUR),
    text="First line, with a comma; a semicolon\nsecond line: née 🧪 & <b>no markup</b>",
    place="Höðr Hall, room 4; desk 🪑",
    categories=("Lab", "Größe, A;B"),
    url="https://example.edu/events/1?a=1&b=2",
    status=Status.TENTATIVE,
)

NAMESPACE = UUID("6f1d0a52-6a4f-4b39-9d55-0d3f0b6f3a11")

Put = Callable[[Event], Event]


class Bridge(Source, Sink, Protocol):
    """A bridge that is both."""


def key(name: str) -> SyncKey:
    """The same key for the same name."""
    return SyncKey("calbridge", uuid5(NAMESPACE, name))


def at(hours: float, *, length: timedelta = HOUR, title: str = "Seminar") -> Event:
    """A plain event that starts so many hours after MONDAY."""
    start = MONDAY + timedelta(hours=hours)
    return Event(title, Timed(start, start + length))


def values(found: Sequence[Found]) -> list[Event]:
    return [item.event for item in found]


def window_around(event: Event) -> Window:
    """The event's own time with a day to each side, wherever its days are laid out."""
    start, end = AROUND.span(event.when)
    return Window(start - 2 * DAY, end + 2 * DAY)


@st.composite
def whens(draw: st.DrawFn) -> Timed | AllDay:
    days = draw(st.integers(1, 5))
    if draw(st.booleans()):
        first = draw(st.dates(date(2000, 1, 1), date(2060, 1, 1)))
        return AllDay(first, first + timedelta(days=days))
    zone = draw(st.sampled_from([UTC, NEW_YORK, ZoneInfo("Australia/Lord_Howe")]))
    start = draw(st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1))).replace(tzinfo=zone)
    length = draw(st.timedeltas(timedelta(0), timedelta(days=days)))
    return Timed(start, (start.astimezone(UTC) + length).astimezone(zone))


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that an ICS file may hold, floating times aside."""
    return Event(
        title=draw(st.one_of(st.text(max_size=40), st.text("Aé🎓👩‍🔬", min_size=60, max_size=400))),
        when=draw(whens()),
        text=draw(st.text(max_size=80)),
        place=draw(st.one_of(st.text(max_size=20), st.text("né", min_size=1000, max_size=1100))),
        categories=tuple(draw(st.lists(st.text(max_size=10), max_size=3))),
        url=draw(st.sampled_from(["", "https://example.edu/x", "https://example.edu/ü?a=1;b=2,3"])),
        status=draw(st.sampled_from(list(Status))),
    )


def generated(examples: int) -> settings:
    """Generated events against one bridge; every example leaves the LMS as it found it, so the fixture may stay."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


class SourceContract:
    """What every Source keeps."""

    @pytest.fixture
    def alien(self) -> Put | None:
        return None

    def test_it_is_a_source(self, bridge: Source) -> None:
        assert isinstance(bridge, Source)

    def test_it_lists_the_calendar(self, bridge: Source, calendar: CalendarRef) -> None:
        listed = {each.ref: each for each in bridge.calendars()}
        assert listed[calendar].writable == isinstance(bridge, Sink)
        assert listed[calendar].name

    def test_an_empty_calendar_reads_as_empty(self, bridge: Source, calendar: CalendarRef) -> None:
        assert list(bridge.read(calendar, AROUND)) == []

    def test_what_stands_there_is_read_whole(self, bridge: Source, calendar: CalendarRef, seed: Put) -> None:
        expected = seed(SPECIMEN)
        (found,) = bridge.read(calendar, AROUND)
        assert found.event == expected
        assert found.ref
        assert found.modified is None or found.modified.tzinfo is not None

    def test_two_readings_are_equal(self, bridge: Source, calendar: CalendarRef, seed: Put) -> None:
        seed(SPECIMEN)
        seed(at(30))
        assert list(bridge.read(calendar, AROUND)) == list(bridge.read(calendar, AROUND))

    def test_order_is_by_start_and_no_ref_comes_twice(self, bridge: Source, calendar: CalendarRef, seed: Put) -> None:
        expected = {hours: seed(at(hours, title=f"at {hours}")) for hours in (48, 1, 24, 3)}
        seed(at(3, title="at 3 too"))
        found = bridge.read(calendar, AROUND)
        assert [item.event for item in found if "too" not in item.event.title] == [expected[h] for h in (1, 3, 24, 48)]
        spans = [AROUND.span(item.event.when)[0] for item in found]
        assert list(zip(spans, [item.ref for item in found], strict=True)) == sorted(
            zip(spans, [item.ref for item in found], strict=True)
        )
        assert len({item.ref for item in found}) == len(found) == 5

    @pytest.mark.parametrize(
        ("start", "end", "inside"),
        [
            (-DAY, timedelta(0), False),
            (-DAY, timedelta(minutes=1), True),
            (timedelta(minutes=59), DAY, True),
            (HOUR, DAY, False),
            (timedelta(minutes=20), timedelta(minutes=40), True),
        ],
    )
    def test_the_window_is_half_open(
        self, bridge: Source, calendar: CalendarRef, seed: Put, start: timedelta, end: timedelta, inside: bool
    ) -> None:
        expected = seed(at(0))
        found = bridge.read(calendar, Window(MONDAY + start, MONDAY + end))
        assert values(found) == ([expected] if inside else [])

    def test_an_event_longer_than_the_window_is_in_it(self, bridge: Source, calendar: CalendarRef, seed: Put) -> None:
        expected = seed(at(-36, length=3 * DAY))
        assert values(bridge.read(calendar, Window(MONDAY, MONDAY + HOUR))) == [expected]

    def test_the_window_may_be_in_any_zone(self, bridge: Source, calendar: CalendarRef, seed: Put) -> None:
        expected = seed(at(0))
        window = Window(AROUND.start.astimezone(NEW_YORK), AROUND.end.astimezone(NEW_YORK))
        assert values(bridge.read(calendar, window)) == [expected]

    def test_what_may_not_be_written_says_so(
        self, bridge: Source, calendar: CalendarRef, seed: Put, alien: Put | None
    ) -> None:
        seed(at(0))
        if alien is not None:
            alien(at(5, title="Due"))
        writable = [item.writable for item in bridge.read(calendar, AROUND)]
        assert writable == [isinstance(bridge, Sink)] + ([False] if alien else [])

    def test_an_unknown_calendar_is_refused_and_not_empty(self, bridge: Source, missing: CalendarRef) -> None:
        with pytest.raises((Gone, Denied)) as caught:
            bridge.read(missing, AROUND)
        assert str(caught.value)

    def test_a_broken_lms_is_an_error_and_not_silence(
        self, bridge: Source, calendar: CalendarRef, seed: Put, break_lms: Callable[[], None]
    ) -> None:
        seed(at(0))
        break_lms()
        with pytest.raises((Transient, Denied)):
            bridge.read(calendar, AROUND)
        with pytest.raises((Transient, Denied)):
            list(bridge.calendars())


class SinkContract(SourceContract):
    """What every bridge keeps that is a Source and a Sink."""

    def test_it_is_a_sink(self, bridge: Bridge) -> None:
        assert isinstance(bridge, Sink)

    def test_targets_are_checked(self, bridge: Bridge, calendar: CalendarRef, refused: Sequence[CalendarRef]) -> None:
        bridge.check_target(calendar)
        for target in refused:
            with pytest.raises(Denied) as caught:
                bridge.check_target(target)
            assert str(caught.value)

    def test_the_specimen_fits_to_something_that_fits(self, bridge: Bridge) -> None:
        fitted = bridge.fit(SPECIMEN)
        assert bridge.fit(fitted) == fitted
        assert SPECIMEN.title[:30] in fitted.title
        assert SPECIMEN.when == fitted.when

    @generated(100)
    @given(event=events())
    @example(event=Event("", Timed(MONDAY, MONDAY)))
    @example(event=Event("a\x00b\x1f\r\nc", Timed(MONDAY, MONDAY + HOUR), text="x\r\ny\x0b\x85z"))
    @example(event=Event("cancelled", Timed(MONDAY, MONDAY + HOUR), status=Status.CANCELLED))
    def test_fit_is_idempotent(self, bridge: Bridge, event: Event) -> None:
        fitted = bridge.fit(event)
        assert bridge.fit(fitted) == fitted

    def test_a_floating_time_is_refused(self, bridge: Bridge) -> None:
        start = MONDAY.replace(tzinfo=None)
        with pytest.raises(Rejected):
            bridge.fit(Event("when?", Timed(start, start + HOUR)))

    def test_what_was_created_reads_back_as_fitted(self, bridge: Bridge, calendar: CalendarRef) -> None:
        fitted = bridge.fit(SPECIMEN)
        ref = bridge.create(calendar, key("a"), fitted)
        (found,) = bridge.read(calendar, AROUND)
        assert (found.ref, found.event, found.writable) == (ref, fitted, True)

    @generated(25)
    @given(event=events())
    @example(event=Event("", Timed(MONDAY, MONDAY)))
    @example(event=Event(" blanks \t ", Timed(MONDAY, MONDAY + HOUR), text=" \n text \n ", place="  "))
    def test_any_event_reads_back_as_fitted(self, bridge: Bridge, calendar: CalendarRef, event: Event) -> None:
        fitted = bridge.fit(event)
        name = SyncKey("calbridge", uuid4())
        ref = bridge.create(calendar, name, fitted)
        found = bridge.read(calendar, window_around(fitted))
        bridge.delete(calendar, ref)
        assert [(item.ref, item.event) for item in found] == [(ref, fitted)]

    def test_all_days_are_kept_or_become_instants(self, bridge: Bridge, calendar: CalendarRef) -> None:
        event = Event("Exam week", AllDay(date(2025, 3, 8), date(2025, 3, 11)))
        fitted = bridge.fit(event)
        if bridge.rules.keeps_all_day:
            assert fitted.when == event.when
        else:
            assert isinstance(fitted.when, Timed)
            assert abs((fitted.when.end - fitted.when.start) - 3 * DAY) <= HOUR
        bridge.create(calendar, key("a"), fitted)
        assert values(bridge.read(calendar, AROUND)) == [fitted]

    def test_update_changes_in_place(self, bridge: Bridge, calendar: CalendarRef) -> None:
        ref = bridge.create(calendar, key("a"), bridge.fit(at(0)))
        bridge.create(calendar, key("b"), bridge.fit(at(5)))
        moved = bridge.fit(replace(SPECIMEN, when=at(2).when))
        ref = bridge.update(calendar, ref, moved)
        found = bridge.read(calendar, AROUND)
        assert [(item.ref, item.event) for item in found[:1]] == [(ref, moved)]
        assert len(found) == 2

    def test_update_takes_away_what_is_no_longer_said(self, bridge: Bridge, calendar: CalendarRef) -> None:
        ref = bridge.create(calendar, key("a"), bridge.fit(SPECIMEN))
        bare = bridge.fit(at(0))
        bridge.update(calendar, ref, bare)
        assert values(bridge.read(calendar, AROUND)) == [bare]

    def test_update_is_safe_to_repeat(self, bridge: Bridge, calendar: CalendarRef) -> None:
        ref = bridge.create(calendar, key("a"), bridge.fit(at(0)))
        moved = bridge.fit(at(3))
        ref = bridge.update(calendar, bridge.update(calendar, ref, moved), moved)
        assert [(item.ref, item.event) for item in bridge.read(calendar, AROUND)] == [(ref, moved)]

    def test_update_of_what_is_not_there_is_gone(self, bridge: Bridge, calendar: CalendarRef) -> None:
        ref = bridge.create(calendar, key("a"), bridge.fit(at(0)))
        bridge.delete(calendar, ref)
        with pytest.raises(Gone):
            bridge.update(calendar, ref, bridge.fit(at(3)))

    def test_delete_is_safe_to_repeat(self, bridge: Bridge, calendar: CalendarRef) -> None:
        ref = bridge.create(calendar, key("a"), bridge.fit(at(0)))
        bridge.create(calendar, key("b"), bridge.fit(at(5)))
        bridge.delete(calendar, ref)
        bridge.delete(calendar, ref)
        assert values(bridge.read(calendar, AROUND)) == [bridge.fit(at(5))]

    def test_a_key_comes_back_or_is_spent(self, bridge: Bridge, calendar: CalendarRef) -> None:
        event = bridge.fit(at(0))
        bridge.delete(calendar, bridge.create(calendar, key("a"), event))
        if bridge.rules.keys_reusable:
            bridge.create(calendar, key("a"), event)
            assert values(bridge.read(calendar, AROUND)) == [event]
        else:
            with pytest.raises(KeyTaken):
                bridge.create(calendar, key("a"), event)
            assert values(bridge.read(calendar, AROUND)) == []

    def test_a_live_key_is_taken_where_keys_are_known(self, bridge: Bridge, calendar: CalendarRef) -> None:
        first = bridge.create(calendar, key("a"), bridge.fit(at(0)))
        if bridge.rules.finds_by_key:
            with pytest.raises(KeyTaken):
                bridge.create(calendar, key("a"), bridge.fit(at(5)))
            assert len(bridge.read(calendar, AROUND)) == 1
        else:
            assert bridge.create(calendar, key("a"), bridge.fit(at(5))) != first

    def test_find_names_what_a_lost_answer_left_behind(self, bridge: Bridge, calendar: CalendarRef) -> None:
        event = bridge.fit(SPECIMEN)
        ref = bridge.create(calendar, key("a"), event)
        bridge.create(calendar, key("b"), bridge.fit(at(0, title="Another")))
        assert list(bridge.find(calendar, key("a"), event)) == [ref]

    def test_find_finds_nothing_where_nothing_landed(self, bridge: Bridge, calendar: CalendarRef) -> None:
        bridge.create(calendar, key("b"), bridge.fit(at(0, title="Another")))
        assert list(bridge.find(calendar, key("a"), bridge.fit(SPECIMEN))) == []

    def test_an_event_is_found_by_its_ref_wherever_it_lies(self, bridge: Bridge, calendar: CalendarRef) -> None:
        if not isinstance(bridge, Lookup):
            assert not hasattr(bridge, "look_up")
            return
        near, far = bridge.fit(SPECIMEN), bridge.fit(at(24 * 900))
        refs = [bridge.create(calendar, key(name), event) for name, event in (("a", near), ("b", far))]
        gone = bridge.create(calendar, key("c"), near)
        bridge.delete(calendar, gone)
        found = bridge.look_up(calendar, [*refs, gone])
        assert {ref: (each.ref, each.event) for ref, each in found.items()} == {
            refs[0]: (refs[0], near),
            refs[1]: (refs[1], far),
        }

    def test_find_after_a_delete_finds_nothing(self, bridge: Bridge, calendar: CalendarRef) -> None:
        event = bridge.fit(SPECIMEN)
        bridge.delete(calendar, bridge.create(calendar, key("a"), event))
        assert list(bridge.find(calendar, key("a"), event)) == []

    def test_what_is_not_writable_stays_as_it_is(
        self, bridge: Bridge, calendar: CalendarRef, alien: Put | None
    ) -> None:
        if alien is None:
            bridge.create(calendar, key("a"), bridge.fit(SPECIMEN))
            assert all(item.writable for item in bridge.read(calendar, AROUND))
            return
        expected = alien(at(0, title="Due"))
        (found,) = bridge.read(calendar, AROUND)
        for forbidden in _deeds(bridge, calendar, found.ref):
            with pytest.raises((Rejected, Denied)):
                forbidden()
        assert values(bridge.read(calendar, AROUND)) == [expected]
        assert list(bridge.find(calendar, key("a"), expected)) == []

    def test_an_unknown_calendar_takes_no_event(self, bridge: Bridge, missing: CalendarRef) -> None:
        with pytest.raises((Rejected, Denied)):
            bridge.create(missing, key("a"), bridge.fit(at(0)))

    def test_a_broken_lms_is_never_a_success(
        self, bridge: Bridge, calendar: CalendarRef, break_lms: Callable[[], None]
    ) -> None:
        event = bridge.fit(at(0))
        ref = bridge.create(calendar, key("a"), event)
        break_lms()
        tries: list[Callable[[], Any]] = [
            *_deeds(bridge, calendar, ref),
            lambda: bridge.create(calendar, key("b"), event),
            lambda: bridge.find(calendar, key("a"), event),
        ]
        for attempt in tries:
            with pytest.raises((Transient, Denied)):
                attempt()


def _deeds(bridge: Bridge, calendar: CalendarRef, ref: RemoteRef) -> list[Callable[[], Any]]:
    return [
        lambda: bridge.update(calendar, ref, bridge.fit(at(3))),
        lambda: bridge.delete(calendar, ref),
    ]


class RosterContract:
    """Of a Roster. Fixtures: `bridge`; `calendar`, which has members; `people`, as rosters spell them, of whom some
    are members; `missing`, a calendar of the same kind that is not there; `break_lms`."""

    def test_a_roster_and_the_directory_say_the_same(
        self, bridge: Roster, calendar: CalendarRef, people: Sequence[str]
    ) -> None:
        members = bridge.members_of(calendar)
        assert members is not None
        enrolled = {person for person in people if calendar in bridge.calendars_of(person)}
        assert enrolled == {person for person in people if person in members}
        assert 0 < len(enrolled) < len(people)

    def test_its_people_are_spelled_as_it_says(self, bridge: Roster, calendar: CalendarRef) -> None:
        members = bridge.members_of(calendar)
        assert members
        assert all(map(bridge.is_in_rosters, members))
        assert len(set(members)) == len(members)

    def test_a_course_that_is_not_there_has_no_empty_roster(self, bridge: Roster, missing: CalendarRef) -> None:
        with pytest.raises((Rejected, Denied)):
            bridge.members_of(missing)

    def test_an_lms_that_is_away_has_no_empty_roster(
        self, bridge: Roster, calendar: CalendarRef, break_lms: Callable[[], None]
    ) -> None:
        break_lms()
        with pytest.raises(Transient):
            bridge.members_of(calendar)
