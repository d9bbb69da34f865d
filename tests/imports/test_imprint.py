"""Of a changed file only what has changed is read, and all comes out as if it had been read whole."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from app.ics import Limits, NotACalendar
from app.ics.pieces import cut_up
from app.ics.read import Spent
from app.imports.deciding.difference import Counts, imprint_of, roll_of
from app.imports.deciding.imprint import imprint_from_bytes
from app.imports.deciding.rules import Rules
from app.imports.drift.changes import Policy
from app.imports.reading import Files
from app.imports.record.imprints import Imprints
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending, Kind, NotWaiting
from app.imports.run import Mode
from app.imports.subscription import Import
from app.imports.writing.ledger import Ledger
from app.store import tables
from app.store.engine import writing
from tests import stores
from tests.imports.bench import HERE
from tests.imports.lms import KINDS, UNFIT, UNWANTED
from tests.imports.test_drift import ShownLms, Watched
from tests.imports.test_run import OSLO, TERM, Desk, calendar, vevent

WIDE = Limits(bytes=1 << 30, components=1 << 20)

# ---------------------------------------------------------------------------------------------------------- any files

UIDS = st.sampled_from([*"abcdefghijklmnop", "æ", "content:x"])
STAMPS = st.sampled_from(["20250101T000000Z", "20250102T000000Z", "20250103T000000Z"])
TIMES = st.builds(
    "{}202504{:02}T{:02}0000{}".format,
    st.sampled_from([":", ";TZID=Europe/Oslo:", ";TZID=Asia/Tokyo:", ";TZID=W. Europe Standard Time:"]),
    st.integers(1, 28),
    st.integers(0, 23),
    st.sampled_from(["", "", "Z"]),
)
DAYS = st.builds(";VALUE=DATE:202504{:02}".format, st.integers(1, 28))
ODD_TIMES = st.sampled_from(
    [":yesterday", ":", ";TZID=Nowhere/Atall:20250402T100000", ":20250330T023000", ":20240101T100000Z"]
)
TITLES = st.sampled_from(["Lecture", "Lecture", "Seminar", UNFIT, UNWANTED, "Økologi", "Keep out"])
RULES = st.sampled_from(
    ["RRULE:FREQ=WEEKLY;COUNT=3", "RRULE:FREQ=DAILY;UNTIL=20250420T000000Z", "RRULE:FREQ=MONTHLY", "RRULE:FREQ=NEVER"]
)
LINES = st.sampled_from(
    [
        "DURATION:PT1H",
        "EXDATE:20250408T100000Z",
        "RDATE:20250520T100000",
        "STATUS:CANCELLED",
        "SEQUENCE:1",
        "LAST-MODIFIED:20250105T000000Z",
        "LAST-MODIFIED:20250106T000000Z",
        "RECURRENCE-ID:20250408T100000Z",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20250409T100000Z",
        "LOCATION:Room\r\n  7",
        "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nDTSTAMP:20250101T000000Z\r\nEND:VALARM",
        "DESCRIPTION:more\r\nthan one line",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "be\r\n gin:VEVENT",
        "X-ODD;TZID=Asia/Tokyo:1",
        "CREATED:20250105T000000Z",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> str:
    """Mostly ordinary ones."""
    odd = draw(st.integers(0, 19)) == 0
    start = draw(ODD_TIMES if odd else TIMES | DAYS)
    more = draw(st.lists(LINES if odd else LINES.filter(_ordinary), max_size=2))
    more += [draw(RULES)] if draw(st.integers(0, 2)) == 0 else []
    text = vevent(draw(UIDS), start, *more, title=draw(TITLES if odd else st.sampled_from(["Lecture", "Økologi"])))
    text = text.replace("20250101T000000Z", draw(STAMPS), 1)
    return text.replace(f"UID:{text.split('UID:')[1][:1]}", "X-NO:1", 1) if odd and draw(st.booleans()) else text


def _ordinary(line: str) -> bool:
    return line.startswith(("DURATION", "EXDATE", "SEQUENCE", "LAST", "RECUR", "LOCATION", "BEGIN:VALARM", "CREATED"))


OUTSIDE = st.sampled_from(
    [
        "BEGIN:VTODO\r\nUID:todo\r\nEND:VTODO",
        "X-WR-TIMEZONE:Europe/Berlin",
        "METHOD:PUBLISH",
        "BEGIN:VTIMEZONE\r\nTZID:Asia/Tokyo\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
        "TZOFFSETFROM:+0900\r\nTZOFFSETTO:+0900\r\nEND:STANDARD\r\nEND:VTIMEZONE",
    ]
)


@dataclass(frozen=True)
class File:
    """Events, and what stands outside of them: before them, and between the first and the second."""

    events: tuple[str, ...]
    head: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    ends: str = "\r\n"

    def data(self) -> bytes:
        data = calendar(*self.head, *self.events[:1], *self.between, *self.events[1:])
        return data.replace(b"\r\n", self.ends.encode())


@st.composite
def files(draw: st.DrawFn) -> File:
    outside = st.just(()) | st.just(()) | st.lists(OUTSIDE, max_size=1).map(tuple)
    ends = draw(st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\r\n"]))
    return File(tuple(draw(st.lists(events(), min_size=3, max_size=14))), draw(outside), draw(outside), ends)


@st.composite
def edited(draw: st.DrawFn, file: File) -> File:
    """Much as before: some events gone, others new, in another order, or exported at another time."""
    kept: list[str] = list(file.events)
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()) and kept:
            kept.pop(draw(st.integers(0, len(kept) - 1)))
        else:
            kept.insert(draw(st.integers(0, len(kept))), draw(events()))
    if draw(st.integers(0, 3)) == 0:
        kept = list(draw(st.permutations(kept)))
    if draw(st.integers(0, 3)) == 0:
        stamp = draw(STAMPS)
        kept = [one.replace("20250101T000000Z", stamp, 1) for one in kept]
    if draw(st.integers(0, 9)) == 0:
        return replace(draw(files()), events=tuple(kept))
    return replace(file, events=tuple(kept))


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[File, str]]:
    """Files one after the other, each with what happens before it is imported."""
    file = draw(files())
    story = [(file, "")]
    for _ in range(draw(st.integers(1, 4))):
        file = draw(edited(file))
        story.append((file, draw(st.sampled_from(HAPPENINGS))))
    return story


HAPPENINGS = [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "deleted there",
    "edited there",
    "undone",
    "another import",
    "weeks later",
    "approved",
    "dry",
]


# ------------------------------------------------------------------------------------------------- both ways of reading


@dataclass
class Twins:
    """The same imports into two stores and two LMSs: the first remembers what files held, the second forgets it."""

    kind: str = "keys come back"
    terms: dict[str, Any] = field(default_factory=dict)
    policy: Policy = Policy.KEEP
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.one, self.other = (Watched(ShownLms(KINDS[self.kind]), limits=self.limits) for _ in range(2))
        for desk in (self.one, self.other):
            desk.policies.set(HERE, "upload", self.policy)

    def run(self, data: bytes, **more: Any) -> Outcome:
        """By both; they come out the same."""
        with writing(self.other.engine) as connection:
            connection.execute(delete(tables.imprint))
        mine, whole = (desk.run(data, **self.terms, **more) for desk in (self.one, self.other))
        assert told(mine) == told(whole)
        assert rows(self.one) == rows(self.other)
        assert lms(self.one).journal == lms(self.other).journal
        return mine

    def reads(self, data: bytes) -> int | None:
        """How many of the file's events the next import would read; None for all."""
        return reads(self.one, data, overwrite=self.policy is Policy.OVERWRITE, **self.terms)

    def happens(self, what: str) -> None:
        for desk in (self.one, self.other):
            happen(desk, what)


