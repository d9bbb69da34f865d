"""Lanes: an account never has more writers than it takes, and nobody who waits is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select

from app.store import tables
from app.store.engine import writing
from app.store.lanes import TURN, Lanes, Seat, lanes, share
from tests import stores

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def seat(number: int, held: int = 0, since: datetime = NOW) -> Seat:
    return Seat(f"holder {number}", number, held, since, LATER)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = stores.in_memory()
    yield engine
    engine.dispose()


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def look(engine: Engine, lanes: Lanes, busy: int, now: datetime = NOW) -> int:
    with writing(engine) as connection:
        return lanes.look(connection, busy, now)


def test_who_is_alone_has_all() -> None:
    assert share(seat(1), [], 4, NOW) == 4


def test_as_many_as_there_are_lanes_share_them_alike() -> None:
    assert [share(seat(n), [seat(m) for m in (1, 2, 3) if m != n], 4, NOW) for n in (1, 2, 3)] == [2, 1, 1]


def test_a_newcomer_waits_until_a_lane_is_empty() -> None:
    assert share(seat(2), [seat(1, held=4)], 4, NOW) == 0
    assert share(seat(1, held=4), [seat(2)], 4, NOW) == 2
    assert share(seat(2), [seat(1, held=2)], 4, NOW) == 2


def test_more_than_there_are_lanes_take_turns() -> None:
    working, first, second = seat(1, held=1), seat(2, since=NOW - TURN), seat(3)
    assert share(working, [first, second], 1, NOW) == 1
    assert share(working, [first, second], 1, NOW + TURN) == 0
    assert share(first, [seat(1, since=NOW), second], 1, NOW) == 1
    assert share(second, [seat(1, since=NOW), first], 1, NOW) == 0


def test_nobody_gives_up_the_only_lane_for_nobody() -> None:
    assert share(seat(1, held=1), [], 1, NOW + 10 * TURN) == 1


def test_the_account_is_never_overrun(engine: Engine) -> None:
    with lanes(engine, "lms", 3, Clock()) as one, lanes(engine, "lms", 3, Clock()) as other:
        assert look(engine, one, 0) == 2
        assert look(engine, other, 0) == 1
    with lanes(engine, "lms", 3, Clock()) as one:
        assert look(engine, one, 0) == 3
        with lanes(engine, "lms", 3, Clock()) as other, lanes(engine, "elsewhere", 3, Clock()) as third:
            assert look(engine, other, 0) == 0
            assert look(engine, one, 3) == 2  # as soon as one of the three is done
            assert look(engine, other, 0) == 0
            assert look(engine, one, 2) == 2
            assert look(engine, other, 0) == 1
            assert look(engine, third, 0) == 3
        assert look(engine, one, 2) == 3


def test_turns_go_round(engine: Engine) -> None:
    """Five imports at an LMS that takes one writer: each has had its turn before the first has its second."""
    clock = Clock()
    stack = ExitStack()
    seats = [stack.enter_context(lanes(engine, "lms", 1, clock)) for _ in range(5)]
    turns: list[int] = []
    busy = dict.fromkeys(range(5), 0)
    for _ in range(100):
        for n, each in enumerate(seats):
            granted = look(engine, each, 0, clock.now)
            if granted and not busy[n]:
                turns.append(n)
            busy[n] = granted
            assert sum(busy.values()) <= 1
        clock.now += TURN / 4
    assert len(turns) > 10
    assert all(len(set(turns[n : n + 5])) == 5 for n in range(len(turns) - 5))
    stack.close()
    with engine.connect() as connection:
        assert connection.execute(select(tables.lane)).first() is None


def test_the_lanes_of_the_dead_are_free_at_once(engine: Engine) -> None:
    with lanes(engine, "lms", 3, Clock()) as alive:
        dead = alive.holder.split("/")[0] + "/4194305@1/gone"
        values = {"account": "lms", "holder": dead, "number": 0, "lanes": 3, "since": NOW, "until": LATER}
        with writing(engine) as connection:
            connection.execute(insert(tables.lane).values(values))
        assert look(engine, alive, 0) == 3
