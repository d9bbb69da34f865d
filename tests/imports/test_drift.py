"""What people change or delete in an LMS is seen, and kept, asked about or written over, as the policy says."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.imports.deciding.guard import Guard
from app.imports.drift.changes import Kind, Policy
from app.imports.drift.drifts import Drifts, Look, NoDrift
from app.imports.drift.policies import Policies
from app.imports.record.outcome import Outcome
from app.imports.record.report import Deed
from app.imports.record.runs import Ending
from bridges.errors import Denied, Transient
from bridges.model import Calendar, CalendarRef, Event, Found, RemoteRef, Window
from tests import stores
from tests.imports.bench import HERE, HOUR, at
from tests.imports.lms import KINDS, BatchLms, Crash, Fault, Faulty, FaultyBatches, MemoryLms
from tests.imports.test_run import NOW, OSLO, Desk, calendar, vevent


@dataclass
class ShownLms(MemoryLms):
    """A MemoryLms that shows what it holds. `away` is what every reading is answered with."""

    away: Transient | Denied | None = None

    def calendars(self) -> list[Calendar]:
        return [Calendar(HERE, "One", writable=True)]

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        if self.away:
            raise self.away
        self.reads += 1
        return [Found(ref, event) for ref, (where, _, event) in self.events.items()
                if where == calendar and window.overlaps(event.when)]  # fmt: skip

    def look_up(self, calendar: CalendarRef, refs: list[RemoteRef]) -> dict[RemoteRef, Found]:
        return {ref: Found(ref, self.events[ref][2]) for ref in refs if ref in self.events}


@dataclass
class ShownBatches(BatchLms, ShownLms):
    """The same with batches."""


class Watched(Desk):
    """A desk with somebody who looks at what became of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lms = self.sink
        self.policies = Policies(self.engine)

    def drifts(self) -> Drifts:
        return Drifts(
            self.engine,
            lambda lms: self.sink,
            self.imports(),
            self.policies,
            now=lambda: self.now,
            zone=OSLO,
            guard=self.guard,
        )

    def writes(self, *events: str) -> Outcome:
        outcome = self.run(calendar(*events), approved=True)
        assert outcome.state is Ending.DONE, outcome.to_text()
        return outcome


def lesson(uid: str, hour: int = 1, title: str = "Seminar") -> str:
    return vevent(uid, f":20250311T{8 + hour:02}0000Z", "DURATION:PT1H", title=title)


def titles(lms: MemoryLms) -> list[str]:
    return sorted(event.title for event in lms.standing(HERE))


def ref_of(lms: MemoryLms, title: str) -> RemoteRef:
    (found,) = [ref for ref, (_, _, event) in lms.events.items() if event.title == title]
    return found


def edit(lms: MemoryLms, title: str, /, **changes: object) -> None:
    """What a person does."""
    ref = ref_of(lms, title)
    where, key, event = lms.events[ref]
    lms.events[ref] = (where, key, replace(event, **changes))  # type: ignore[arg-type]


@pytest.fixture(params=list(KINDS))
def lms(request: pytest.FixtureRequest) -> ShownLms:
    return ShownLms(KINDS[request.param])


@pytest.fixture
def desk(lms: ShownLms) -> Watched:
    desk = Watched(lms)
    desk.writes(lesson("a", 1, "A"), lesson("b", 2, "B"), lesson("c", 3, "C"))
    return desk


def shown(outcome: Outcome) -> list[str]:
    assert outcome.report is not None
    return [note.title for note in outcome.report.spared]


