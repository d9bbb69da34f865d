"""What a rule may look at: the calendar, how its server answered, and the same once more. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.doctor.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Hop:
    """One answer on the way to the calendar: from where, its status, its headers by small names."""

    url: str
    status: int
    headers: Mapping[str, str]

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True, slots=True)
class Visit:
    """A fetch as it went. `asked` is the address as it was pasted; `failed` a sentence where no calendar came of it.

    `refused` says that our own fences forbade the way, `seconds` how long it took. `robots` is the server's robots.txt,
    empty if it has none. `again` are the hops of a second fetch that named an ETag nobody gave out, and `again_body`
    what it brought: None where there was no second fetch, or it failed.
    """

    asked: str
    hops: Sequence[Hop] = ()
    seconds: float = 0.0
    failed: str = ""
    refused: bool = False
    robots: str = ""
    again: Sequence[Hop] = ()
    again_body: bytes | None = None

    @property
    def last(self) -> Hop | None:
        return self.hops[-1] if self.hops else None


@dataclass(frozen=True, slots=True)
class Case:
    """A calendar to look at; `visit` is None for a file, and `again` the calendar of a second fetch."""

    sheet: Sheet
    visit: Visit | None = None
    again: Sheet | None = None
