"""What an import came to, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.ics import Problem
from app.ics.zones import Resolved, zone_name
from app.imports.deciding.plan import Plan
from app.imports.record.report import Lines, Note, Report, note_to_json, plan_to_json, report_to_json, spared_note
from app.imports.record.runs import Ending, Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """The plan, what became of it, and all that stood in its way.

    `state` is done, held, left, failed or dry. `run_id` is None for a dry run, `report` for a dry or held one.
    `objections` are the guard's; in a dry run they say that a real one would be held. `unfit` are events that the
    LMS cannot hold (also in report.refused). `events` counts those in the file, `problems` is what its reader met.
    `forecast` is as the API answers it, None where there is nothing to write. `about` is the run that an undo takes
    back, or a retry tries again; `same_as` is the run of the very same file, after which nothing had to be done.
    `lines` says on which line of the file an event begins, by UID; `zones` what its TZIDs were read as.
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
    forecast: Mapping[str, Any] | None = None
    about: int | None = None
    same_as: int | None = None
    lines: Lines = field(default_factory=dict)
    zones: tuple[Resolved, ...] = ()

    @property
    def settles_all(self) -> bool:
        """Whether nothing is left to say or to do: the same file again would change nothing."""
        report = self.report
        quiet = not (self.problems or self.ignored or self.plan.absent or self.plan.spared)
        return self.state is Ending.DONE and report is not None and not (report.refused or report.spared) and quiet

    @property
    def refused(self) -> bool:
        """Whether the LMS, or its rules, would not have some of it."""
        return self.report is not None and bool(self.report.refused)

    def to_json(self) -> dict[str, Any]:
        """One object with everything in it; `held` holds the objections."""
        return {
            "run": self.run_id,
            "kind": self.kind.value,
            "state": self.state.value,
            "events": self.events,
            "plan": plan_to_json(self.plan, self.lines),
            "report": report_to_json(self.report, self.lines) if self.report else None,
            "held": list(self.objections),
            "unfit": [note_to_json(each, self.lines) for each in self.unfit],
            **self.reading_to_json(),
            "forecast": self.forecast,
            "about": self.about,
            "same_as": self.same_as,
        }

    def reading_to_json(self) -> dict[str, Any]:
        """What the reader met in the file."""
        return {
            "problems": [
                {"line": each.line, "text": each.text, "uid": each.uid, "lost": each.lost} for each in self.problems
            ],
            "ignored": dict(self.ignored),
            "zones": [
                {"tzid": each.tzid, "zone": zone_name(each.zone) if each.zone else None, "step": each.step.value}
                for each in self.zones
            ],
        }

    def to_text(self) -> str:
        """A few lines for a terminal: the sum first, then every reason."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        about = f"{self.kind} of run {self.about}: " if self.about else ""
        yield about + (str(self.plan) if self.report is None else f"{self.plan.calendar}: {self.report}")
        if self.same_as is not None:
            yield f"unchanged: it is the file of run {self.same_as}, and nothing has changed since"
        if self.forecast and self.report is None:
            yield f"forecast: {self.forecast['text']}"
        for objection in self.objections:
            yield f"held: {objection}"
        if self.state is Ending.HELD:
            yield f"to carry it out all the same: calbridge run approve {self.run_id}"
        if self.state is Ending.PAUSED:
            yield f"to go on: calbridge run resume {self.run_id}"
        elif self.state is Ending.CANCELLED:
            yield f"what was written stays; to take it back: calbridge undo {self.run_id}"
        if self.plan.absent:
            yield f"missing, but not often enough yet to be deleted: {len(self.plan.absent)}"
        for each in self.report.refused if self.report else self.unfit:
            where = f", line {self.lines[each.id.uid]}" if each.id.uid in self.lines else ""
            yield f"refused: {each.title} ({each.id}{where}): {each.reason}"
        for each in self.report.done if self.report else ():
            if each.reason:
                yield f"{each.deed}: {each.title} ({each.id}): {each.reason}"
        for each in self.report.spared if self.report else map(spared_note, self.plan.spared):
            yield f"{each.deed}: {each.title} ({each.id}): {each.reason}"
        for problem in self.problems:
            yield f"line {problem.line}: {problem.text}"
