"""From plan to report: every answer that an LMS may give, and the process dying at every step between."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from app.imports.deciding.plan import State
from app.imports.record.report import Deed, report_to_json
from app.imports.writing.writer import MOST_SPENT_KEYS
from app.store.days import remembered_days
from bridges.contract import SinkRules
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef, Event, OccurrenceId, RemoteRef, SyncKey
from tests import stores
from tests.imports.bench import HERE, Bench, at, day, single, slot, term
from tests.imports.lms import KINDS, SHAPES, UNFIT, UNWANTED, BatchLms, Crash, Fault, Faulty, MemoryLms, faulty, lms_of


@pytest.fixture(params=[(kind, shape) for shape in SHAPES for kind in KINDS], ids=", ".join)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(lms=lms_of(*request.param))


def assert_settled(bench: Bench) -> None:
    """Exactly what is wanted stands there, the ledger says so, and another run has nothing to do."""
    assert bench.standing() == bench.expected()
    entries = bench.entries()
    assert {id for id, entry in entries.items() if entry.live} == set(bench.fitted())
    assert not any(entry.state.pending for entry in entries.values())
    writes, reads = len(bench.lms.journal), bench.lms.reads
    report = bench.run()
    assert (report.done, report.unchanged) == ((), len(bench.fitted()))
    assert (len(bench.lms.journal), bench.lms.reads) == (writes, reads)


def rerun_until_done(bench: Bench, faults: list[Fault]) -> None:
    """As a person would: again and again, the process dying or stopping in between."""
    line = faulty(bench.lms, faults)
    for _ in range(len(faults) + 1):
        with suppress(Crash, Transient):
            if not bench.run(line).left:
                return
    raise AssertionError("it never came to an end")


class TestOneRun:
    def test_what_is_wanted_is_written_and_then_left_alone(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1, "a title that is cut at twenty"), slot("b", 1): day(2)}
        report = bench.run()
        assert (report.created, report.updated, report.deleted) == (2, 0, 0)
        assert_settled(bench)

    def test_changes_and_absences_are_carried_over(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1), single("b"): at(2), single("c"): day(3)}
        bench.run()
        bench.wanted = {single("a"): at(9, "Moved"), single("c"): day(4)}
        report = bench.run()
        assert (report.created, report.updated, report.deleted) == (0, 2, 1)
        assert_settled(bench)

    def test_other_peoples_events_are_never_touched(self, bench: Bench) -> None:
        theirs = bench.lms.entered(HERE, at(1, "Theirs"))
        bench.wanted = {single("a"): at(1)}
        bench.run()
        bench.wanted = {}
        bench.run()
        assert list(bench.lms.events) == [theirs]

    def test_writes_come_before_deletions(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1), single("b"): at(2)}
        bench.run()
        bench.lms.journal.clear()
        bench.wanted = {single("b"): at(3), single("c"): at(9)}
        bench.run()
        *writes, last = [deed for deed, _ in bench.lms.journal]
        assert (sorted(writes), last) == (["create", "update"], "delete")

    def test_what_goes_and_comes_back_ten_times(self, bench: Bench) -> None:
        for cycle in range(10):
            bench.wanted = term(5)
            assert bench.run().created == 5, cycle
            bench.wanted = {}
            assert bench.run().deleted == 5
        generations = {entry.generation for entry in bench.entries().values()}
        assert generations == ({0} if bench.lms.rules.keys_reusable else {9})

    def test_two_imports_into_one_calendar_answer_for_their_own(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1)}
        bench.run(source="one")
        bench.wanted = {single("b"): at(2)}
        assert bench.run(source="two").deleted == 0
        bench.wanted = {}
        assert bench.run(source="one").deleted == 1
        assert [event.title for event in bench.lms.standing(HERE)] == ["Seminar"]

    def test_progress_is_told(self, bench: Bench) -> None:
        told: list[tuple[int, int]] = []
        bench.wanted = term(3)
        bench.run(progress=lambda done, of: told.append((done, of)))
        assert (told[0], told[-1]) == ((0, 3), (3, 3))
        assert told == sorted(told)


class TestAnswers:
    def test_a_refused_create_costs_itself_alone(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1, UNWANTED), single("b"): at(2)}
        report = bench.run()
        assert [(note.title, note.reason) for note in report.refused] == [(UNWANTED, "it will not have it")]
        assert report.created == 1
        assert bench.entries()[single("a")].state is State.UNWRITTEN
        bench.wanted[single("a")] = at(1, "Better")
        assert bench.run().created == 1
        assert_settled(bench)

    def test_a_refused_update_leaves_what_was_there(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1, "Good")}
        bench.run()
        bench.wanted = {single("a"): at(1, UNWANTED)}
        assert len(bench.run().refused) == 1
        kept = bench.entries()[single("a")]
        assert (kept.state, kept.event.title, kept.error) == (State.PRESENT, "Good", "it will not have it")
        bench.wanted = {single("a"): at(1, "Good")}
        assert bench.run().unchanged == 1

    def test_an_update_that_died_and_is_refused_when_repeated(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1, "Good")}
        bench.run()
        bench.wanted = {single("a"): at(1, UNWANTED)}
        with pytest.raises(Crash):
            bench.run(faulty(bench.lms, [Fault.KILLED]))
        assert len(bench.run().refused) == 1
        assert bench.entries()[single("a")].event.title == "Good"

    def test_what_somebody_deleted_there_is_written_again_and_said(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1)}
        bench.run()
        bench.lms.events.clear()
        bench.wanted = {single("a"): at(2)}
        report = bench.run()
        assert [(note.deed, bool(note.reason)) for note in report.done] == [(Deed.RECREATE, True)]
        assert report.created == 1
        assert_settled(bench)

    def test_what_was_deleted_there_and_is_refused_is_known_to_be_gone(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1)}
        bench.run()
        bench.lms.events.clear()

        class Full(Faulty):
            def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
                raise Denied("the calendar is closed")

        bench.wanted = {single("a"): at(2)}
        report = bench.run(Full(bench.lms, []))
        assert report.denied
        assert not bench.entries()[single("a")].live
        assert bench.run().created == 1
        assert_settled(bench)

    def test_what_somebody_deleted_there_and_the_file_drops_is_done(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1)}
        bench.run()
        bench.lms.events.clear()
        bench.wanted = {}
        assert bench.run().deleted == 1
        assert_settled(bench)

    def test_busy_keeps_the_rest_for_later(self, bench: Bench) -> None:
        bench.wanted = term(12)
        report = bench.run(faulty(bench.lms, [Fault.NONE, Fault.REFUSED]))
        assert 0 < report.created == 12 - len(report.left) < 12
        assert (report.stopped, report.retry_after, report.denied) == ("busy", 30, False)
        assert bench.run().created == len(report.left)
        assert_settled(bench)

    def test_denied_stops_and_leaves_nothing_pending(self, bench: Bench) -> None:
        class Closed(Faulty):
            def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
                raise Denied("the calendar is closed")

        bench.wanted = term(3)
        report = bench.run(Closed(bench.lms, []))
        assert (report.denied, len(report.left), report.stopped) == (True, 3, "the calendar is closed")
        assert not any(entry.state.pending for entry in bench.entries().values())

    def test_the_report_becomes_json(self, bench: Bench) -> None:
        bench.wanted = {single("a"): at(1, UNWANTED), single("b"): at(2)}
        data = report_to_json(bench.run())
        assert (data["created"], data["refused"][0]["uid"], data["stopped"]) == (1, "a", "")


class TestBatches:
    """What only happens where many orders go at once."""

    def bench(self, kind: str = "keys are spent") -> tuple[Bench, BatchLms]:
        lms = lms_of(kind, "in batches")
        assert isinstance(lms, BatchLms)
        return Bench(lms=lms), lms

    def test_a_job_takes_the_least_calls(self) -> None:
        bench, lms = self.bench()
        bench.wanted = term(10)
        bench.run()
        assert lms.calls == [3, 3, 3, 1]
        lms.calls.clear()
        kept = dict(list(term(10).items())[:5])
        bench.wanted = {id: replace(event, title="New") for id, event in kept.items()} | {single("new"): at(9)}
        bench.run()
        assert lms.calls == [1, 3, 2, 3, 2]
        assert_settled(bench)

    def test_one_of_a_batch_was_deleted_there(self) -> None:
        bench, lms = self.bench()
        bench.wanted = {single(uid): at(1, uid) for uid in "abc"}
        bench.run()
        del lms.events[next(ref for ref, (_, _, event) in lms.events.items() if event.title == "b")]
        bench.wanted = {single(uid): at(2, uid) for uid in "abc"}
        report = bench.run()
        assert [note.deed for note in report.done] == [Deed.UPDATE, Deed.RECREATE, Deed.UPDATE]
        assert [entry.generation for entry in bench.entries().values()] == [0, 1, 0]
        assert_settled(bench)

    def test_keys_of_a_batch_are_taken_or_spent(self) -> None:
        bench, lms = self.bench()
        bench.wanted = {single("stands"): at(1, "Old"), single("spent"): at(2)}
        bench.run()
        bench.wanted = {single("stands"): at(1, "Old")}
        bench.run()
        forgetful = Bench(lms=lms, wanted={single("stands"): at(1), single("spent"): at(2), single("new"): at(3)})
        assert forgetful.run().created == 3
        assert {str(id): entry.generation for id, entry in forgetful.entries().items()} == {
            "stands": 0,
            "spent": 1,
            "new": 0,
        }
        assert_settled(forgetful)

    def test_no_key_is_sent_again_once_its_event_is_deleted(self) -> None:
        bench, lms = self.bench()
        for _ in range(3):
            bench.wanted = term(4)
            bench.run()
            bench.wanted = {}
            bench.run()
        assert len(lms.keys) == sum(deed == "create" for deed, _ in lms.journal) == 12

    def test_a_closed_calendar_stops_the_batches(self) -> None:
        class Closed(BatchLms):
            def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
                raise Denied("the calendar is closed")

        bench, lms = self.bench()
        bench.wanted = term(5)
        report = bench.run(Closed(lms.rules))
        assert (report.denied, len(report.left), report.refused) == (True, 5, ())
        assert not any(entry.state.pending for entry in bench.entries().values())
        assert bench.run().created == 5
        assert_settled(bench)


class TestLanes:
    """What only happens where several write at a time."""

    def test_lanes_use_the_time_that_the_lms_takes(self, tmp_path: Path) -> None:
        """On a store with full sync. A quiet machine reaches 0.94 of lanes / latency, a busy one is given room."""

        class Slow(MemoryLms):
            def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
                time.sleep(0.05)
                return super().create(calendar, key, event)

        engine = stores.at(tmp_path / "store.db")
        bench = Bench(engine, Slow(SinkRules(writers=8)), term(160))
        began = time.perf_counter()
        bench.run()
        share = 160 / (time.perf_counter() - began) / (8 / 0.05)
        engine.dispose()
        assert share > 0.3, f"{share:.2f}"

    def test_the_lms_is_never_asked_by_more_than_it_takes(self) -> None:
        class Counting(MemoryLms):
            now = most = 0

            def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
                self.now += 1
                self.most = max(self.most, self.now)
                time.sleep(0.01)
                self.now -= 1
                return super().create(calendar, key, event)

        lms = Counting(SinkRules(writers=4))
        bench = Bench(lms=lms, wanted=term(40))
        bench.run()
        assert 1 < lms.most <= 4
        assert_settled(bench)

    def test_an_error_in_one_lane_ends_them_all(self) -> None:
        bench = Bench(lms=lms_of("keys come back", "by three"), wanted=term(60))

        def lost(done: int, of: int) -> None:
            if done > 6:
                raise RuntimeError("the lease is gone")

        with pytest.raises(RuntimeError, match="the lease is gone"):
            bench.run(progress=lost)
        assert len(bench.lms.journal) < 12
        assert not bench.run().left
        assert_settled(bench)


class TestLostLedger:
    """The ledger came from an older backup, or was lost: the LMS knows more than we do."""

    def test_events_are_found_by_their_keys_and_brought_up_to_date(self) -> None:
        bench = Bench(wanted=term(3))
        bench.run()
        forgetful = Bench(lms=bench.lms, wanted=term(3) | {OccurrenceId("term", slot("x", 0).slot): at(1, "Renamed")})
        forgetful.run()
        assert_settled(forgetful)

    def test_spent_keys_are_passed_over(self) -> None:
        bench = Bench(lms=MemoryLms(KINDS["keys are spent"]))
        for wanted in ({single("a"): at(1)}, {}, {single("a"): at(1)}, {}):
            bench.wanted = dict(wanted)
            bench.run()
        forgetful = Bench(lms=bench.lms, wanted={single("a"): at(1)})
        forgetful.run()
        assert forgetful.entries()[single("a")].generation == 2
        assert_settled(forgetful)

    def test_an_lms_that_calls_every_key_taken_is_not_asked_for_ever(self) -> None:
        bench = Bench(lms=MemoryLms(replace(KINDS["keys are spent"])), wanted={single("a"): at(1)})

        class Every(set[tuple[CalendarRef, SyncKey]]):
            asked = 0

            def __contains__(self, item: object) -> bool:
                self.asked += 1
                return True

        bench.lms.keys = Every()
        assert len(bench.run().refused) == 1
        assert bench.lms.keys.asked == MOST_SPENT_KEYS


def mixed(bench: Bench) -> None:
    """A calendar that needs every kind of change, with two events that look the same."""
    bench.wanted = {single("a"): at(1), single("b"): at(2), single("c"): at(3), single("d"): day(1)}
    bench.run()
    bench.wanted = {single("b"): at(7), single("d"): day(2), single("e"): at(4, "Twin"), single("f"): at(4, "Twin")}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
@pytest.mark.parametrize("call", range(8))
def test_any_fault_at_any_call(bench: Bench, fault: Fault, call: int) -> None:
    mixed(bench)
    rerun_until_done(bench, [Fault.NONE] * call + [fault])
    assert_settled(bench)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_faults_three_times_in_a_row(bench: Bench, fault: Fault) -> None:
    mixed(bench)
    rerun_until_done(bench, [Fault.NONE, fault, fault, fault])
    assert_settled(bench)


@contextmanager
def killed_at_commit(engine: Engine, number: int, *, after: bool) -> Iterator[list[int]]:
    """The process dies before its n-th commit is made, or right after. Yields the list that counts them."""
    seen = [0]

    def begins(connection: object) -> None:
        if after and seen[0] >= number:
            raise Crash

    def commits(connection: object) -> None:
        seen[0] += 1
        if not after and seen[0] >= number:
            raise Crash

    event.listen(engine, "commit", commits)
    event.listen(engine, "begin", begins, insert=True)
    try:
        yield seen
    finally:
        event.remove(engine, "commit", commits)
        event.remove(engine, "begin", begins)


@pytest.mark.parametrize("after", [False, True])
def test_death_at_every_commit(bench: Bench, after: bool) -> None:
    number = 1
    while True:
        fresh = Bench(lms=type(bench.lms)(bench.lms.rules))
        mixed(fresh)
        with killed_at_commit(fresh.engine, number, after=after), suppress(Crash):
            fresh.run()
            break
        assert not fresh.run().left
        assert_settled(fresh)
        number += 1
    assert number > 6


@pytest.mark.parametrize("seed", range(2))
def test_three_hundred_creates_killed_anywhere(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    bench.wanted = term(300)
    for _ in range(8):
        kind = chance.choice([Fault.KILLED, Fault.KILLED_AFTER, Fault.LOST])
        with suppress(Crash, Transient):
            bench.run(faulty(bench.lms, [Fault.NONE] * chance.randrange(60) + [kind]))
    bench.run()
    assert_settled(bench)
    assert sum(deed == "create" for deed, _ in bench.lms.journal) == 300


def test_twins_that_are_pending_together_are_each_found_once() -> None:
    """One at a time never leaves two; writing several at once would."""
    bench = Bench(lms=MemoryLms(KINDS["no keys, no days"]), wanted={single("a"): at(1), single("b"): at(1)})
    for change in bench.plan().creates:
        bench.ledger.intend(change, "upload")
        bench.lms.entered(HERE, change.event)
    assert bench.run().unchanged == 2
    assert len({entry.ref for entry in bench.entries().values()}) == 2
    assert_settled(bench)


def test_days_are_remembered_where_the_lms_has_only_instants() -> None:
    bench = Bench(lms=MemoryLms(KINDS["no keys, no days"]), wanted={single("a"): day(1), single("b"): at(1)})
    bench.run()
    with bench.engine.connect() as connection:
        ((ref, (instants, days)),) = remembered_days(connection, str(HERE)).items()
    assert days == bench.wanted[single("a")].when
    assert bench.lms.events[ref][2].when == instants


def test_an_event_that_does_not_fit_is_never_sent() -> None:
    bench = Bench(wanted={single("a"): at(1, UNFIT)})
    assert bench.run().done == ()
    assert bench.lms.journal == []
