"""When an LMS is looked at again: as often as asked for, and ever more patiently while it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from app.feeds.feed import next_check

NOW = datetime(2026, 3, 9, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wait(asked: float | None = None, failures: int = 0) -> timedelta:
    return next_check(NOW, HOUR, asked, failures) - NOW


def test_after_a_success_it_is_as_usual() -> None:
    assert wait() == HOUR


def test_after_failures_each_wait_is_longer_up_to_six_hours() -> None:
    waits = [wait(failures=failures) for failures in range(1, 100)]
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert all(one <= other for one, other in pairwise(waits))
    assert waits[-1] == 6 * HOUR


def test_what_the_lms_asked_for_is_kept() -> None:
    assert wait(asked=7200, failures=1) == 2 * HOUR


def test_a_short_wish_does_not_shorten_the_wait() -> None:
    assert wait(asked=1, failures=5) == timedelta(minutes=16)


@pytest.mark.parametrize("asked", [1e9, float("inf")])
def test_nobody_makes_us_wait_for_ever(asked: float) -> None:
    assert wait(asked=asked, failures=1) == timedelta(days=1)


@pytest.mark.parametrize("asked", [-5.0, 0.0, float("nan"), float("-inf")])
def test_a_senseless_wish_is_no_wish(asked: float) -> None:
    assert wait(asked=asked, failures=1) == timedelta(minutes=1)
