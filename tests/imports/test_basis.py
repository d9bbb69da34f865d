"""The very same file again is answered without being read, and only where it could not change anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.ics import Limits
from app.imports.deciding.rules import Rules
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Mode
from bridges.model import Window
from tests.imports.bench import HERE
from tests.imports.lms import KINDS, UNFIT, UNWANTED, MemoryLms
from tests.imports.test_run import CLOSED, NOW, SERIES, SINGLE, TERM, Desk, calendar, vevent

FILE = calendar(SERIES, SINGLE, CLOSED)


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryLms(KINDS["keys come back"]))


def is_skipped(outcome: Outcome) -> bool:
    return outcome.same_as is not None


def test_the_same_file_again_is_told_as_unchanged_and_leaves_no_run(desk: Desk) -> None:
    first = desk.run(FILE)
    again = desk.run(FILE)
    assert (again.state, again.same_as, again.run_id, again.events) == (Ending.DONE, first.run_id, None, 3)
    assert again.report is not None
    assert (again.report.done, again.report.unchanged, again.plan.unchanged) == ((), 5, 5)
    assert "unchanged: it is the file of run 1" in again.to_text()
    assert again.to_json()["same_as"] == 1
    assert desk.run(FILE, dry_run=True).state is Ending.DRY
    assert desk.runs() == ["done"]


def test_a_byte_more_is_another_file(desk: Desk) -> None:
    desk.run(FILE)
    assert not is_skipped(desk.run(FILE + b"\r\n"))
    assert is_skipped(desk.run(FILE + b"\r\n"))
    assert not is_skipped(desk.run(FILE))


OTHER_TERMS: dict[str, Callable[[Desk], Outcome]] = {
    "another name": lambda desk: desk.run(FILE, source="two"),
    "another mode": lambda desk: desk.run(FILE, mode=Mode.ADD),
    "another grace": lambda desk: desk.run(FILE, grace=2),
    "other rules": lambda desk: desk.run(FILE, rules=Rules(include=("*",))),
    "another zone": lambda desk: desk.imports().run(FILE, HERE, TERM, zone=ZoneInfo("Asia/Tokyo")),
    "another window": lambda desk: desk.imports().run(FILE, HERE, Window(TERM.start, TERM.end + timedelta(days=1))),
}


@pytest.mark.parametrize("terms", OTHER_TERMS)
def test_other_terms_are_another_import(desk: Desk, terms: str) -> None:
    desk.run(FILE)
    assert not is_skipped(OTHER_TERMS[terms](desk))


def test_other_limits_of_the_reader_or_of_the_lms_are_looked_at(desk: Desk) -> None:
    desk.run(FILE)
    desk.limits = Limits(dates=7)
    assert not is_skipped(desk.run(FILE))
    assert is_skipped(desk.run(FILE))
    lms = desk.sink
    assert isinstance(lms, MemoryLms)
    lms.rules = KINDS["no keys, no days"]
    assert not is_skipped(desk.run(FILE))


def test_whatever_changes_the_ledger_is_looked_at(desk: Desk) -> None:
    run = desk.run(FILE).run_id
    assert run is not None
    desk.run(calendar(vevent("a", ":20250402T100000Z")), source="another import of the calendar")
    assert not is_skipped(desk.run(FILE))
    assert is_skipped(desk.run(FILE))
    desk.imports().undo(run)
    assert not is_skipped(desk.run(FILE))


def test_a_file_that_waits_meanwhile_is_overtaken_as_ever(desk: Desk) -> None:
    desk.run(FILE)
    assert desk.run(calendar()).state is Ending.HELD
    assert not is_skipped(desk.run(FILE))
    assert desk.runs() == ["done", "cancelled", "done"]


@pytest.mark.parametrize(
    "event",
    [
        vevent("x", ":20250402T100000Z", title=UNFIT),
        vevent("x", ":20250402T100000Z", title=UNWANTED),
        vevent("x", ":yesterday"),
    ],
)
def test_where_something_was_refused_or_unread_it_is_said_each_time(desk: Desk, event: str) -> None:
    desk.run(calendar(SERIES, event))
    again = desk.run(calendar(SERIES, event))
    assert not is_skipped(again)
    assert again.problems or (again.report is not None and again.report.refused)


def test_what_is_missing_is_counted_each_time(desk: Desk) -> None:
    desk.run(calendar(SINGLE, CLOSED))
    for absent in (1, 1, 0):
        outcome = desk.run(calendar(CLOSED), grace=3)
        assert (is_skipped(outcome), len(outcome.plan.absent)) == (False, absent)
    assert is_skipped(desk.run(calendar(CLOSED), grace=3))


def test_time_that_passes_changes_nothing(desk: Desk) -> None:
    desk.run(FILE)
    desk.now = NOW + timedelta(days=40)
    assert is_skipped(desk.run(FILE))


def test_it_costs_a_small_part_of_a_second_run(desk: Desk) -> None:
    file = calendar(*(vevent(f"{n}", f":2025040{n % 8 + 1}T{n % 24:02}{n % 60:02}00Z") for n in range(2000)))
    desk.run(file)
    costs = []
    for again in (file + b"\r\n", file + b"\r\n"):
        begun = time.process_time()
        desk.run(again)
        costs.append(time.process_time() - begun)
    assert costs[1] < costs[0] / 5
