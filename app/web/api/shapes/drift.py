"""What people made in the LMS of what imports wrote."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.imports.drift.changes import Policy
from app.imports.drift.drifts import Look
from app.web.api.shapes.common import CalendarName, Event, Number, Paged, Shape, Some, SourceName
from app.web.api.shapes.runs import Outcome


class DriftsAsked(Paged):
    """Whose changes are asked for."""

    calendar: CalendarName = ""
    """Only those in this calendar."""
    name: SourceName = ""
    """Only those of what this import wrote."""


class Drift(Shape):
    """One event that does not stand as it was written; `theirs` is null where it was deleted, `file` where the file has
    it no more. `differences` has, field by field, what we wrote and what stands there."""

    id: int
    calendar: str
    name: str
    uid: str
    slot: str
    kind: str
    seen: datetime
    accepted: bool
    written: Event
    theirs: Event | None
    file: Event | None
    differences: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]]


class Drifts(Some):
    """Some of what does not stand as written."""

    drifts: list[Drift]


class Checked(Shape):
    """Which calendar is compared."""

    calendar: CalendarName
    name: SourceName = ""
    """Only what this import wrote."""
    believe: bool = False
    """Take absence for deletion, also where most events are absent."""


class Check(Shape):
    """What a comparison came to: `same` stand as written, `restored` is the run that wrote over what people made."""

    calendar: str
    look: Look
    same: Number
    drifts: list[Drift]
    restored: Outcome | None
    problem: str


class Chosen(Shape):
    """What becomes of people's changes to one import."""

    calendar: CalendarName
    name: SourceName = ""
    """The import; usually "upload"."""
    source: SourceName = Field(default="", json_schema_extra={"deprecated": True})
    """An older word for `name`."""
    policy: Policy | Literal["usual"]


class Chose(Shape):
    """What becomes of people's changes from now on."""

    calendar: str
    name: str
    policy: Policy


class Rhythm(Shape):
    """How often a calendar is compared."""

    calendar: CalendarName
    hours: int = Field(ge=-1, le=8760)
    """Hours between two looks; 0: never unasked, -1: as usual."""


class RhythmSet(Shape):
    """How often a calendar is compared from now on; null is as usual."""

    calendar: str
    hours: int | None
