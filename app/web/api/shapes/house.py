"""The house itself: calendars, connections, workers, tokens, administrators, links, settings, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr

from app.care.weather import Sky
from app.origins import Where
from app.people.tokens import Scope
from app.web.api.shapes.common import CalendarName, Number, Searched, Shape, Some
from app.web.api.shapes.runs import Run
from app.web.api.shapes.subscriptions import Subscription


class CalendarsAsked(Searched):
    """Whose calendars are asked for."""

    lms: str = Field(default="", max_length=200)
    """Only those of this connection."""


class Calendar(Shape):
    """One calendar that a connection sees."""

    ref: str
    """What it is called everywhere: lms/kind/id."""
    name: str
    writable: bool


class Calendars(Some):
    """Some calendars."""

    calendars: list[Calendar]


class Weather(Shape):
    """The weather of an account's quota of calls; null where the LMS has not said."""

    lms: str
    sky: Sky
    limit: int | None
    left: int | None
    resets_at: datetime | None
    needed_a_day: Number
    """What feeds need in a usual day."""
    needed_until_reset: Number
    left_at_reset: int | None
    reserve: Number
    """What imports leave to feeds."""


class Connection(Shape):
    """One configured LMS and how it stands."""

    name: str
    bridge: str
    address: str
    reads: bool
    writes: bool
    links: bool
    """Whether people can link their own accounts."""
    calendars: Number
    """How many are read of it."""
    failing: Number
    read_at: datetime | None
    problem: str
    quota: Weather


class Connections(Some):
    """Some connections, by name."""

    connections: list[Connection]


class Trial(Shape):
    """Whether an LMS answers; `more` says that there are more calendars than were asked for."""

    lms: str
    answers: bool
    seconds: float
    calendars: Number
    more: bool
    problem: str
    advice: str


class Worker(Shape):
    """A worker process as it was last heard, and what it does."""

    name: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    silent: bool
    doing: list[str]


class Workers(Some):
    """Some workers, the one that was heard last first."""

    workers: list[Worker]


class Changes(Shape):
    """People's changes to what one import wrote, that nobody has agreed to yet; `asked` where its policy says so."""

    calendar: str
    source: str
    count: Number
    asked: bool


class Waiting(Shape):
    """All that waits, the newest plan first."""

    held: list[Run] = Field(max_length=200)
    """The plans that wait for a yes; `listRuns` with `state=held` has them part by part."""
    changes: list[Changes]
    subscriptions: list[Subscription]
    """Those that are parked, failing, or were left half-way."""


class Origin(Shape):
    """Where a setting came from."""

    where: Where
    name: str


class Setting(Shape):
    """One setting that holds; a secret's value is hidden."""

    path: str
    value: Any
    origin: Origin
    about: str
    secret: bool


class Settings(Some):
    """Some of the settings, in the order of config.example.toml."""

    settings: list[Setting]


class ApiToken(Shape):
    """An API token, without itself."""

    name: str
    scope: Scope
    created_at: datetime
    used_at: datetime | None
    """When it was last used, to ten minutes."""


class ApiTokens(Some):
    """Some API tokens, by name."""

    tokens: list[ApiToken]


class NewApiToken(Shape):
    """A token to make."""

    name: str = Field(min_length=1, max_length=100)
    scope: Scope = Scope.READ
    """What it may do; each holds those before it."""


class MadeApiToken(Shape):
    """A new token, told this once."""

    name: str
    scope: Scope
    token: str


class Admin(Shape):
    """Who may sign in with a password."""

    name: str
    changed_at: datetime
    """When the password was set: older sessions are over."""


class Admins(Some):
    """Some of those who may sign in with a password, by name."""

    admins: list[Admin]


class Password(Shape):
    """A password of 12 letters at least."""

    password: SecretStr = Field(max_length=1000)


class LinkedAccount(Shape):
    """A personal calendar that its owner has opened to this calbridge."""

    lms: str
    calendar: str
    name: str


class LinkedAccounts(Some):
    """Some of the accounts that people have linked."""

    links: list[LinkedAccount]


class Linked(Shape):
    """Whose account."""

    calendar: CalendarName
    """The personal calendar, as `listLinks` names it."""


class AuditAsked(Shape):
    """Which lines of the log are asked for."""

    limit: int = Field(default=100, ge=1, le=1000)
    """How many, at most."""
    count: int | None = Field(default=None, ge=1, le=1000, json_schema_extra={"deprecated": True})
    """An older word for `limit`."""
    before: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """Only those older than the one of this number. The header `Link` has the address of the part after this one."""


class AuditLine(Shape):
    """Who did what to what, and what came of it, as an HTTP status; `request` finds it in the logs."""

    id: int
    at: datetime
    who: str
    what: str
    subject: str
    status: int
    request: str


class Audit(Shape):
    """Deeds, the newest first."""

    audit: list[AuditLine]
