"""LearningSpace keeps a Source's contract, and reads a document of which little is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bridges.contract import Tools
from bridges.errors import BridgeError, Denied, Gone, Transient
from bridges.learningspace import LearningSpaceBridge, LearningSpaceSettings
from bridges.model import CalendarRef, Event, Found, Kind, Status, Timed, Window
from tests.bridges.contract import AROUND, DAY, HOUR, MONDAY, NEW_YORK, Put, SourceContract
from tests.fakes.learningspace import BUSY_PAGE, LOGIN_PAGE, FakeLearningSpace, Room
from tests.fakes.wsgi import session_to

SITE = "https://sim.example.edu"
SIM_1, SIM_2, EXAM = "Sim 1 (Sim Room)", "Sim 2 (Sim Room)", "Exam 2 (Exam Room)"
CENTRE = CalendarRef("sim", Kind.INSTITUTION)
MINUTE = timedelta(minutes=1)
START = datetime(2025, 3, 10, tzinfo=NEW_YORK)
LONG = Window(START - 30 * DAY, START + 30 * DAY)


def room(name: str) -> CalendarRef:
    return CalendarRef("sim", Kind.ROOM, name)


def opened(site: FakeLearningSpace, **settings: Any) -> LearningSpaceBridge:
    given = {"url": SITE, "zone": "America/New_York", "tries": 1, "keep_minutes": 0} | settings
    tools = Tools(now=lambda: site.now, session=session_to({SITE: site}))
    return LearningSpaceBridge("sim", LearningSpaceSettings.model_validate(given), tools)


def titles(bridge: LearningSpaceBridge, calendar: CalendarRef = CENTRE) -> list[str]:
    return [each.event.title for each in bridge.read(calendar, LONG)]


def document(site: FakeLearningSpace, *events: Any) -> None:
    site.body = json.dumps({"events": events}).encode()


class LearningSpaceContract(SourceContract):
    @pytest.fixture
    def site(self) -> FakeLearningSpace:
        return FakeLearningSpace(now=MONDAY - 5 * DAY, window_days=30, profile="rich")

    @pytest.fixture
    def bridge(self, site: FakeLearningSpace) -> LearningSpaceBridge:
        return opened(site, rooms=[SIM_1])

    @pytest.fixture
    def seed(self, site: FakeLearningSpace) -> Put:
        def put(event: Event) -> Event:
            assert isinstance(event.when, Timed)
            site.add(event.title, event.when.start, event.when.end, [EXAM, SIM_1], note=event.text, status=event.status)
            site.refresh()
            place = f"{EXAM}, {SIM_1}"
            return Event(event.title, event.when, event.text, place, status=event.status)

        return put

    @pytest.fixture
    def break_lms(self, site: FakeLearningSpace) -> Callable[[], None]:
        return lambda: setattr(site, "down", 503)

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return room("Nowhere")


class TestCentre(LearningSpaceContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return CENTRE


class TestRoom(LearningSpaceContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return room(SIM_1)


@pytest.fixture
def site() -> FakeLearningSpace:
    return FakeLearningSpace()


@pytest.fixture
def osce(site: FakeLearningSpace) -> FakeLearningSpace:
    """Two events, of which the first is in two rooms."""
    site.add("OSCE Year 3 ", MONDAY, MONDAY + 2.5 * HOUR, [SIM_1, EXAM], note="Station list on door", in_series=True)
    site.add("Airway workshop", MONDAY + DAY, MONDAY + DAY + 2 * HOUR, ["Debrief A (Debriefing)"])
    site.refresh()
    return site


class TestRooms:
    def test_an_event_is_in_every_room_under_one_ref(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce)
        assert [each.ref.id for each in bridge.calendars()] == ["", "Debrief A (Debriefing)", EXAM, SIM_1]
        (in_sim,), (in_exam,) = bridge.read(room(SIM_1), LONG), bridge.read(room(EXAM), LONG)
        assert in_sim == in_exam == bridge.read(CENTRE, LONG)[0]
        assert in_sim.extra["rooms"].split("\n") == [SIM_1, EXAM]
        assert in_sim.extra["series"] == "yes"

    def test_the_name_before_the_bracket_is_enough_but_the_full_one_comes_first(self, osce: FakeLearningSpace) -> None:
        osce.add("Talk", MONDAY, MONDAY + HOUR, ["Debrief A (Lounge)"])
        osce.add("Nap", MONDAY, MONDAY + HOUR, ["Exam 2"])
        osce.refresh()
        bridge = opened(osce)
        assert titles(bridge, room("Debrief A")) == ["Talk", "Airway workshop"]
        assert titles(bridge, room("Exam 2")) == ["Nap"]

    def test_a_room_that_was_seen_or_configured_may_be_empty(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce, rooms=[SIM_2])
        assert titles(bridge, room(SIM_1)) == ["OSCE Year 3"]
        osce.events.clear()
        osce.refresh()
        assert titles(bridge, room(SIM_1)) == titles(bridge, room("Sim 2")) == []
        with pytest.raises(Gone, match="Sim 1"):
            opened(osce).read(room(SIM_1), LONG)

    def test_other_kinds_of_calendars_are_denied(self, site: FakeLearningSpace) -> None:
        with pytest.raises(Denied, match="course"):
            opened(site).read(CalendarRef("sim", Kind.COURSE, "1"), LONG)


class TestTolerance:
    def test_the_published_sample_is_enough(self, osce: FakeLearningSpace) -> None:
        osce.profile = "sample"
        osce.refresh()
        found = opened(osce).read(CENTRE, LONG)[0]
        assert found.event.when == Timed(MONDAY, MONDAY + HOUR)
        assert found.extra["end_assumed"] == "yes"
        assert found.extra["colour"] == "azure"
        assert found.modified is None
        assert found.ref.startswith("derived/")

    def test_a_rich_document_gives_more(self, osce: FakeLearningSpace) -> None:
        osce.profile = "rich"
        osce.refresh()
        found = opened(osce).read(CENTRE, LONG)[0]
        assert (found.ref, found.kind) == ("id/4711", "Session")
        assert found.modified == datetime(2025, 1, 1, tzinfo=UTC)
        assert json.loads(found.extra["raw"]) == {"participants": {"expected": 12}}

    def test_an_odd_one_is_read_all_the_same(self, osce: FakeLearningSpace) -> None:
        osce.profile = "odd"
        osce.refresh()
        found = opened(osce).read(CENTRE, LONG)
        assert {each.event.title for each in found} == {"(untitled)"}
        assert [each.event.when for each in found[:2]] == [Timed(MONDAY, MONDAY + 2.5 * HOUR)] * 2
        assert found[1].ref == f"{found[0].ref}#2"

    @pytest.mark.parametrize(
        ("members", "expected"),
        [
            ({"start": "2025-03-10T09:00:00Z", "end": "2025-03-10T10:30:00Z"}, 90),
            ({"startDate": "2025-03-10T05:00:00", "endDate": "2025-03-10T06:15:00"}, 75),
            ({"startTime": "2025-03-10T10:00:00+01:00", "duration": 20}, 20),
            ({"begin": "2025-03-10T09:00:00.000Z", "duration": "45"}, 45),
            ({"start": "2025-03-10T09:00:00Z", "end": "2025-03-10T08:00:00Z"}, 30),
            ({"eventStart": "2025-03-10T09:00:00Z", "start": 5, "eventEnd": None, "endTime": "2025-03-10T09:05Z"}, 5),
        ],
    )
    def test_times_come_under_many_names(self, site: FakeLearningSpace, members: Any, expected: int) -> None:
        document(site, members)
        (found,) = opened(site, default_minutes=30).read(CENTRE, LONG)
        assert found.event.when == Timed(MONDAY, MONDAY + expected * MINUTE)

    def test_other_names_and_types_are_taken(self, site: FakeLearningSpace) -> None:
        start = "2025-03-10T09:00:00Z"
        document(
            site,
            {"start": start, "name": 12, "description": "x", "rooms": ["A", "B (b)", "A"], "state": "Cancelled"},
            {"start": start, "title": "t", "location": "C", "status": "pending", "uuid": "u-1", "updated": "never"},
            {"start": start, "eventName": "z", "room": {"name": "D"}, "recurringSeriesId": 3},
        )
        one, two, three = sorted(opened(site).read(CENTRE, LONG), key=lambda each: each.event.title)
        assert (one.event.title, one.event.text, one.event.place) == ("12", "x", "A, B (b)")
        assert one.event.status is Status.CANCELLED
        assert (two.ref, two.event.status, two.event.place) == ("id/u-1", Status.TENTATIVE, "C")
        assert (three.event.place, three.extra["series"]) == ("D", "yes")

    def test_what_cannot_be_read_is_left_out_and_told(
        self, site: FakeLearningSpace, caplog: pytest.LogCaptureFixture
    ) -> None:
        good = {"start": "2025-03-10T09:00:00Z", "title": "good"}
        document(
            site,
            good,
            "text",
            None,
            {"title": "no start"},
            {"start": "0001-01-01T00:00:00+09:00"},
            good | {"title": []},
        )
        assert titles(opened(site)) == ["(untitled)", "good"]
        assert len(caplog.records) == 4
        document(site, good, good | {"title": {}}, good | {"duration": [1]}, good | {"duration": 1e300})
        assert titles(opened(site)) == ["good"]

    def test_a_bare_list_is_read_and_nothing_else_is(self, site: FakeLearningSpace) -> None:
        site.body = b'[{"start": "2025-03-10T09:00:00Z", "title": "bare"}]'
        assert titles(opened(site)) == ["bare"]
        for body in (b"{}", b'{"events": null}', b'{"events": {}}', b'"x"', b'{"events": [{"begins": 1}]}'):
            site.body = body
            with pytest.raises(Transient):
                titles(opened(site))

    def test_the_header_of_a_series_is_no_event_where_its_events_are_listed(self, site: FakeLearningSpace) -> None:
        site.add("Weekly", MONDAY, MONDAY + HOUR, is_series=True)
        site.add("Weekly", MONDAY + DAY, MONDAY + DAY + HOUR, in_series=True)
        site.add("Alone", MONDAY, MONDAY + HOUR, is_series=True)
        site.refresh()
        found = opened(site).read(CENTRE, LONG)
        assert [each.event.title for each in found] == ["Alone", "Weekly"]

    def test_an_id_that_a_series_shares_is_told_apart_by_the_start(self, site: FakeLearningSpace) -> None:
        for day in (0, 1):
            start = MONDAY + day * DAY
            site.add("Weekly", start, start + HOUR, more={"id": "s1"})
        site.refresh()
        refs = [each.ref for each in opened(site).read(CENTRE, LONG)]
        assert refs == ["id/s1@20250310T090000Z", "id/s1@20250311T090000Z"]

    def test_what_is_not_approved_is_not_listed(self, osce: FakeLearningSpace) -> None:
        osce.events[0].approved = False
        osce.refresh()
        assert titles(opened(osce)) == ["Airway workshop"]


class TestRecognise:
    def read(self, site: FakeLearningSpace) -> list[Found]:
        site.refresh()
        return opened(site).read(CENTRE, LONG)

    def test_an_event_that_moved_within_the_day_keeps_its_ref(self, osce: FakeLearningSpace) -> None:
        bridge, before = opened(osce), self.read(osce)
        osce.events[0].start += HOUR
        moved = bridge.recognise(before, self.read(osce))
        assert [each.ref for each in moved] == [each.ref for each in before]
        assert moved[0].event.when != before[0].event.when
        assert bridge.recognise(moved, self.read(osce)) == moved

    def test_a_new_event_in_the_old_place_gets_a_new_ref_and_keeps_it(self, osce: FakeLearningSpace) -> None:
        bridge, before = opened(osce), self.read(osce)
        osce.events[0].start += 3 * HOUR
        osce.events[0].end += 3 * HOUR
        moved = bridge.recognise(before, self.read(osce))
        osce.add("OSCE Year 3", MONDAY, MONDAY + HOUR, [SIM_1, EXAM])
        both = bridge.recognise(moved, self.read(osce))
        assert [each.ref for each in both[:2]] == [f"{before[0].ref}#2", before[0].ref]
        assert bridge.recognise(both, self.read(osce)) == both

    def test_another_day_title_or_room_is_another_event(self, osce: FakeLearningSpace) -> None:
        bridge, before = opened(osce), self.read(osce)
        osce.events[0].start += DAY
        osce.events[0].end += DAY
        osce.events[1].rooms = [Room("Elsewhere")]
        after = bridge.recognise(before, self.read(osce))
        assert not {each.ref for each in after} & {each.ref for each in before}

    def test_ids_of_the_site_are_believed(self, osce: FakeLearningSpace) -> None:
        osce.profile = "rich"
        bridge, before = opened(osce), self.read(osce)
        osce.events[0].start += DAY
        osce.events[0].end += DAY
        osce.events[0].title = "Renamed"
        assert bridge.recognise(before, self.read(osce)) == self.read(osce)

    def test_equals_are_told_apart_by_their_number_alone(self, site: FakeLearningSpace) -> None:
        for _ in range(3):
            site.add("Same", MONDAY, MONDAY + HOUR)
        before = self.read(site)
        assert opened(site).recognise(before, self.read(site)) == before
        site.events.pop()
        assert opened(site).recognise(before, self.read(site)) == before[:2]


class TestWhatAReadingSpeaksFor:
    def part(self, site: FakeLearningSpace, window: Window = LONG, **settings: Any) -> Window | None:
        return opened(site, **settings).read_part(CENTRE, window).window

    def test_the_day_of_the_last_event_is_its_end(self, osce: FakeLearningSpace) -> None:
        assert self.part(osce) == Window(START, START + 2 * DAY)
        assert self.part(osce, window_days=1) == Window(START, START + DAY)

    def test_the_tail_may_be_declared_empty(self, osce: FakeLearningSpace) -> None:
        assert self.part(osce, empty_tail=True) == Window(START, START + 7 * DAY)
        osce.events.clear()
        osce.refresh()
        assert self.part(osce, empty_tail=True) == Window(START, START + 7 * DAY)

    def test_an_empty_list_says_nothing(self, site: FakeLearningSpace) -> None:
        assert self.part(site) is None

    def test_no_more_than_was_asked_for(self, osce: FakeLearningSpace) -> None:
        inside = Window(MONDAY, MONDAY + HOUR)
        assert self.part(osce, inside) == inside
        assert self.part(osce, Window(START + 10 * DAY, START + 11 * DAY)) is None

    def test_after_midnight_the_list_may_be_of_yesterday(self, osce: FakeLearningSpace) -> None:
        osce.now = START + DAY + 30 * MINUTE
        assert self.part(osce, empty_tail=True) == Window(START + DAY, START + 7 * DAY)
        assert self.part(osce, empty_tail=True, renewal_minutes=10) == Window(START + DAY, START + 8 * DAY)

    def test_days_are_those_of_the_centre(self, osce: FakeLearningSpace) -> None:
        asked = Window(AROUND.start.astimezone(ZoneInfo("Europe/Oslo")), AROUND.end.astimezone(ZoneInfo("Europe/Oslo")))
        spoken = self.part(osce, asked)
        assert spoken is not None
        assert spoken.start.tzinfo == ZoneInfo("Europe/Oslo")
        assert spoken.start == START


class TestCalls:
    def test_one_reading_serves_every_room(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce, keep_minutes=10)
        for each in bridge.calendars():
            bridge.read(each.ref, LONG)
        assert len(osce.calls) == 1
        osce.now += 10 * MINUTE
        assert titles(bridge) == ["OSCE Year 3", "Airway workshop"]
        assert [status for _, _, status in osce.calls] == [200, 304]

    @pytest.mark.parametrize(("etag", "dated", "last"), [(True, False, 304), (False, True, 304), (False, False, 200)])
    def test_what_did_not_change_is_not_sent_again(
        self, osce: FakeLearningSpace, etag: bool, dated: bool, last: int
    ) -> None:
        osce.etag, osce.dated = etag, dated
        bridge = opened(osce)
        assert titles(bridge) == titles(bridge)
        assert [status for _, _, status in osce.calls] == [200, last]

    def test_a_list_that_was_not_understood_is_asked_for_anew(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce)
        osce.body = b'{"events": 5}'
        with pytest.raises(Transient):
            titles(bridge)
        osce.now += 5 * MINUTE
        with pytest.raises(Transient):
            titles(bridge)
        assert [status for _, _, status in osce.calls] == [200, 200]

    def test_edits_show_at_the_next_renewal(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce)
        osce.add("New", MONDAY, MONDAY + HOUR)
        assert "New" not in titles(bridge)
        osce.now += HOUR
        assert "New" in titles(bridge)

    def test_the_other_spelling_is_tried_and_remembered(self, osce: FakeLearningSpace) -> None:
        osce.spellings = ("public_calendar",)
        bridge = opened(osce)
        titles(bridge)
        titles(bridge)
        assert [(path[-20:-5], status) for _, path, status in osce.calls] == [
            ("public-calendar", 404),
            ("public_calendar", 200),
            ("public_calendar", 304),
        ]

    def test_a_pasted_link_is_taken_as_it_is(self, osce: FakeLearningSpace) -> None:
        titles(opened(osce, url=f"{SITE}/w/api/v2/public_calendar.json?key=1"))
        assert osce.calls == [("GET", "/w/api/v2/public_calendar.json", 200)]

    def test_a_proxy_in_front_gets_what_it_wants(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce, user="ann", password="pw", header="X-Api-Key", header_value="k1")
        titles(bridge)
        assert osce.heard[0]["Authorization"] == "Basic YW5uOnB3"
        assert osce.heard[0]["X-Api-Key"] == "k1"


class TestBadDays:
    def fails(self, site: FakeLearningSpace, **settings: Any) -> BridgeError:
        with pytest.raises((Transient, Denied)) as caught:
            titles(opened(site, **settings))
        return caught.value

    @pytest.mark.parametrize("status", [404, 403])
    def test_a_disabled_endpoint_is_named(self, osce: FakeLearningSpace, status: int) -> None:
        osce.enabled, osce.off_status = False, status
        error = self.fails(osce)
        assert isinstance(error, Denied)
        assert "disabled" in str(error)
        assert [answer for _, _, answer in osce.calls] == [status, status]

    def test_an_address_that_is_not_let_in_is_named(self, osce: FakeLearningSpace) -> None:
        osce.blocked = True
        assert "not let in" in str(self.fails(osce))

    @pytest.mark.parametrize(("page", "kind"), [(LOGIN_PAGE, Denied), (BUSY_PAGE, Transient)])
    def test_a_web_page_is_named_for_what_it_is(
        self, osce: FakeLearningSpace, page: bytes, kind: type[Exception]
    ) -> None:
        osce.page = page
        error = self.fails(osce)
        assert isinstance(error, kind)
        assert "web page" in str(error)
        assert "not public" in str(error)

    @pytest.mark.parametrize("switch", [{"cut": True}, {"lost": True}, {"down": 500}, {"body": b"\x00"}])
    def test_everything_else_passes(self, osce: FakeLearningSpace, switch: dict[str, Any]) -> None:
        for name, value in switch.items():
            setattr(osce, name, value)
        assert isinstance(self.fails(osce), Transient)

    def test_a_site_that_fails_is_left_alone_longer_and_longer(self, osce: FakeLearningSpace) -> None:
        bridge = opened(osce)
        osce.down = 503
        for minutes in (1, 5, 15, 60, 60):
            for _ in range(3):
                with pytest.raises(Transient):
                    titles(bridge)
            with pytest.raises(Transient) as caught:
                titles(bridge)
            assert caught.value.retry_after == minutes * 60
            osce.now += minutes * MINUTE
        assert len(osce.calls) == 5
        osce.down = 0
        assert titles(bridge)
        osce.enabled = False
        for _ in range(2):
            with pytest.raises(Denied):
                titles(bridge)
        osce.enabled = True
        osce.now += MINUTE
        assert titles(bridge)

    def test_a_refusal_is_for_a_person(self, osce: FakeLearningSpace) -> None:
        osce.down = 400
        assert isinstance(self.fails(osce), Denied)

    def test_unchanged_means_nothing_before_the_first_reading(self, osce: FakeLearningSpace) -> None:
        osce.down = 304
        assert "nothing was read" in str(self.fails(osce))


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"url": "http://sim.example.edu"},
            {"url": "https://"},
            {"url": f"{SITE}/w/api/v2/public-calendar.ics"},
            {"url": "https://ann:pw@sim.example.edu"},
            {"zone": "America/Nowhere"},
            {"window_days": 181},
            {"header": "X: y"},
            {"header": "X-Key"},
            {"header": "X-Key", "header_value": "a\r\nb"},
            {"room": "x"},
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            LearningSpaceSettings.model_validate({"url": SITE, "zone": "America/New_York"} | wrong)

    def test_a_host_alone_means_https(self) -> None:
        settings = LearningSpaceSettings.model_validate({"url": "sim.example.edu/", "zone": "UTC"})
        assert settings.url == SITE
        assert SITE in repr(LearningSpaceBridge("sim", settings, Tools(lambda: MONDAY, session_to({}))))


def test_the_fake_serves_every_file(osce: FakeLearningSpace) -> None:
    with session_to({SITE: osce})() as session:
        for name in ("public-calendar", "public_calendar"):
            calendar = session.get(f"{SITE}/w/api/v2/{name}.ics").text
            assert "UID:ls-4711@" in calendar
            assert "LOCATION:Sim 1 (Sim Room)\\, Exam 2 (Exam Room)" in calendar
        assert "Made for tests" in session.get(f"{SITE}/w/api/v2/openapi.yml").text
        assert session.head(f"{SITE}/w/api/v2/public-calendar.json").status_code == 200
        assert session.put(f"{SITE}/w/api/v2/public-calendar.json").status_code == 405
        osce.stable_uids = False
        assert session.post(f"{SITE}/_fake/refresh").status_code == 204
        assert "UID:ls-4711@" not in session.get(f"{SITE}/w/api/v2/public-calendar.ics").text
