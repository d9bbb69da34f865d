"""What an import came to, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.ics import Problem
from app.imports.plan import Plan
from app.imports.report import Note, Report, note_to_json, plan_to_json, report_to_json
from app.imports.runs import Ending, Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan, what became of it, and all that stood in its way.

    `state` is done, held, left, failed or dry. `run_id` is None for a dry run, `report` for a dry or held one.
    `objections` are the guard's; in a dry run they say that a real one would be held. `unfit` are events that the
    LMS cannot hold (also in report.refused). `events` counts those in the file, `problems` is what its reader met.
    """

    state: Ending
    plan: Plan
    kind: Kind = Kind.IMPORT
    run_id: int | None = None
    report: Report | None = None
    objections: tuple[str, ...] = ()
    unfit: tuple[Note, ...] = ()
    events: int = 0
    problems: tuple[Problem, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One object with everything in it; `held` holds the objections."""
        return {
            "run": self.run_id,
            "kind": self.kind.value,
            "state": self.state.value,
            "events": self.events,
            "plan": plan_to_json(self.plan),
            "report": report_to_json(self.report) if self.report else None,
            "held": list(self.objections),
            "unfit": [note_to_json(each) for each in self.unfit],
            "problems": [
                {"line": each.line, "text": each.text, "uid": each.uid, "lost": each.lost} for each in self.problems
            ],
            "ignored": dict(self.ignored),
        }

    def to_text(self) -> str:
        """A few lines for a terminal: the sum first, then every reason."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield str(self.plan) if self.report is None else f"{self.plan.calendar}: {self.report}"
        for objection in self.objections:
            yield f"held: {objection}"
        if self.state is Ending.HELD:
            yield f"to carry it out all the same: calbridge run approve {self.run_id}"
        if self.plan.absent:
            yield f"missing, but not often enough yet to be deleted: {len(self.plan.absent)}"
        for each in self.report.refused if self.report else self.unfit:
            yield f"refused: {each.title} ({each.id}): {each.reason}"
        for each in self.report.done if self.report else ():
            if each.reason:
                yield f"{each.deed}: {each.title} ({each.id}): {each.reason}"
        for problem in self.problems:
            yield f"line {problem.line}: {problem.text}"