def lms(desk: Desk) -> ShownLms:
    assert isinstance(desk.sink, ShownLms)
    return desk.sink


def reads(desk: Desk, data: bytes, *, overwrite: bool = False, **terms: Any) -> int | None:
    files = Files(Imprints(desk.engine), OSLO, desk.limits or Limits(), "calbridge", lambda: desk.now)
    revision = Ledger(desk.engine, HERE, TERM, desk.now).revision()
    try:
        read = files.read(Import(data, HERE, TERM, **terms), desk.sink, revision, overwrite=overwrite)
    except NotACalendar:
        return None
    return None if read.kept is None else read.reading.events - read.kept.events


def told(outcome: Outcome) -> str:
    """All that is told of it, but for the order of zones."""
    data = outcome.to_json()
    return json.dumps(data | {"zones": sorted(data["zones"], key=lambda zone: zone["tzid"])}, sort_keys=True, indent=1)


def rows(desk: Desk) -> list[Any]:
    entry = tables.entry
    with desk.engine.connect() as connection:
        return [*connection.execute(select(entry).order_by(entry.c.uid, entry.c.slot)).all()]


def happen(desk: Watched, what: str) -> None:
    """Between two imports."""
    held = lms(desk).events
    first = min(held, default=None)
    if what == "weeks later":
        desk.now += timedelta(days=30)
    elif what == "deleted there" and first is not None:
        del held[first]
        desk.drifts().check(HERE)
    elif what == "edited there" and first is not None:
        where, key, event = held[first]
        held[first] = (where, key, replace(event, title="As people have it"))
        desk.drifts().check(HERE)
    elif what == "undone":
        done = [each.id for each in desk.imports().latest() if each.state is Ending.DONE and each.kind is Kind.IMPORT]
        with suppress(NotWaiting):
            _ = [desk.imports().undo(run) for run in done[:1]]
    elif what == "another import":
        other = calendar(vevent("a", ":20250403T100000Z"), vevent("z", ":20250404T100000Z"))
        desk.run(other, source="other", approved=True)


