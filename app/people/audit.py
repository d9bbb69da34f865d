"""Who did what: a line for each deed, added and never changed; only age takes lines away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, insert, select

from app.store.engine import writing
from app.store.slices import Part, Slice, part_of
from app.store.tables import audit


@dataclass(frozen=True, slots=True)
class Deed:
    """`what` is the deed (the rule of its address, or a command), `subject` what it was done to; neither holds a
    secret. `status` is what came of it, as an HTTP status; `request` finds it in the logs."""

    at: datetime
    who: str
    what: str
    subject: str = ""
    status: int = 200
    request: str = ""


def note(engine: Engine, deed: Deed) -> None:
    """Add a line."""
    values: dict[str, Any] = {
        "at": deed.at,
        "who": deed.who[:200],
        "what": deed.what[:200],
        "subject": deed.subject[:500],
        "status": deed.status,
        "request": deed.request[:64],
    }
    # what a hostile caller sent: PostgreSQL keeps no NUL
    values = {name: said.replace("\0", "�") if isinstance(said, str) else said for name, said in values.items()}
    with writing(engine) as connection:
        connection.execute(insert(audit).values(values))


def some(engine: Engine, asked: Slice) -> Part[tuple[int, Deed]]:
    """Some deeds with their numbers, newest first; searched are who, what and to what."""
    query = select(audit).order_by(audit.c.id.desc())
    with engine.connect() as connection:
        return part_of(connection, query, asked, (audit.c.who, audit.c.what, audit.c.subject)).map(_deed)


def to_json(number: int, deed: Deed) -> dict[str, Any]:
    """One line of the log; its time as ISO 8601 in UTC."""
    told = {name: getattr(deed, name) for name in ("who", "what", "subject", "status", "request")}
    return {"id": number, "at": deed.at.isoformat(), **told}


def _deed(row: Row[Any]) -> tuple[int, Deed]:
    return row.id, Deed(row.at, row.who, row.what, row.subject, row.status, row.request)


def latest(engine: Engine, count: int = 100, before: int | None = None) -> Sequence[tuple[int, Deed]]:
    """The latest deeds with their numbers, newest first; `before` goes on where an earlier answer ended."""
    query = select(audit).order_by(audit.c.id.desc()).limit(count)
    if before is not None:
        query = query.where(audit.c.id < before)
    with engine.connect() as connection:
        return [_deed(row) for row in connection.execute(query)]
