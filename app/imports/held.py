"""Imports that may go on, kept with their files, so that they can be planned again and nobody sends them twice.

They wait for a yes, for a worker or for whoever paused them, were stopped half-way, or had events refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, delete, insert, select, update

from app.ics.floating import Floating
from app.imports.rules import rules_from_json
from app.imports.runs import Ending, NotWaiting, Run
from app.imports.subscription import Import, Match, Mode
from app.store import tables
from app.store.engine import writing
from bridges.model import Window

WAITING = frozenset({Ending.HELD, Ending.RUNNING, Ending.LEFT, Ending.FAILED})
"""A run that got its yes and did not come to its end, or died, keeps its file: another yes takes up what is left."""
RESUMABLE = frozenset({Ending.PAUSED, Ending.RUNNING, Ending.LEFT, Ending.FAILED})
TAKEN_UP = frozenset({Ending.QUEUED, Ending.RUNNING})
TRIED_AGAIN = frozenset({Ending.DONE, Ending.PAUSED, Ending.LEFT, Ending.FAILED})


class HeldImports:
    """The table of the files. A file is as large as the reader takes it, and is kept compressed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, run: int, job: Import, objections: Sequence[str], until: datetime) -> None:
        """Keep the import of this run; `until` is aware."""
        why = {"objections": list(objections), "expires_at": until}
        held = tables.held_import
        with writing(self._engine) as connection:
            if connection.execute(update(held).where(held.c.run_id == run).values(why)).rowcount:
                return  # the file never changes
            values = {"run_id": run, "data": zlib.compress(job.data, 1), "terms": _terms(job), **why}
            connection.execute(insert(held).values(values))

    def job(self, run: Run, states: Collection[Ending] = WAITING, wanted: str = "wait for a yes") -> Import:
        """The import as it was sent. NotWaiting where the run does not stand so (any more), or its file is gone."""
        held = tables.held_import
        with self._engine.connect() as connection:
            row = connection.execute(select(held).where(held.c.run_id == run.id)).first()
        if run.state not in states:
            raise NotWaiting(f"run {run.id} does not {wanted}: it is {run.state}")
        if row is None:
            raise NotWaiting(f"run {run.id} does not {wanted}: it is {run.state}, and its file is not kept (any more)")
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
        "match": job.match.value,
        "floating": job.floating.name,
        "approved": job.approved,
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
        match=Match(terms.get("match", Match.UID)),
        approved=terms.get("approved", True),
    )
