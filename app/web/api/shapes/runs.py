"""Imports: what is sent, the runs that come of it, their plans and reports, and batches of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from app.ics.zones import Step
from app.imports.record.report import Deed
from app.imports.record.runs import Ending, Kind
from app.imports.subscription import Match, Mode
from app.imports.writing.progress import Phase
from app.web.api.shapes.common import CalendarName, Days, DryRun, Event, Number, Paged, Shape, SourceName, Span

_MOMENT = "A day (2026-09-01) or a time (2026-09-01T08:00), in the home zone where it names none."


class Upload(Shape):
    """How a calendar file is imported, and into what. Fields of a form may stand in its parts instead."""

    calendar: CalendarName = ""
    """Into which calendar: lms/kind/id, as `listCalendars` names them. Either this or `route`."""
    route: tuple[str, ...] = ()
    """Instead of `calendar`, as often as is liked: `PATTERN=>CALENDAR`, which events go where."""
    name: SourceName = ""
    """Whose file it is: an import changes and deletes only what earlier files of that name wrote. Usually "upload"."""
    source: SourceName = Field(default="", json_schema_extra={"deprecated": True})
    """An older word for `name`."""
    since: str = Field(default="", alias="from", max_length=40)
    """The beginning of the window, outside of which nothing is written or deleted: today, where nothing is said."""
    to: str = Field(default="", max_length=40)
    """The end of the window, not included: a year later, where nothing is said."""
    mode: Literal[Mode.REPLACE, Mode.ADD, ""] = ""
    """`replace` (usual) deletes what the file holds no more, `add` deletes nothing."""
    match: Literal[Match.UID, Match.CONTENT, ""] = ""
    """`content` for files whose UIDs are new at each export; `uid` is usual."""
    zone: str = Field(default="", max_length=100)
    """What the file means by zones that nobody knows: an IANA name."""
    floating: str = Field(default="", max_length=100)
    """What times without a zone mean: `home`, `hold` (they are reported, never guessed), or an IANA name."""
    include: tuple[str, ...] = ()
    """Patterns of events to take, as `title:OSCE*`; those that fit none are left out."""
    exclude: tuple[str, ...] = ()
    """Patterns of events to leave out."""
    rename: tuple[str, ...] = ()
    """`old title=new title`."""
    dry_run: bool = False
    """Answer the plan, and write nothing."""
    approve: bool = False
    """Carry the plan out even if it would be held."""
    background: bool = False
    """Answer at once (202), and have a worker do it."""
    preview: bool = False
    """Answer the plan, and keep it with its file for a day or so: `approveRun` carries it out."""


class Purged(DryRun):
    """Whose events are taken away."""

    calendar: CalendarName
    name: SourceName = ""
    """The import whose events go; usually "upload"."""
    source: SourceName = Field(default="", json_schema_extra={"deprecated": True})
    """An older word for `name`."""


class Approved(Shape):
    """How a yes is carried out."""

    background: bool = False
    """Answer at once (202), and have a worker do it."""


class RunsAsked(Shape):
    """Which runs are asked for."""

    limit: int = Field(default=50, ge=1, le=1000)
    """How many, at most."""
    count: int | None = Field(default=None, ge=1, le=1000, json_schema_extra={"deprecated": True})
    """An older word for `limit`."""
    before: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Only those older than the run of this number. The header `Link` has the address of the part after this one."""
    calendar: CalendarName = ""
    """Only those of this calendar."""
    state: Ending | Literal[""] = ""
    """Only those that stand so: `held` for what waits for a yes."""


class Part(Paged):
    """Which part of a run's list is asked for."""

    limit: int = Field(default=1000, ge=1, le=1000)
    """How many, at most."""


class Counted(Shape):
    """How many more there are than could be listed: the run's own lists have them all."""

    changes: Number = 0
    done: Number = 0
    refused: Number = 0
    left: Number = 0


class Note(Shape):
    """One event of a report."""

    deed: Deed
    uid: str
    slot: str
    """Which one of a series: its original start; empty for a single event."""
    title: str
    line: int | None
    """Where it stands in the file."""
    reason: str


class Change(Shape):
    """One change of a plan: `before` is what an update replaces, `days` the days of an event whose LMS has none."""

    deed: Deed
    uid: str
    slot: str
    line: int | None
    event: Event
    before: Event | None = None
    days: Span | Days | None = None


class Plan(Shape):
    """What is to be done: counts first, then each change, or the first of many."""

    calendar: str
    source: str
    window: Span
    create: Number
    update: Number
    delete: Number
    unchanged: Number
    absent: Number
    """Missing from the file, but not often enough yet to be deleted."""
    spared: list[Note]
    """What people changed in the LMS, and what is left as they have it."""
    changes: list[Change]
    more: Counted | None = None


