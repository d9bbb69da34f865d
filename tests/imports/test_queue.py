"""Imports in the background: taken up by a worker, and by another one if that dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, select, update

from app.imports.record.runs import Ending, Run
from app.imports.run import MOST_TRIES, Imports, NotWaiting
from app.imports.subscription import Import
from app.store import tables
from app.store.engine import writing
from bridges.errors import Denied
from bridges.model import CalendarRef, Kind
from tests.imports.attended import attended
from tests.imports.queued import campus
from tests.imports.slow import BIG, SMALL, TERM, SlowLms, imports, store, ticking, timetable, until


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = store(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def lms() -> SlowLms:
    return SlowLms(latency=0.005)


@pytest.fixture
def desk(engine: Engine, lms: SlowLms) -> Imports:
    return imports(engine, lms, ticking())


@contextmanager
def a_worker(desk: Imports) -> Iterator[Event]:
    stop = Event()
    with attended(desk, stop, pause=0.05):
        yield stop


def leased(engine: Engine) -> list[str]:
    """Who holds what, for whoever wonders why nothing happens."""
    with engine.connect() as connection:
        return [repr(row) for table in (tables.lease, tables.lane) for row in connection.execute(select(table))]


def over(desk: Imports, run: Run) -> bool:
    return desk.standing(run.id)[0] not in {Ending.QUEUED, Ending.RUNNING}


def test_what_is_queued_waits_for_a_worker_and_is_done_by_it(desk: Imports, lms: SlowLms) -> None:
    run = desk.queue(Import(timetable(30), BIG, TERM))
    assert (run.state, run.background, desk.due()) == (Ending.QUEUED, True, [(run.id, BIG)])
    with a_worker(desk):
        until(lambda: over(desk, run))
    done = desk.get(run.id)
    assert (done.state, done.events, len(lms.standing(BIG))) == (Ending.DONE, 30, 30)
    assert desk.due() == []
    assert desk.run(timetable(30), BIG, TERM).same_as == run.id


def test_a_small_one_does_not_wait_for_a_big_one(desk: Imports, lms: SlowLms) -> None:
    big = desk.queue(Import(timetable(500), BIG, TERM))
    small = desk.queue(Import(timetable(10), SMALL, TERM))
    with a_worker(desk):
        until(lambda: over(desk, small))
        assert not over(desk, big)
        desk.cancel(big.id)


def test_what_cannot_be_read_fails_with_the_reason(desk: Imports) -> None:
    run = desk.queue(Import(b"<html>Sign in</html>", BIG, TERM))
    with a_worker(desk):
        until(lambda: over(desk, run))
    failed = desk.get(run.id)
    assert (failed.state, failed.report is not None and "web page" in failed.report["stopped"]) == (Ending.FAILED, True)


def test_what_needs_a_yes_waits_for_it_as_ever(desk: Imports) -> None:
    desk.run(timetable(30), BIG, TERM)
    run = desk.queue(Import(timetable(0), BIG, TERM))
    with a_worker(desk):
        until(lambda: over(desk, run))
    assert desk.get(run.id).state is Ending.HELD
    assert desk.approve(run.id).state is Ending.DONE


def test_a_yes_that_came_with_the_file_is_kept_with_it(desk: Imports) -> None:
    desk.run(timetable(30), BIG, TERM)
    run = desk.queue(Import(timetable(0), BIG, TERM, approved=True))
    with a_worker(desk):
        until(lambda: over(desk, run))
    assert desk.get(run.id).state is Ending.DONE


def test_a_calendar_that_can_never_be_written_is_told_at_once(desk: Imports) -> None:
    with pytest.raises(Denied):
        desk.queue(Import(timetable(1), CalendarRef("else", Kind.COURSE, "x"), TERM))


def test_a_worker_that_is_stopped_leaves_its_run_to_the_next(desk: Imports, lms: SlowLms) -> None:
    run = desk.queue(Import(timetable(200), BIG, TERM))
    with a_worker(desk):
        until(lambda: len(lms.standing(BIG)) > 10)
    assert desk.get(run.id).state is Ending.QUEUED
    assert 10 < len(lms.standing(BIG)) < 200
    with a_worker(desk):
        until(lambda: over(desk, run))
    assert (desk.get(run.id).state, len(lms.journal)) == (Ending.DONE, 200)


def test_it_is_paused_and_queued_again(desk: Imports, lms: SlowLms) -> None:
    run = desk.queue(Import(timetable(500), BIG, TERM))
    with a_worker(desk):
        until(lambda: len(lms.standing(BIG)) > 10)
        desk.pause(run.id)
        until(lambda: over(desk, run))
        assert desk.get(run.id).state is Ending.PAUSED
        assert desk.requeue(run.id).state is Ending.QUEUED
        until(lambda: over(desk, run), 60)
    assert (desk.get(run.id).state, len(lms.journal)) == (Ending.DONE, 500)


def test_before_it_is_begun_it_is_paused_and_cancelled_as_well(desk: Imports) -> None:
    first, second = (desk.queue(Import(timetable(5), BIG, TERM, source)) for source in ("one", "two"))
    assert desk.pause(first.id).state is Ending.PAUSED
    assert desk.cancel(second.id).state is Ending.CANCELLED
    assert desk.due() == []
    with pytest.raises(NotWaiting):
        desk.take_up(second.id)


def test_what_kills_its_worker_each_time_is_given_up(engine: Engine, desk: Imports) -> None:
    """A file that eats all memory must not take worker after worker with it."""
    run = desk.queue(Import(timetable(5), BIG, TERM))
    with writing(engine) as connection:
        held = tables.held_import
        terms = connection.execute(held.select()).one().terms
        connection.execute(update(held).values(terms={**terms, "tries": MOST_TRIES}))
    assert desk.take_up(run.id) is None
    failed = desk.get(run.id)
    assert failed.state is Ending.FAILED
    assert failed.report is not None
    assert "its worker died each time" in failed.report["stopped"]


class Killed(BaseException):
    """What no code of ours answers to."""


@contextmanager
def dying_when_told(engine: Engine, state: Ending) -> Iterator[None]:
    """Whoever tells the store of this state dies before it is told."""

    def die(connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        values = parameters.values() if isinstance(parameters, dict) else parameters
        if statement.startswith("UPDATE import_run") and state.value in values:
            raise Killed

    event.listen(engine, "before_cursor_execute", die)
    yield
    event.remove(engine, "before_cursor_execute", die)


def test_a_worker_that_dies_at_the_very_end_is_followed(desk: Imports, engine: Engine, lms: SlowLms) -> None:
    run = desk.queue(Import(timetable(5), BIG, TERM))
    with dying_when_told(engine, Ending.DONE), pytest.raises(Killed):
        desk.take_up(run.id)
    assert desk.due() == [(run.id, BIG)]
    desk.take_up(run.id)
    assert (desk.get(run.id).state, len(lms.standing(BIG)), desk.due()) == (Ending.DONE, 5, [])


def test_one_whose_file_is_lost_ends_and_says_so(desk: Imports, engine: Engine) -> None:
    run = desk.queue(Import(timetable(5), BIG, TERM))
    with writing(engine) as connection:
        connection.execute(delete(tables.held_import))
    desk.take_up(run.id)
    lost = desk.get(run.id)
    assert (lost.state, desk.due()) == (Ending.FAILED, [])
    assert lost.report == {**(lost.report or {}), "stopped": "Its file is not kept any more: import it again."}


def test_another_worker_takes_over_from_one_that_was_killed(tmp_path: Path) -> None:
    """kill -9, for real, of a process in the midst of its work."""
    parts, there = campus(tmp_path)
    run = parts.imports.queue(Import(timetable(600), there, TERM))
    command = [sys.executable, "-m", "tests.imports.queued", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker:
        until(lambda: (parts.imports.standing(run.id)[1] or {}).get("done", 0) > 5)
        worker.send_signal(signal.SIGKILL)
    assert parts.imports.standing(run.id)[0] is Ending.RUNNING
    assert parts.imports.due() == [(run.id, there)]
    with a_worker(parts.imports):
        until(lambda: over(parts.imports, run), 60, lambda: (parts.imports.get(run.id), leased(parts.engine)))
    assert parts.imports.get(run.id).state is Ending.DONE
    found = parts.source("demo").read(there, TERM)
    assert sum(each.event.title.startswith("lecture ") for each in found) == 600
    parts.close()
