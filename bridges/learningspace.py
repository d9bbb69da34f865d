"""CAE LearningSpace (Elevate Healthcare): reads the bookings of a simulation centre and of each of its rooms.

What the vendor says of the External Calendar API Endpoint:

- One GET, without parameters, answers every approved event as JSON. There is nothing to write, and no sign-in.
- The path is spelt `public-calendar.json` in one of the vendor's pages and `public_calendar.json` in another.
- The list starts at 00:00 of the day of the query and ends at 23:59 of the seventh day; newer versions have a
  setting for that, 1 to 180 days. It is renewed hourly, or by the Refresh button. It holds no tombstones.
- Known members of an event: `activity.title` and `.color`, `eventStart` (UTC), `note`, `rooms[].name` and
  `.location`, `isRecurringSeries`, `isPartOfRecurringSeries`. Room names look like `Sim 1 (Sim Room)`.
- The same list exists as ICS. It is not read here: bridges know no ICS, and JSON has the rooms as a list.

What we assume, since no whole answer was ever published:

- Ends, ids, types, states and times of change are looked for under the names in `END` … `CHANGED`, and done without;
  an event without an end lasts `default_minutes`. Times without a zone are those of the centre (`zone`).
- An event is named by its id; else by a hash of title, start and rooms, which `recognise` mends when it moved.
- Days begin at midnight in `zone`. What a list of `window_days` leaves out after its last event may lie beyond what
  the site publishes, so nothing is said about it unless `empty_tail` is set.
- A site whose toggle is off answers 404 or 403. A proxy in front may want Basic credentials or a header of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from requests.auth import HTTPBasicAuth

from bridges.contract import Part, Tools
from bridges.errors import BridgeError, Denied, Gone, Rejected, Transient
from bridges.http import Answer, Conditions, Limits, LmsHttp
from bridges.model import Calendar, CalendarRef, Event, Found, Kind, RemoteRef, Status, Timed, Window, instant
from bridges.settings import ZoneName, secured
from bridges.text import UNTITLED, cleaned, on_one_line

if TYPE_CHECKING:
    import requests

HYPHEN = "/w/api/v2/public-calendar.json"
UNDERSCORE = "/w/api/v2/public_calendar.json"
SPELLINGS = {HYPHEN: UNDERSCORE, UNDERSCORE: HYPHEN}

START = ("eventStart", "start", "startDate", "startTime", "begin")
END = ("eventEnd", "end", "endDate", "endTime")
TITLE = ("activity.title", "title", "name", "eventName")
NOTE = ("note", "description", "notes")
ROOMS = ("rooms", "room", "location")
ID = ("id", "eventId", "uid", "uuid")
TYPE = ("type", "eventType", "activity.type")
STATUS = ("status", "state")
CHANGED = ("lastModified", "modified", "updatedAt", "updated")
COLOUR = ("activity.color", "color")
SERIES = ("isPartOfRecurringSeries", "isRecurringSeries", "recurringSeriesId")
READ = frozenset(
    name.partition(".")[0]
    for names in (START, END, TITLE, NOTE, ROOMS, ID, TYPE, STATUS, CHANGED, COLOUR, SERIES, ("duration",))
    for name in names
)

RESTS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""How long a site is left alone after its first, second … failure."""

STATES = {
    "cancelled": Status.CANCELLED,
    "canceled": Status.CANCELLED,
    "tentative": Status.TENTATIVE,
    "pending": Status.TENTATIVE,
    "requested": Status.TENTATIVE,
}

log = logging.getLogger(__name__)