class Report(Shape):
    """What was done: counts first, then each event, or the first of many."""

    created: Number = 0
    updated: Number = 0
    deleted: Number = 0
    unchanged: Number = 0
    done: tuple[Note, ...] = ()
    refused: tuple[Note, ...] = ()
    """What the LMS, or its rules, would not have."""
    left: tuple[Note, ...] = ()
    """What was not reached: the same file again does it."""
    spared: tuple[Note, ...] = ()
    stopped: str = ""
    """Why it stopped, a sentence; empty if it did not."""
    denied: bool = False
    retry_after: float | None = None
    more: Counted | None = None


class Forecast(Shape):
    """What a plan will cost, and when it will be done; null where nobody knows."""

    writes: Number
    calls: Number
    calls_left: int | None
    reserve: Number
    resets_at: datetime | None
    done_at: datetime | None
    fits: bool
    text: str


class Progress(Shape):
    """How far a run has come: `rate` in changes a second, `rest` in seconds."""

    phase: Phase
    done: Number
    of: Number
    errors: Number
    rate: float | None
    rest: int | None
    at: datetime


class Fault(Shape):
    """What could not be read in the file; `lost` where an event is not written for it."""

    line: int | None
    text: str
    uid: str | None
    lost: bool


class Zone(Shape):
    """What a TZID of the file was taken for, and which step told."""

    tzid: str
    zone: str | None
    step: Step


class Reading(Shape):
    """What the reader met in the file."""

    problems: tuple[Fault, ...] = ()
    ignored: dict[str, int] = Field(default_factory=dict)
    zones: tuple[Zone, ...] = ()


class Outcome(Reading):
    """What one import came to. `run` is null for a dry run."""

    run: int | None
    kind: Kind
    state: Ending
    events: Number
    plan: Plan
    report: Report | None
    held: list[str]
    """Why it waits for a yes; empty if it does not."""
    unfit: list[Note]
    """What the LMS cannot hold."""
    forecast: Forecast | None
    about: int | None
    """The run that it takes back, or tries again."""
    same_as: int | None
    """The run whose very file this is, where nothing has changed since."""


class Run(Shape):
    """One run, as it is kept."""

    run: int
    kind: Kind
    source: str
    calendar: str
    started: datetime
    ended: datetime | None
    state: Ending
    events: Number
    plan: Plan | None
    report: Report | None
    held: list[str]
    expires: datetime | None
    """Until when its file is kept, for as long as it waits."""
    forecast: Forecast | None
    progress: Progress | None
    background: bool
    about: int | None
    batch: int | None
    changed: Number
    """How many events it has changed; told where one run is asked for."""
    reading: Reading | None


class Runs(Shape):
    """Runs, the newest first."""

    imports: list[Run]


class Listed(Shape):
    """A part of one of a run's lists: the one that was asked for."""

    run: int
    offset: Number
    of: Number
    changes: list[Change] | None = None
    done: list[Note] | None = None
    left: list[Note] | None = None
    refused: list[Note] | None = None


class Missing(Shape):
    """A calendar that a route names and that cannot be written; `later` where it may be."""

    calendar: str
    reason: str
    events: Number
    later: bool


class Sample(Shape):
    """Events that no route takes: the first of those that look alike, and how many there are."""

    title: str
    events: Number
    categories: list[str]
    place: str
    uid: str
    when: Span | Days


class Unmatched(Shape):
    """What no route takes."""

    events: Number
    titles: Number
    samples: list[Sample]


class Sum(Shape):
    """All calendars of a routed import as one."""

    calendars: Number
    create: Number
    update: Number
    delete: Number
    unchanged: Number
    held: list[str]
    unmatched: Unmatched
    missing: list[Missing]


class Routed(Sum):
    """What a routed import came to; `outcomes` are those of the calendars with anything to tell."""

    batch: int | None
    kind: Literal["routed"]
    state: Ending
    events: Number
    outcomes: list[Outcome]
    problems: list[Fault]
    ignored: dict[str, int]


class Member(Shape):
    """One run of a batch."""

    run: int
    calendar: str
    state: Ending


class GaveUp(Shape):
    """Why a batch came to nothing."""

    stopped: str


_NONE_YET: Any = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "maxProperties": 0})]


class Batch(Shape):
    """One routed import as it is kept, with its runs; `report` is empty until it has ended."""

    batch: int
    source: str
    state: Ending
    started: datetime
    ended: datetime | None
    events: Number
    runs: list[Member]
    report: Sum | GaveUp | _NONE_YET


class Undone(Shape):
    """What came of taking back each run of a batch."""

    batch: int
    outcomes: list[Outcome]


class Person(Shape):
    """Whom to erase."""

    person: CalendarName
    """The personal calendar: LMS/person/ID."""
    name: tuple[str, ...] = ()
    """Tokens, accounts or imports called after the person, to erase as well."""
    purge: bool = False
    """First delete from the LMS what imports wrote into the person's calendar."""


class Erased(Shape):
    """What went, by table; `left` is where the person is still named, in what is kept of others."""

    removed: dict[str, int]
    purged: Number
    left: dict[str, int]
