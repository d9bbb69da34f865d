"""A clock that jumps, forth and back: what was promised for a time holds by that time, and nothing is written twice."""

from __future__ import annotations

import base64
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import jobs
from app.config import parse
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.store import tables
from app.store.check import faults
from app.store.engine import writing
from app.store.leases import Busy, is_held, lease, left_behind
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.store.test_backup import TERM

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
HOUR = timedelta(hours=1)
MANY = calendar(*(f"UID:{n}\nSUMMARY:Lab {n}\nDTSTART:20261022T{n % 24:02}0000Z" for n in range(40)))


class Clock:
    """Stands at `time`; with `dice` each look finds it some hours away from there."""

    def __init__(self) -> None:
        self.time = NOW
        self.dice: random.Random | None = None

    def __call__(self) -> datetime:
        return self.time + (self.dice.choice([-7, -3, 0, 4, 9]) * HOUR if self.dice else timedelta(0))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def campus(clock: Clock, tmp_path: Path) -> Iterator[Parts]:
    parts = open_parts(parse(stores.setting(tmp_path / "s.db"), {}), now=clock)
    yield parts
    parts.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, datetime(2038, 1, 20, tzinfo=UTC) - NOW, timedelta(days=27000)])
def test_the_same_file_writes_nothing_and_feeds_answer(campus: Parts, clock: Clock, jump: timedelta) -> None:
    campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    clock.time += jump
    outcome = campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    assert outcome.report
    assert (outcome.state, outcome.report.created, outcome.report.deleted) == (Ending.DONE, 0, 0)
    assert campus.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
    list(campus.refreshes.run(clock()))
    clock.time -= jump
    assert campus.feeds.snapshot_for_public("anatomy-i", Form.ICS).body, "and back again"


@pytest.mark.parametrize("seed", range(4))
def test_an_import_under_a_clock_that_jumps_writes_each_event_once(campus: Parts, clock: Clock, seed: int) -> None:
    clock.dice = random.Random(seed)
    for _ in range(5):
        try:
            if campus.imports.run(MANY, COURSE, TERM).state is Ending.DONE:
                break
        except Busy:
            continue
    clock.dice = None
    assert campus.imports.run(MANY, COURSE, TERM).plan.unchanged == 40
    titles = [found.event.title for found in campus.source("demo").read(COURSE, TERM)]
    assert sorted(title for title in titles if title.startswith("Lab ")) == sorted(f"Lab {n}" for n in range(40))
    assert list(faults(campus.engine)) == []


def test_a_clock_that_is_minutes_off_on_another_host_changes_nothing(campus: Parts, clock: Clock) -> None:
    list(campus.refreshes.run(clock()))
    clock.time -= timedelta(minutes=20)
    assert [job for job in campus.refreshes.due(clock()) if job.kind is jobs.Kind.READ] == []


class TestLeases:
    def test_one_that_runs_out_by_a_jump_is_still_kept_by_its_holder_unless_it_is_taken(
        self, campus: Parts, clock: Clock
    ) -> None:
        with lease(campus.engine, "a", clock) as held:
            clock.time += 9 * HOUR
            held.beat()
            assert is_held(campus.engine, "a", clock())
            clock.time -= 9 * HOUR
            held.beat()
            with pytest.raises(Busy), lease(campus.engine, "a", clock):
                pass

    def test_what_a_dead_host_left_under_a_wrong_clock_is_free_when_it_is_right(
        self, campus: Parts, clock: Clock
    ) -> None:
        with writing(campus.engine) as connection:
            row = {"name": "a", "holder": "another.host/1/x", "until": NOW + timedelta(days=30)}
            connection.execute(tables.lease.insert().values(row))
        assert left_behind(campus.engine, NOW) == [("a", "another.host/1/x")]
        with lease(campus.engine, "a", clock):
            pass


def test_the_zone_of_the_machine_changes_no_byte(campus: Parts, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(stores.setting(tmp_path / "s.db"))
    (tmp_path / "x.ics").write_bytes(calendar(LECTURES, EXAM))

    def listed(zone: str) -> bytes:
        words = ["import", str(tmp_path / "x.ics"), "--into", str(COURSE), "--dry-run"]
        words += ["--from", "2026-10-20", "--to", "2026-12-31"]
        command = [sys.executable, "-m", "app.cli", "--config", str(tmp_path / "config.toml"), *words]
        said = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"TZ": zone}).stdout
        return re.sub(rb"about \d\d:\d\d", b"about", said)  # a minute may have passed between two of them

    assert listed("Pacific/Kiritimati") == listed("America/Anchorage")


def test_a_secret_outlives_a_start_in_another_century(campus: Parts, clock: Clock) -> None:
    campus.vault.put("learn/token", base64.b64encode(b"secret").decode())
    clock.time = datetime(2100, 1, 1, tzinfo=UTC)
    assert campus.vault.get("learn/token") == base64.b64encode(b"secret").decode()
