"""The worker does what is due, outlives a store that is away, and stops when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.parts import Parts
from app.work import work
from tests import stores
from tests.campus import NOW, open_campus


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Parts]:
    parts = open_campus(tmp_path)
    yield parts
    parts.close()


def test_what_is_due_is_done_and_then_nothing(campus: Parts) -> None:
    assert len(campus.refreshes.due(NOW).calendars) == 4
    stop = Event()
    worker = Thread(target=work, args=(campus.refreshes, campus.now, stop), kwargs={"pause": 0.01})
    worker.start()
    for _ in range(1000):
        if not campus.refreshes.due(NOW):
            break
        time.sleep(0.01)
    stop.set()
    worker.join(10)
    assert not worker.is_alive()
    assert not campus.refreshes.due(NOW)


class Away:
    """A store that is away at first."""

    def __init__(self, stop: Event) -> None:
        self.stop = stop
        self.looks = 0

    def run(self, now: datetime) -> Iterator[Any]:
        self.looks += 1
        if self.looks < 3:
            raise OperationalError("SELECT", {}, OSError("away"))
        self.stop.set()
        yield from ()


def test_a_store_that_is_away_is_waited_for() -> None:
    stop = Event()
    away = Away(stop)
    work(away, lambda: NOW, stop, pause=0.001)  # type: ignore[arg-type]
    assert away.looks == 3


def test_the_command_stops_on_a_signal(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"{stores.setting(tmp_path / 'x.sqlite3')}\n")
    environment = os.environ | {"CALBRIDGE_CONFIG": str(tmp_path / "config.toml")}
    command = [sys.executable, "-m", "app.cli", "work"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "works" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_chore_that_fails_keeps_nothing_else_waiting(campus: Parts, caplog: pytest.LogCaptureFixture) -> None:
    stop, done = Event(), []

    def broken() -> list[tuple[str, str]]:
        raise RuntimeError("mail is broken")

    def well() -> list[tuple[str, str]]:
        done.append("well")
        stop.set()
        return []

    work(campus.refreshes, campus.now, stop, pause=0.01, chores=[broken, well])
    assert done == ["well"]
    assert "a chore failed" in caplog.text
    assert not campus.refreshes.due(NOW)