TERMS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(list(Mode)),
        "grace": st.integers(1, 3),
        "rules": st.just(Rules(exclude=("title:Keep*",), renames=(("Lect*", "{} I"),))),
    },
)
LIMITS = st.just(Limits()) | st.builds(
    Limits, components=st.integers(4, 12), occurrences=st.integers(5, 30), costs=st.just(1000), problems=st.just(2)
)


@given(stories(), st.sampled_from(list(KINDS)), TERMS, st.sampled_from(list(Policy)), LIMITS)
@settings(deadline=None, max_examples=stores.few(25), suppress_health_check=list(HealthCheck))
def test_whatever_is_passed_over_all_comes_out_as_if_it_had_been_read(
    story: list[tuple[File, str]], kind: str, terms: dict[str, Any], policy: Policy, limits: Limits
) -> None:
    twins = Twins(kind, terms, policy, limits)
    for file, what in story:
        twins.happens(what)
        data = file.data()
        hypothesis.event("whole" if twins.reads(data) is None else "in part")
        try:
            twins.run(data, approved=what == "approved", dry_run=what == "dry")
        except NotACalendar as error:
            with pytest.raises(NotACalendar, match=re.escape(str(error))):
                twins.other.run(data, **terms)


# ------------------------------------------------------------------------------------------------------- what is read

LESSONS = tuple(vevent(f"l{n}", f":202504{n:02}T100000Z", "DURATION:PT1H", title=f"Lesson {n}") for n in range(1, 21))
MOVED = LESSONS[4].replace("T100000Z", "T120000Z")
SERIES = (
    vevent("s", ":20250401T080000Z", "RRULE:FREQ=DAILY;COUNT=5", title="Series"),
    vevent("s", ":20250402T090000Z", "RECURRENCE-ID:20250402T080000Z", title="Moved"),
)


def replaced(old: str, new: str) -> tuple[str, ...]:
    return tuple(new if one == old else one for one in LESSONS)


@pytest.fixture
def twins() -> Twins:
    twins = Twins()
    twins.run(File((SERIES[0], *LESSONS, SERIES[1])).data())
    return twins


def with_series(*lessons: str) -> bytes:
    return File((SERIES[0], *lessons, SERIES[1])).data()


