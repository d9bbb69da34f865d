"""What is told of calendar files and feeds: why events take place when they do, and what programs make of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.doctor.finding import Client, State
from app.web.api.shapes.common import CalendarName, Number, Shape


class ToExplain(Shape):
    """What of a calendar file is explained."""

    uid: str = Field(default="", max_length=1000)
    """Only the event of this UID."""
    at: str = Field(default="", max_length=40)
    """What takes place on this day (2026-09-01), or at this time; the first of each event, where nothing is said."""
    zone: str = Field(default="", max_length=100)
    """What the file means by zones that nobody knows: an IANA name."""
    floating: str = Field(default="", max_length=100)
    """What times without a zone mean: `home`, `hold`, or an IANA name."""
    calendar: CalendarName = ""
    """Also what this calendar's LMS would be sent."""
    count: int = Field(default=100, ge=1, le=1000)
    """How many, at most."""


class There(Shape):
    """An occurrence's time as an LMS would have it; `problem` says why it cannot."""

    start: str
    end: str
    shown: str
    problem: str


class Explained(Shape):
    """One occurrence: its time as written, who knew the zone, the instant; null where it is held."""

    uid: str
    title: str
    line: Number
    written: str
    step: str
    zone: str | None
    why: str
    slot: str | None
    all_day: bool | None
    start: str | None
    end: str | None
    utc: str | None
    home: str | None
    remarks: list[str]


class ExplainedThere(Explained):
    """The same, and what the LMS would be sent."""

    there: There | None


class Explanations(Shape):
    """Occurrences, each with its reasons."""

    explained: list[ExplainedThere]


class ToJudge(Shape):
    """What the doctor looks at: an address, where no file is sent."""

    url: str = Field(default="", max_length=2000)
    """The feed's address."""
    uid: str = Field(default="", max_length=1000)
    """Explain this event as well."""
    client: tuple[Client, ...] = ()
    """Judge for these programs alone."""


class Verdict(Shape):
    """What one program makes of the feed, and the rules that say so."""

    verdict: State
    findings: list[str]


class Place(Shape):
    """Where in the feed."""

    line: int | None
    what: str


class Finding(Shape):
    """A rule that the feed breaks, where, and who says so."""

    rule: str
    severity: str
    clients: list[Client]
    sentence: str
    source: str
    url: str | None
    count: Number
    places: list[Place]


Verdicts = Annotated[dict[Client, Verdict], Field(description="By program.")]


class Diagnosis(Shape):
    """What calendar programs make of a feed; `trouble` is why it could not be had, or read."""

    read: bool
    events: Number
    bytes: Number
    trouble: str | None
    verdicts: Verdicts
    findings: list[Finding]
    explained: list[Explained]
