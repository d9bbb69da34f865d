"""The days behind instants are remembered for what stands in the LMS, and for nothing else."""

from __future__ import annotations

from datetime import date

from app.imports.deciding.plan import Create, Delete
from app.imports.writing.ledger import Ledger
from app.store.days import remembered_days
from bridges.model import AllDay, RemoteRef
from tests import stores
from tests.imports.bench import HERE, NOW, SCOPE, at, single

DAYS = AllDay(date(2025, 3, 10), date(2025, 3, 12))


def test_only_present_events_with_days() -> None:
    store = stores.in_memory()
    ledger = Ledger(store, HERE, SCOPE, NOW)
    for name, days in (("kept", DAYS), ("timed", None), ("deleted", DAYS), ("pending", DAYS)):
        ledger.intend(Create(single(name), at(1), days), "upload")
        if name != "pending":
            ledger.written(single(name), RemoteRef(name))
    ledger.intend(Delete(single("deleted"), RemoteRef("deleted"), at(1)), "upload")
    ledger.deleted(single("deleted"))
    with store.connect() as connection:
        assert remembered_days(connection, str(HERE)) == {"kept": (at(1).when, DAYS)}
        assert remembered_days(connection, "lms/course/other") == {}
