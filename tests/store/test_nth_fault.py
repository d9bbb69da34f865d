"""A store that fails at any statement or commit costs no event, doubles none, and never half a feed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.feeds.feed import Form
from app.parts import Parts
from app.store.check import faults
from app.store.leases import is_held
from tests.campus import NOW, open_campus
from tests.nth import COURSE, at_each, imports_survive
from tests.servers import until


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Parts]:
    parts = open_campus(tmp_path)
    yield parts
    parts.close()


def test_an_import_that_is_begun_again_ends_with_each_event_once(campus: Parts) -> None:
    """A sample; `python -m tests.soak statements` tries them all."""
    assert imports_survive(campus, stride=5) > 15


def test_a_feed_is_a_whole_calendar_old_or_new(campus: Parts) -> None:
    def shown() -> bytes:
        return campus.feeds.snapshot_for_public("statistics-for-health-sciences", Form.ICS).body

    before = shown()
    for number in at_each(campus.engine, lambda _: campus.feeds.refresh(COURSE)):
        assert [shown(), shown()] == [before, before]
        until(lambda: not is_held(campus.engine, f"read {COURSE}", NOW), 5, f"the end of the lease at {number}")
    assert list(faults(campus.engine)) == []
