"""Second thoughts: a held plan that is approved later, a run that is undone, an import that is purged."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from app.imports.deciding.rules import Rules, rename, rules_from_json
from app.imports.drift.changes import Policy
from app.imports.drift.policies import Policies
from app.imports.record.outcome import Outcome
from app.imports.record.report import Deed
from app.imports.record.runs import Ending, Kind
from app.imports.run import Mode, NoRun
from app.store.leases import Busy, lease
from tests.imports.bench import HERE, at
from tests.imports.lms import SHAPES, UNWANTED, Crash, Fault, MemoryLms, faulty, lms_of
from tests.imports.test_run import CLOSED, NOW, SERIES, SINGLE, Desk, calendar, vevent

MOVED = SINGLE.replace("20250401T12", "20250401T11")


@pytest.fixture
def lms() -> MemoryLms:
    return lms_of("keys are spent")


@pytest.fixture
def desk(lms: MemoryLms) -> Desk:
    return Desk(lms)


def titles(lms: MemoryLms) -> list[str]:
    return sorted(event.title for event in lms.standing(HERE))


def run_of(outcome: Outcome) -> int:
    assert outcome.run_id is not None
    return outcome.run_id


class TestApproval:
    def held(self, desk: Desk) -> int:
        desk.run(calendar(SERIES, SINGLE, CLOSED))
        outcome = desk.run(calendar(), grace=1)
        assert outcome.state is Ending.HELD
        return run_of(outcome)

    def test_a_held_plan_is_shown_and_carried_out_by_its_number(self, desk: Desk, lms: MemoryLms) -> None:
        run = self.held(desk)
        shown = desk.imports().get(run)
        assert (shown.state, shown.kind, shown.plan and shown.plan["delete"]) == (Ending.HELD, Kind.IMPORT, 5)
        assert shown.objections
        assert shown.expires_at == NOW + timedelta(hours=24)
        outcome = desk.imports().approve(run)
        assert (outcome.state, outcome.run_id, titles(lms)) == (Ending.DONE, run, [])
        assert desk.runs() == ["done", "done"]
        with pytest.raises(NoRun, match="it is done"):
            desk.imports().approve(run)

    def test_it_keeps_how_it_was_asked_for(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SERIES, SINGLE, CLOSED))
        rules = Rules(exclude=("title:nothing",), renames=(("x*", "y"),))
        run = run_of(desk.run(calendar(), grace=1, rules=rules))
        waiting = desk.imports()._held.job(desk.imports().get(run))
        assert (waiting.rules, waiting.mode, waiting.grace, waiting.data) == (rules, Mode.REPLACE, 1, calendar())
        assert waiting.window.start.tzinfo is not None
        assert waiting.window.start.utcoffset() == timedelta(hours=1)

    def test_a_plan_that_would_delete_more_by_now_waits_again(self, desk: Desk, lms: MemoryLms) -> None:
        run = self.held(desk)
        # another import gives its event to this one, which lacks it as well
        desk.run(calendar(vevent("more", ":20250405T120000Z", title="More")), source="other")
        with desk.imports()._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE entry SET source = 'upload' WHERE uid = 'more'")
        outcome = desk.imports().approve(run)
        assert (outcome.state, len(lms.standing(HERE))) == (Ending.HELD, 6)
        assert "delete 1 event more" in outcome.objections[0]
        assert desk.imports().approve(run).state is Ending.DONE
        assert titles(lms) == []

    def test_a_yes_that_is_interrupted_can_be_repeated(self, desk: Desk, lms: MemoryLms) -> None:
        run = self.held(desk)
        desk.sink = faulty(lms, [Fault.NONE, Fault.REFUSED])
        assert desk.imports().approve(run).state is Ending.LEFT
        desk.sink = faulty(lms, [Fault.NONE, Fault.KILLED_AFTER])
        with pytest.raises(Crash):
            desk.imports().approve(run)
        desk.sink = lms
        assert (desk.imports().approve(run).state, titles(lms)) == (Ending.DONE, [])

    def test_nobody_said_yes_in_time(self, desk: Desk, lms: MemoryLms) -> None:
        run = self.held(desk)
        desk.now = NOW + timedelta(hours=25)
        assert desk.imports().get(run).state is Ending.EXPIRED
        with pytest.raises(NoRun, match="it is expired"):
            desk.imports().approve(run)
        assert len(titles(lms)) == 5

    def test_somebody_said_no(self, desk: Desk, lms: MemoryLms) -> None:
        run = self.held(desk)
        assert desk.imports().cancel(run).state is Ending.CANCELLED
        for verb in (desk.imports().cancel, desk.imports().approve):
            with pytest.raises(NoRun):
                verb(run)

    def test_a_newer_file_of_the_same_name_overtakes_it(self, desk: Desk) -> None:
        run = self.held(desk)
        desk.run(calendar(CLOSED), source="another")
        assert desk.imports().get(run).state is Ending.HELD
        desk.run(calendar(SERIES, SINGLE))
        assert desk.imports().get(run).state is Ending.CANCELLED

    def test_the_calendar_is_written_by_one_at_a_time(self, desk: Desk) -> None:
        run = self.held(desk)
        with lease(desk.engine, f"import {HERE}", lambda: NOW), pytest.raises(Busy):
            desk.imports().approve(run)
        assert desk.imports().get(run).state is Ending.HELD

    def test_runs_that_are_none(self, desk: Desk) -> None:
        for verb in (desk.imports().get, desk.imports().approve, desk.imports().cancel, desk.imports().undo):
            with pytest.raises(NoRun, match="no run 9"):
                verb(9)
        assert desk.imports().latest() == []


@pytest.mark.parametrize("shape", SHAPES)
class TestUndo:
    @pytest.fixture
    def lms(self, shape: str) -> MemoryLms:
        return lms_of("keys are spent", shape)

    def test_it_is_as_it_was(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SINGLE, CLOSED))
        before = Counter(lms.standing(HERE))
        spent = set(lms.keys)
        run = run_of(desk.run(calendar(SERIES, MOVED)))
        outcome = desk.imports().undo(run)
        assert outcome.report is not None
        assert (outcome.report.created, outcome.report.updated, outcome.report.deleted) == (1, 1, 3)
        assert Counter(lms.standing(HERE)) == before
        assert len(lms.keys - spent) == 4, "what comes back has a key that was never used"
        assert desk.run(calendar(SINGLE, CLOSED)).plan.changes == ()

    def test_to_undo_an_undo_is_to_do_it_again(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SINGLE, CLOSED))
        run = run_of(desk.run(calendar(SERIES, MOVED)))
        undone = run_of(desk.imports().undo(run))
        assert desk.imports().get(undone).kind is Kind.UNDO
        desk.imports().undo(undone)
        assert desk.run(calendar(SERIES, MOVED)).plan.changes == ()
        assert desk.imports().undo(run).plan.changes == ()

    def test_what_another_run_changed_since_is_left_alone_and_said(self, desk: Desk, lms: MemoryLms) -> None:
        run = run_of(desk.run(calendar(SINGLE, CLOSED)))
        desk.run(calendar(MOVED, CLOSED))
        outcome = desk.imports().undo(run)
        assert outcome.report is not None
        assert [(note.title, note.deed) for note in outcome.report.refused] == [("Exam", Deed.DELETE)]
        assert "another run has changed it" in outcome.report.refused[0].reason
        assert titles(lms) == ["Exam"]

    def test_what_another_import_answers_for_by_now_is_left_alone(self, desk: Desk, lms: MemoryLms) -> None:
        first = run_of(desk.run(calendar(SINGLE), source="one"))
        second = run_of(desk.run(calendar(SINGLE), source="two"))
        assert desk.imports().undo(first).plan.changes == ()
        assert titles(lms) == ["Exam"]
        desk.imports().undo(second)
        assert [entry.source for entry in desk.entries().values()] == ["one"]
        assert len(desk.run(calendar(), source="one", approved=True).plan.deletes) == 1

    def test_it_can_be_looked_at_first(self, desk: Desk, lms: MemoryLms) -> None:
        run = run_of(desk.run(calendar(SINGLE)))
        outcome = desk.imports().undo(run, dry_run=True)
        assert (outcome.state, len(outcome.plan.deletes), titles(lms)) == (Ending.DRY, 1, ["Exam"])

    def test_what_the_lms_refused_was_never_done(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SINGLE))
        run = run_of(desk.run(calendar(SINGLE.replace("Exam", UNWANTED), vevent("b", ":20250402T100000Z"))))
        outcome = desk.imports().undo(run)
        assert (len(outcome.plan.changes), titles(lms)) == (1, ["Exam"])

    def test_a_run_that_died_is_undone_as_far_as_it_came(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SINGLE, CLOSED))
        before = Counter(lms.standing(HERE))
        for fault in (Fault.LOST, Fault.KILLED, Fault.KILLED_AFTER):
            desk.sink = faulty(lms, [Fault.NONE, fault])
            with suppress(Crash):
                desk.run(calendar(SERIES, MOVED, CLOSED))
            desk.sink = lms
            run = desk.imports().latest(1)[0].id
            assert desk.imports().undo(run).state is Ending.DONE
            assert Counter(lms.standing(HERE)) == before

    def test_what_was_deleted_there_meanwhile_stays_deleted(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SINGLE))
        run = run_of(desk.run(calendar(MOVED)))
        lms.events.clear()
        outcome = desk.imports().undo(run)
        assert outcome.report is not None
        assert ([note.deed for note in outcome.report.spared], titles(lms)) == ([Deed.LEAVE], [])
        again = desk.imports().undo(run_of(desk.run(calendar(SINGLE))))
        assert (again.state, titles(lms)) == (Ending.DONE, [])

    def test_what_was_deleted_there_meanwhile_is_no_obstacle_where_it_is_overwritten(
        self, desk: Desk, lms: MemoryLms
    ) -> None:
        desk.run(calendar(SINGLE))
        run = run_of(desk.run(calendar(MOVED)))
        lms.events.clear()
        Policies(desk.engine).set(HERE, "upload", Policy.OVERWRITE)
        outcome = desk.imports().undo(run)
        assert outcome.report is not None
        assert [note.deed for note in outcome.report.done] == [Deed.RECREATE]
        assert titles(lms) == ["Exam"]


class TestPurge:
    def test_all_that_one_import_wrote_goes_and_only_that(self, desk: Desk, lms: MemoryLms) -> None:
        lms.entered(HERE, at(1, "Theirs"))
        desk.run(calendar(SERIES, SINGLE), source="one")
        desk.run(calendar(CLOSED), source="two")
        desk.now = NOW + timedelta(days=40)
        assert len(desk.imports().purge(HERE, "one", dry_run=True).plan.deletes) == 4
        outcome = desk.imports().purge(HERE, "one")
        assert outcome.report is not None
        assert (outcome.report.deleted, titles(lms)) == (4, ["Closed", "Theirs"])
        assert desk.imports().purge(HERE, "one").plan.changes == ()

    def test_a_purge_can_be_undone(self, desk: Desk, lms: MemoryLms) -> None:
        desk.run(calendar(SERIES, SINGLE, CLOSED))
        before = Counter(lms.standing(HERE))
        run = run_of(desk.imports().purge(HERE, "upload"))
        assert titles(lms) == []
        desk.imports().undo(run)
        assert Counter(lms.standing(HERE)) == before
        assert desk.run(calendar(SERIES, SINGLE, CLOSED)).plan.changes == ()

    def test_a_purge_is_no_reading(self, desk: Desk) -> None:
        desk.run(calendar(SERIES, SINGLE, CLOSED))
        desk.imports().purge(HERE, "upload")
        desk.run(calendar(SERIES, SINGLE, CLOSED))
        assert desk.run(calendar(SERIES, SINGLE)).state is Ending.DONE


def test_rules_are_values() -> None:
    rules = Rules(("category:exam?",), ("*[draft]*",), (rename("BIO* = Biology ({})"),))
    assert rules_from_json(rules.to_json()) == rules
    assert rules.renames == (("BIO*", "Biology ({})"),)
    for wrong in ("no equals sign", "=x", "x="):
        with pytest.raises(ValueError, match="is no rename"):
            rename(wrong)
    with pytest.raises(ValueError, match="empty pattern"):
        Rules(include=("title:",))
