"""The record of every import: what was planned, what became of it, and how much the file held."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, insert, select, update

from app.imports.subscription import Import
from app.store import tables
from app.store.engine import writing


class Ending(StrEnum):
    """How a run ended. Held and left want another run: after a yes, or after a while."""

    RUNNING = "running"
    DONE = "done"
    HELD = "held"
    LEFT = "left"
    FAILED = "failed"
    DRY = "dry"
    """Decided only; kept nowhere."""


class Runs:
    """The table of runs. `now` gives aware times."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def previous(self, job: Import) -> int | None:
        """How many events the file held when this import was last done; None if it never was."""
        columns = tables.import_run.c
        query = (
            select(columns.read_count)
            .where(
                columns.calendar == str(job.calendar),
                columns.source == job.source,
                columns.state == Ending.DONE.value,
            )
            .order_by(columns.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def begin(self, job: Import, read_count: int) -> int:
        """A new run, and its id. Called under the calendar's lease: a run that still seems to go on was cut off."""
        columns = tables.import_run.c
        cut_off = (columns.calendar == str(job.calendar), columns.state == Ending.RUNNING.value)
        values = {
            "source": job.source,
            "calendar": str(job.calendar),
            "started_at": self._now(),
            "state": Ending.RUNNING.value,
            "body_hash": hashlib.sha256(job.data).hexdigest(),
            "read_count": read_count,
        }
        with writing(self._engine) as connection:
            failed = {"state": Ending.FAILED.value, "ended_at": self._now()}
            connection.execute(update(tables.import_run).where(*cut_off).values(failed))
            made = connection.execute(insert(tables.import_run).values(values).returning(columns.id))
            return int(made.scalar_one())

    def end(self, run: int, ending: Ending, plan: dict[str, Any] | None, report: dict[str, Any] | None) -> None:
        """Keep what was planned and what became of it, both as JSON."""
        values = {"ended_at": self._now(), "state": ending.value, "plan": plan, "report": report}
        with writing(self._engine) as connection:
            connection.execute(update(tables.import_run).where(tables.import_run.c.id == run).values(values))
