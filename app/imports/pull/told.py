"""What an import came to, as a visit of its subscription: one calendar or many, counted together, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from app.imports.pull.rhythm import Visit, What
from app.imports.record.outcome import Outcome
from app.imports.record.report import Report
from app.imports.record.routed_outcome import RoutedOutcome
from app.imports.record.runs import Ending

NAMED = 5
"""So many calendars that cannot be written are named."""

_WHAT = {
    Ending.DONE: What.DONE,
    Ending.HELD: What.HELD,
    Ending.LEFT: What.LEFT,
    Ending.PAUSED: What.LEFT,
    Ending.CANCELLED: What.LEFT,
    Ending.FAILED: What.DENIED,
}


def visit_of(outcome: Outcome | RoutedOutcome, now: datetime) -> Visit:
    """The visit that led to this outcome; `now` is aware."""
    reports = _reports(outcome)
    waits = [each.retry_after for each in reports if each.retry_after is not None]
    return Visit(
        _WHAT[outcome.state],
        now,
        problem=" ".join(_stood(outcome, reports)),
        run=outcome.run_id if isinstance(outcome, Outcome) else None,
        batch=outcome.batch if isinstance(outcome, RoutedOutcome) else None,
        events=outcome.events,
        created=sum(each.created for each in reports),
        updated=sum(each.updated for each in reports),
        deleted=sum(each.deleted for each in reports),
        retry_after=max(waits, default=None),
    )


def objections(outcome: Outcome | RoutedOutcome) -> Sequence[str]:
    """All that the guard says, calendar by calendar where there are several."""
    if isinstance(outcome, Outcome):
        return outcome.objections
    each = [f"{one.plan.calendar}: {said}" for one in outcome.outcomes for said in one.objections]
    return outcome.objections or each


def _reports(outcome: Outcome | RoutedOutcome) -> Sequence[Report]:
    outcomes = [outcome] if isinstance(outcome, Outcome) else outcome.outcomes
    return [each.report for each in outcomes if each.report is not None]


def _stood(outcome: Outcome | RoutedOutcome, reports: Sequence[Report]) -> Iterator[str]:
    """What stood in the way, as sentences."""
    if outcome.state in (Ending.PAUSED, Ending.CANCELLED):
        yield f"A person has {outcome.state} it; the next look goes on with it, unless the subscription is disabled."
    if outcome.state is Ending.HELD:
        yield from objections(outcome)
    yield from dict.fromkeys(each.stopped for each in reports if each.stopped)
    refused = sum(len(each.refused) for each in reports)
    if refused:
        yield f"The LMS refused {refused} of its events."
    lost = [each for each in outcome.problems if each.lost]
    if lost:
        parts = "1 part" if len(lost) == 1 else f"{len(lost)} parts"
        yield f"{parts} of the file could not be read; line {lost[0].line}: {lost[0].text}."
    if isinstance(outcome, RoutedOutcome):
        yield from (f"{each.target} cannot be written: {each.reason}." for each in outcome.missing[:NAMED])
        if outcome.unmatched.events:
            yield f"No route takes {outcome.unmatched.events} of its events."
