"""What of ours stands in an LMS calendar, for an LMS that shows events only to who names them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, select

from app.store.tables import entry
from bridges.model import CalendarRef, RemoteRef, Window


def known_refs(engine: Engine, calendar: CalendarRef, window: Window) -> Sequence[RemoteRef]:
    """The refs of all that we wrote into the calendar, have not deleted, and that lies in or near the window."""
    living = (entry.c.state != "deleted", entry.c.ref.is_not(None))
    near = (entry.c.starts < window.end, entry.c.ends >= window.start)
    query = select(entry.c.ref).where(entry.c.calendar == str(calendar), *living, *near).order_by(entry.c.ref)
    with engine.connect() as connection:
        return [RemoteRef(ref) for ref in connection.execute(query).scalars()]
