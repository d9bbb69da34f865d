"""Imports that wait for a yes: kept with their files, so that they can be planned again and nobody sends them twice."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, delete, insert, select

from app.ics.floating import Floating
from app.imports.rules import rules_from_json
from app.imports.runs import Ending, NotWaiting, Run
from app.imports.subscription import Import, Mode
from app.store import tables
from app.store.engine import writing
from bridges.model import Window

WAITING = {Ending.HELD, Ending.RUNNING, Ending.LEFT, Ending.FAILED}
"""A run that got its yes and did not come to its end, or died, keeps its file: another yes takes up what is left."""


class HeldImports:
    """The table of what waits. A file is as large as the reader takes it, and is kept compressed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, run: int, job: Import, objections: Sequence[str], until: datetime) -> None:
        """Keep the import of this run; `until` is aware."""
        values = {
            "run_id": run,
            "data": zlib.compress(job.data),
            "terms": _terms(job),
            "objections": list(objections),
            "expires_at": until,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(tables.held_import).where(tables.held_import.c.run_id == run))
            connection.execute(insert(tables.held_import).values(values))

    def job(self, run: Run) -> Import:
        """The import as it was sent. NotWaiting where the run does not wait (any more)."""
        held = tables.held_import
        with self._engine.connect() as connection:
            row = connection.execute(select(held).where(held.c.run_id == run.id)).first()
        if row is None or run.state not in WAITING:
            raise NotWaiting(f"run {run.id} does not wait for a yes: it is {run.state}")
        return _job(run, zlib.decompress(row.data), row.terms)

    def forget(self, run: int) -> None:
        """The run has come to its end."""
        with writing(self._engine) as connection:
            connection.execute(delete(tables.held_import).where(tables.held_import.c.run_id == run))


def _terms(job: Import) -> dict[str, Any]:
    zone = job.window.start.tzinfo
    return {
        "start": job.window.start.isoformat(),
        "end": job.window.end.isoformat(),
        "zone": zone.key if isinstance(zone, ZoneInfo) else None,
        "mode": job.mode.value,
        "grace": job.grace,
        "rules": job.rules.to_json(),
        "source_zone": job.zone.key if job.zone else None,
        "floating": job.floating.name,
    }


def _job(run: Run, data: bytes, terms: dict[str, Any]) -> Import:
    start, end = datetime.fromisoformat(terms["start"]), datetime.fromisoformat(terms["end"])
    if terms["zone"]:
        start, end = start.astimezone(ZoneInfo(terms["zone"])), end.astimezone(ZoneInfo(terms["zone"]))
    return Import(
        data,
        run.calendar,
        Window(start, end),
        run.source,
        Mode(terms["mode"]),
        terms["grace"],
        rules_from_json(terms["rules"]),
        zone=ZoneInfo(terms["source_zone"]) if terms["source_zone"] else None,
        floating=Floating(terms.get("floating", "")),
        approved=True,
    )
