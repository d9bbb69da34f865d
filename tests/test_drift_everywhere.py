"""What was written into each LMS over a real line is no drift; what people make of it there is seen, kept, restored."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.imports.drift.changes import Kind, Policy
from app.imports.drift.drifts import Look
from bridges.contract import Sink
from bridges.model import Event, RemoteRef, SyncKey, Timed
from tests.bridges.contract import SPECIMEN, key
from tests.test_everywhere import EVERYTHING, OCCURRENCES, WEEKLY, Site, in_order, site

__all__ = ["site"]

READABLE = ["blackboard", "brightspace", "itslearning", "local"]
readable = pytest.mark.parametrize("site", READABLE, indirect=True)


def person(site: Site, ref: RemoteRef, event: Event) -> None:
    """Somebody changes an event there: over the same line, behind the ledger's back."""
    sink: Sink = site.parts.sink(site.calendar.lms)
    assert sink.update(site.calendar, ref, sink.fit(event)) == ref


def deleted(site: Site, ref: RemoteRef) -> None:
    site.parts.sink(site.calendar.lms).delete(site.calendar, ref)


def lectures(site: Site) -> list[tuple[RemoteRef, Event]]:
    return sorted(((ref, event) for ref, event in site.standing().items() if "Lecture" in event.title), key=_start)


def _start(pair: tuple[RemoteRef, Event]) -> Any:
    return pair[1].when.start


@readable
def test_what_nobody_touched_is_never_drift(site: Site) -> None:
    site.write(*EVERYTHING)
    check = site.parts.drifts.check(site.calendar)
    assert (check.look, check.same, check.drifts) == (Look.SAME, OCCURRENCES, [])
    site.write(*(event.replace("SUMMARY:", "SUMMARY:New: ") for event in EVERYTHING))
    again = site.parts.drifts.check(site.calendar)
    assert (again.look, again.same, again.drifts) == (Look.SAME, OCCURRENCES, [])


@pytest.mark.parametrize("site", ["imip"], indirect=True)
def test_mail_shows_nothing_and_says_so(site: Site) -> None:
    site.write(*EVERYTHING)
    check = site.parts.drifts.check(site.calendar)
    assert check.look is Look.UNKNOWN
    assert "cannot be read" in check.problem


@readable
def test_an_edit_a_move_and_a_deletion_are_seen_and_restored(site: Site) -> None:
    site.write(*EVERYTHING)
    (one, edited), (two, moved), (three, _), _ = lectures(site)
    assert isinstance(moved.when, Timed)
    away = timedelta(days=900)
    person(site, one, replace(edited, title="Lecture, elsewhere"))
    person(site, two, replace(moved, when=Timed(moved.when.start + away, moved.when.end + away)))
    deleted(site, three)
    check = site.parts.drifts.check(site.calendar)
    assert (check.look, check.same) == (Look.DRIFTED, OCCURRENCES - 3)
    assert sorted(each.kind for each in check.drifts) == [Kind.DELETED, Kind.EDITED, Kind.MOVED]
    outcomes = site.parts.drifts.restore(each.id for each in check.drifts)
    assert [outcome.state for outcome in outcomes] == ["done"]
    after = site.parts.drifts.check(site.calendar)
    assert (after.look, after.same, len(site.standing())) == (Look.SAME, OCCURRENCES, OCCURRENCES)


@readable
def test_an_import_looks_before_it_overwrites_or_deletes(site: Site) -> None:
    site.write(*EVERYTHING)
    (one, edited), (two, _), (three, kept), _ = lectures(site)
    person(site, one, replace(edited, title="Lecture, elsewhere"))
    deleted(site, two)
    outcome = site.write(*(event.replace("SUMMARY:Lecture", "SUMMARY:Lecture II") for event in EVERYTHING))
    assert outcome.report is not None
    assert (len(outcome.report.spared), outcome.report.updated) == (2, 2)
    assert [event.title for _, event in lectures(site)] == ["Lecture, elsewhere", "Lecture II", "Lecture II"]
    person(site, three, replace(kept, title="Lecture, mine"))
    outcome = site.write(*(event for event in EVERYTHING if event is not WEEKLY), approved=True)
    assert outcome.report is not None
    assert {event.title for _, event in lectures(site)} == {"Lecture, elsewhere", "Lecture, mine"}


@readable
def test_overwriting_ends_with_the_file(site: Site) -> None:
    chance = random.Random(7)
    site.parts.drifts.policies.set(site.calendar, "upload", Policy.OVERWRITE)
    fitted = site.fitted(site.write(*EVERYTHING))
    for _ in range(3):
        for ref, event in lectures(site):
            if chance.random() < 0.4:
                deleted(site, ref)
            elif chance.random() < 0.5:
                person(site, ref, replace(event, title=f"Lecture {chance.random()}"))
        check = site.parts.drifts.check(site.calendar)
        assert (check.look, check.drifts) == (Look.SAME, [])
        assert in_order(list(site.standing().values())) == fitted
        assert site.write(*EVERYTHING).plan.changes == ()


@readable
def test_the_specimen_of_the_contract_is_no_drift(site: Site) -> None:
    sink = site.parts.sink(site.calendar.lms)
    fitted = sink.fit(SPECIMEN)
    assert sink.fit(fitted) == fitted
    ref = sink.create(site.calendar, SyncKey("calbridge", key("drift").guid), fitted)
    found = site.parts.source(site.calendar.lms).look_up(site.calendar, [ref])  # type: ignore[attr-defined]
    assert sink.fit(found[ref].event) == fitted
