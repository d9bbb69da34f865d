"""The weather of a quota: what is left at the reset once feeds had theirs, held against what imports leave."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.care.weather import DAY, Sky, weather
from bridges.contract import Quota
from tests.campus import NOW

TOMORROW = NOW + DAY
calls = st.integers(0, 1_000_000)


@pytest.mark.parametrize(
    ("left", "sky", "at_reset"),
    [(9_000, Sky.FAIR, 8_000), (3_000, Sky.FAIR, 2_000), (2_999, Sky.CLOUDY, 1_999), (999, Sky.STORMY, -1)],
)
def test_the_sky_is_what_will_be_left_at_the_reset(left: int, sky: Sky, at_reset: int) -> None:
    found = weather("learn", Quota(10_000, left, TOMORROW), 1_000, 0.2, NOW)
    assert (found.sky, found.at_reset, found.reserve) == (sky, at_reset, 2_000)


def test_only_what_falls_before_the_reset_counts() -> None:
    found = weather("learn", Quota(10_000, 500, NOW + timedelta(hours=6)), 1_000, 0.0, NOW)
    assert (found.until_reset, found.sky) == (250, Sky.FAIR)


def test_where_nobody_knows_the_reset_a_day_counts() -> None:
    assert weather("learn", Quota(10_000, 500, None), 1_000, 0.2, NOW).until_reset == 1_000


def test_an_lms_that_said_nothing_has_no_weather() -> None:
    found = weather("learn", None, 1_000, 0.2, NOW)
    assert (found.sky, found.at_reset, found.to_json()["left"]) == (Sky.UNKNOWN, None, None)
    assert "has not said" in str(found)


@given(calls, calls, calls, st.floats(0, 0.99), st.timedeltas(-DAY, 3 * DAY))
def test_more_calls_never_make_worse_weather(limit: int, left: int, need: int, share: float, ahead: timedelta) -> None:
    order = [Sky.STORMY, Sky.CLOUDY, Sky.FAIR]
    less, more = (weather("learn", Quota(limit, one, NOW + ahead), need, share, NOW) for one in (left // 2, left))
    assert order.index(less.sky) <= order.index(more.sky)
    assert 0 <= more.reserve <= limit