class LearningSpaceSettings(BaseModel):
    """One simulation centre, as the configuration names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="JSON link copied from System Manager, or the site alone: https://sim.example.edu")
    zone: ZoneName = Field(description="Time zone of the centre (IANA): its days begin at midnight there")
    rooms: tuple[str, ...] = Field(
        (), description="Rooms that exist even while nothing is booked in them, as LearningSpace names them"
    )
    window_days: int = Field(
        7, ge=1, le=180, description="Days that the site publishes, today included (System Manager, General)"
    )
    empty_tail: bool = Field(
        False, description="Take the days after the last event listed, up to window_days, as really empty"
    )
    renewal_minutes: int = Field(60, ge=0, le=1440, description="Greatest age of the list that the site publishes")
    keep_minutes: float = Field(
        10, ge=0, le=1440, description="How long one reading serves all rooms before the site is asked again"
    )
    default_minutes: int = Field(60, ge=0, le=1440, description="Length given to events that have no end")
    user: str = Field("", description="User name for a proxy in front of the site that wants Basic credentials")
    password: SecretStr = Field(SecretStr(""), description="Password that belongs to the user")
    header: str = Field(
        "", pattern=r"^[A-Za-z0-9-]*$", description="Name of a header that a proxy in front of the site wants"
    )
    header_value: SecretStr = Field(SecretStr(""), description="Value of that header")
    connect_seconds: float = Field(10, gt=0, le=120, description="Longest wait for a connection")
    read_seconds: float = Field(30, gt=0, le=300, description="Longest silence within an answer")
    total_seconds: float = Field(60, gt=0, le=900, description="Longest time for one reading with its retries")
    tries: int = Field(3, ge=1, le=10, description="How often a reading is tried")
    backoff_seconds: float = Field(0.5, ge=0, le=60, description="First pause before another try; it doubles")
    megabytes: int = Field(20, ge=1, le=500, description="Largest list that is read")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        url = url if "://" in url else f"https://{url}"
        parts = secured(url)
        if not parts.hostname or parts.username is not None:
            raise ValueError("names no site; write it as in https://sim.example.edu")
        if parts.path.endswith(".ics"):
            raise ValueError("is the ICS link; copy the JSON link from System Manager")
        return url.rstrip("/")

    @field_validator("header_value")
    @classmethod
    def _one_line(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.isascii() or (text and not text.isprintable()):
            raise ValueError("has to be one line of plain ASCII")
        return value

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        if bool(self.header) != bool(self.header_value.get_secret_value()):
            raise ValueError("header and header_value go together")
        return self

    @property
    def site(self) -> str:
        """Scheme and host."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def paths(self) -> list[str]:
        """Where the list may be, the likeliest first: the pasted link and its other spelling."""
        parts = urlsplit(self.url)
        if not parts.path:
            return [HYPHEN, UNDERSCORE]
        query = f"?{parts.query}" if parts.query else ""
        spellings = [parts.path, *filter(None, [SPELLINGS.get(parts.path)])]
        return [f"{path}{query}" for path in spellings]

    @property
    def limits(self) -> Limits:
        return Limits(
            connect=self.connect_seconds,
            read=self.read_seconds,
            total=self.total_seconds,
            tries=self.tries,
            backoff=self.backoff_seconds,
            body=self.megabytes * 2**20,
        )


@dataclass(frozen=True, slots=True)
class Booking:
    """An event of the list, and the full names of its rooms."""

    found: Found
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """The list as it was read; `asked` says when (aware)."""

    bookings: tuple[Booking, ...]
    asked: datetime

    @property
    def rooms(self) -> set[str]:
        return {room for booking in self.bookings for room in booking.rooms}


class _NoList(Denied):
    """There is no list at this address, or none for us."""


class _Entry:
    """Signs calls for a proxy in front of the site."""

    def __init__(self, settings: LearningSpaceSettings) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._settings.user:
            HTTPBasicAuth(self._settings.user, self._settings.password.get_secret_value())(request)
        if self._settings.header:
            request.headers[self._settings.header] = self._settings.header_value.get_secret_value()
        return request

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        return False


class _Site(LmsHttp):
    """HTTP to a site where nothing but its list is asked for: what it refuses, only a person can change."""

    def _error(self, answer: Answer) -> BridgeError:
        if answer.status in (403, 404, 410):
            return _NoList(
                f"{self.host} answers {answer.status} where its calendar should be: the API endpoint is disabled in "
                "System Manager, our address is not let in, or the link is wrong.",
                raw=answer.raw,
            )
        error = super()._error(answer)
        return Denied(str(error), raw=error.raw) if isinstance(error, Rejected) else error

    def _page(self, answer: Answer) -> BridgeError:
        error = super()._page(answer)
        error.args = (f"{self.host} shows a web page where its calendar should be: the list is not public.",)
        return error


