"""Imports that share an account: a small one does not wait for a big one, and the LMS is never overrun."""

from __future__ import annotations

import time
from pathlib import Path

from app.imports.record.runs import Ending
from tests.imports.slow import BIG, SMALL, TERM, SlowLms, imports, meanwhile, store, ticking, timetable, until


def test_a_small_import_ends_long_before_a_big_one_that_began_earlier(tmp_path: Path) -> None:
    """Two engines and two Imports, as in two processes: all that they share is the store and the LMS."""
    lms, now = SlowLms(), ticking()
    engines = store(tmp_path), store(tmp_path)
    big, small = (imports(engine, lms, now) for engine in engines)
    with meanwhile(lambda: big.run(timetable(2000), BIG, TERM)) as long:
        until(lambda: len(lms.standing(BIG)) > 100)
        begun = time.monotonic()
        assert small.run(timetable(20), SMALL, TERM).state is Ending.DONE
        took = time.monotonic() - begun
        standing = len(lms.standing(BIG))
        assert standing < 1500, "the big one was still under way"
    assert len(lms.standing(BIG)) == 2000
    assert took < long["took"] / 4
    assert 1 < lms.most <= lms.rules.writers
    for engine in engines:
        engine.dispose()


def test_more_imports_than_lanes_all_come_on(tmp_path: Path) -> None:
    lms, now, engine = SlowLms(latency=0.01), ticking(), store(tmp_path)
    lms.rules = type(lms.rules)(writers=1)
    one, other = imports(engine, lms, now), imports(engine, lms, now)
    with meanwhile(lambda: one.run(timetable(400), BIG, TERM)):
        until(lambda: len(lms.standing(BIG)) > 5)
        assert other.run(timetable(20), SMALL, TERM).state is Ending.DONE
        assert len(lms.standing(BIG)) < 400, "the big one was still under way"
    assert lms.most == 1
    assert (len(lms.standing(BIG)), len(lms.standing(SMALL))) == (400, 20)
    engine.dispose()
