"""Imports that may go on, kept with their files, so that they can be planned again and nobody sends them twice.

They wait for a yes, for a worker or for whoever paused them, were stopped half-way, or had events refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, delete, insert, select, update

from app.ics.floating import Floating
from app.imports.body import Data, compressed, restored
from app.imports.deciding.part import part_from_json
from app.imports.deciding.rules import rules_from_json
from app.imports.record.runs import Ending, NotWaiting, Run
from app.imports.subscription import Import, Match, Mode
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef, Window

WAITING = frozenset({Ending.HELD, Ending.PREVIEWED, Ending.RUNNING, Ending.LEFT, Ending.FAILED})
"""A run that got its yes and did not come to its end, or died, keeps its file: another yes takes up what is left."""
RESUMABLE = frozenset({Ending.PAUSED, Ending.RUNNING, Ending.LEFT, Ending.FAILED})
TAKEN_UP = frozenset({Ending.QUEUED, Ending.RUNNING})
TRIED_AGAIN = frozenset({Ending.DONE, Ending.PAUSED, Ending.LEFT, Ending.FAILED})


class FileGone(NotWaiting):
    """The file of the run is not kept (any more)."""


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
            values = {
                "run_id": run,
                "data": compressed(b"" if job.part else job.data),
                "terms": terms_of(job),
                **why,
            }
            connection.execute(insert(held).values(values))

    def job(self, run: Run, states: Collection[Ending] = WAITING, wanted: str = "wait for a yes") -> Import:
        """The import as it was sent. NotWaiting where the run does not stand so (any more), or its file is gone."""
        held = tables.held_import
        with self._engine.connect() as connection:
            row = connection.execute(select(held).where(held.c.run_id == run.id)).first()
        if run.state not in states:
            raise NotWaiting(f"run {run.id} does not {wanted}: it is {run.state}")
        if row is None:
            raise FileGone(f"run {run.id} does not {wanted}: it is {run.state}, and its file is not kept (any more)")
        job = import_of(restored(row.data), run.calendar, run.source, row.terms)
        return job if job.part is None else replace(job, data=self._routed(job.part.batch))

    def _routed(self, batch: int) -> Data:
        """The file of which the run has a part: it is kept once for all of them."""
        table = tables.import_batch
        with self._engine.connect() as connection:
            data = connection.execute(select(table.c.data).where(table.c.id == batch)).scalar()
        if data is None:
            raise NotWaiting(f"batch {batch} was overtaken by a newer file")
        return restored(data)

    def tried(self, run: int, *, again: bool) -> int:
        """Count that a worker takes the run up, or begin to count anew; how often that was."""
        held = tables.held_import
        with writing(self._engine) as connection:
            terms = connection.execute(select(held.c.terms).where(held.c.run_id == run)).scalar() or {}
            tries = terms.get("tries", 0) + 1 if again else 0
            connection.execute(update(held).where(held.c.run_id == run).values(terms={**terms, "tries": tries}))
        return tries

    def forget(self, run: int) -> None:
        """The run has come to its end."""
        with writing(self._engine) as connection:
            connection.execute(delete(tables.held_import).where(tables.held_import.c.run_id == run))


def terms_of(job: Import) -> dict[str, Any]:
    """How a file is to be imported, as JSON."""
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
        "part": job.part.to_json() if job.part else None,
    }


def import_of(data: Data, calendar: CalendarRef, source: str, terms: Mapping[str, Any]) -> Import:
    """The inverse of terms_of."""
    start, end = datetime.fromisoformat(terms["start"]), datetime.fromisoformat(terms["end"])
    if terms["zone"]:
        start, end = start.astimezone(ZoneInfo(terms["zone"])), end.astimezone(ZoneInfo(terms["zone"]))
    return Import(
        data,
        calendar,
        Window(start, end),
        source,
        Mode(terms["mode"]),
        terms["grace"],
        rules_from_json(terms["rules"]),
        zone=ZoneInfo(terms["source_zone"]) if terms["source_zone"] else None,
        floating=Floating(terms.get("floating", "")),
        match=Match(terms.get("match", Match.UID)),
        approved=terms.get("approved", True),
        part=part_from_json(terms["part"]) if terms.get("part") else None,
    )
