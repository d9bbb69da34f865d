"""The quota of an LMS account outlives the process and holds until its reset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.store.engine import open_engine
from app.store.quota import StoreMeter
from bridges.contract import Meter, Quota
from tests import stores

NOW = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = stores.url(tmp_path / "store.db")
    stores.at(tmp_path / "store.db")
    return url


def test_it_is_shared_and_outlives_the_process(url: str) -> None:
    one: Meter = StoreMeter(open_engine(url), "learn", Clock())
    one.note(Quota(10_000, 40, NOW + HOUR))
    one.spent(2)
    another = StoreMeter(open_engine(url), "learn", Clock())
    another.spent()
    assert another.quota() == Quota(10_000, 37, NOW + HOUR)
    assert another.calls() == 3


def test_accounts_are_kept_apart_and_begin_unknown(url: str) -> None:
    learn, space = (StoreMeter(open_engine(url), account, Clock()) for account in ("learn", "space"))
    learn.spent(5)
    assert (learn.quota(), learn.calls()) == (None, 5)
    assert (space.quota(), space.calls()) == (None, 0)


def test_it_never_falls_below_nothing(url: str) -> None:
    meter = StoreMeter(open_engine(url), "learn", Clock())
    meter.note(Quota(10, 1, NOW + HOUR))
    meter.spent(5)
    assert meter.quota() == Quota(10, 0, NOW + HOUR)


@pytest.mark.parametrize("resets_at", [NOW + HOUR, None])
def test_it_holds_until_its_reset_or_for_an_hour(url: str, resets_at: datetime | None) -> None:
    clock = Clock()
    meter = StoreMeter(open_engine(url), "learn", clock)
    meter.note(Quota(10, 1, resets_at))
    clock.time = NOW + HOUR - timedelta(seconds=1)
    assert meter.quota() is not None
    clock.time = NOW + HOUR
    assert meter.quota() is None
