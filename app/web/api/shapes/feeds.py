"""Feeds: what they show, their links, and their tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.feeds.feed import Did
from app.feeds.policies import Cancelled, Privacy
from app.web.api.shapes.common import CalendarName, Number, Shape, Some

Patterns = Annotated[list[str], Field(max_length=200)]


class Policies(Shape):
    """What a feed shows; what is not named is as usual. Patterns are those of a shell; `!` before one leaves out."""

    cancelled: Cancelled | None = None
    """What becomes of cancelled events: `omit` is usual."""
    privacy: Privacy | None = None
    """How much of an event is told: `full` is usual."""
    back: int | None = Field(default=None, ge=0, le=3650)
    """Days before today, fewer than are read."""
    ahead: int | None = Field(default=None, ge=1, le=3650)
    """Days after today, fewer than are read."""
    kind: Patterns | None = None
    """Patterns of the LMS's own words for what to show."""
    category: Patterns | None = None
    """Patterns of categories to show."""
    title: Patterns | None = None
    """Patterns of titles to show, as `OSCE*`."""
    rename: Patterns | None = None
    """`old title=>new title`."""
    alarm: int | None = Field(default=None, ge=0, le=40320)
    """Minutes before the start."""
    colour: str | None = Field(default=None, max_length=20)
    """A colour's name, such as teal."""
    learningspace: bool | None = None
    """Also answer at LearningSpace's addresses."""
    cors: bool | None = None
    """Scripts of any web page may read it."""
    gzip: bool | None = None
    """false: never compressed."""
    tag: Patterns | None = None
    """`calendar=>category`, for a feed that joins several."""
    utc: bool | None = None
    """All times in UTC."""


class NewFeed(Shape):
    """A feed to make."""

    slug: str = Field(min_length=1, max_length=100, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    """Its name, which stands in its address: small letters, digits and hyphens."""
    calendars: list[CalendarName] = Field(min_length=1, max_length=200)
    """Which calendars it joins. `lms/person/ID` stands for all that this person may see."""
    title: str = Field(default="", max_length=255)
    """Its name in calendar programs; the slug, where nothing is said."""
    public: bool = False
    """Whether its address holds no secret."""
    policies: Policies = Policies()


class Addresses(Shape):
    """The addresses of a feed, by form; a secret feed's are told when they are made, and never again."""

    ics: str = ""
    json_: str = Field(default="", alias="json")
    learningspace_ics: str = Field(default="", alias="learningspace-ics")
    learningspace_json: str = Field(default="", alias="learningspace-json")


class Reader(Shape):
    """A kind of program that reads a feed, and when one of it looked last, to ten minutes."""

    client: str
    used_at: datetime
    addresses: Number
    """How many addresses of a secret feed it reads; 0 for a public one, whose readers nobody counts."""


class Feed(Shape):
    """One feed and how it stands. `read_at` is when all of its calendars were last read, `problem` what is amiss."""

    slug: str
    title: str
    calendar: str
    """The first of `calendars`."""
    calendars: list[str]
    public: bool
    enabled: bool
    policies: Policies
    links: Addresses
    bytes: Number
    """Of its .ics form; 0 while nobody has asked for it. Google loses events of feeds above 1 MB."""
    read_at: datetime | None
    next_check: datetime | None
    problem: str
    readers: list[Reader]
    """The kinds of programs that read it, who looked last first."""


class Feeds(Some):
    """Some feeds, by slug."""

    feeds: list[Feed]


class Preview(BaseModel):
    """A feed's JSON form; all of it is in `/schema/feed-v1.json`."""

    model_config = ConfigDict(extra="allow")

    events: list[dict[str, Any]]


class Refreshed(Shape):
    """What a refresh came to."""

    slug: str
    did: Did
    problem: str


class NewToken(Shape):
    """One more secret address of a feed, for a reader or a device."""

    name: str = Field(min_length=1, max_length=100)
    """Whose it is, such as "phone"."""
    until: str = Field(default="", max_length=40)
    """The last day on which it opens the feed (2027-06-30), or a time; no end, where nothing is said."""
    under: str = Field(default="", max_length=100)
    """The token it is made from: it shows no more than that one, and dies with it."""
    calendars: tuple[CalendarName, ...] = Field(default=(), max_length=200)
    """Show these calendars of the feed alone."""
    privacy: Privacy = Privacy.FULL
    """At most so much of an event."""


class Opened(Shape):
    """A secret address, told this once."""

    slug: str
    name: str
    links: Addresses


class Token(Shape):
    """A feed's token, without itself. `used_at` is true to ten minutes."""

    name: str
    created_at: datetime
    until: datetime | None
    used_at: datetime | None
    client: str | None
    """The family of programs that used it last."""
    parent: str | None
    shows: str
    """What it shows less of; empty for all of the feed."""


class Tokens(Some):
    """Some of the tokens of a feed, the oldest first."""

    slug: str
    tokens: list[Token]


class Which(Shape):
    """Which tokens are killed."""

    name: str = Field(default="", max_length=100)
    """The token of this name, and those made from it; all of them, where nothing is said."""


class Revoked(Shape):
    """How many tokens were killed."""

    revoked: Number
