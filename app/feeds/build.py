"""Builds what is published: findings → a reading → an iCalendar body and a JSON body that say the same. Pure.

A body is made of pieces, one for each event, and a piece of one line of a packed reading alone. So the pieces of the
last reading are kept by their lines, and a changed event costs one piece and a join.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from app.feeds.cursor import Cursor
from app.feeds.dialects import CALENDARS, extra, shown_in, spoken, worded
from app.feeds.feed import Feed, Form, Shown, Version
from app.feeds.policies import COLOURS, Policies, Privacy, applied
from app.feeds.schema import VERSION
from app.ics.jcal import jcal
from app.ics.render import Clock, Cover, Published, clean, clean_url, join, one_line, piece
from app.ics.vtimezone import differs, vtimezone
from app.store.values import event_from_json, event_to_json
from bridges.model import AllDay, CalendarRef, Event, Found, RemoteRef, Status, Timed, When, Window, instant

EDITION = 5
"""Raise it when the same reading gives other bytes than before: bodies in the store are then built again."""

EARLIEST, LATEST = date(2, 1, 1), date(9998, 12, 31)
"""Days beyond these have no midnight in every zone."""
BEGIN = len("2026-09-01T08:00:00.000000")
"""Letters of a piece's order before its UID."""


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


def agreed(new: Version, others: Sequence[Version]) -> Version:
    """The new version of an event, in line with those that other calendars of its LMS tell.

    One of them that has the content of now and an older number was not read since it changed there and back.
    """
    same = [other for other in others if other.hash == new.hash and other.sequence >= new.sequence]
    if same:
        return max(same, key=lambda other: other.sequence)
    return replace(new, sequence=max(new.sequence, *(other.sequence + 1 for other in others)))


def shown(item: Found, version: Version) -> Shown:
    """The finding with its time of change, from the LMS if that keeps one."""
    rooms = tuple(name for name in item.extra.get("rooms", "").split("\n") if name)
    modified = instant(item.modified or version.seen_at)
    return Shown(item.ref, item.event, modified, version.sequence, item.kind, rooms)


_decode = json.JSONDecoder().decode


def pack(events: Iterable[Shown]) -> bytes:
    """Events as the store keeps them: compact JSON, an event a line."""
    return b"\n".join(map(_packed, events))


def _packed(item: Shown) -> bytes:
    row: list[Any] = [item.ref, event_to_json(item.event), item.modified.isoformat(), item.sequence]
    if item.kind or item.rooms:
        row += [item.kind, item.rooms]
    return json.dumps(row, separators=(",", ":")).encode()


def unpack(line: bytes) -> Shown:
    """The event of one line of what `pack` made."""
    ref, event, modified, sequence, *rest = _decode(line.decode())
    kind, rooms = rest or ("", ())
    return Shown(RemoteRef(ref), event_from_json(event), datetime.fromisoformat(modified), sequence, kind, tuple(rooms))


def reading_hash(packed: bytes, window: Window) -> str:
    """What equal readings have in common: what was found, and the window that it speaks for."""
    return _hash(sha256(packed).hexdigest(), instant(window.start).isoformat(), instant(window.end).isoformat())


def basis(feed: Feed, reading: str, window: Window, zone: ZoneInfo, every: timedelta) -> str:
    """Hash of all that a body depends on, the rules of the zone too; `reading` is the hash of what was read."""
    years = window.start.astimezone(zone).year, window.end.astimezone(zone).year
    rules = vtimezone(zone, *years), repr(differs(zone, *years))
    policies = json.dumps(feed.policies.to_json(), sort_keys=True)
    bounds = instant(window.start).isoformat(), instant(window.end).isoformat()
    return _hash(str(EDITION), feed.title, reading, *bounds, str(every), policies, *rules)


class Piece(NamedTuple):
    """One event of a body. `order` sorts by start and then UID; it happens from `first` to `last`, both in UTC.

    `body` is empty for one that is not shown, which yet counts against an older reading of the same event: `modified`
    is its time of change, as text that sorts.
    """

    order: str
    first: datetime
    last: datetime
    body: bytes
    modified: str = ""

    @property
    def uid(self) -> str:
        return self.order[BEGIN:]


