"""The ledger gives back what was put into it, whatever names and times events have."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.imports.deciding.plan import Create, Delete, Desired, Plan, State, Update
from app.imports.writing.ledger import Ledger, slot_from_text
from bridges.model import AllDay, CalendarRef, Kind, OccurrenceId, RemoteRef
from tests import stores
from tests.imports.bench import HERE, NOW, SCOPE, at, day, single, slot

LATER = date(2025, 3, 20)
DAYS = AllDay(LATER, date(2025, 3, 21))


def ledger() -> Ledger:
    return Ledger(stores.in_memory(), HERE, SCOPE, NOW)


@given(
    st.none() | st.dates() | st.datetimes(timezones=st.just(UTC) | st.none()).map(lambda t: t.replace(microsecond=0))
)
def test_slots_come_back(moment: datetime | date | None) -> None:
    assert slot_from_text(OccurrenceId("x", moment).slot_text) == moment


def test_the_life_of_an_entry() -> None:
    book = ledger()
    book.intend(Create(single("ü,;/🎓"), at(1), DAYS, 2), "upload")
    (entry,) = book.entries().values()
    assert (entry.id, entry.state, entry.ref, entry.generation) == (single("ü,;/🎓"), State.PENDING_CREATE, None, 2)
    assert (entry.event, entry.days, entry.live) == (at(1), DAYS, False)
    book.written(entry.id, RemoteRef("7"))
    book.intend(Update(entry.id, RemoteRef("7"), at(2), None, Desired(at(1), DAYS)), "another")
    (entry,) = book.entries().values()
    assert (entry.state, entry.event, entry.days, entry.before) == (
        State.PENDING_UPDATE,
        at(2),
        None,
        Desired(at(1), DAYS),
    )
    book.written(entry.id, RemoteRef("8"))
    book.intend(Delete(entry.id, RemoteRef("8"), at(2)), "another")
    book.deleted(entry.id)
    (entry,) = book.entries().values()
    assert (entry.state, entry.source, entry.ref, entry.before) == (State.DELETED, "another", "8", None)
    book.intend(Create(entry.id, day(3), None, 3), "upload")
    (entry,) = book.entries().values()
    assert (entry.state, entry.generation, entry.ref, entry.event) == (State.PENDING_CREATE, 3, None, day(3))


def test_refusals_bring_back_what_was() -> None:
    book = ledger()
    book.intend(Create(single("a"), at(1)), "upload")
    book.written(single("a"), RemoteRef("7"))
    update = Update(single("a"), RemoteRef("7"), at(2), DAYS, Desired(at(1)))
    book.intend(update, "upload")
    book.refused(update, "no")
    entry = book.entries()[single("a")]
    assert (entry.state, entry.event, entry.days, entry.error) == (State.PRESENT, at(1), None, "no")
    deletion = Delete(single("a"), RemoteRef("7"), at(1))
    book.intend(deletion, "upload")
    book.refused(deletion, "still no")
    assert book.entries()[single("a")].live


def test_calendars_and_slots_are_kept_apart() -> None:
    store = stores.in_memory()
    here = Ledger(store, HERE, SCOPE, NOW)
    there = Ledger(store, CalendarRef("lms", Kind.COURSE, "two"), SCOPE, NOW)
    for book in (here, there):
        for id in (single("a"), slot("a", 0), slot("a", 1), OccurrenceId("a", LATER)):
            book.intend(Create(id, at(1)), "upload")
    here.written(slot("a", 1), RemoteRef("7"))
    assert [entry.state is State.PRESENT for entry in here.entries().values()] == [False, False, True, False]
    assert len(there.entries()) == 4
    assert not any(entry.live for entry in there.entries().values())


def test_what_a_reading_shows_without_a_change() -> None:
    book = ledger()
    for uid in "abc":
        book.intend(Create(single(uid), at(1)), "one")
        book.written(single(uid), RemoteRef(uid))
    book.observe(Plan(HERE, "two", SCOPE, adopted=(single("a"),), absent=(single("b"), single("c"))))
    book.observe(Plan(HERE, "two", SCOPE, absent=(single("b"),), found=(single("c"),)))
    entries = book.entries()
    assert [entries[single(uid)].source for uid in "abc"] == ["two", "one", "one"]
    assert [entries[single(uid)].missing for uid in "abc"] == [0, 2, 0]
