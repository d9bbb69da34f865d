"""The connections to LMSs as an administrator looks after them: how each stands, whether it answers, its weather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic
from typing import Any

from sqlalchemy import case, func, select

from app.care.settings import censored, long_secrets
from app.care.weather import Weather, weather
from app.config import Connection
from app.parts import Linkable, Parts
from app.store import tables
from app.store.leases import lease
from bridges.contract import Sink, Source
from bridges.errors import BridgeError, Denied, Transient
from bridges.model import Calendar

PATIENCE = 20.0
"""Seconds that a trial may take; a bridge's own limits hold beside it."""
TURN = timedelta(minutes=3)
"""Longer than any trial goes on that nobody waits for any more."""
ENOUGH = 100
"""Calendars that a trial asks for: one page of them, at most LMSs."""
ADDRESSES = ("url", "write_url", "host")
"""The settings, one of which says where an LMS is."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the calendars stand that are read of one LMS: how many, and how many of them fail; `problem` is one of
    theirs, `read_at` when the LMS last gave one out."""

    calendars: int = 0
    failing: int = 0
    read_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Connected:
    """One connection. `address` says where its LMS is, empty for one of our own."""

    name: str
    bridge: str
    address: str
    reads: bool
    writes: bool
    links: bool
    standing: Standing
    weather: Weather

    def to_json(self) -> dict[str, Any]:
        read_at = self.standing.read_at
        return {
            "name": self.name,
            "bridge": self.bridge,
            "address": self.address,
            "reads": self.reads,
            "writes": self.writes,
            "links": self.links,
            "calendars": self.standing.calendars,
            "failing": self.standing.failing,
            "read_at": read_at.isoformat() if read_at else None,
            "problem": self.standing.problem,
            "quota": self.weather.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial came to: `calendars` were listed, or `problem` says why none were, and `advice` what to do then.

    `more` says that there are more than were asked for; `seconds` is how long it took.
    """

    lms: str
    answers: bool
    seconds: float
    calendars: int = 0
    more: bool = False
    problem: str = ""
    advice: str = ""

    def __str__(self) -> str:
        if not self.answers:
            return f"{self.lms}: {self.problem} {self.advice}".rstrip()
        listed = f"{'more than ' if self.more else ''}{self.calendars} calendar{'' if self.calendars == 1 else 's'}"
        return f"{self.lms} answers: {listed} in {self.seconds:.1f} seconds"

    def to_json(self) -> dict[str, Any]:
        return {
            "lms": self.lms,
            "answers": self.answers,
            "seconds": round(self.seconds, 3),
            "calendars": self.calendars,
            "more": self.more,
            "problem": self.problem,
            "advice": self.advice,
        }


def every_one(parts: Parts) -> Sequence[Connected]:
    """All connections, by name. Asks no LMS."""
    standings, skies = _standings(parts), weathers(parts)
    return [
        _connected(parts, connection, standings.get(name, Standing()), skies[name])
        for name, connection in sorted(parts.config.connections.items())
    ]


def weathers(parts: Parts) -> Mapping[str, Weather]:
    """The weather at each LMS, by its name."""
    needs = {one.lms: one.calls for one in parts.feeds.forecast()}
    share, now = parts.config.imports.reserve, parts.now()
    return {
        name: weather(name, parts.quota(name), needs.get(name, 0), share, now)
        for name in sorted(parts.config.connections)
    }


def linked(parts: Parts) -> Sequence[tuple[str, Calendar]]:
    """The accounts that people have linked, each with the connection's name."""
    bridges = [(name, parts.bridge(name)) for name in sorted(parts.config.connections)]
    return [(name, one) for name, bridge in bridges if isinstance(bridge, Linkable) for one in bridge.links()]


def tried(parts: Parts, lms: str, patience: float = PATIENCE) -> Trial:
    """Sign in at the LMS and have it list its calendars, as far as one page goes, for so many seconds at most.

    Denied where the configuration has no such LMS; Busy while somebody else tries it. A trial that takes too long ends
    by the bridge's own limits, unheard.
    """
    parts.bridge(lms)
    alone = ThreadPoolExecutor(1, "trial")
    try:
        return alone.submit(_in_turn, parts, lms).result(patience)
    except TimeoutError:
        problem = f"It has not answered within {patience:.0f} seconds."
        return Trial(lms, False, patience, problem=problem, advice=_AWAY)
    finally:
        alone.shutdown(wait=False)


def _in_turn(parts: Parts, lms: str) -> Trial:
    with lease(parts.engine, f"try {lms}", parts.now, TURN):
        return _answer(parts, lms, monotonic())


def _answer(parts: Parts, lms: str, began: float) -> Trial:
    bridge = parts.bridge(lms)
    if not isinstance(bridge, Source):
        return Trial(lms, False, 0, problem="It can only be written to, and lists no calendars.", advice=_MAIL)
    try:
        found = sum(1 for _ in islice(bridge.calendars(), ENOUGH + 1))
    except BridgeError as error:
        problem = censored(str(error), long_secrets(parts.config))
        return Trial(lms, False, monotonic() - began, problem=problem, advice=_advice(error, lms))
    return Trial(lms, True, monotonic() - began, min(found, ENOUGH), found > ENOUGH)


_AWAY = "Try again in some minutes; if it stays so, see whether this machine reaches the address."
_MAIL = "An import with a dry run shows what it would send."


def _advice(error: BridgeError, lms: str) -> str:
    match error:
        case Transient():
            return _AWAY
        case Denied():
            return f"Look at the key, the secret and the address in [lms.{lms}], and at what the LMS lets this user do."
    return f"Look at the settings of [lms.{lms}]."


def _connected(parts: Parts, connection: Connection, standing: Standing, sky: Weather) -> Connected:
    bridge = parts.bridge(connection.name)
    return Connected(
        connection.name,
        connection.bridge,
        address_of(connection),
        isinstance(bridge, Source),
        isinstance(bridge, Sink),
        isinstance(bridge, Linkable) and bool(getattr(connection.settings, "linking", False)),
        standing,
        sky,
    )


def address_of(connection: Connection) -> str:
    """Where the LMS is, without what an address may hold of secrets."""
    found = (str(value) for name in ADDRESSES if (value := getattr(connection.settings, name, "")))
    return censored(next(found, ""), ())


def _standings(parts: Parts) -> Mapping[str, Standing]:
    """Of each LMS that calendars are read of: in the database, however many there are."""
    table = tables.calendar_reading.c
    failing = case((table.failures > 0, 1), else_=0)
    columns = func.count(), func.sum(failing), func.max(table.read_at), func.max(table.problem)
    found: dict[str, Standing] = {}
    with parts.engine.connect() as connection:
        for name in parts.config.connections:
            mine = table.calendar.startswith(f"{name}/", autoescape=True), table.unused_since.is_(None)
            count, failed, read_at, problem = connection.execute(select(*columns).where(*mine)).one()
            found[name] = Standing(count, failed or 0, read_at, problem or "")
    return found
