"""Large files: planned so many UIDs at a time, with the same plan, the same order and the same report as at once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.imports.body import Body, compressed, hashed, restored
from app.imports.deciding.desire import Wishing
from app.imports.deciding.guard import Guard
from app.imports.deciding.plan import NOTHING_UNREAD, Change, Desired, Entry, Plan, State, Unread, make_plan, place_in
from app.imports.deciding.portions import plan_in_portions
from app.imports.record.report import report_to_json
from app.imports.record.runs import Ending
from app.imports.record.whereabouts import lines_of
from app.imports.run import Imports
from app.imports.spool import HELD, Hashed, Pile, Spooled
from app.imports.writing.apply import apply
from app.imports.writing.ledger import Ledger
from app.imports.writing.writer import Writer
from bridges.model import Event, Occurrence, OccurrenceId, RemoteRef, Timed
from tests import stores
from tests.imports.bench import HERE, NOW, SCOPE, at, day
from tests.imports.lms import KINDS, MemoryLms

RULES = list(KINDS.values())
UIDS = st.sampled_from(["a", "b", "c", "æ", "content:x", "\U0001f393"])
SLOTS = st.none() | st.integers(-2, 3).map(lambda days: NOW + timedelta(days=days))
IDS = st.builds(OccurrenceId, UIDS, SLOTS)
EVENTS = st.builds(at, st.integers(-40, 40), st.sampled_from(["One", "Two"])) | st.builds(day, st.integers(-20, 80))
ENTRIES = st.builds(
    Entry,
    IDS,
    st.sampled_from(["upload", "other"]),
    st.integers(0, 2),
    st.sampled_from([state for state in State if not state.pending]),
    st.none() | st.integers(0, 99).map(lambda n: RemoteRef(f"r{n}")),
    EVENTS,
    missing=st.integers(0, 2),
)
UNREAD = st.just(NOTHING_UNREAD) | st.builds(
    Unread, st.frozensets(UIDS), st.booleans(), st.frozensets(st.sampled_from(["One"])), st.booleans()
)


@dataclass(frozen=True)
class Pages:
    """A ledger in memory, in pages of one."""

    entries: Mapping[OccurrenceId, Entry]

    def of(self, uids: Iterable[str]) -> Mapping[OccurrenceId, Entry]:
        wanted = set(uids)
        return {id: entry for id, entry in self.entries.items() if id.uid in wanted}

    def besides(self, uids: Container[Any], source: str) -> Iterator[Mapping[OccurrenceId, Entry]]:
        for id, entry in self.entries.items():
            if id.uid not in uids and entry.source == source:
                yield {id: entry}


def portions(file: Mapping[OccurrenceId, Event], size: int) -> Wishing:
    wanted = Wishing(MemoryLms(RULES[0]), SCOPE)
    uids = sorted({id.uid for id in file})
    for begin in range(0, len(uids), size):
        some = uids[begin : begin + size]
        wanted.add(some, [Occurrence(id, event) for id, event in file.items() if id.uid in some])
    return wanted


@given(
    st.dictionaries(IDS, EVENTS),
    st.lists(ENTRIES, unique_by=lambda entry: entry.id),
    UNREAD,
    st.none() | st.integers(1, 3),
    st.booleans(),
    st.sampled_from(RULES),
    st.integers(1, 7),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_the_plan_in_portions_is_that_of_the_whole(
    file: dict[OccurrenceId, Event],
    entries: list[Entry],
    unread: Unread,
    grace: int | None,
    overwrite: bool,
    rules: Any,
    size: int,
    run: int,
) -> None:
    def part(wanted: Mapping[OccurrenceId, Desired], some: Mapping[OccurrenceId, Entry]) -> Plan:
        return make_plan(
            wanted,
            some,
            calendar=HERE,
            source="upload",
            scope=SCOPE,
            rules=rules,
            now=NOW,
            unread=unread,
            grace=grace,
            overwrite=overwrite,
        )

    wishes = portions(file, size).all()
    ledger = {entry.id: entry for entry in entries}
    pile: Pile[Change] = Pile(place_in(SCOPE), held=0, run=run)
    got = plan_in_portions(wishes, Pages(ledger), part, pile=pile)
    whole = part(dict(wishes.wanted), ledger)
    assert len(wishes.wanted) == len(wishes.ids) == len(file)
    assert replace(got, changes=tuple(got.changes)) == whole
    assert (len(got.creates), len(got.updates), len(got.deletes)) == (
        len(whole.creates),
        len(whole.updates),
        len(whole.deletes),
    )
    assert tuple(got.deletes) == whole.deletes
    assert got.changes[:2] == whole.changes[:2]


@given(st.lists(st.tuples(st.integers(0, 5), st.text())), st.integers(0, 4), st.integers(1, 4))
def test_a_pile_is_sorted_as_sorted_does(values: list[tuple[int, str]], held: int, run: int) -> None:
    pile: Pile[tuple[int, str]] = Pile(lambda value: value[0], held, run)
    pile.add(values)
    got = pile.sequence()
    assert list(got) == sorted(values, key=lambda value: value[0])
    assert isinstance(got, tuple) is (len(values) <= held and len(values) < run)


def test_what_lies_on_the_disk_has_its_zone_and_its_fold() -> None:
    when = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
    event = Event("Å\ud800", Timed(when, when), "text", "place", ("b", "a"), "https://x")
    pile: Pile[Event] = Pile(lambda event: event.title, held=0)
    pile.add([event])
    (got,) = pile.sequence()
    assert got == event
    assert isinstance(got.when, Timed)
    assert (got.when.start.fold, got.when.start.tzinfo) == (1, when.tzinfo)


@given(st.sets(st.text()), st.sets(st.text()))
def test_hashed_names_are_known_again(these: set[str], those: set[str]) -> None:
    known = Hashed(these)
    assert (len(known), all(name in known for name in these)) == (len(these), True)
    assert [name in known for name in those] == [name in these for name in those]


MANY = HELD + 50


def lecture(n: int, hour: int = 0) -> str:
    start = NOW + timedelta(days=1, minutes=n)
    return (
        f"BEGIN:VEVENT\r\nUID:{n}\r\nDTSTART:{start + timedelta(hours=hour):%Y%m%dT%H%M%SZ}\r\nSUMMARY:L {n}\r\n"
        "DURATION:PT1H\r\nEND:VEVENT\r\n"
    )


def file_of(*events: str) -> bytes:
    return f"BEGIN:VCALENDAR\r\n{''.join(events)}END:VCALENDAR\r\n".encode()


def test_a_large_file_is_written_told_in_pages_and_taken_back() -> None:
    """The plan and the report of more than a thousand changes are all there, whoever asks for how many."""
    engine, lms = stores.in_memory(), MemoryLms(RULES[0])
    imports = Imports(engine, lambda _: lms, now=lambda: NOW, zone=ZoneInfo("UTC"), guard=Guard(), partner="p")
    data = file_of(*map(lecture, range(MANY)))
    outcome = imports.run(data, HERE, SCOPE)
    assert outcome.report is not None
    assert (outcome.state, outcome.report.created, len(lms.events)) == (Ending.DONE, MANY, MANY)
    assert isinstance(outcome.plan.changes, Spooled)
    assert [str(note.id) for note in outcome.report.done] == [str(n) for n in range(MANY)]
    run = imports.get(outcome.run_id or 0)
    assert run.plan is not None
    assert (run.plan["create"], len(run.plan["changes"]), run.plan["more"]["changes"]) == (MANY, HELD, 50)
    for what in ("changes", "done"):
        items, of = imports.part(run, what, HELD - 3, 10)
        assert ([each["uid"] for each in items], of) == ([str(n) for n in range(HELD - 3, HELD + 7)], MANY)
        assert [each["line"] for each in imports.whole(run, what)] == [2 + 6 * n for n in range(MANY)]
    assert imports.run(data, HERE, SCOPE, approved=True).plan.unchanged == MANY
    held = imports.run(file_of(lecture(0, 5)), HERE, SCOPE)
    assert (held.state, len(held.plan.deletes), len(held.plan.updates)) == (Ending.HELD, MANY - 1, 1)
    assert imports.approve(held.run_id or 0).state is Ending.DONE
    assert imports.undo(held.run_id or 0).state is Ending.DONE
    assert len(lms.events) == MANY


def test_a_stopped_report_tells_what_is_left_of_many() -> None:
    lms = MemoryLms(RULES[0])
    ledger = Ledger(stores.in_memory(), HERE, SCOPE, NOW)
    pile: Pile[Change] = Pile(place_in(SCOPE), held=0, run=7)
    wanted = {OccurrenceId(str(n)): Desired(at(1 + n / 60, f"L {n}")) for n in range(20)}
    whole = make_plan(wanted, {}, calendar=HERE, source="upload", scope=SCOPE, rules=lms.rules, now=NOW)
    pile.add(reversed(whole.changes))
    spooled = replace(whole, changes=pile.sequence())
    report = apply(spooled, Writer(lms, ledger, "p", "upload"))
    other = MemoryLms(RULES[0])
    plain = apply(whole, Writer(other, Ledger(stores.in_memory(), HERE, SCOPE, NOW), "p", "upload"))
    assert report_to_json(report) == report_to_json(plain)
    assert lms.standing(HERE) == other.standing(HERE)


@given(st.lists(st.integers(0, 30)), st.integers(1, 900))
@settings(max_examples=20, deadline=None)
def test_lines_are_the_same_in_pieces(numbers: list[int], repeat: int) -> None:
    data = file_of(*(lecture(n) for n in numbers), *(lecture(100 + n) for n in range(repeat * 2)))
    found = lines_of(data)
    expected: dict[str, int] = {}
    for place, n in enumerate([*numbers, *range(100, 100 + repeat * 2)]):
        expected.setdefault(str(n), 2 + 6 * place)
    assert {uid: found.get(uid) for uid in expected} == expected
    assert found.get("nobody") is None


@given(st.binary(), st.integers(0, 400))
@settings(max_examples=20, deadline=None)
def test_a_body_is_the_same_wherever_it_lies(data: bytes, times: int) -> None:
    data = data * times * times
    body = Body.spooled(iter([data[:7], data[7:]]))
    assert (hashed(body), compressed(body)[:0], body.size) == (hashed(data), b"", len(data))
    again = restored(compressed(body))
    assert (again if isinstance(again, bytes) else b"".join(again.pieces())) == data
    assert b"".join(Body.of(BytesIO(data)).pieces()) == data
