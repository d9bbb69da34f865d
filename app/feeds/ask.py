"""Answers questions about a feed from its own body: a part of it, rooms by day, the next events, a room's now. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.feeds.schema import FIELDS

MOST = 10_000
"""Events in one page."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Booking:
    """What happens when and in which rooms; both times in UTC, equal for a deadline."""

    title: str
    start: datetime
    end: datetime
    rooms: tuple[str, ...]

    def to_json(self, now: datetime) -> dict[str, Any]:
        span = {"start": _said(self.start), "end": _said(self.end)}
        return {"title": self.title, **span, "rooms": list(self.rooms), "running": self.start <= now < self.end}


@dataclass(frozen=True, slots=True)
class Part:
    """Which of a feed's events are asked for: those that overlap [since, until), one page, some of their fields."""

    since: datetime | None = None
    until: datetime | None = None
    backwards: bool = False
    offset: int = 0
    limit: int = MOST
    fields: tuple[str, ...] = FIELDS

    @classmethod
    def of(cls, query: Mapping[str, str], zone: ZoneInfo) -> Part | None:
        """What a query asks for; None if it asks for everything. ValueError says what is wrong. Days are `zone`'s."""
        if not query.keys() & {"from", "to", "order", "offset", "limit", "fields"}:
            return None
        order, fields = query.get("order", "start"), tuple(query.get("fields", ",".join(FIELDS)).split(","))
        if order not in ("start", "-start"):
            raise ValueError(f"order: '{order}' is neither start nor -start")
        if unknown := [name for name in fields if name not in FIELDS]:
            raise ValueError(f"fields: there is no '{unknown[0]}'; there are {', '.join(FIELDS)}")
        since, until = (_moment(name, query.get(name), zone) for name in ("from", "to"))
        if since and until and since >= until:
            raise ValueError(f"from, to: '{query['from'][:30]}' is not before '{query['to'][:30]}'")
        return cls(
            since,
            until,
            order == "-start",
            whole("offset", query.get("offset", "0"), 0),
            whole("limit", query.get("limit", str(MOST)), 1),
            fields,
        )


def part(body: bytes, asked: Part) -> bytes:
    """The JSON form of a feed with those events alone; `total` counts them over all pages."""
    told = json.loads(body)
    zone = ZoneInfo(told["zone"])
    events = [event for event in told["events"] if _overlaps(event, asked, zone)]
    if asked.backwards:
        events.reverse()
    page = events[asked.offset : asked.offset + asked.limit]
    told["total"] = len(events)
    if asked.offset + asked.limit < len(events):
        told["next_offset"] = asked.offset + asked.limit
    told.pop("cursor", None)  # it stands for all of the feed
    told["events"] = [{name: event[name] for name in FIELDS if name in asked.fields} for event in page]
    return dumped(told)


def _overlaps(event: Mapping[str, Any], asked: Part, zone: ZoneInfo) -> bool:
    start, end = (_instant(event[name], zone) for name in ("start", "end"))
    if asked.until is not None and start >= asked.until:
        return False
    return asked.since is None or end > asked.since or start == end == asked.since


def bookings(body: bytes) -> Sequence[Booking]:
    """The events of a feed's LearningSpace form that take place, by start."""
    return [
        Booking(
            event["activity"]["title"].strip(),
            datetime.fromisoformat(event["eventStart"]),
            datetime.fromisoformat(event["eventEnd"]),
            tuple(dict.fromkeys(room["name"] for room in event["rooms"])),
        )
        for event in json.loads(body)["events"]
        if event["status"] != "cancelled"
    ]


def rooms_on(found: Iterable[Booking], day: date, zone: ZoneInfo, also: Iterable[str] = ()) -> dict[str, Any]:
    """How many events each room has on that day of `zone`: those the feed knows, and `also` others. One in two rooms
    counts in both."""
    first = datetime.combine(day, time(), zone).astimezone(UTC)
    last = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    counts = Counter(dict.fromkeys(also, 0))
    for one in found:
        taken = first <= one.start < last or (one.start < first < one.end)
        counts.update({room: int(taken) for room in one.rooms})
    rooms = [{"room": room, "count": counts[room]} for room in sorted(counts)]
    return {"date": day.isoformat(), "timezone": zone.key, "rooms": rooms}


def next_of(found: Iterable[Booking], title: str, how: str, count: int, now: datetime) -> dict[str, Any]:
    """The next events of that title, those that are running first. ValueError for a way to match that there is not."""
    if how not in _MATCHES:
        raise ValueError(f"match: '{how}' is none of {', '.join(_MATCHES)}")
    coming = [one for one in found if (one.start >= now or one.end > now) and _MATCHES[how](one.title, title)]
    return {"query": title, "next": [one.to_json(now) for one in coming[:count]]}


def room_now(found: Iterable[Booking], room: str, now: datetime) -> dict[str, Any]:
    """What is in the room, what comes next, and until when it is free: null if it is not, or as far as is known."""
    mine = [one for one in found if one.end > now and room.strip().casefold() in map(_short, _names(one.rooms))]
    current = [one for one in mine if one.start <= now]
    coming = [one for one in mine if one.start > now]
    return {
        "room": room,
        "now": current[0].to_json(now) if current else None,
        "next": coming[0].to_json(now) if coming else None,
        "free": not current,
        "free_until": _said(coming[0].start) if coming and not current else None,
    }


def _names(rooms: Iterable[str]) -> Iterable[str]:
    """Each room's full name, and the part before its type: `Sim 1 (Sim Room)`, `Sim 1`."""
    for room in rooms:
        yield room
        yield room.rpartition(" (")[0] or room


def _short(text: str) -> str:
    return text.strip().casefold()


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


_MATCHES = {
    "word": lambda title, asked: _words(asked) in _words(title),
    "equals": lambda title, asked: _short(title) == _short(asked),
    "starts": lambda title, asked: _short(title).startswith(_short(asked)),
}


def dumped(value: Any) -> bytes:
    """JSON as all answers have it."""
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def whole(name: str, text: str, least: int) -> int:
    """A number out of a query. ValueError says what fits."""
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= MOST * 100 and len(text) < 9):
        raise ValueError(f"{name}: '{text[:20]}' is no whole number from {least} on")
    return int(text)


def day_of(text: str) -> date:
    """A date out of a query. ValueError says what fits."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text[:30]}' is no date: write it as 2026-09-01") from None


def _moment(name: str, text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        return _instant(text, zone)
    except ValueError:
        raise ValueError(f"{name}: '{text[:30]}' is no date: write 2026-09-01, or 2026-09-01T08:00:00Z") from None


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """A date is its midnight in the zone, a time without an offset one of the zone."""
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _said(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