class LearningSpaceBridge:
    """Source for one simulation centre.

    Calendars are `institution` (everything) and `room/<name>`, where the name is the full one (`Sim 1 (Sim Room)`) or
    the part before its last ` (`. An event in three rooms stands in three calendars, under one RemoteRef: `id/<id>`,
    or `derived/<hash>` where the site gives no ids. `Found.extra` may hold `rooms` (one name per line), `colour` (a
    name), `series` and `end_assumed` ("yes"), and `raw` (JSON of the members that nobody here knows).

    One HTTP reading serves every room for `keep_minutes`; then a conditional one is made.
    """

    Settings = LearningSpaceSettings

    def __init__(self, name: str, settings: LearningSpaceSettings, tools: Tools) -> None:
        self._name = name
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._now = tools.now
        self._conditions: Conditions = {}
        self._http = _Site(settings.site, tools, auth=_Entry(settings), limits=settings.limits)
        self._paths = settings.paths
        self._lock = threading.Lock()
        self._listing: Listing | None = None
        self._failure: BridgeError | None = None
        self._failures = 0
        self._resting_until = tools.now()
        self._seen: set[str] = {on_one_line(room) for room in settings.rooms}

    def __repr__(self) -> str:
        return f"LearningSpaceBridge({self._name!r}, {self._settings.site!r})"

    def calendars(self) -> list[Calendar]:
        """The centre as a whole, then the rooms that were configured or seen since the start, by name."""
        self._current()
        centre = Calendar(CalendarRef(self._name, Kind.INSTITUTION), f"All rooms at {self._http.host}")
        return [centre, *(Calendar(CalendarRef(self._name, Kind.ROOM, room), room) for room in sorted(self._seen))]

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        """What the list holds of the window; see `read_part` for what its silence means. Gone for an unknown room."""
        return list(self.read_part(calendar, window).found)

    def read_part(self, calendar: CalendarRef, window: Window) -> Part:
        """The same, with the part of the window that the reading speaks for."""
        bookings, spoken = self._of(calendar, self._current())
        found = [each.found for each in bookings if window.overlaps(each.found.event.when)]
        return Part(_sorted(found), _common(window, spoken))

    def recognise(self, before: Iterable[Found], now: Iterable[Found]) -> list[Found]:
        """The reading `now` of a calendar, under the refs that its events had in the reading `before` (as kept).

        Pure. A site without ids names an event by its start, so that one that moved looks like another. An event of
        equal title, rooms and start keeps its ref; then one of equal title and rooms on the same day does.
        """
        known = {each.ref: each for each in before}
        kept: list[Found] = []
        strange: list[Found] = []
        for each in now:
            by_id = each.ref in known and not each.ref.startswith("derived/")
            (kept if by_id else strange).append(each)
        for item in kept:
            known.pop(item.ref, None)
        for likeness in (self._same_start, self._same_day):
            strange = _adopt(strange, known, kept, likeness)
        return _sorted([*kept, *_renamed(strange, {each.ref for each in kept})])

    def _same_start(self, found: Found) -> tuple[object, ...]:
        return found.event.title, found.event.place, found.event.when

    def _same_day(self, found: Found) -> tuple[object, ...]:
        return found.event.title, found.event.place, _timed(found).start.astimezone(self._zone).date()

    def _of(self, calendar: CalendarRef, listing: Listing) -> tuple[Sequence[Booking], Window | None]:
        spoken = self._spoken(listing)
        match calendar.kind:
            case Kind.INSTITUTION:
                return listing.bookings, spoken
            case Kind.ROOM:
                rooms = self._rooms(calendar.id)
                return [each for each in listing.bookings if rooms.intersection(each.rooms)], spoken
            case _:
                raise Denied(f"LearningSpace has rooms and an institution's calendar, but no '{calendar.kind}'.")

    def _rooms(self, id: str) -> set[str]:
        """The full names that a calendar's id stands for. Gone where no room was seen under it."""
        rooms = {id} & self._seen or {room for room in self._seen if _short(room) == id}
        if not rooms:
            raise Gone(f"{self._http.host} lists no room '{id}' now; name it under `rooms` if there is one.")
        return rooms

    def _spoken(self, listing: Listing) -> Window | None:
        """From 00:00 of the day that the list was asked for to the end of what it surely covers."""
        today = _day(listing.asked, self._zone)
        made = _day(listing.asked - timedelta(minutes=self._settings.renewal_minutes), self._zone)
        end = made + timedelta(days=self._settings.window_days)
        if not self._settings.empty_tail:
            listed = [_day(_timed(each.found).start, self._zone) + timedelta(days=1) for each in listing.bookings]
            end = min(end, max(listed, default=today))
        return Window(self._midnight(today), self._midnight(end)) if today < end else None

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone)

    def _current(self) -> Listing:
        """The list as read within `keep_minutes`; one thread asks, the others wait for its answer."""
        with self._lock:
            now = self._now()
            listing = self._listing
            if listing is None or now - listing.asked >= timedelta(minutes=self._settings.keep_minutes):
                self._wait_after_failures(now)
                listing = self._listing = self._renewed(listing, now)
                self._seen |= listing.rooms
            return listing

    def _wait_after_failures(self, now: datetime) -> None:
        """A site that failed is left alone for a while, and every room says what it said."""
        if self._failure is not None and now < self._resting_until:
            left = (self._resting_until - now).total_seconds()
            if isinstance(self._failure, Transient):
                raise Transient(str(self._failure), retry_after=left, raw=self._failure.raw)
            raise Denied(str(self._failure), raw=self._failure.raw)

    def _note_failure(self, error: BridgeError, now: datetime) -> None:
        self._failure = error
        self._failures += 1
        # a person who has just put something right should not wait for an hour to see it
        step = min(self._failures, len(RESTS)) - 1 if isinstance(error, Transient) else 0
        self._resting_until = now + RESTS[step]

    def _renewed(self, known: Listing | None, now: datetime) -> Listing:
        try:
            listing = self._asked(known, now)
        except BridgeError as error:
            self._note_failure(error, now)
            raise
        self._failure, self._failures = None, 0
        return listing

    def _asked(self, known: Listing | None, now: datetime) -> Listing:
        changed = self._changed()
        if changed is None:
            if known is None:
                raise Transient(f"{self._http.host} says that nothing changed, but nothing was read yet.")
            return replace(known, asked=now)
        document, conditions = changed
        listing = Listing(tuple(_bookings(document, self._settings, self._http.host)), now)
        # only a list that was understood may be answered with "unchanged" the next time
        self._conditions = conditions
        return listing

    def _changed(self) -> tuple[Any, Conditions] | None:
        """The decoded list, from the first address that has one; that address is asked first from now on."""
        missing = None
        for path in list(self._paths):
            try:
                changed = self._http.get_changed(path, self._conditions)
            except _NoList as error:
                missing = error
                self._conditions = {}  # a validator belongs to one address
                continue
            self._paths.sort(key=lambda each: each != path)
            return changed
        assert missing is not None, "there is an address"
        raise missing


