"""Who works: a row for each worker process, kept by its heartbeat, and what all of them ever did, counted."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing

SILENT = timedelta(seconds=30)
"""A worker that has not been heard for so long is taken for gone: six heartbeats."""
FORGOTTEN = timedelta(days=1)
_table = tables.worker


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker as it was last heard; `doing` are its jobs at that moment. Times are aware."""

    name: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    doing: Sequence[str]

    def is_silent(self, now: datetime) -> bool:
        return now - self.seen_at > SILENT


@dataclass(frozen=True, slots=True)
class Count:
    """How often a kind of job ended so, and the seconds that took."""

    times: int = 0
    seconds: float = 0.0


Counts = Mapping[tuple[str, str], Count]
"""By the kind of job and how it ended."""


def begin(engine: Engine, name: str, now: datetime) -> None:
    """A worker has started, in this process. Those who are long gone are forgotten."""
    values = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": now, "seen_at": now, "doing": "[]"}
    with writing(engine) as connection:
        connection.execute(delete(_table).where((_table.c.seen_at < now - FORGOTTEN) | (_table.c.name == name)))
        connection.execute(insert(_table).values(name=name, **values))


def beat(engine: Engine, name: str, doing: Sequence[str], done: Counts, now: datetime) -> None:
    """It lives, does this, and has done so much since it last said so."""
    with writing(engine) as connection:
        values = {"seen_at": now, "doing": json.dumps(list(doing), ensure_ascii=False)}
        connection.execute(update(_table).where(_table.c.name == name).values(values))
        for (kind, outcome), count in sorted(done.items()):  # in order: two workers never lock each other out
            _add(connection, kind, outcome, count)


def end(engine: Engine, name: str) -> None:
    """It stops."""
    with writing(engine) as connection:
        connection.execute(delete(_table).where(_table.c.name == name))


def known(engine: Engine) -> Sequence[Seen]:
    """All that have not said good-bye, the one that was heard last first."""
    with engine.connect() as connection:
        rows = connection.execute(select(_table).order_by(_table.c.seen_at.desc(), _table.c.name)).all()
    return [
        Seen(row.name, row.host, row.pid, row.started_at, row.seen_at, tuple(json.loads(row.doing))) for row in rows
    ]


def to_json(each: Seen, now: datetime) -> dict[str, Any]:
    """All of a worker, and whether it is silent; times as ISO 8601 in UTC."""
    times = {"started_at": each.started_at.isoformat(), "seen_at": each.seen_at.isoformat()}
    told = {"name": each.name, "host": each.host, "pid": each.pid, **times}
    return told | {"silent": each.is_silent(now), "doing": list(each.doing)}


def counts(engine: Engine) -> Counts:
    """What all workers ever did."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.job_count)).all()
    return {(row.kind, row.outcome): Count(row.times, row.seconds) for row in rows}


def _add(connection: Connection, kind: str, outcome: str, count: Count) -> None:
    table = tables.job_count
    mine = (table.c.kind == kind) & (table.c.outcome == outcome)
    more = {"times": table.c.times + count.times, "seconds": table.c.seconds + count.seconds}
    added = update(table).where(mine).values(more)
    if not connection.execute(added).rowcount:
        try:
            with connection.begin_nested():
                values = {"kind": kind, "outcome": outcome, "times": count.times, "seconds": count.seconds}
                connection.execute(insert(table).values(values))
        except IntegrityError:  # another worker was the first
            connection.execute(added)
