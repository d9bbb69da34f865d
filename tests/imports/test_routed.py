"""One file into many calendars: each with its plan, shown, held, approved and taken back as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from app.imports.deciding.guard import Guard
from app.imports.deciding.routes import routes_of
from app.imports.record.batch import NOWHERE
from app.imports.record.routed_outcome import RoutedOutcome
from app.imports.record.runs import Ending, NotWaiting
from app.imports.routed import Routed
from app.imports.run import Imports
from app.imports.subscription import Import, Match
from bridges.contract import Sink
from bridges.errors import Gone, NotSent
from bridges.model import CalendarRef
from tests import stores
from tests.imports.lms import KINDS, Crash, Fault, MemoryLms, faulty
from tests.imports.test_run import NOW, OSLO, TERM, calendar, vevent

ROUTES = ("category:COURSE *=>lms/course/courseId:{1}",)


def lesson(uid: str, *courses: str, day: int = 1, hour: int = 9, title: str = "Lecture") -> str:
    categories = [f"CATEGORIES:{','.join(f'COURSE {course}' for course in courses)}"] if courses else []
    return vevent(uid, f":202504{day:02}T{hour:02}0000Z", "DURATION:PT1H", *categories, title=title)


def course(name: str) -> CalendarRef:
    return CalendarRef.parse(f"lms/course/{name}")


@dataclass
class Office:
    """An LMS whose courses go by `courseId:X` and by `X`; `lacking` are not there, of `away` nobody can tell now."""

    lms: MemoryLms = field(default_factory=lambda: MemoryLms(KINDS["keys are spent"]))
    engine: Engine = field(default_factory=stores.in_memory)
    lacking: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    sink: Sink | None = None

    def named(self, text: str) -> CalendarRef:
        self.asked.append(text)
        ref = CalendarRef.parse(text)
        name = ref.id.removeprefix("courseId:")
        if name in self.lacking:
            raise Gone(f"there is no course {name}")
        if name in self.away:
            raise NotSent("the LMS is away")
        return replace(ref, id=name)

    @property
    def imports(self) -> Imports:
        return Imports(
            self.engine,
            lambda lms: self.sink or self.lms,
            now=self.now,
            zone=OSLO,
            guard=Guard(),
            partner="calbridge",
        )

    @property
    def routed(self) -> Routed:
        return Routed(self.engine, self.imports, self.named, guard=Guard(), now=self.now)

    def now(self) -> datetime:
        return NOW

    def run(self, *lessons: str, routes: Sequence[str] = ROUTES, **terms: Any) -> RoutedOutcome:
        job = Import(calendar(*lessons), NOWHERE, TERM, "timetable", **terms)
        return self.routed.run(job, routes_of(routes))

    def titles(self) -> dict[str, list[str]]:
        """What stands, by course."""
        refs = sorted({where for where, _, _ in self.lms.events.values()})
        return {ref.id: sorted(event.title for event in self.lms.standing(ref)) for ref in refs}


@pytest.fixture
def office() -> Office:
    return Office()


def many(name: str, first: int = 0, last: int = 10) -> list[str]:
    return [lesson(f"{name} {n}", name, day=n + 1, title=f"{name} {n}") for n in range(first, last)]


def test_every_event_goes_where_its_route_says(office: Office) -> None:
    outcome = office.run(
        lesson("a", "BIO", title="Cells"), lesson("b", "CHE", title="Acids"), lesson("c", "BIO", "CHE")
    )
    assert outcome.state is Ending.DONE
    assert office.titles() == {"BIO": ["Cells", "Lecture"], "CHE": ["Acids", "Lecture"]}


def test_the_same_file_again_writes_nothing(office: Office) -> None:
    file = [*many("BIO"), *many("CHE")]
    office.run(*file)
    written = len(office.lms.journal)
    again = office.run(*file)
    assert (again.unchanged, again.calendars, again.outcomes) == (20, 2, ())
    assert len(office.lms.journal) == written


def test_a_dry_run_shows_all_calendars_as_one_and_writes_nothing(office: Office) -> None:
    outcome = office.run(*many("BIO"), *many("CHE"), lesson("x", title="Party"), dry_run=True)
    assert outcome.state is Ending.DRY
    assert outcome.to_text().splitlines() == [
        "2 calendars: 20 to create, 0 to update, 0 to delete, 0 unchanged",
        "lms/course/BIO: 10 to create, 0 to update, 0 to delete, 0 unchanged",
        "lms/course/CHE: 10 to create, 0 to update, 0 to delete, 0 unchanged",
        "no route takes 1 events of 1 titles:",
        "  1 × Party (no category, no place)",
    ]
    data = json.loads(json.dumps(outcome.to_json()))
    assert (data["create"], data["unmatched"]["events"], len(data["outcomes"])) == (20, 1, 2)
    assert office.lms.journal == []


def test_an_event_of_another_category_moves(office: Office) -> None:
    office.run(lesson("a", "BIO"), *many("BIO"), *many("CHE"))
    office.run(lesson("a", "CHE"), *many("BIO"), *many("CHE"))
    assert "Lecture" in office.titles()["CHE"]
    assert "Lecture" not in office.titles()["BIO"]
    assert [deed for deed, _ in office.lms.journal[-2:]] == ["create", "delete"]


def test_a_calendar_that_nothing_goes_to_any_more_is_emptied(office: Office) -> None:
    office.run(*many("BIO"), *many("CHE", 0, 3))
    outcome = office.run(*many("BIO"))
    assert outcome.state is Ending.DONE
    assert office.titles() == {"BIO": [f"BIO {n}" for n in range(10)]}


def test_where_two_names_lead_to_one_calendar_their_events_are_joined(office: Office) -> None:
    routes = ["category:COURSE BIO=>lms/course/courseId:BIO", "title:*=>lms/course/BIO"]
    office.run(lesson("a", "BIO"), lesson("b", title="Party"), routes=routes)
    again = office.run(lesson("a", "BIO"), lesson("b", title="Party"), routes=routes)
    assert office.titles() == {"BIO": ["Lecture", "Party"]}
    assert again.unchanged == 2


def test_a_calendar_that_is_not_there_costs_its_own_events_alone(office: Office) -> None:
    office.lacking.add("CHE")
    outcome = office.run(*many("BIO"), *many("CHE"))
    (missing,) = outcome.missing
    assert (missing.target, missing.events, missing.reason) == (
        "lms/course/courseId:CHE",
        10,
        "there is no course CHE",
    )
    assert (outcome.state, outcome.refused) == (Ending.DONE, True)
    assert office.titles() == {"BIO": [f"BIO {n}" for n in range(10)]}


@pytest.mark.parametrize("match", Match)
def test_what_cannot_go_where_it_should_stays_where_it_is(office: Office, match: Match) -> None:
    office.run(lesson("a", "BIO", title="Cells"), *many("BIO"), match=match)
    office.lacking.add("CHE")
    outcome = office.run(lesson("a", "CHE", title="Cells"), *many("BIO", 1), match=match)
    assert "Cells" in office.titles()["BIO"]
    assert "BIO 0" not in office.titles()["BIO"]
    assert outcome.missing
    office.lacking.clear()
    office.run(lesson("a", "CHE", title="Cells"), *many("BIO", 1), match=match)
    assert office.titles()["CHE"] == ["Cells"]
    assert "Cells" not in office.titles()["BIO"]


def test_an_lms_that_is_away_is_not_asked_for_every_calendar(office: Office) -> None:
    office.away |= {"BIO", "CHE", "PHY"}
    outcome = office.run(*many("BIO"), *many("CHE"), *many("PHY"))
    assert outcome.state is Ending.LEFT
    assert len(office.asked) == 1
    assert [each.later for each in outcome.missing] == [True] * 3


def test_a_calendar_that_loses_too_much_is_held_and_the_others_are_not(office: Office) -> None:
    office.run(*many("BIO", 0, 30), *many("CHE"))
    outcome = office.run(*many("BIO", 0, 29), *many("CHE", 9))
    assert outcome.state is Ending.HELD
    assert {one.plan.calendar.id: one.state for one in outcome.outcomes} == {"BIO": Ending.DONE, "CHE": Ending.HELD}
    assert (len(office.titles()["BIO"]), len(office.titles()["CHE"])) == (29, 10)


def test_too_many_deletions_over_all_hold_everything(office: Office) -> None:
    """Each calendar by itself would lose too few to be held."""
    courses = [f"C{n}" for n in range(5)]
    office.run(*(one for name in courses for one in many(name, 0, 4)))
    outcome = office.run(*(one for name in courses for one in many(name, 3, 4)), lesson("new", "C0", title="New"))
    assert outcome.state is Ending.HELD
    assert outcome.objections[0] == "It would delete 15 of the 20 events that earlier imports of 'timetable' wrote."
    assert {one.state for one in outcome.outcomes} == {Ending.HELD}
    assert sum(map(len, office.titles().values())) == 20


def held(office: Office) -> tuple[RoutedOutcome, int]:
    office.run(*many("BIO"), *many("CHE"))
    outcome = office.run(*many("BIO", 8), *many("CHE", 8))
    assert outcome.state is Ending.HELD
    assert outcome.batch is not None
    return outcome, outcome.batch


def test_a_batch_is_approved_as_a_whole(office: Office) -> None:
    _, batch = held(office)
    outcome = office.routed.approve(batch)
    assert outcome.state is Ending.DONE
    assert office.titles() == {"BIO": ["BIO 8", "BIO 9"], "CHE": ["CHE 8", "CHE 9"]}
    assert {state for _, _, state in office.routed.get(batch).runs} == {Ending.DONE}
    with pytest.raises(NotWaiting):
        office.routed.approve(batch)


def test_a_batch_is_approved_calendar_by_calendar(office: Office) -> None:
    outcome, _ = held(office)
    bio = next(one for one in outcome.outcomes if one.plan.calendar == course("BIO"))
    assert bio.run_id is not None
    office.imports.approve(bio.run_id)
    assert (len(office.titles()["BIO"]), len(office.titles()["CHE"])) == (2, 10)


def test_one_approved_calendar_keeps_what_the_file_wants_elsewhere(office: Office) -> None:
    office.run(*many("BIO"), *many("CHE"))
    moved = [lesson(f"BIO {n}", "CHE", day=n + 1, title=f"BIO {n}") for n in range(8)]
    outcome = office.run(*moved, *many("BIO", 8), *many("CHE", 7))
    bio = next(one for one in outcome.outcomes if one.plan.calendar == course("BIO"))
    assert bio.run_id is not None
    office.imports.approve(bio.run_id)
    assert len(office.titles()["BIO"]) == 10


def test_a_newer_file_overtakes_what_waits(office: Office) -> None:
    _, batch = held(office)
    assert office.run(*many("BIO"), *many("CHE")).state is Ending.DONE
    assert {state for _, _, state in office.routed.get(batch).runs} == {Ending.CANCELLED}
    with pytest.raises(NotWaiting):
        office.routed.approve(batch)


def test_a_batch_is_cancelled_as_one(office: Office) -> None:
    _, batch = held(office)
    assert office.routed.cancel(batch).state is Ending.CANCELLED
    assert len(office.titles()["BIO"]) == 10


def test_a_batch_is_taken_back_as_one(office: Office) -> None:
    office.run(lesson("a", "BIO", title="Cells"), *many("BIO"), *many("CHE"))
    before = office.titles()
    outcome = office.run(
        lesson("a", "CHE", title="Cells"), *many("BIO", 2), *many("CHE", 1), lesson("n", "PHY", title="New")
    )
    assert outcome.state is Ending.DONE
    assert outcome.batch is not None
    assert office.titles() != before
    office.routed.undo(outcome.batch)
    assert office.titles() == before
    with pytest.raises(NotWaiting):
        office.routed.undo(outcome.batch)


def test_an_lms_that_fails_half_way_leaves_what_it_did_not_take(office: Office) -> None:
    office.run(lesson("a", "BIO", title="Cells"), *many("BIO"), *many("CHE"))
    office.sink = faulty(office.lms, [Fault.REFUSED])
    file = [lesson("a", "CHE", title="Cells"), *many("BIO"), *many("CHE")]
    outcome = office.run(*file)
    assert outcome.state is Ending.LEFT
    assert "Cells" in office.titles()["BIO"], "it was deleted before it stood in the other calendar"
    office.sink = None
    assert office.run(*file).state is Ending.DONE
    assert "Cells" not in office.titles()["BIO"]
    assert "Cells" in office.titles()["CHE"]


def test_new_uids_in_every_calendar_are_held_and_content_tells(office: Office) -> None:
    office.run(*many("BIO"), *many("CHE"))
    renamed = [one.replace("UID:", "UID:new ") for one in (*many("BIO"), *many("CHE"))]
    outcome = office.run(*renamed)
    assert outcome.state is Ending.HELD
    assert "match=content" in outcome.to_text()
    again = office.run(*renamed, match=Match.CONTENT)
    assert (again.state, again.unchanged) == (Ending.DONE, 20)


def test_another_file_or_an_empty_one_is_held(office: Office) -> None:
    office.run(*many("BIO", 0, 3), *many("CHE", 0, 2))
    (empty,) = office.run().objections
    assert empty == "The file holds no event at all, and 5 events would be deleted."
    (other,) = office.run(*many("PHY")).objections
    assert "a name of its own" in other
    assert office.titles() == {"BIO": ["BIO 0", "BIO 1", "BIO 2"], "CHE": ["CHE 0", "CHE 1"]}


def test_what_moves_to_a_calendar_that_is_held_stays_until_that_was_approved(office: Office) -> None:
    """The calendar it leaves would be done first."""
    office.run(lesson("a", "BIO", title="Cells"), *many("BIO", 0, 30), *many("CHE"))
    outcome = office.run(lesson("a", "CHE", title="Cells"), *many("BIO", 0, 30), *many("CHE", 8))
    assert {one.plan.calendar.id: one.state for one in outcome.outcomes} == {"CHE": Ending.HELD}
    assert "Cells" in office.titles()["BIO"]
    assert outcome.batch is not None
    office.routed.approve(outcome.batch)
    assert "Cells" in office.titles()["CHE"]
    assert "Cells" not in office.titles()["BIO"]


class TestInTheBackground:
    def queued(self, office: Office, *lessons: str) -> int:
        job = Import(calendar(*lessons), NOWHERE, TERM, "timetable")
        return office.routed.queue(job, routes_of(ROUTES)).id

    def test_a_worker_takes_it_up_and_writes_everywhere(self) -> None:
        office = Office()
        batch = self.queued(office, lesson("a", "BIO"), lesson("b", "CHE"))
        assert (office.routed.get(batch).state, office.lms.events) == (Ending.QUEUED, {})
        assert office.routed.due() == [batch]
        told = office.routed.take_up(batch)
        assert told
        assert told.state is Ending.DONE
        assert len(office.lms.standing(course("BIO"))) == len(office.lms.standing(course("CHE"))) == 1
        assert (office.routed.due(), office.routed.get(batch).state) == ([], Ending.DONE)

    def test_what_a_dead_worker_left_is_taken_up_by_another(self) -> None:
        office = Office()
        batch = self.queued(office, lesson("a", "BIO"), lesson("b", "CHE"), lesson("c", "DAN"))
        office.sink = faulty(office.lms, [Fault.NONE, Fault.KILLED_AFTER])
        with pytest.raises(Crash):
            office.routed.take_up(batch)
        office.sink = None
        assert office.routed.get(batch).state is Ending.RUNNING
        assert office.routed.due() == [batch]
        assert office.routed.take_up(batch)
        assert [len(office.lms.standing(course(name))) for name in ("BIO", "CHE", "DAN")] == [1, 1, 1]
        assert office.routed.get(batch).state is Ending.DONE

    def test_one_that_kills_its_workers_is_given_up(self) -> None:
        office = Office()
        batch = self.queued(office, lesson("a", "BIO"))
        for _ in range(5):
            office.sink = faulty(office.lms, [Fault.KILLED])
            with pytest.raises(Crash):
                office.routed.take_up(batch)
        office.sink = None
        assert office.routed.take_up(batch) is None
        given_up = office.routed.get(batch)
        assert given_up.state is Ending.FAILED
        assert "begun 5 times" in given_up.report["stopped"]
        assert office.routed.due() == []

    def test_a_newer_file_overtakes_one_that_waits(self) -> None:
        office = Office()
        older = self.queued(office, lesson("a", "BIO"))
        newer = self.queued(office, lesson("b", "BIO"))
        assert office.routed.due() == [newer]
        assert office.routed.get(older).state is Ending.CANCELLED

    def test_what_is_no_calendar_is_told(self) -> None:
        office = Office()
        batch = office.routed.queue(Import(b"hello", NOWHERE, TERM, "timetable"), routes_of(ROUTES)).id
        assert office.routed.take_up(batch) is None
        assert office.routed.get(batch).state is Ending.FAILED
        assert office.routed.get(batch).report["stopped"]

    def test_it_is_carried_out_once(self) -> None:
        office = Office()
        batch = self.queued(office, lesson("a", "BIO"))
        assert office.routed.take_up(batch)
        with pytest.raises(NotWaiting):
            office.routed.take_up(batch)

    def test_its_file_is_what_the_next_one_is_measured_by(self) -> None:
        """A file that shrank is held, whoever reads it."""
        office = Office()
        many = [lesson(f"u{number}", "BIO", hour=8 + number % 10, day=1 + number // 10) for number in range(40)]
        office.routed.take_up(self.queued(office, *many))
        batch = self.queued(office, *many[:5])
        told = office.routed.take_up(batch)
        assert told
        assert told.state is Ending.HELD
        assert any("last time it held 40" in objection for objection in told.objections)
        assert office.routed.get(batch).events == 5
