"""What a routed import came to, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.ics import Problem
from app.imports.deciding.routes import Unmatched
from app.imports.record.outcome import Outcome
from app.imports.record.report import change_to_json
from app.imports.record.runs import Ending

FIRST = 50
"""Changes of one calendar that a preview keeps; the counts tell of all."""
MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Missing:
    """A calendar that a route names and that cannot be written, with the reason; `later` it may be."""

    target: str
    reason: str
    events: int
    later: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"calendar": self.target, "reason": self.reason, "events": self.events, "later": self.later}


@dataclass(frozen=True, slots=True)
class RoutedOutcome:
    """All calendars as one. `outcomes` are those with anything to tell, of `calendars` in all; `objections` stand
    against the whole. `unmatched` is what no route takes, `missing` are targets that are not there."""

    state: Ending
    batch: int | None
    outcomes: tuple[Outcome, ...]
    calendars: int
    unchanged: int
    objections: tuple[str, ...] = ()
    unmatched: Unmatched = Unmatched()  # noqa: RUF009 - an immutable value
    missing: tuple[Missing, ...] = ()
    events: int = 0
    problems: tuple[Problem, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether something of the file is in no calendar for good."""
        return bool(self.missing) or any(each.report and each.report.refused for each in self.outcomes)

    def summary(self) -> dict[str, Any]:
        """Counts over all calendars, and what has no place in any."""
        plans = [outcome.plan for outcome in self.outcomes]
        return {
            "calendars": self.calendars,
            "create": sum(len(plan.creates) for plan in plans),
            "update": sum(len(plan.updates) for plan in plans),
            "delete": sum(len(plan.deletes) for plan in plans),
            "unchanged": self.unchanged,
            "held": list(self.objections),
            "unmatched": self.unmatched.to_json(),
            "missing": [each.to_json() for each in self.missing],
        }

    def preview(self) -> dict[str, Any]:
        """What is looked at before the yes."""
        return {"plans": list(self._plans()), "problems": self._problems()[:MOST_PROBLEMS]}

    def _problems(self) -> list[dict[str, Any]]:
        return [{"line": each.line, "text": each.text, "uid": each.uid, "lost": each.lost} for each in self.problems]

    def _plans(self) -> Iterator[dict[str, Any]]:
        """Of each calendar with anything to tell: counts, objections, the first changes and how many there are."""
        for outcome in self.outcomes:
            plan = outcome.plan
            some = [change_to_json(each, outcome.lines) for each in plan.changes[:FIRST]]
            counts = {"create": len(plan.creates), "update": len(plan.updates), "delete": len(plan.deletes)}
            told = {"calendar": str(plan.calendar), **counts, "unchanged": plan.unchanged, "changes": some}
            yield {**told, "of": len(plan.changes), "objections": list(outcome.objections)}

    def to_json(self) -> dict[str, Any]:
        """One object with everything in it; `outcomes` are those of the calendars with anything to tell."""
        return {
            "batch": self.batch,
            "kind": "routed",
            "state": self.state.value,
            "events": self.events,
            **self.summary(),
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
            "problems": self._problems(),
            "ignored": dict(self.ignored),
        }

    def to_text(self) -> str:
        """A few lines for a terminal: the sum first, then calendar by calendar, then what has no place."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self._sum()
        for objection in self.objections:
            yield f"held as a whole: {objection}"
        for outcome in self.outcomes:
            yield str(outcome.plan) if outcome.report is None else f"{outcome.plan.calendar}: {outcome.report}"
            yield from (f"  held: {each}" for each in outcome.objections if not self.objections)
            for note in outcome.report.refused if outcome.report else outcome.unfit:
                yield f"  refused: {note.title} ({note.id}): {note.reason}"
        yield from self.unmatched.lines()
        for each in self.missing:
            yield f"not written: {_counted(each.events, 'event')} for {each.target}: {each.reason}"
        for problem in self.problems:
            yield f"line {problem.line}: {problem.text}"
        if self.batch is not None and any(each.report and each.report.done for each in self.outcomes):
            yield f"batch {self.batch}; to take all of it back: calbridge batch undo {self.batch}"
        if self.batch is not None and any(each.state is Ending.HELD for each in self.outcomes):
            yield f"to carry out what is held all the same: calbridge batch approve {self.batch}"

    def _sum(self) -> str:
        sums = self.summary()
        plan = f"{sums['create']} to create, {sums['update']} to update, {sums['delete']} to delete"
        if made := [each.report for each in self.outcomes if each.report]:
            created, updated = sum(each.created for each in made), sum(each.updated for each in made)
            plan = f"{created} created, {updated} updated, {sum(each.deleted for each in made)} deleted"
        return f"{_counted(self.calendars, 'calendar')}: {plan}, {self.unchanged} unchanged"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
