"""What was set for each import about people's changes in the LMS, where it is not as usual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select, update

from app.imports.drift.changes import Policy
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef


@dataclass(frozen=True, slots=True)
class Policies:
    """The table of what was set; `usual` holds for every other import."""

    engine: Engine
    usual: Policy = Policy.KEEP

    def of(self, calendar: CalendarRef) -> Callable[[str], Policy]:
        """The policy of each import into the calendar, by its name; read once."""
        table = tables.import_source
        query = select(table.c.source, table.c.drift).where(table.c.calendar == str(calendar))
        with self.engine.connect() as connection:
            known = {source: Policy(drift) for source, drift in connection.execute(query)}
        return lambda source: known.get(source, self.usual)

    def every_one(self) -> Sequence[tuple[CalendarRef, str, Policy]]:
        """All that is not as usual."""
        table = tables.import_source
        with self.engine.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.calendar, table.c.source)).all()
        return [(CalendarRef.parse(row.calendar), row.source, Policy(row.drift)) for row in rows]

    def set(self, calendar: CalendarRef, source: str, policy: Policy | None) -> None:
        """From now on this; None: as usual. The next import of the same file is planned anew."""
        table = tables.import_source
        mine = (table.c.calendar == str(calendar), table.c.source == source)
        ledger = tables.ledger_revision
        raised = update(ledger).where(ledger.c.calendar == str(calendar)).values(revision=ledger.c.revision + 1)
        with writing(self.engine) as connection:
            connection.execute(raised)
            connection.execute(delete(table).where(*mine))
            if policy is not None:
                connection.execute(insert(table).values(calendar=str(calendar), source=source, drift=policy.value))