CHANGES: dict[str, tuple[bytes, int]] = {
    "nothing but a byte behind it all": (with_series(*LESSONS), 0),
    "another order": (with_series(*reversed(LESSONS)), 0),
    "another time of the export": (with_series(*LESSONS).replace(b"DTSTAMP:20250101", b"DTSTAMP:20250202"), 0),
    "one moved": (with_series(*replaced(LESSONS[4], MOVED)), 1),
    "one gone": (with_series(*LESSONS[1:]), 0),
    "one more": (with_series(*LESSONS, vevent("new", ":20250501T100000Z")), 1),
    "one twice": (with_series(*LESSONS, LESSONS[0]), 2),
    "a change of a series": (with_series(*LESSONS).replace(b"SUMMARY:Moved", b"SUMMARY:Changed"), 2),
    "a series without its change": (with_series(*LESSONS).replace(SERIES[1].encode() + b"\r\n", b""), 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_read_with_all_that_shares_its_uid(twins: Twins, change: str) -> None:
    data, events = CHANGES[change]
    assert twins.reads(data + b"\r\n") == events
    outcome = twins.run(data + b"\r\n")
    assert twins.reads(data + b"\r\n\r\n") == (events if outcome.problems else 0)
    twins.run(data + b"\r\n\r\n")


def test_which_of_two_is_newer_may_hang_on_the_time_of_an_export(twins: Twins) -> None:
    one, other = (vevent("s", ":20250401T080000Z", title=title) for title in ("One", "Other"))
    later = other.replace("20250101", "20250102")
    twins.run(File((*LESSONS, one, later)).data())
    assert twins.reads(File((*LESSONS, one.replace("20250101", "20250103"), later)).data()) == 2
    assert "Other" in titles(twins)
    twins.run(File((*LESSONS, one.replace("20250101", "20250103"), later)).data())
    assert "One" in titles(twins)


def titles(twins: Twins) -> set[str]:
    return {event.title for event in lms(twins.one).standing(HERE)}


WHOLE: dict[str, bytes] = {
    "another head": with_series(*LESSONS).replace(b"VERSION:2.0", b"VERSION:2.0\r\nX-WR-TIMEZONE:Asia/Tokyo"),
    "another kind of component": File(LESSONS, between=("BEGIN:VTODO\r\nEND:VTODO",)).data(),
    "most of it": File(tuple(one.replace("Lesson", "Lecture") for one in LESSONS)).data(),
    "a piece that is two events": with_series(*LESSONS).replace(b"UID:l5", b"UID:l5\r\nEND:VEVENT\r\nbegin:VEVENT"),
    "a fold that hides a line": with_series(*LESSONS).replace(b"UID:l5", b"UID:l5\r\nBEG\r\n IN:VEVENT"),
    "UTF-16": with_series(*LESSONS).decode().encode("utf-16"),
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_leaves_doubt_is_read_whole(twins: Twins, what: str) -> None:
    assert twins.reads(WHOLE[what]) is None
    twins.run(WHOLE[what], approved=True)


@pytest.mark.parametrize("what", ["edited there", "deleted there", "undone", "another import"])
def test_where_the_ledger_was_written_to_all_is_read(twins: Twins, what: str) -> None:
    twins.happens(what)
    assert twins.reads(with_series(*LESSONS)) is None
    twins.run(with_series(*LESSONS[1:]))


def test_what_was_refused_is_tried_and_told_each_time(twins: Twins) -> None:
    """With the line on which it stands in the whole file."""
    bad = (vevent("x", ":20250420T100000Z", title=UNWANTED), vevent("y", ":never"))
    for number in range(3):
        data = with_series(*LESSONS, *bad, *(vevent(f"n{n}", f":202505{n + 1:02}T100000Z") for n in range(number)))
        assert twins.reads(data) == 1 + (number > 0), "what was refused, and what is new"
        outcome = twins.run(data)
        assert outcome.report is not None
        assert [note.id.uid for note in outcome.report.refused] == ["x"]
        assert [problem.line for problem in outcome.problems] == [data[: data.index(b"UID:y")].count(b"\n")]


def test_people_are_asked_where_a_changed_file_would_delete_much(twins: Twins) -> None:
    outcome = twins.run(with_series(*LESSONS[:6]))
    assert (outcome.state, len(outcome.plan.deletes)) == (Ending.HELD, 14)
    assert twins.reads(with_series(*LESSONS)) == 0, "nothing was written"


def test_a_spoiled_imprint_is_none(twins: Twins) -> None:
    data = with_series(*replaced(LESSONS[4], MOVED))
    for spoiled in (b"", b"calbridge imprint 2\n{}\n", b"calbridge imprint 1\n{}\n", b"calbridge imprint 1\n[\n"):
        with writing(twins.one.engine) as connection:
            connection.execute(update(tables.imprint).values(data=spoiled))
        assert twins.reads(data) is None
    twins.run(data)


@given(st.binary(max_size=40), st.integers(0, 2000))
@settings(deadline=None, max_examples=stores.few(100))
def test_no_bytes_are_too_odd_for_an_imprint(noise: bytes, at: int) -> None:
    data = imprint(with_series(*LESSONS))
    known = imprint_from_bytes(data)
    assert known is not None
    assert known.to_bytes() == data
    odd = data[:at] + noise + data[at + len(noise) :]
    assert odd == data or imprint_from_bytes(odd) is None


def test_an_imprint_is_small() -> None:
    many = File(tuple(vevent(f"l{n}", ":20250401T100000Z") for n in range(10_000)))
    assert len(imprint(many.data())) < 300_000


def imprint(data: bytes) -> bytes:
    pieces = cut_up(data, WIDE)
    assert pieces is not None
    roll = roll_of(pieces)
    assert roll is not None
    return imprint_of(pieces, roll, Counts(), frozenset(), 1, Spent()).to_bytes()
