"""The all-day dates behind instants: what was a whole day before an LMS without them made it two midnights."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, null, select

from app.store.tables import entry
from app.store.values import event_from_json, when_from_json
from bridges.model import AllDay, RemoteRef, Timed


def remembered_days(connection: Connection, calendar: str) -> Mapping[RemoteRef, tuple[Timed, AllDay]]:
    """For each present event of the calendar that we wrote as instants for days: those instants and the days.

    The days hold only while the LMS still shows exactly these instants: who finds others there was overtaken by
    somebody's edit. `calendar` is a CalendarRef as text.
    """
    rows = connection.execute(
        select(entry.c.ref, entry.c.event, entry.c.days).where(
            entry.c.calendar == calendar,
            entry.c.state == "present",
            entry.c.ref.is_not(None),
            entry.c.days.is_not(null()),
        )
    )
    found: dict[RemoteRef, tuple[Timed, AllDay]] = {}
    for ref, event, days in rows:
        written, remembered = event_from_json(event).when, when_from_json(days)
        if isinstance(written, Timed) and isinstance(remembered, AllDay):
            found[RemoteRef(ref)] = (written, remembered)
    return found
