"""What shapes have in common: their kind, parts of lists, events and times."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bridges.model import Status

LONGEST_TEXT = 2000
MOST = 1000
"""The largest part of a list that is answered at once."""
MOST_OFFSET = 2**31 - 1

CalendarName = Annotated[str, Field(max_length=500, examples=["demo/course/anatomy-1"])]
"""A calendar: lms/kind/id."""
SourceName = Annotated[str, Field(max_length=200)]
Number = Annotated[int, Field(ge=0)]


class Shape(BaseModel):
    """One object of the API: it has these fields and no others."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, populate_by_name=True, frozen=True)


class Nothing(Shape):
    """Where nothing can be asked."""


class Paged(Shape):
    """Which part of a list is asked for."""

    limit: int = Field(default=100, ge=1, le=MOST)
    """How many, at most."""
    offset: int = Field(default=0, ge=0, le=MOST_OFFSET)
    """From which one on, counted from 0. The header `Link` of an answer has the address of the part after it."""


class Searched(Paged):
    """The same of those in which a text stands."""

    search: str = Field(default="", max_length=200)
    """Only those in which this text stands, in whatever case."""


class Some(Shape):
    """A part of a list: which part, and how many there are in all."""

    offset: Number
    of: Number
    """How many there are in all."""


class Problem(Shape):
    """What went wrong (RFC 9457)."""

    title: str
    """The status in words."""
    status: int = Field(ge=400, le=599)
    detail: str
    """A sentence: what is wrong, where, and what to do."""


class DryRun(Shape):
    """Whether it is only to be told what would be done."""

    dry_run: bool = False
    """Answer the plan, and touch nothing."""


class Span(Shape):
    """From an instant to another one, which is not included."""

    start: datetime
    end: datetime


class Days(Shape):
    """From a day to another one, which is not included."""

    first: date
    until: date


class Event(Shape):
    """What happens. A field that is missing is empty."""

    title: str
    when: Span | Days
    text: str = ""
    place: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""
    status: Status = Status.CONFIRMED


class Document(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
