"""What was refused: listed with its reason and its line, tried again alone, and the rest goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.imports.record.runs import Ending, Kind, refusal
from app.imports.record.whereabouts import lines_of
from app.imports.run import NotWaiting
from bridges.errors import Rejected
from bridges.model import CalendarRef, Event, RemoteRef, SyncKey
from tests.imports.bench import HERE
from tests.imports.lms import KINDS, UNFIT, UNWANTED, MemoryLms
from tests.imports.test_run import CLOSED, SERIES, SINGLE, Desk, calendar, vevent


class Picky(MemoryLms):
    """It refuses these titles until it is told better."""

    unwanted = frozenset({UNWANTED})

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        if event.title in self.unwanted:
            raise Rejected("it will not have it")
        return super().create(calendar, key, Event(f"{event.title} ", event.when))


BAD = vevent("bad", ":20250402T100000Z", title=UNWANTED)
ODD = vevent("odd", ":20250403T100000Z", title=UNFIT)


@pytest.fixture
def lms() -> Picky:
    return Picky(KINDS["keys come back"])


@pytest.fixture
def desk(lms: Picky) -> Desk:
    return Desk(lms)


def test_it_is_listed_with_reason_and_line_and_the_rest_is_written(desk: Desk, lms: Picky) -> None:
    outcome = desk.run(calendar(SINGLE, BAD, ODD, CLOSED))
    assert (outcome.state, len(lms.events)) == (Ending.DONE, 2)
    refused = (desk.imports().get(1).report or {})["refused"]
    assert [(each["uid"], each["line"], each["reason"]) for each in refused] == [
        ("odd", 17, "no place for it"),
        ("bad", 11, "it will not have it"),
    ]
    assert refusal(refused[1]) == f"{UNWANTED} (line 11): it will not have it"
    assert "(bad, line 11)" in outcome.to_text()
    done = outcome.to_json()["report"]["done"]
    assert {each["uid"]: each["line"] for each in done} == {"single": 4, "closed": 23}


def test_it_alone_is_tried_again(desk: Desk, lms: Picky) -> None:
    desk.run(calendar(SINGLE, CLOSED))
    desk.run(calendar(SINGLE, BAD, ODD), grace=2)
    lms.unwanted = frozenset()
    dry = desk.imports().retry(2, dry_run=True)
    assert (dry.kind, dry.about, [change.id.uid for change in dry.plan.changes]) == (Kind.RETRY, 2, ["bad"])
    outcome = desk.imports().retry(2)
    assert outcome.report is not None
    assert ([note.id.uid for note in outcome.report.done], len(lms.events)) == (["bad"], 3)
    assert [note.id.uid for note in outcome.report.refused] == ["odd"]
    assert outcome.to_text().startswith("retry of run 2: ")
    again = desk.imports().retry(3)
    assert again.report is not None
    assert (again.report.done, len(again.report.refused)) == ((), 1)


def test_a_newer_file_or_time_ends_the_chance(desk: Desk) -> None:
    desk.run(calendar(SINGLE, BAD))
    desk.run(calendar(SINGLE, BAD, SERIES))
    with pytest.raises(NotWaiting, match="not kept"):
        desk.imports().retry(1)
    desk.now += timedelta(days=31)
    with pytest.raises(NotWaiting, match="not kept"):
        desk.imports().retry(2)


def test_where_nothing_was_refused_there_is_nothing_to_try(desk: Desk) -> None:
    desk.run(calendar(SINGLE))
    with pytest.raises(NotWaiting):
        desk.imports().retry(1)


def test_a_run_is_taken_back_once(desk: Desk) -> None:
    desk.run(calendar(SINGLE))
    undone = desk.imports().undo(1)
    assert (undone.kind, undone.about) == (Kind.UNDO, 1)
    with pytest.raises(NotWaiting, match="run 1 was taken back already, by run 2"):
        desk.imports().undo(1)


def test_nobody_purges_what_never_was(desk: Desk) -> None:
    desk.run(calendar(SINGLE))
    with pytest.raises(ValueError, match="no import called 'misspelt' has ever written into lms/course/one"):
        desk.imports().purge(HERE, "misspelt")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (calendar(*["BEGIN:VTODO\r\nUID:a\r\nEND:VTODO"] * 3), "the file holds no events: it has 3 VTODO"),
        (calendar(), "the file holds no events"),
    ],
)
def test_a_file_without_events_says_so(desk: Desk, data: bytes, said: str) -> None:
    assert [problem.text for problem in desk.run(data).problems] == [said]


def test_lines_are_those_of_the_raw_file() -> None:
    data = b"BEGIN:VCALENDAR\nUID:of the calendar\nBEGIN:VEVENT\nSUMMARY:x\n y\nUID;X=1:fol\n ded\nEND:VEVENT\n"
    data += b"begin:vevent\r\nuid:b\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:b\r\nUID:twice\r\n"
    assert lines_of(data) == {"folded": 3, "b": 9}
