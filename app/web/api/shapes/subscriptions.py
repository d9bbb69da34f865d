"""Subscriptions: what is asked of one, how it stands, and what happened to it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from app.imports.pull.rhythm import Standing, What
from app.imports.subscription import Match, Mode
from app.web.api.shapes.common import CalendarName, Number, Shape, Some

Patterns = Annotated[list[str] | str | None, Field(description="A list, or a text with | between; null for the usual.")]


class Changed(Shape):
    """Settings of a subscription; null, or an empty text, takes one back to the usual."""

    url: str | None = Field(default=None, max_length=4000)
    """The address of the calendar: https, webcal, or what the configuration permits. It is never told again."""
    every_minutes: int | str | None = None
    """How often it is pulled: 5 to 44,640."""
    ahead_days: int | str | None = None
    """How far ahead: 1 to 3,650 days."""
    mode: Mode | Literal[""] | None = None
    agent: str | None = Field(default=None, max_length=300)
    """A User-Agent of its own, or `microsoft` for the one that Microsoft's servers like."""
    zone: str | None = None
    """What the source means by zones that nobody knows: an IANA name."""
    floating: str | None = None
    """What it means by times without a zone: `home`, `hold`, or an IANA name."""
    include: Patterns = None
    exclude: Patterns = None
    rename: Patterns = None
    since: str | None = Field(default=None, alias="from")
    """The first day to write, in place of today: 2026-09-01."""
    to: str | None = None
    """The day after the last, in place of `ahead_days`."""
    grace: int | str | None = None
    """In how many whole readings an event has to be missing before it is deleted: 1 to 50."""
    match: Match | Literal[""] | None = None
    routes: Patterns = None
    """`PATTERN=>CALENDAR`, which event goes where, in place of one calendar."""
    max_bytes: int | str | None = None
    max_events: int | str | None = None
    user: str | None = None
    """Sign in there with this name, and `password`."""
    password: str | None = None
    headers: dict[str, str | None] | None = None
    """Headers to send as well, kept encrypted; null takes one away."""


class New(Changed):
    """A subscription to make. It needs a name, an address, and a calendar or routes."""

    name: str = Field(max_length=200)
    """What it is called: what it wrote hangs on it, so that it cannot be changed later."""
    url: str = Field(max_length=4000)
    calendar: CalendarName = ""
    """Into which calendar. It cannot be changed later."""


class Subscription(Shape):
    """One subscription and how it stands; of its address the host alone, of its headers the names."""

    id: int
    name: str
    host: str
    calendar: str | None
    """null where routes say what goes where."""
    every_minutes: int
    ahead_days: int
    mode: Mode
    agent: str
    zone: str | None
    floating: str
    include: list[str]
    exclude: list[str]
    rename: list[str]
    since: date | None = Field(alias="from")
    to: date | None
    grace: int
    match: Match
    routes: list[str]
    max_bytes: int
    max_events: int
    headers: list[str]
    standing: Standing | Literal["off"]
    problem: str
    failures: Number
    ok_at: datetime | None
    """When a whole calendar was last had, or confirmed."""
    next_check: datetime


class Subscriptions(Some):
    """Some subscriptions, by name."""

    subscriptions: list[Subscription]


class Visit(Shape):
    """One pull of a subscription, and what came of it."""

    at: datetime
    what: What
    problem: str
    run: int | None
    batch: int | None
    events: Number
    created: Number
    updated: Number
    deleted: Number


class HistoryAsked(Shape):
    """How much of the history is asked for."""

    limit: int = Field(default=50, ge=1, le=500)
    """How much, at most."""
    offset: int = Field(default=0, ge=0, le=1_000_000)
    """From which visit on, counted from the newest."""
    count: int | None = Field(default=None, ge=1, le=500, json_schema_extra={"deprecated": True})
    """An older word for `limit`."""


class History(Shape):
    """What happened to a subscription, the newest first."""

    history: list[Visit]


class Pulled(Shape):
    """How it is pulled."""

    approve: bool = False
    """A yes to the plan that is held."""
