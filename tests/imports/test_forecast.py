"""What a plan will cost, as values: counted in calls, held against the quota, told as a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.imports.deciding.forecast import Forecast, forecast
from app.imports.deciding.plan import Create, Plan
from bridges.contract import Quota, SinkRules
from tests.imports.bench import HERE, SCOPE, at, single

OSLO = ZoneInfo("Europe/Oslo")
NOW = datetime(2026, 11, 2, 22, tzinfo=UTC)
RESET = datetime(2026, 11, 3, 2, 30, tzinfo=UTC)


def plan(writes: int) -> Plan:
    return Plan(HERE, "upload", SCOPE, tuple(Create(single(f"{n}"), at(n)) for n in range(writes)))


def expect(
    writes: int, quota: Quota | None, *, reserve: float = 0.0, writers: int = 4, pace: float | None = 1.0
) -> Forecast:
    return forecast(plan(writes), SinkRules(writers=writers), False, quota, reserve, pace, NOW)


def test_it_reads_as_people_say_it() -> None:
    told = expect(1240, Quota(10_000, 6310, RESET), writers=1, pace=3.0)
    assert told.sentence(NOW, OSLO) == "1,240 writes, 6,310 calls left until 03:30, done about 00:02"
    assert (told.fits, told.objection(NOW, OSLO)) == (True, "")


def test_nothing_is_said_of_a_quota_that_nobody_told() -> None:
    assert expect(4, None).sentence(NOW, OSLO) == "4 writes, done about 23:00"


def test_an_lms_of_batches_is_counted_in_batches() -> None:
    told = forecast(plan(250), SinkRules(batch=100), True, Quota(1000, 3, RESET), 0.0, 1.0, NOW)
    assert (told.calls, told.fits) == (3, True)
    assert told.sentence(NOW, OSLO).startswith("250 writes in 3 calls, 3 calls left")


def test_the_lanes_share_the_work() -> None:
    assert expect(400, None).done_at == NOW + timedelta(seconds=100)


@pytest.mark.parametrize(("left", "reserve", "fits"), [(100, 0.0, True), (99, 0.0, False), (100, 0.01, False)])
def test_what_the_quota_would_not_last_for_is_objected_to(left: int, reserve: float, fits: bool) -> None:
    told = expect(100, Quota(1000, left, RESET), reserve=reserve)
    assert told.fits is fits
    assert bool(told.objection(NOW, OSLO)) is not fits


def test_what_is_left_at_the_reset_is_made_after_it() -> None:
    told = expect(100, Quota(1000, 60, RESET), writers=1)
    assert told.done_at == RESET + timedelta(seconds=40)
    assert "done about 03:30" in told.objection(NOW, OSLO)


def test_nobody_knows_the_end_of_what_takes_several_days() -> None:
    told = expect(5000, Quota(1000, 900, RESET))
    assert told.done_at is None
    assert told.sentence(NOW, OSLO) == "5,000 writes, 900 calls left until 03:30"


def test_a_quota_that_is_back_in_a_minute_stands_in_no_plans_way() -> None:
    """Brightspace refills its bucket again and again."""
    assert expect(5000, Quota(1000, 900, NOW + timedelta(seconds=60))).fits


def test_who_is_slower_than_the_quota_refills_never_meets_its_end() -> None:
    assert expect(2000, Quota(1000, 900, NOW + timedelta(minutes=5)), writers=1).fits
