"""What the latest file of each import held, kept for the next one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select

from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef


@dataclass(frozen=True, slots=True)
class Remembered:
    """An imprint as bytes, with a hash of the terms that it holds under, and the revision of the ledger."""

    basis: str
    data: bytes
    revision: int = 0


class Imprints:
    """The table of the imprints: one for each import into a calendar."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, calendar: CalendarRef, source: str) -> Remembered | None:
        """That of the latest file, if there is one."""
        imprint = tables.imprint.c
        which = (imprint.calendar == str(calendar), imprint.source == source)
        with self._engine.connect() as connection:
            row = connection.execute(select(imprint.basis, imprint.data, imprint.revision).where(*which)).first()
        return Remembered(row.basis, row.data, row.revision) if row is not None else None

    def keep(self, calendar: CalendarRef, source: str, imprint: Remembered | None, at: datetime) -> None:
        """In place of the one before; None: the next file has to be read whole."""
        table, name = tables.imprint, {"calendar": str(calendar), "source": source}
        with writing(self._engine) as connection:
            connection.execute(delete(table).where(*(table.c[key] == value for key, value in name.items())))
            if imprint is not None:
                values = {"basis": imprint.basis, "revision": imprint.revision, "at": at, "data": imprint.data}
                connection.execute(insert(table).values(name | values))