def _adopt(strange: Sequence[Found], known: dict[RemoteRef, Found], kept: list[Found], likeness: Any) -> list[Found]:
    """Give the refs of known events to strange ones that are like them, each once; returns the others."""
    refs: dict[object, list[RemoteRef]] = {}
    for item in _sorted(known.values()):
        refs.setdefault(likeness(item), []).append(item.ref)
    left = []
    for item in _sorted(strange):
        if alike := refs.get(likeness(item)):
            ref = item.ref if item.ref in alike else alike[0]
            alike.remove(ref)
            del known[ref]
            kept.append(replace(item, ref=ref))
        else:
            left.append(item)
    return left


def _renamed(strange: Iterable[Found], taken: set[RemoteRef]) -> Iterator[Found]:
    """New events; one whose derived name still belongs to an event that moved away gets a name beside it."""
    for item in strange:
        ref = _free(item.ref, taken)
        taken.add(ref)
        yield replace(item, ref=ref)


def _free(ref: RemoteRef, taken: set[RemoteRef]) -> RemoteRef:
    number, free = 1, ref
    while free in taken:
        number += 1
        free = RemoteRef(f"{ref}#{number}")
    return free


def _sorted(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda each: (instant(_timed(each).start), each.ref))


def _timed(found: Found) -> Timed:
    assert isinstance(found.event.when, Timed), "every event of this bridge has times"
    return found.event.when


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def _common(asked: Window, spoken: Window | None) -> Window | None:
    """What both windows cover, in the zone of the one that was asked for."""
    if spoken is None:
        return None
    zone = asked.start.tzinfo
    start = max(instant(asked.start), instant(spoken.start)).astimezone(zone)
    end = min(instant(asked.end), instant(spoken.end)).astimezone(zone)
    return Window(start, end) if instant(start) < instant(end) else None


def _short(room: str) -> str:
    """`Sim 1 (Sim Room)` without its type."""
    return room.rpartition(" (")[0] or room


def _bookings(document: Any, settings: LearningSpaceSettings, host: str) -> Iterator[Booking]:
    """The events of a document, under unique refs. Transient where it is no list of events that we can read."""
    items = document.get("events") if isinstance(document, dict) else document
    if not isinstance(items, list):
        raise Transient(f"{host} sent something else than a list of events.", raw=repr(document)[:1000])
    read = [(item, booking) for item in items if (booking := _booking(item, settings)) is not None]
    if items and not read:
        raise Transient(f"{host} sent {len(items)} events, none of which can be read.", raw=repr(items[0])[:1000])
    titles = {booking.found.event.title for item, booking in read if item.get("isPartOfRecurringSeries") is True}
    shared = Counter(booking.found.ref for _, booking in read)
    taken: set[RemoteRef] = set()
    for item, booking in read:
        if _is_header(item) and booking.found.event.title in titles:
            continue
        found = booking.found
        if shared[found.ref] > 1 and found.ref.startswith("id/"):
            found = replace(found, ref=RemoteRef(f"{found.ref}@{instant(_timed(found).start):%Y%m%dT%H%M%SZ}"))
        found = replace(found, ref=_free(found.ref, taken))
        taken.add(found.ref)
        yield replace(booking, found=found)


