"""A small world to publish from: a clock that is set by hand, an LMS that keeps events in memory, a store in a file."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.feeds.behind import Later, at_once
from app.feeds.feed import USUAL_HORIZON
from app.feeds.rhythm import Rhythm
from app.feeds.serve import Feeds
from bridges.contract import Source
from bridges.errors import BridgeError, Denied
from bridges.model import Calendar, CalendarRef, Event, Found, Kind, RemoteRef, Timed, Window
from tests import stores

BERLIN = ZoneInfo("Europe/Berlin")
COURSE = CalendarRef("school", Kind.COURSE, "math")
HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 9, 9, tzinfo=UTC)
STEADY = Rhythm(HOUR, far_every=HOUR, adaptive=False)


@dataclass(slots=True)
class Clock:
    moment: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, span: timedelta) -> None:
        self.moment += span


@dataclass(slots=True)
class School:
    """An LMS with one course per id. `down` is what it answers while it is away; `slowness` is seconds per reading."""

    courses: dict[str, dict[RemoteRef, Found]] = field(default_factory=lambda: {"math": {}})
    down: BridgeError | None = None
    slowness: float = 0
    reads: int = 0
    at_work: int = 0
    most_at_work: int = 0
    began: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, ref: str, event: Event, modified: datetime | None = None, course: str = "math") -> None:
        self.courses[course][RemoteRef(ref)] = Found(RemoteRef(ref), event, modified=modified)

    def drop(self, ref: str, course: str = "math") -> None:
        del self.courses[course][RemoteRef(ref)]

    def calendars(self) -> Iterable[Calendar]:
        return [Calendar(CalendarRef("school", Kind.COURSE, id), id) for id in self.courses]

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        with self._lock:
            self.reads += 1
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        self.began.set()
        try:
            time.sleep(self.slowness)
            if self.down:
                raise self.down
            return self._found(calendar, window)
        finally:
            with self._lock:
                self.at_work -= 1

    def _found(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        found = [item for item in self.courses[calendar.id].values() if window.overlaps(item.event.when)]
        return sorted(found, key=lambda item: (window.span(item.event.when)[0], item.ref))


@dataclass(slots=True)
class World:
    engine: Engine
    school: School = field(default_factory=School)
    clock: Clock = field(default_factory=Clock)

    def feeds(self, zone: ZoneInfo = BERLIN, later: Later = at_once, rhythm: Rhythm = STEADY) -> Feeds:
        """Feeds with caches of their own, as another process would have them."""
        return Feeds(
            self.engine,
            self.source,
            now=self.clock,
            zone=zone,
            horizon=USUAL_HORIZON,
            rhythm=rhythm,
            later=later,
        )

    def source(self, lms: str) -> Source:
        if lms != "school":
            raise Denied(f"no LMS is called '{lms}'")
        return self.school


def new_world(folder: Path) -> World:
    return World(stores.at(folder / "store.db"))


def lesson(title: str = "Algebra", start: datetime = MONDAY, length: timedelta = HOUR, **more: Any) -> Event:
    return Event(title, Timed(start, start + length), **more)


def complaints(value: Any, schema: dict[str, Any], path: str = "$") -> list[str]:
    """What a JSON value lacks to fit the part of JSON Schema that our schemas use; a new keyword has to be added."""
    if "anyOf" in schema:
        tried = [complaints(value, one, path) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    known = {
        "type",
        "enum",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "pattern",
        "minLength",
        "minimum",
    }
    assert set(schema) <= known | {"$schema", "title", "description", "format"}, path
    types: dict[str, type] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    types["null"] = type(None)
    if not isinstance(value, types[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{path} is no {schema['type']}"]
    found = []
    if value not in schema.get("enum", [value]):
        found.append(f"{path} is none of {schema['enum']}")
    if isinstance(value, str):
        found += _text_complaints(value, schema, path)
    if isinstance(value, int) and value < schema.get("minimum", value):
        found.append(f"{path} is too small")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += complaints(item, schema["items"], f"{path}[{number}]")
    if isinstance(value, dict):
        found += _object_complaints(value, schema, path)
    return found


def _text_complaints(value: str, schema: dict[str, Any], path: str) -> list[str]:
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
    fits = [
        len(value) >= schema.get("minLength", 0),
        re.search(schema.get("pattern", ""), value),
        schema.get("format") != "date-time" or re.fullmatch(moment, value),
    ]
    return [] if all(fits) else [f"{path} has the wrong form: {value}"]


def _object_complaints(value: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    assert schema["additionalProperties"] is False
    found = [f"{path}.{name} is missing" for name in schema["required"] if name not in value]
    found += [f"{path}.{name} is not in the schema" for name in value if name not in schema["properties"]]
    for name, part in schema["properties"].items():
        if name in value:
            found += complaints(value[name], part, f"{path}.{name}")
    return found
