"""A run that is watched and steered while it goes on: paused, resumed, cancelled, and stopped short of a reserve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from app.imports.record.outcome import Outcome
from app.imports.record.report import Progress
from app.imports.record.runs import Ending
from app.imports.run import Imports, NotWaiting, Policy
from app.store import tables
from app.store.engine import writing
from app.store.quota import StoreMeter
from bridges.contract import Quota
from tests.imports.slow import BEGUN, BIG, TERM, SlowLms, imports, meanwhile, store, ticking, timetable, until

COUNT = 300


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = store(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def lms() -> SlowLms:
    return SlowLms(latency=0.02)


class Hand:
    """Somebody who imports in one process, while others look on and steer from another."""

    def __init__(self, engine: Engine, lms: SlowLms) -> None:
        self.now = ticking()
        self.here, self.there = imports(engine, lms, self.now), imports(engine, lms, self.now)
        self.outcomes: list[Outcome] = []

    def run(self, progress: Progress | None = None) -> None:
        self.outcomes.append(self.here.run(timetable(COUNT), BIG, TERM, progress=progress))


@pytest.fixture
def hand(engine: Engine, lms: SlowLms) -> Hand:
    return Hand(engine, lms)


def test_progress_can_be_seen_from_elsewhere(hand: Hand, lms: SlowLms) -> None:
    with meanwhile(hand.run):
        until(lambda: len(lms.standing(BIG)) > 150)
        run = hand.there.get(1)
        assert run.state is Ending.RUNNING
        assert run.progress is not None
        assert run.progress["phase"] == "writing"
        assert 0 < run.progress["done"] < run.progress["of"] == COUNT
        assert run.progress["rate"] > 0
        assert run.progress["rest"] > 0
        assert "writing, " in run.to_text()
        assert hand.there.pause(1).state is Ending.RUNNING
    done = hand.there.resume(1)
    assert done.state is Ending.DONE
    progress = hand.there.get(1).progress
    assert progress is not None
    assert (progress["done"], progress["errors"]) == (progress["of"], 0)


def test_a_paused_run_stops_soon_and_goes_on_where_it_was(hand: Hand, lms: SlowLms) -> None:
    with meanwhile(hand.run) as took:
        until(lambda: len(lms.standing(BIG)) > 10)
        hand.there.pause(1)
    assert took["took"] < 4
    (paused,) = hand.outcomes
    assert paused.state is Ending.PAUSED
    assert paused.report is not None
    assert (len(paused.report.done), len(paused.report.left)) == (
        len(lms.standing(BIG)),
        COUNT - len(lms.standing(BIG)),
    )
    assert "run resume 1" in paused.to_text()
    assert hand.there.get(1).state is Ending.PAUSED
    outcome = hand.there.resume(1)
    assert (outcome.state, len(lms.standing(BIG)), len(lms.journal)) == (Ending.DONE, COUNT, COUNT)
    with pytest.raises(NotWaiting, match="it is done"):
        hand.there.resume(1)


def test_a_cancelled_run_says_what_it_wrote_and_can_be_undone(hand: Hand, lms: SlowLms) -> None:
    with meanwhile(hand.run):
        until(lambda: len(lms.standing(BIG)) > 10)
        hand.there.cancel(1)
    run, standing = hand.there.get(1), len(lms.standing(BIG))
    assert (run.state, run.changed) == (Ending.CANCELLED, standing)
    assert f"what was written of {standing} events stays; to take it back: calbridge undo 1" in run.lines()
    with pytest.raises(NotWaiting):
        hand.there.resume(1)
    hand.there.undo(1)
    assert lms.standing(BIG) == []


def test_a_paused_run_may_be_cancelled_and_is_overtaken_by_a_newer_file(hand: Hand, lms: SlowLms) -> None:
    for run, end in (
        (1, lambda: hand.there.cancel(1)),
        (2, lambda: hand.there.run(timetable(COUNT + 1), BIG, TERM)),
    ):
        with meanwhile(hand.run):
            until(lambda: [each.state for each in hand.there.latest(1)] == [Ending.RUNNING])
            assert hand.there.pause(run).id == run
        assert hand.there.get(run).state is Ending.PAUSED
        end()
        assert hand.there.get(run).state is Ending.CANCELLED
        with pytest.raises(NotWaiting):
            hand.there.resume(run)


def test_a_process_that_died_is_no_obstacle(hand: Hand, engine: Engine, lms: SlowLms) -> None:
    """Its run seems to go on, and nobody holds its lease."""
    lms.latency = 0
    hand.run()
    with writing(engine) as connection:
        connection.execute(update(tables.import_run).values(state="running", ended_at=None))
    assert hand.there.pause(1).state is Ending.PAUSED
    assert hand.there.cancel(1).state is Ending.CANCELLED


def test_what_is_over_is_neither_paused_nor_cancelled(hand: Hand, lms: SlowLms) -> None:
    lms.latency = 0
    hand.run()
    for verb in (hand.there.pause, hand.there.cancel, hand.there.resume):
        with pytest.raises(NotWaiting):
            verb(1)


def test_an_undo_is_paused_and_resumed(hand: Hand, lms: SlowLms) -> None:
    lms.latency = 0
    hand.run()
    lms.latency = 0.02
    with meanwhile(lambda: hand.outcomes.append(hand.here.undo(1))):
        until(lambda: len(lms.standing(BIG)) < COUNT)
        hand.there.pause(2)
    assert hand.outcomes[-1].state is Ending.PAUSED
    assert 0 < len(lms.standing(BIG)) < COUNT
    assert hand.there.resume(2).state is Ending.DONE
    assert "undo of run 1: " in hand.outcomes[-1].to_text()
    assert lms.standing(BIG) == []


class TestReserve:
    QUOTA = timedelta(hours=5)

    def spending(self, engine: Engine, lms: SlowLms, left: int, **policy: object) -> tuple[Imports, StoreMeter]:
        """An LMS that tells its quota, and counts each write."""
        now = ticking()
        meter = StoreMeter(engine, "lms", now)
        meter.note(Quota(1000, left, BEGUN + self.QUOTA))
        create = lms.create

        def counted(*given: object) -> object:
            meter.spent()
            return create(*given)  # type: ignore[arg-type]

        lms.create = counted  # type: ignore[method-assign,assignment]
        return imports(engine, lms, now, Policy(reserve=0.2, **policy)), meter  # type: ignore[arg-type]

    def test_what_the_quota_would_not_last_for_waits_for_a_yes(self, engine: Engine, lms: SlowLms) -> None:
        desk, _ = self.spending(engine, lms, 300)
        outcome = desk.run(timetable(COUNT), BIG, TERM)
        assert outcome.state is Ending.HELD
        assert outcome.objections[0].startswith(
            "The quota would end before the plan does: 300 writes, 300 calls left today, of which 200 are kept"
        )
        assert outcome.forecast is not None
        assert (outcome.forecast["calls_left"], outcome.forecast["fits"]) == (300, False)
        assert desk.run(timetable(COUNT), BIG, TERM, dry_run=True).objections == outcome.objections
        assert desk.get(1).forecast == outcome.forecast

    def test_an_approved_one_stops_at_the_reserve_and_goes_on_after_the_reset(
        self, engine: Engine, lms: SlowLms
    ) -> None:
        desk, meter = self.spending(engine, lms, 300)
        lms.latency = 0.005
        desk.run(timetable(COUNT), BIG, TERM)
        left = desk.approve(1)
        assert left.state is Ending.LEFT
        assert left.report is not None
        assert "are kept for feeds" in left.report.stopped
        assert "14:00" not in left.report.stopped
        assert left.report.retry_after == pytest.approx(self.QUOTA.total_seconds(), abs=60)
        quota = meter.quota()
        assert quota is not None
        assert 100 < quota.remaining <= 200, "feeds can still be read"
        again = desk.run(timetable(COUNT), BIG, TERM)
        assert again.state is Ending.LEFT, "what was begun is not held again"
        meter.note(Quota(1000, 1000, BEGUN + 2 * self.QUOTA))
        assert desk.run(timetable(COUNT), BIG, TERM).state is Ending.DONE
        assert len(lms.journal) == COUNT

    def test_a_quota_that_comes_back_in_a_moment_is_waited_for(self, engine: Engine, lms: SlowLms) -> None:
        desk, meter = self.spending(engine, lms, 200)
        meter.note(Quota(1000, 200, BEGUN + timedelta(seconds=2)))
        assert desk.run(timetable(10), BIG, TERM).state is Ending.DONE

    def test_the_hold_can_be_switched_off(self, engine: Engine, lms: SlowLms) -> None:
        desk, _ = self.spending(engine, lms, 210, hold_quota=False)
        assert desk.run(timetable(COUNT), BIG, TERM).state is Ending.LEFT
