"""A lease is held by one at a time, and never by the dead."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError

from app.store import tables
from app.store.engine import writing
from app.store.leases import Busy, Lost, lease, left_behind
from tests import stores

START = datetime(2025, 3, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return stores.at(tmp_path / "store.db")


def test_only_one_holds_it(engine: Engine) -> None:
    with lease(engine, "a", Clock()):
        with pytest.raises(Busy) as caught, lease(engine, "a", Clock()):
            pass
        with lease(engine, "b", Clock()):
            pass
    assert caught.value.until == START + 5 * MINUTE
    with lease(engine, "a", Clock()):
        pass


def test_an_error_gives_it_back(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), lease(engine, "a", Clock()):
        _ = 1 / 0
    with lease(engine, "a", Clock()):
        pass


def test_work_that_the_store_cut_off_is_known_and_hinders_nobody(engine: Engine) -> None:
    with pytest.raises(OperationalError), lease(engine, "a", Clock()):
        raise OperationalError("SELECT", {}, OSError("away"))
    assert [name for name, _ in left_behind(engine, START)] == ["a"]
    with lease(engine, "a", Clock()):
        assert left_behind(engine, START) == []
    assert left_behind(engine, START) == []


def test_a_holder_that_says_nothing_loses_it_in_the_end(engine: Engine) -> None:
    clock = Clock()
    with lease(engine, "a", clock, MINUTE) as slow:
        clock.time += 2 * MINUTE
        with lease(engine, "a", clock, MINUTE):
            with pytest.raises(Lost):
                slow.beat()
            with pytest.raises(Busy), lease(engine, "a", clock):
                pass


def test_losing_it_takes_nothing_from_the_next(engine: Engine) -> None:
    clock = Clock()
    with lease(engine, "a", clock, MINUTE):
        clock.time += 2 * MINUTE
        second = lease(engine, "a", clock, MINUTE)
        second.__enter__()
    with pytest.raises(Busy), lease(engine, "a", clock):
        pass
    second.__exit__(None, None, None)


def test_beats_keep_it_and_write_seldom(engine: Engine) -> None:
    clock = Clock()
    with lease(engine, "a", clock, MINUTE) as held:
        for _ in range(20):
            clock.time += timedelta(seconds=20)
            held.beat()
        assert held.until > clock.time
        with pytest.raises(Busy), lease(engine, "a", clock):
            pass


HOLDER = """
import sys, time
from datetime import UTC, datetime
from app.store.engine import open_engine
from app.store.leases import lease
with lease(open_engine(sys.argv[1]), "a", lambda: datetime(2025, 3, 10, 8, tzinfo=UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_dead_process_on_this_host_is_followed_at_once(engine: Engine) -> None:
    """Also while nobody has waited for it yet: a zombie holds nothing."""
    command = [sys.executable, "-c", HOLDER, str(engine.url)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(Busy), lease(engine, "a", Clock()):
            pass
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still to be waited for
        with lease(engine, "a", Clock()):
            pass


def test_a_holder_elsewhere_is_waited_for(engine: Engine) -> None:
    held = lease(engine, "a", Clock())
    held.__enter__()
    with writing(engine) as connection:
        connection.execute(update(tables.lease).values(holder="another.host/1/x"))
    with pytest.raises(Busy), lease(engine, "a", Clock()):
        pass


def test_of_many_at_once_one_gets_it(engine: Engine) -> None:
    ready, inside = Barrier(6), []

    def work(number: int) -> bool:
        ready.wait()
        try:
            with lease(engine, "a", Clock()):
                inside.append(number)
                ready.wait(timeout=5)
        except Busy:
            ready.wait(timeout=5)
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            assert sum(pool.map(work, range(6))) == 1
    assert len(inside) == 5