class TestChecks:
    def test_what_nobody_touched_is_no_drift(self, desk: Watched) -> None:
        check = desk.drifts().check(HERE)
        assert (check.look, check.same, check.drifts) == (Look.SAME, 3, [])

    def test_edits_moves_and_deletions_are_told_apart(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        edit(lms, "B", when=at(24 * 30).when)
        del lms.events[ref_of(lms, "C")]
        check = desk.drifts().check(HERE)
        assert (check.look, check.same) == (Look.DRIFTED, 0)
        assert [(each.kind, each.written.title) for each in check.drifts] == [
            (Kind.EDITED, "A"),
            (Kind.MOVED, "B"),
            (Kind.DELETED, "C"),
        ]
        assert check.drifts[0].differences() == {"place": ("", "Room 9")}
        assert desk.drifts().list() == check.drifts == desk.drifts().check(HERE).drifts

    def test_what_is_made_good_again_is_no_drift_any_more(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        desk.drifts().check(HERE)
        edit(lms, "A", place="")
        assert (desk.drifts().check(HERE).look, desk.drifts().list()) == (Look.SAME, [])

    def test_a_reading_that_fails_says_nothing_about_absence(self, desk: Watched, lms: ShownLms) -> None:
        lms.events.clear()
        lms.away = Transient("away", retry_after=60)
        check = desk.drifts().check(HERE)
        assert (check.look, check.retry_after, desk.drifts().list()) == (Look.FAILED, 60, [])

    def test_a_calendar_that_shows_nothing_is_not_believed(self, lms: ShownLms) -> None:
        desk = Watched(lms)
        desk.writes(*(lesson(f"u{n}", n, f"Lecture {n}") for n in range(8)))
        lms.events.clear()
        check = desk.drifts().check(HERE)
        assert (check.look, desk.drifts().list()) == (Look.DOUBTFUL, [])
        assert "8 of 8" in check.problem
        believed = desk.drifts().check(HERE, believe=True)
        assert (believed.look, len(believed.drifts)) == (Look.DRIFTED, 8)

    def test_an_lms_that_shows_nothing_says_so(self) -> None:
        desk = Watched(MemoryLms(KINDS["keys come back"]))
        check = desk.drifts().check(HERE)
        assert (check.look, "cannot be read" in check.problem) == (Look.UNKNOWN, True)

    def test_what_is_over_is_left_alone(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        desk.now = NOW + timedelta(days=3)
        assert (desk.drifts().check(HERE).look, desk.drifts().list()) == (Look.SAME, [])


class TestKeeping:
    def test_an_edit_stays_until_the_file_changes_and_then_too(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        desk.drifts().check(HERE)
        same = desk.writes(lesson("a", 1, "A"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert (same.plan.changes, shown(same)) == ((), ["A"])
        changed = desk.writes(lesson("a", 1, "A2"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert (titles(lms), shown(changed)) == (["A", "B", "C"], ["A2"])
        assert changed.report is not None
        assert "the file has changed it too" in changed.report.spared[0].reason

    def test_an_edit_that_nobody_has_seen_yet_is_not_written_over(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        outcome = desk.writes(lesson("a", 1, "A2"), lesson("b", 2, "B2"))
        assert (titles(lms), shown(outcome)) == (["A", "B2"], ["A2"])
        edit(lms, "B2", place="Room 10")
        assert shown(desk.writes(lesson("a", 1, "A2"))) == ["A2", "B2"]
        assert titles(lms) == ["A", "B2"]

    def test_what_people_deleted_is_not_written_again(self, desk: Watched, lms: ShownLms) -> None:
        del lms.events[ref_of(lms, "A")]
        outcome = desk.writes(lesson("a", 1, "A2"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert (titles(lms), shown(outcome)) == (["B", "C"], ["A2"])
        assert desk.writes(lesson("a", 1, "A2"), lesson("b", 2, "B"), lesson("c", 3, "C")).plan.changes == ()
        (drift,) = desk.drifts().list()
        assert (drift.kind, drift.ours and drift.ours.event.title) == (Kind.DELETED, "A2")
        (outcome,) = desk.drifts().restore([drift.id])
        assert (outcome.state, titles(lms), desk.drifts().list()) == (Ending.DONE, ["A2", "B", "C"], [])

    def test_what_both_dropped_is_forgotten_and_may_come_back(self, desk: Watched, lms: ShownLms) -> None:
        del lms.events[ref_of(lms, "A")]
        desk.drifts().check(HERE)
        desk.writes(lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert desk.drifts().list() == []
        desk.writes(lesson("a", 1, "A"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert titles(lms) == ["A", "B", "C"]

    def test_restoring_writes_what_the_file_says_by_now(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        edit(lms, "B", place="Room 9")
        desk.writes(lesson("a", 1, "A2"), lesson("c", 3, "C"))
        outcomes = desk.drifts().restore(each.id for each in desk.drifts().list())
        assert [outcome.state for outcome in outcomes] == [Ending.DONE]
        assert outcomes[0].report is not None
        assert any("Room 9" in note.reason for note in outcomes[0].report.done)
        assert (titles(lms), {event.place for event in lms.standing(HERE)}) == (["A2", "C"], {""})
        assert desk.writes(lesson("a", 1, "A2"), lesson("c", 3, "C")).plan.changes == ()

    def test_what_was_accepted_is_asked_again_when_the_file_changes(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        (drift,) = desk.drifts().check(HERE).drifts
        assert desk.drifts().accept([drift.id])[0].accepted
        assert desk.drifts().check(HERE).look is Look.SAME
        outcome = desk.writes(lesson("a", 1, "A2"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert outcome.report is not None
        assert "file has changed" in outcome.report.spared[0].reason
        edit(lms, "A", place="Room 10")
        assert desk.drifts().check(HERE).look is Look.DRIFTED

    def test_there_is_no_drift_of_that_number(self, desk: Watched) -> None:
        for verb in (desk.drifts().accept, desk.drifts().restore):
            with pytest.raises(NoDrift, match="no drift 77"):
                verb([77])

    def test_purge_and_undo_do_what_they_say(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", place="Room 9")
        del lms.events[ref_of(lms, "B")]
        desk.drifts().check(HERE)
        undone = desk.imports().undo(1)
        assert (titles(lms), [note.title for note in undone.report.refused] if undone.report else None) == (
            ["A"],
            ["A"],
        )
        assert desk.imports().purge(HERE, "upload").state is Ending.DONE
        assert (titles(lms), desk.drifts().list()) == ([], [])
        desk.writes(lesson("a", 1, "A"), lesson("b", 2, "B"))
        assert titles(lms) == ["A", "B"]


class TestOverwriting:
    def test_a_check_writes_again_what_people_changed_or_deleted(self, desk: Watched, lms: ShownLms) -> None:
        desk.policies.set(HERE, "upload", Policy.OVERWRITE)
        edit(lms, "A", title="Mine")
        del lms.events[ref_of(lms, "B")]
        check = desk.drifts().check(HERE)
        assert (check.look, titles(lms), check.drifts) == (Look.SAME, ["A", "B", "C"], [])
        assert check.restored is not None
        assert check.restored.report is not None
        assert sorted(note.deed for note in check.restored.report.done) == [Deed.CREATE, Deed.UPDATE]

    def test_an_import_does_so_where_the_policy_has_changed(self, desk: Watched, lms: ShownLms) -> None:
        edit(lms, "A", title="Mine")
        del lms.events[ref_of(lms, "B")]
        desk.drifts().check(HERE)
        desk.policies.set(HERE, "upload", Policy.OVERWRITE)
        desk.writes(lesson("a", 1, "A"), lesson("b", 2, "B"), lesson("c", 3, "C"))
        assert titles(lms) == ["A", "B", "C"]


class TestRhythm:
    def test_a_calendar_is_checked_in_its_turn_and_failures_back_off(self, desk: Watched, lms: ShownLms) -> None:
        drifts = desk.drifts()
        drifts.wrote(HERE)
        assert drifts.due(desk.now) == []
        desk.now += timedelta(days=1)
        assert drifts.due(desk.now) == [HERE]
        lms.away = Transient("away")
        check = drifts.run(HERE)
        assert check is not None
        assert check.look is Look.FAILED
        assert drifts.run(HERE) is None
        desk.now += HOUR
        assert drifts.due(desk.now) == [HERE]
        lms.away = None
        drifts.run(HERE)
        assert (drifts.due(desk.now + 23 * HOUR), drifts.due(desk.now + 24 * HOUR)) == ([], [HERE])
        drifts.set_rhythm(HERE, 0)
        assert drifts.due(desk.now + timedelta(days=99)) == []


class People(RuleBasedStateMachine):
    """Files change, people edit and delete, checks and imports run over bad lines and die."""

    policy = Policy.KEEP

    @initialize(kind=st.sampled_from(list(KINDS)), batches=st.booleans())
    def open(self, kind: str, batches: bool) -> None:
        self.lms = ShownBatches(replace(KINDS[kind], batch=2)) if batches else ShownLms(KINDS[kind])
        self.desk = Watched(self.lms, guard=Guard(share=1, count=99))
        self.desk.policies.set(HERE, "upload", self.policy)
        self.file: dict[str, tuple[int, str]] = {}
        self.theirs: dict[RemoteRef, Event] = {}
        self.gone: set[str] = set()
        self.written = 0

    @rule(uid=st.sampled_from("abc"), hour=st.integers(1, 3))
    def the_file_says(self, uid: str, hour: int) -> None:
        """No two events are ever equal: an LMS without keys could not tell them apart."""
        self.written += 1
        self.file[uid] = (hour, f"{uid}{self.written}")

    @rule(uid=st.sampled_from("abc"))
    def the_file_drops(self, uid: str) -> None:
        self.file.pop(uid, None)

    @rule(data=st.data(), place=st.sampled_from(["Room 8", "Room 9"]), also=st.booleans())
    def somebody_edits_one(self, data: st.DataObject, place: str, also: bool) -> None:
        """Unseen by any check; maybe the file changes the same event at once.

        Where an LMS knows no keys, an event whose create was never answered is found again by its looks alone: what
        somebody makes of it before the next run makes a stranger of it. So nobody does that here.
        """
        refs = self.lms.events if self.lms.rules.finds_by_key else self.answered()
        if refs:
            ref = data.draw(st.sampled_from(sorted(refs)))
            where, key, event = self.lms.events[ref]
            self.theirs[ref] = replace(event, place=place)
            self.lms.events[ref] = (where, key, self.theirs[ref])
            if also:
                self.the_file_says(event.title[0], 1)
                self.imported()

    def answered(self) -> set[RemoteRef]:
        """The events there whose ref the ledger knows."""
        refs = {entry.ref for entry in self.desk.entries().values()}
        return {ref for ref in self.lms.events if ref in refs}

    @rule(data=st.data())
    def somebody_deletes_one(self, data: st.DataObject) -> None:
        if self.lms.events:
            ref = data.draw(st.sampled_from(sorted(self.lms.events)))
            self.gone.add(self.lms.events.pop(ref)[2].title[0])
            self.theirs.pop(ref, None)

    @rule()
    def a_check(self) -> None:
        self.desk.drifts().check(HERE)

    @rule(says=st.sets(st.sampled_from("abc")), faults=st.just([]) | st.lists(st.sampled_from(Fault), max_size=4))
    def an_import(self, says: set[str], faults: list[Fault]) -> None:
        for uid in sorted(says):
            self.the_file_says(uid, 1)
        sink = self.desk.sink
        kind = ShownFaultyBatches if isinstance(self.lms, BatchLms) else ShownFaulty
        self.desk.sink = kind(self.lms, faults)
        with suppress(Crash):
            self.imported()
        self.desk.sink = sink

    @rule(faults=st.lists(st.sampled_from(Fault), max_size=3))
    def a_restore(self, faults: list[Fault]) -> None:
        drifts = self.desk.drifts().list()
        for each in drifts:
            self.gone.discard(each.occurrence.uid)
            self.theirs = {ref: event for ref, event in self.theirs.items() if event.title[0] != each.occurrence.uid}
        sink = self.desk.sink
        kind = ShownFaultyBatches if isinstance(self.lms, BatchLms) else ShownFaulty
        self.desk.sink = kind(self.lms, faults)
        with suppress(Crash, Transient):
            self.desk.drifts().restore(each.id for each in drifts)
        self.desk.sink = sink

    def imported(self) -> Outcome:
        return self.desk.run(calendar(*(lesson(uid, *what) for uid, what in self.file.items())), approved=True)

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "lms"):
            assert not [uid for uid, count in Counter(t[0] for t in titles(self.lms)).items() if count > 1]

    @invariant()
    def what_people_made_is_never_lost(self) -> None:
        if hasattr(self, "lms") and self.policy is Policy.KEEP:
            for ref, event in self.theirs.items():
                assert self.lms.events[ref][2] == event


class Overwriting(People):
    """The same where what people make of it is written over: in the end the file stands."""

    policy = Policy.OVERWRITE

    def teardown(self) -> None:
        if not hasattr(self, "lms"):
            return
        for _ in range(2):
            assert self.imported().state is Ending.DONE
            assert self.desk.drifts().check(HERE).look is Look.SAME
        stands = sorted((event.title, event.place) for event in self.lms.standing(HERE))
        assert stands == sorted((title, "") for _, title in self.file.values())


class _Shown:
    """What people look at is seen over the bad line as well."""

    def calendars(self) -> list[Calendar]:
        return self.sink.calendars()  # type: ignore[attr-defined, no-any-return]

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        return self.sink.read(calendar, window)  # type: ignore[attr-defined, no-any-return]

    def look_up(self, calendar: CalendarRef, refs: list[RemoteRef]) -> dict[RemoteRef, Found]:
        return self.sink.look_up(calendar, refs)  # type: ignore[attr-defined, no-any-return]


class ShownFaulty(_Shown, Faulty):
    """A bad line to an LMS that can be read."""


class ShownFaultyBatches(_Shown, FaultyBatches):
    """The same with batches."""


TestPeople = People.TestCase
TestPeople.settings = settings(max_examples=stores.few(60), stateful_step_count=15, deadline=None)
TestOverwritingAlways = Overwriting.TestCase
TestOverwritingAlways.settings = settings(max_examples=stores.few(40), stateful_step_count=12, deadline=None)
