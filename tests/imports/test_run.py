"""An import from bytes to report, into a calendar of our own, as the page, the API and the command line run it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import requests
from sqlalchemy import select

from app.ics import Limits, NotACalendar
from app.imports.deciding.guard import Guard
from app.imports.deciding.plan import Entry
from app.imports.deciding.rules import NO_RULES, Rules
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Imports, Mode
from app.imports.writing.ledger import Ledger
from app.store import tables
from app.store.days import remembered_days
from app.store.leases import Busy, lease
from bridges.contract import Sink, Tools
from bridges.errors import Denied
from bridges.local import LocalBridge, LocalSettings
from bridges.model import AllDay, CalendarRef, Event, Kind, OccurrenceId, Timed, Window
from tests import stores
from tests.imports.bench import HERE
from tests.imports.lms import KINDS, UNFIT, Crash, Fault, Faulty, MemoryLms

OSLO = ZoneInfo("Europe/Oslo")
NOW = datetime(2025, 3, 10, 8, tzinfo=UTC)
TERM = Window(datetime(2025, 3, 10, tzinfo=OSLO), datetime(2025, 9, 1, tzinfo=OSLO))


def calendar(*events: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *events, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def vevent(uid: str, start: str, *lines: str, title: str = "Seminar") -> str:
    stamp = "DTSTAMP:20250101T000000Z"
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{uid}", stamp, f"DTSTART{start}", f"SUMMARY:{title}", *lines, "END:VEVENT"]
    )


SERIES = vevent("series", ":20250324T091500", "DURATION:PT1H45M", "RRULE:FREQ=WEEKLY;COUNT=3", title="Lecture")
SINGLE = vevent("single", ":20250401T120000Z", "DTEND:20250401T130000Z", title="Exam")
CLOSED = vevent("closed", ";VALUE=DATE:20250417", "DTEND;VALUE=DATE:20250419", title="Closed")


@dataclass
class Desk:
    """Where imports are run: a store, a sink and the clock."""

    sink: Sink
    now: datetime = NOW
    guard: Guard = field(default_factory=Guard)
    limits: Limits | None = None

    def __post_init__(self) -> None:
        self.engine = stores.in_memory()

    def imports(self) -> Imports:
        return Imports(
            self.engine,
            lambda lms: self.sink,
            now=lambda: self.now,
            zone=OSLO,
            guard=self.guard,
            partner="calbridge",
            limits=self.limits,
        )

    def run(
        self,
        data: bytes,
        *,
        source: str = "upload",
        dry_run: bool = False,
        approved: bool = False,
        progress: Callable[[int, int], None] | None = None,
        mode: Mode = Mode.REPLACE,
        grace: int = 1,
        rules: Rules = NO_RULES,
    ) -> Outcome:
        return self.imports().run(
            data,
            HERE,
            TERM,
            source=source,
            mode=mode,
            grace=grace,
            rules=rules,
            dry_run=dry_run,
            approved=approved,
            progress=progress,
        )

    def entries(self) -> Mapping[OccurrenceId, Entry]:
        return Ledger(self.engine, HERE, TERM, self.now).entries()

    def runs(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(select(tables.import_run.c.state).order_by(tables.import_run.c.id)).scalars()
            )


@pytest.fixture
def bridge() -> LocalBridge:
    bridge = LocalBridge("lms", LocalSettings(), Tools(now=lambda: NOW, session=requests.Session))
    bridge.add_calendar(HERE, "One")
    return bridge


@pytest.fixture
def desk(bridge: LocalBridge) -> Desk:
    return Desk(bridge)


def standing(bridge: LocalBridge) -> list[Event]:
    return [found.event for found in bridge.read(HERE, TERM)]


def test_a_file_is_written(desk: Desk, bridge: LocalBridge) -> None:
    outcome = desk.run(calendar(SERIES, SINGLE, CLOSED))
    assert outcome.state is Ending.DONE
    assert outcome.run_id == 1
    assert outcome.report is not None
    assert (outcome.report.created, outcome.events, outcome.problems) == (5, 3, ())
    assert [event.title for event in standing(bridge)] == ["Lecture", "Lecture", "Exam", "Lecture", "Closed"]


def test_floating_times_are_those_of_the_home_zone(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES))
    starts = [event.when.start for event in standing(bridge) if isinstance(event.when, Timed)]
    assert [start.astimezone(UTC).hour for start in starts] == [8, 7, 7]


def test_the_same_file_again_asks_nothing_of_the_lms() -> None:
    lms = MemoryLms(KINDS["keys are spent"])
    desk = Desk(lms)
    desk.run(calendar(SERIES, SINGLE, CLOSED))
    journal = list(lms.journal)
    desk.sink = line = Faulty(lms, [Fault.KILLED] * 9)
    outcome = desk.run(calendar(SERIES, SINGLE, CLOSED))
    assert outcome.report is not None
    assert (outcome.report.done, outcome.report.unchanged) == ((), 5)
    assert (lms.journal, line.calls) == (journal, 0)


def test_a_series_that_loses_one_gains_one_and_moves_one(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES))
    moved = vevent("series", ":20250325T100000", "DTEND:20250325T120000", "RECURRENCE-ID:20250324T091500")
    changed = SERIES.replace("COUNT=3", "COUNT=4").replace("SUMMARY", "EXDATE:20250331T091500\r\nSUMMARY")
    report = desk.run(calendar(changed, moved)).report
    assert report is not None
    assert (report.created, report.updated, report.deleted, report.unchanged) == (1, 1, 1, 1)
    assert desk.run(calendar(changed, moved)).plan.changes == ()


def test_a_single_event_becomes_a_series_and_back(desk: Desk, bridge: LocalBridge) -> None:
    single = SERIES.replace("RRULE:FREQ=WEEKLY;COUNT=3\r\n", "").replace("\r\nRRULE:FREQ=WEEKLY;COUNT=3", "")
    for data, count in ((single, 1), (SERIES, 3), (single, 1)):
        assert desk.run(calendar(data)).state is Ending.DONE
        assert len(standing(bridge)) == count


def test_a_cancelled_occurrence_is_taken_away(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SINGLE, CLOSED))
    cancelled = SINGLE.replace("SUMMARY", "STATUS:CANCELLED\r\nSUMMARY")
    outcome = desk.run(calendar(cancelled, CLOSED))
    assert outcome.state is Ending.DONE
    assert [event.title for event in standing(bridge)] == ["Closed"]


def test_a_dry_run_touches_nothing(desk: Desk, bridge: LocalBridge) -> None:
    outcome = desk.run(calendar(SERIES), dry_run=True)
    assert (outcome.state, outcome.run_id, outcome.report) == (Ending.DRY, None, None)
    assert len(outcome.plan.creates) == 3
    assert standing(bridge) == []
    assert desk.runs() == []


def test_a_held_plan_waits_for_a_yes(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES, SINGLE))
    outcome = desk.run(calendar())
    assert (outcome.state, outcome.report) == (Ending.HELD, None)
    assert outcome.objections == ("The file holds no event at all, and 4 events would be deleted.",)
    assert len(standing(bridge)) == 4
    assert desk.run(calendar(), dry_run=True).objections == outcome.objections
    assert desk.run(calendar(), approved=True).state is Ending.DONE
    assert standing(bridge) == []
    assert desk.runs() == ["done", "cancelled", "done"]


def test_another_file_under_the_same_name_is_held_and_under_its_own_runs(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES))
    assert "a name of its own" in desk.run(calendar(SINGLE)).objections[0]
    assert desk.run(calendar(SINGLE), source="exams").state is Ending.DONE
    assert len(standing(bridge)) == 4


def test_what_could_not_be_read_deletes_nothing(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES, SINGLE))
    broken = SINGLE.replace("DTSTART:20250401T120000Z", "DTSTART:yesterday")
    outcome = desk.run(calendar(SERIES, broken))
    assert outcome.problems
    assert outcome.plan.changes == ()
    assert len(standing(bridge)) == 4


def test_what_does_not_fit_is_refused_and_deletes_nothing() -> None:
    lms = MemoryLms(KINDS["keys come back"])
    desk = Desk(lms)
    desk.run(calendar(SINGLE))
    outcome = desk.run(calendar(SINGLE.replace("Exam", UNFIT)))
    assert outcome.report is not None
    assert [(note.title, note.reason) for note in outcome.report.refused] == [(UNFIT, "no place for it")]
    assert [event.title for event in lms.standing(HERE)] == ["Exam"]


def test_days_survive_an_lms_of_instants() -> None:
    lms = MemoryLms(KINDS["no keys, no days"])
    desk = Desk(lms)
    desk.run(calendar(CLOSED))
    assert desk.run(calendar(CLOSED)).plan.changes == ()
    with desk.engine.connect() as connection:
        ((_, days),) = remembered_days(connection, str(HERE)).values()
    assert days == AllDay(date(2025, 4, 17), date(2025, 4, 19))


def test_bytes_that_are_no_calendar_are_refused(desk: Desk) -> None:
    with pytest.raises(NotACalendar):
        desk.run(b"<html>Sign in</html>")
    with pytest.raises(NotACalendar):
        desk.run(calendar(SERIES)[:-20])
    assert desk.runs() == []


def test_limits_are_those_given(desk: Desk) -> None:
    desk.limits = Limits(bytes=100)
    with pytest.raises(NotACalendar):
        desk.run(calendar(SERIES))


def test_a_calendar_that_can_never_be_written_is_told_at_once(desk: Desk) -> None:
    with pytest.raises(Denied):
        desk.imports().run(calendar(SERIES), CalendarRef("else", Kind.COURSE, "one"), TERM, dry_run=True)


def test_one_calendar_has_one_writer(desk: Desk, bridge: LocalBridge) -> None:
    with lease(desk.engine, f"import {HERE}", lambda: NOW), pytest.raises(Busy):
        desk.run(calendar(SERIES))
    assert standing(bridge) == []
    assert desk.run(calendar(SERIES)).state is Ending.DONE


def test_a_busy_lms_leaves_the_rest_for_the_next_run(desk: Desk, bridge: LocalBridge) -> None:
    desk.sink = Faulty(bridge, [Fault.NONE, Fault.LOST, Fault.REFUSED])
    first, second, third = (desk.run(calendar(SERIES)) for _ in range(3))
    assert [outcome.state for outcome in (first, second, third)] == [Ending.LEFT, Ending.LEFT, Ending.DONE]
    assert second.report is not None
    assert second.report.retry_after == 30
    assert len(standing(bridge)) == 3


def test_a_run_that_was_cut_off_is_told_as_failed(desk: Desk, bridge: LocalBridge) -> None:
    desk.sink = Faulty(bridge, [Fault.KILLED_AFTER])
    with pytest.raises(Crash):
        desk.run(calendar(SERIES))
    assert desk.run(calendar(SERIES)).state is Ending.DONE
    assert desk.runs() == ["failed", "done"]
    assert len(standing(bridge)) == 3


def test_past_events_are_left_alone(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES, SINGLE))
    desk.now = NOW + timedelta(days=22)
    report = desk.run(calendar(SINGLE)).report
    assert report is not None
    assert report.deleted == 1
    assert len(standing(bridge)) == 3


def test_outcomes_are_told_as_json_and_as_text(desk: Desk) -> None:
    outcome = desk.run(calendar(SERIES, vevent("late", ":nonsense")))
    data = json.loads(json.dumps(outcome.to_json()))
    assert (data["state"], data["run"], data["report"]["created"], data["held"]) == ("done", 1, 3, [])
    assert data["problems"][0]["lost"]
    text = outcome.to_text().splitlines()
    assert text[0] == "lms/course/one: 3 created, 0 updated, 0 deleted, 0 unchanged, 0 refused, 0 left"
    assert text[1].startswith("line ")
    held = desk.run(calendar()).to_text()
    assert "3 to delete" in held
    assert "held: The file holds no event" in held


def test_progress_is_told_to_the_end(desk: Desk) -> None:
    told: list[tuple[int, int]] = []
    desk.run(calendar(SERIES), progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (3, 3)


def test_what_is_missing_is_deleted_after_several_whole_readings(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SINGLE, CLOSED))
    first = desk.run(calendar(CLOSED), grace=3)
    assert (len(first.plan.absent), first.plan.deletes) == (1, ())
    desk.run(calendar(CLOSED), grace=3, dry_run=True)
    desk.run(calendar(CLOSED, vevent("broken", ":nonsense"), vevent("single", ":never")), grace=3)
    assert desk.run(calendar(CLOSED), grace=3).plan.deletes == ()
    assert len(standing(bridge)) == 2
    report = desk.run(calendar(CLOSED), grace=3).report
    assert report is not None
    assert report.deleted == 1


def test_what_is_there_again_was_not_missing_in_a_row(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SINGLE, CLOSED))
    for _ in range(3):
        desk.run(calendar(CLOSED), grace=2)
        assert desk.run(calendar(SINGLE, CLOSED), grace=2).plan.changes == ()
    assert len(standing(bridge)) == 2


def test_adding_never_deletes(desk: Desk, bridge: LocalBridge) -> None:
    desk.run(calendar(SERIES, SINGLE))
    outcome = desk.run(calendar(CLOSED), mode=Mode.ADD)
    assert (outcome.state, outcome.plan.deletes, outcome.plan.absent) == (Ending.DONE, (), ())
    assert len(standing(bridge)) == 5


def test_rules_choose_and_rename(desk: Desk, bridge: LocalBridge) -> None:
    rules = Rules(include=("title:lect*", "exam"), exclude=("place:*online*",), renames=(("lect*", "BIO: {}"),))
    online = vevent("online", ":20250402T120000Z", "LOCATION:Online, by link", title="Lecture 9")
    outcome = desk.run(calendar(SERIES, SINGLE, CLOSED, online), rules=rules)
    assert outcome.state is Ending.DONE
    assert [event.title for event in standing(bridge)] == ["BIO: Lecture", "BIO: Lecture", "Exam", "BIO: Lecture"]
    assert desk.run(calendar(SERIES, SINGLE, CLOSED, online), rules=rules).plan.changes == ()