def _is_header(item: Mapping[str, Any]) -> bool:
    """The description of a series rather than one of its events, provided that those are listed too."""
    return item.get("isRecurringSeries") is True and item.get("isPartOfRecurringSeries") is not True


def _booking(item: Any, settings: LearningSpaceSettings) -> Booking | None:
    """One event of the document, tolerantly read; None, and a warning, for one that has no place in time."""
    try:
        if not isinstance(item, dict):
            raise ValueError(f"{item!r:.100} is no object")
        return _read_booking(item, settings)
    except (ValueError, TypeError, OverflowError) as error:
        log.warning("left out a LearningSpace event that cannot be read: %s", error)
        return None


def _read_booking(item: Mapping[str, Any], settings: LearningSpaceSettings) -> Booking:
    zone = ZoneInfo(settings.zone)
    start = _moment(_first(item, START), zone)
    end, assumed = _end(item, start, settings)
    rooms = _room_names(_first(item, ROOMS))
    event = Event(
        title=on_one_line(_text(_first(item, TITLE))) or UNTITLED,
        when=Timed(start, end),
        text=cleaned(_text(_first(item, NOTE))),
        place=", ".join(rooms),
        status=STATES.get(on_one_line(_text(_first(item, STATUS))).lower(), Status.CONFIRMED),
    )
    extra = {
        "rooms": "\n".join(rooms),
        "colour": on_one_line(_text(_first(item, COLOUR))),
        "series": "yes" if any(item.get(name) for name in SERIES) else "",
        "end_assumed": "yes" if assumed else "",
        "raw": _raw(item),
    }
    found = Found(
        ref=_ref(on_one_line(_text(_first(item, ID))), event, rooms),
        event=event,
        writable=False,
        modified=_changed(item, zone),
        kind=on_one_line(_text(_first(item, TYPE))),
        extra={name: value for name, value in extra.items() if value},
    )
    return Booking(found, rooms)


def _first(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first member that is there and says something; a dot leads into an object."""
    for name in names:
        outer, _, inner = name.partition(".")
        value = item.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if value is not None and value not in ("", []):
            return value
    return None


def _text(value: Any) -> str:
    """Text, or a number as text; ValueError for anything else."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (int, float)):
        return str(value)
    raise ValueError(f"{value!r:.100} is no text")


def _moment(value: Any, zone: ZoneInfo) -> datetime:
    """An instant, shown in the centre's zone; ValueError for what is none."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.100} is no time")
    moment = datetime.fromisoformat(value.strip())
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _end(item: Mapping[str, Any], start: datetime, settings: LearningSpaceSettings) -> tuple[datetime, bool]:
    """The end, and whether we made it up. Minutes pass in real time, also over a change of the clocks."""
    told = _first(item, END)
    if told is not None:
        end = _moment(told, ZoneInfo(settings.zone))
        if instant(end) >= instant(start):
            return end, False
    minutes = _first(item, ("duration",)) if told is None else None
    length = timedelta(minutes=settings.default_minutes if minutes is None else max(0.0, float(minutes)))
    return (instant(start) + length).astimezone(start.tzinfo), minutes is None


def _room_names(value: Any) -> tuple[str, ...]:
    """From a list of objects or names, or from a single one; each name once, in the document's order."""
    rooms = value if isinstance(value, list) else [value]
    names = (on_one_line(_text(room.get("name") if isinstance(room, dict) else room)) for room in rooms)
    return tuple(dict.fromkeys(name for name in names if name))


def _changed(item: Mapping[str, Any], zone: ZoneInfo) -> datetime | None:
    try:
        return _moment(_first(item, CHANGED), zone)
    except (ValueError, OverflowError):
        return None


def _ref(id: str, event: Event, rooms: Iterable[str]) -> RemoteRef:
    if id:
        return RemoteRef(f"id/{id}")
    assert isinstance(event.when, Timed)
    likeness = "|".join([event.title, instant(event.when.start).isoformat(), *sorted(rooms)])
    return RemoteRef(f"derived/{hashlib.sha256(likeness.encode()).hexdigest()[:32]}")


def _raw(item: Mapping[str, Any]) -> str:
    unknown = {name: value for name, value in item.items() if name not in READ}
    return json.dumps(unknown, ensure_ascii=True, sort_keys=True) if unknown else ""