@dataclass(frozen=True, slots=True)
class Told:
    """One event as a form is to tell it: where it happens as a list, if anybody knows, and its span in UTC."""

    said: Published
    rooms: Sequence[str]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Press:
    """What pieces are made with: equal presses make equal pieces of equal lines.

    Times are shown in `zone` for the years given, both included; `longest` is how many letters of an event's text are
    told, None for all.
    """

    form: Form
    policies: Policies
    zone: ZoneInfo
    first_year: int
    last_year: int
    longest: int | None = None

    @classmethod
    def of(cls, form: Form, feed: Feed, window: Window, zone: ZoneInfo, longest: int | None = None) -> Self:
        """The press for a feed; what makes no difference to a piece is left out, so that feeds share them."""
        policies = spoken(form, feed.policies)
        shared = replace(policies, back=None, ahead=None, colour="", learningspace=False, cors=False, gzip=True)
        if form not in CALENDARS:
            shared = replace(shared, utc=False)
        first, last = window.start.astimezone(zone), window.end.astimezone(zone)
        return cls(form, shared, zone, first.year, last.year, longest)

    def maker(self, calendar: CalendarRef) -> Callable[[bytes], Piece]:
        """What makes the piece of a packed event of that calendar."""
        clock = Clock(shown_in(self.form, self.policies, self.zone), self.first_year, self.last_year)
        lms, name = calendar.lms, str(calendar)
        write = _WRITERS[self.form]

        def make(line: bytes) -> Piece:
            item = unpack(line)
            told = applied(self.policies, item.event, item.kind, name)
            uid, modified = uid_of(lms, item.ref), item.modified.isoformat()
            if told is None:
                return Piece(_order(item.event.when, uid), *_span(item.event.when, self.zone), b"", modified)
            event = _cut(told, self.longest)
            free = item.event.status is Status.CANCELLED
            said = Published(uid, event, item.modified, item.modified, item.sequence, free, self.policies.alarm)
            first, last = _span(event.when, self.zone)
            rooms = () if self.policies.privacy is Privacy.BUSY_ONLY else item.rooms
            body = write(Told(said, rooms, first, last), clock)
            return Piece(_order(event.when, uid), first, last, body, modified)

        return make


@dataclass(frozen=True, slots=True)
class Drawer:
    """The pieces of one reading by the lines that they were made of, and those that are shown, in order.

    `size` is about their bytes.
    """

    hash: str
    by_line: Mapping[bytes, Piece]
    pieces: Sequence[Piece]
    size: int


def draw(old: Drawer | None, hash: str, packed: bytes, make: Callable[[bytes], Piece]) -> Drawer:
    """The pieces of a packed reading, with those of the `old` one used again. `hash` names the reading."""
    known = old.by_line if old else {}
    lines = packed.split(b"\n") if packed else []
    return drawn(hash, {line: known[line] if line in known else make(line) for line in lines}, len(packed))


def drawn(hash: str, by_line: Mapping[bytes, Piece], packed: int) -> Drawer:
    """The drawer of these pieces; `packed` is the size of the lines."""
    pieces = sorted(each for each in by_line.values() if each.body)
    size = packed + sum(len(each.body) for each in pieces) + 400 * len(by_line)
    return Drawer(hash, by_line, pieces, size)


def merged(readings: Iterable[Iterable[Piece]]) -> Sequence[Piece]:
    """What several readings show together, in order: an event that stands in several of them once, as it was changed
    last. Which of them was read last does not matter, for that says nothing of how old its content is."""
    latest: dict[str, Piece] = {}
    for each in chain.from_iterable(readings):
        known = latest.get(each.uid)
        if known is None or (known.modified, known.body) < (each.modified, each.body):
            latest[each.uid] = each
    return sorted(each for each in latest.values() if each.body)


