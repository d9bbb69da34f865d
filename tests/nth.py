"""The store fails at the n-th statement or commit, for n = 1, 2, 3 … until nothing fails: nothing is lost or doubled.

The fault is the database's own: SQLite breaks the statement off, PostgreSQL's connection is cut.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from app.imports.record.runs import Ending
from app.parts import Parts
from app.store.check import faults
from app.store.leases import is_held
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.campus import NOW, calendar
from tests.servers import until
from tests.store.test_backup import TERM

COURSE = CalendarRef("demo", Kind.COURSE, "statistics")
EVENTS = 3


class Fault:
    """`hit` once the engine came so far."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.hit = False

    def step(self, connection: Connection, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.hit = True
            broken(connection.connection.driver_connection)


def broken(driver: Any) -> None:
    """What is asked of the database next fails."""
    if stores.ON == "sqlite":
        driver.set_progress_handler(lambda: driver.set_progress_handler(None, 1) or 1, 1)
    else:
        with socket.socket(fileno=os.dup(driver.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)


@contextmanager
def failing(engine: Engine, at: int) -> Iterator[Fault]:
    fault = Fault(at)
    for what in ("before_cursor_execute", "commit"):
        event.listen(engine, what, fault.step)
    try:
        yield fault
    finally:
        for what in ("before_cursor_execute", "commit"):
            event.remove(engine, what, fault.step)


def at_each(engine: Engine, work: Callable[[int], object], stride: int = 1) -> Iterator[int]:
    """Do it with a fault at the n-th step, and yield n, until it is done before there were so many."""
    for number in count(1, stride):
        with failing(engine, number) as fault, suppress(DBAPIError):
            work(number)
        if not fault.hit:
            return
        yield number


def imports_survive(campus: Parts, stride: int = 1) -> int:
    """An import that failed at a step is begun again; how many were tried. AssertionError where one did not end with
    each event once."""

    def imported(number: int) -> Ending:
        events = (f"UID:{number}-{n}\nSUMMARY:{number}-{n}\nDTSTART:20261022T{n:02}0000Z" for n in range(EVENTS))
        return campus.imports.run(calendar(*events), COURSE, TERM, source=f"n{number}").state

    tried = []
    for number in at_each(campus.engine, imported, stride):
        # a lease that could not be given back is, a second later
        until(lambda: not is_held(campus.engine, f"import {COURSE}", NOW), 5, "the end of the lease")
        states = [imported(number) for _ in range(2)]
        assert states[-1] is Ending.DONE, f"{number}: {states}"
        tried.append(number)
    titles = Counter(found.event.title for found in campus.source("demo").read(COURSE, TERM))
    assert {titles[f"{number}-{n}"] for number in tried for n in range(EVENTS)} == {1}
    assert list(faults(campus.engine)) == []
    return len(tried)
