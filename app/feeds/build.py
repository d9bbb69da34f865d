"""Builds what is published: findings → a reading → an iCalendar body and a JSON body that say the same. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from app.feeds.feed import Cancelled, Feed, Form, Policies, Reading, Shown, Version
from app.feeds.schema import VERSION
from app.ics.render import Clock, Cover, Published, clean, clean_url, one_line, render
from app.ics.vtimezone import differs, vtimezone
from app.store.values import event_from_json, event_to_json
from bridges.model import AllDay, Event, Found, RemoteRef, Status, Timed, When, Window, instant

EDITION = 1
"""Raise it when the same reading gives other bytes than before: bodies in the store are then built again."""


def uid_of(lms: str, ref: RemoteRef) -> str:
    """The UID of an LMS's event, for ever: a function of the connection's name and the event's name in it alone."""
    name = f"{lms}\0{ref}".encode("utf-8", "surrogatepass")
    return f"{sha256(name).hexdigest()[:40]}@calbridge"


def settled(found: Iterable[Found], days: Mapping[RemoteRef, tuple[Timed, AllDay]], zone: ZoneInfo) -> Iterator[Found]:
    """The findings as they were meant: days where we had written days, floating times in the home zone."""
    for item in found:
        when = item.event.when
        if item.ref in days and days[item.ref][0] == when:
            yield replace(item, event=replace(item.event, when=days[item.ref][1]))
        elif isinstance(when, Timed) and when.floating:
            placed = Timed(when.start.replace(tzinfo=zone), when.end.replace(tzinfo=zone))
            yield replace(item, event=replace(item.event, when=placed))
        else:
            yield item


def version_of(event: Event, known: Version | None, now: datetime) -> Version:
    """The known version if the content is the same, else its successor, first seen now."""
    hash = sha256(json.dumps(event_to_json(event)).encode()).hexdigest()
    if known is None:
        return Version(hash, now)
    return known if known.hash == hash else Version(hash, now, known.sequence + 1)


def shown(item: Found, version: Version) -> Shown:
    """The finding with its time of change, from the LMS if that keeps one."""
    return Shown(item.ref, item.event, instant(item.modified or version.seen_at), version.sequence)


def pack(events: Iterable[Shown]) -> bytes:
    """Events as the store keeps them: compact JSON."""
    rows = [[item.ref, event_to_json(item.event), item.modified.isoformat(), item.sequence] for item in events]
    return json.dumps(rows, separators=(",", ":")).encode()


def unpack(packed: bytes) -> tuple[Shown, ...]:
    """The inverse of `pack`."""
    return tuple(
        Shown(RemoteRef(ref), event_from_json(event), datetime.fromisoformat(modified), sequence)
        for ref, event, modified, sequence in json.loads(packed)
    )


def reading_hash(packed: bytes, window: Window) -> str:
    """What equal readings have in common: what was found, and the window that it speaks for."""
    return _hash(sha256(packed).hexdigest(), instant(window.start).isoformat(), instant(window.end).isoformat())


def basis(feed: Feed, reading: str, window: Window, zone: ZoneInfo, every: timedelta, policies: Policies) -> str:
    """Hash of all that a body depends on, the rules of the zone too; `reading` is the reading's hash."""
    years = window.start.astimezone(zone).year, window.end.astimezone(zone).year
    rules = vtimezone(zone, *years), repr(differs(zone, *years))
    return _hash(str(EDITION), feed.title, str(feed.calendar), reading, str(every), policies.cancelled, *rules)


def build(form: Form, feed: Feed, reading: Reading, zone: ZoneInfo, every: timedelta, policies: Policies) -> bytes:
    """The feed's body in one form. Times are shown in `zone`; `every` is how often clients are told to look."""
    items = published(feed, reading, policies)
    first, last = reading.window.start.astimezone(zone), reading.window.end.astimezone(zone)
    if form is Form.ICS:
        return render(Cover(feed.title, zone, every, first.year, last.year), items)
    clock = Clock(zone, first.year, last.year)
    body = {
        "version": VERSION,
        "title": one_line(feed.title),
        "zone": zone.key,
        "window": {"start": first.isoformat(), "end": last.isoformat()},
        "events": [_event(item, clock) for item in items],
    }
    return (json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def published(feed: Feed, reading: Reading, policies: Policies) -> list[Published]:
    """What the feed shows of the reading, by start and then UID, with every text as both forms can hold it."""
    lms = feed.calendar.lms
    items = [
        Published(uid_of(lms, item.ref), _presentable(item.event), item.modified, item.modified, item.sequence)
        for item in reading.events
        if policies.cancelled is Cancelled.SHOW or item.event.status is not Status.CANCELLED
    ]
    return sorted(items, key=lambda item: (_begin(item.event.when), item.uid))


def _begin(when: When) -> datetime:
    """What events are sorted by: days at midnight of no zone, so that no year is too early for it."""
    start = datetime.combine(when.start, time()) if isinstance(when, AllDay) else instant(when.start)
    return start.replace(tzinfo=None)


def _presentable(event: Event) -> Event:
    return replace(
        event,
        title=clean(event.title),
        text=clean(event.text),
        place=clean(event.place),
        categories=tuple(clean(category) for category in event.categories if clean(category)),
        url=clean_url(event.url),
    )


def _event(item: Published, clock: Clock) -> dict[str, Any]:
    event = item.event
    return {
        "uid": item.uid,
        "title": event.title,
        "all_day": isinstance(event.when, AllDay),
        **_when(event.when, clock),
        "text": event.text,
        "place": event.place,
        "categories": list(event.categories),
        "url": event.url,
        "status": event.status.value,
        "modified": _moment(item.modified.astimezone(UTC)),
        "sequence": item.sequence,
    }


def _when(when: When, clock: Clock) -> dict[str, str]:
    if isinstance(when, AllDay):
        return {"start": when.start.isoformat(), "end": when.end.isoformat()}
    return {"start": _moment(clock.local(when.start)), "end": _moment(clock.local(when.end))}


def _moment(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().removesuffix("+00:00") + ("" if moment.utcoffset() else "Z")


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