def within(window: Window, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Those that overlap the window; a moment without length is inside at the start, not at the end."""
    first, last = instant(window.start), instant(window.end)
    for each in pieces:
        if first <= each.first < last if each.first == each.last else each.first < last and each.last > first:
            yield each


def assemble(
    form: Form,
    feed: Feed,
    window: Window,
    zone: ZoneInfo,
    every: timedelta,
    pieces: Iterable[Piece],
    cursor: Cursor | None = None,
) -> bytes:
    """The feed's body out of its pieces. Times are shown in `zone`; `every` is how often clients are told to look.

    `cursor` stands for what the pieces were made of, for those who will ask what has changed.
    """
    first, last = window.start.astimezone(zone), window.end.astimezone(zone)
    bodies = [each.body for each in pieces]
    if form in CALENDARS:
        name = spoken(form, feed.policies).colour
        colour = (name, COLOURS[name]) if name else None
        told_in = shown_in(form, feed.policies, zone)
        stream = join(Cover(feed.title, told_in, every, first.year, last.year, colour), bodies)
        return jcal(stream) if form is Form.JCAL else stream
    if form is Form.LEARNINGSPACE:
        return b'{"events":[%b]}\n' % b",".join(bodies)
    head = {
        "version": VERSION,
        "title": one_line(feed.title),
        "zone": zone.key,
        "window": {"start": first.isoformat(), "end": last.isoformat()},
        **({"cursor": str(cursor)} if cursor else {}),
    }
    return b'%b,"events":[%b]}\n' % (_json(head)[:-1], b",".join(bodies))


def _order(when: When, uid: str) -> str:
    """What events are sorted by: days at midnight of no zone, so that no year is too early for it."""
    start = datetime.combine(when.start, time()) if isinstance(when, AllDay) else instant(when.start)
    return start.replace(tzinfo=None).isoformat(timespec="microseconds") + uid


def _span(when: When, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if isinstance(when, AllDay):
        days = max(when.start, EARLIEST), min(when.end, LATEST)
        first, last = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
        return first, last
    return instant(when.start), instant(when.end)


def _cut(event: Event, longest: int | None) -> Event:
    if longest is None or len(event.text) <= longest:
        return event
    return replace(event, text=f"{event.text[:longest].rstrip()} …" if longest else "")


def _vevent(form: Form, told: Told, clock: Clock) -> bytes:
    item, event = told.said, worded(form, told.said.event)
    if event is not item.event:
        item = replace(item, event=event)
    return piece(item, clock, extra(form, event, item.free))


def _object(told: Told, clock: Clock) -> bytes:
    item, event = told.said, told.said.event
    return _json(
        {
            "uid": item.uid,
            "title": clean(event.title),
            "all_day": isinstance(event.when, AllDay),
            **_when(event.when, clock),
            "text": clean(event.text),
            "place": clean(event.place),
            "categories": [name for category in event.categories if (name := clean(category))],
            "url": clean_url(event.url),
            "status": event.status.value,
            "modified": _moment(item.modified.astimezone(UTC)),
            "sequence": item.sequence,
        }
    )


def _booking(told: Told, _: Clock) -> bytes:
    """As LearningSpace's public sample has it; end, id, status and change under names that its readers look for."""
    event = told.said.event
    rooms = told.rooms or ([event.place] if event.place else [])
    return _json(
        {
            "isRecurringSeries": False,
            "isPartOfRecurringSeries": False,
            "activity": {"color": "", "title": clean(event.title)},
            "eventStart": _moment(told.first),
            "eventEnd": _moment(told.last),
            "note": clean(event.text) or None,
            "rooms": [{"location": None, "name": clean(room)} for room in rooms],
            "id": told.said.uid,
            "status": event.status.value,
            "lastModified": _moment(told.said.modified.astimezone(UTC)),
        }
    )


_WRITERS: Mapping[Form, Callable[[Told, Clock], bytes]] = {
    **{form: partial(_vevent, form) for form in CALENDARS},
    Form.JSON: _object,
    Form.LEARNINGSPACE: _booking,
}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _when(when: When, clock: Clock) -> dict[str, str]:
    if isinstance(when, AllDay):
        return {"start": when.start.isoformat(), "end": when.end.isoformat()}
    return {"start": _moment(clock.local(when.start)), "end": _moment(clock.local(when.end))}


def _moment(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat().removesuffix("+00:00") + ("" if moment.utcoffset() else "Z")


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
