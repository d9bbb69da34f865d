"""Blackboard Learn (Anthology): reads and writes the calendars of courses and of the institution.

The facts of the public REST API that this module relies on:

- A registered application signs in on its own (two-legged OAuth). Its token lives an hour; asking again gives the
  same one. The Learn user that the site's administrator chose for it supplies every right.
- Without a user's own sign-in (three-legged OAuth) personal calendars are closed, and a listing must name its course
  or type=Institution, or it would dump the site. It covers 16 weeks at most, both ends included.
- `courseId` takes the primary id alone (`_12594_1`); other names are looked up first.
- There is no all-day flag, no field for a link, a category or a status; times are UTC with milliseconds, and an item
  ends after it starts. A title holds 255 letters (of UTF-16, as Java counts), a location 1024.
- A series comes as its single items. A change with updateSeries=false is for one item and may carry no `recurrence`.
- `GradebookColumn` items are due dates: they move in the Grade Center alone, and are never written here.
- There is no key of ours on an item, no ETag and no change feed: absence in a whole reading means deleted. Pages go
  by offset, so what is deleted while a long list is read can hide a neighbour from that one reading.
- A calendar that is switched off may answer 404 or nothing at all; the latter looks like an empty one.
"""

from __future__ import annotations

import base64
import logging
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bridges.contract import SinkRules, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.http import Forbidden, Limits, LmsHttp
from bridges.model import (
    AllDay,
    Calendar,
    CalendarRef,
    Event,
    Found,
    Kind,
    RemoteRef,
    Status,
    SyncKey,
    Timed,
    When,
    Window,
    instant,
)

if TYPE_CHECKING:
    import requests

API = "/learn/api/public/v1"
COURSES = "/learn/api/public/v3/courses"
TITLE = 255
LOCATION = 1024
UNTITLED = "(untitled)"
TICK = timedelta(milliseconds=1)
LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger(__name__)


class BlackboardSettings(BaseModel):
    """One Learn site, as the configuration names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Address of the site, https only, without a path: https://learn.example.edu")
    key: str = Field(min_length=1, description="Application key from developer.anthology.com")
    secret: SecretStr = Field(min_length=1, description="Application secret that belongs to the key")
    zone: str = Field(description="Time zone of the site (IANA); all-day events are written as its midnights")
    page_size: int = Field(200, ge=1, le=1000, description="Items asked for per page; a site may send fewer")
    span_weeks: int = Field(16, ge=1, le=16, description="Longest time asked for in one call; Learn permits 16 weeks")
    margin_hours: int = Field(
        24, ge=0, le=336, description="Time read before and after a window, where it costs no further call"
    )
    deadline_minutes: int = Field(
        1, ge=1, le=60, description="Length given to events without one; Learn wants an end after the start"
    )
    cancelled_prefix: str = Field(
        "Cancelled: ", max_length=50, description="Put before the title of a cancelled event; Learn keeps no status"
    )
    office_hours_recurrence: bool = Field(
        True, description="Write office hours as a series of one; Learn's documents ask for a recurrence there"
    )
    renew_seconds: int = Field(60, ge=0, le=1800, description="A token is fetched anew so long before it ends")
    concurrency: int = Field(1, ge=1, le=16, description="Calls under way at a time from one process; 1 is advised")
    connect_seconds: float = Field(10, gt=0, le=120, description="Longest wait for a connection")
    read_seconds: float = Field(30, gt=0, le=300, description="Longest silence within an answer")
    total_seconds: float = Field(90, gt=0, le=900, description="Longest time for one call with its retries")
    tries: int = Field(3, ge=1, le=10, description="How often a read is tried; writes are sent once")
    backoff_seconds: float = Field(0.5, ge=0, le=60, description="First pause before a read is tried again; it doubles")
    patience_seconds: float = Field(
        10, ge=0, le=300, description="Longest pause within a call; for longer ones the work is put off"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("has to begin with https://")
        if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("is scheme and host alone, as in https://learn.example.edu")
        return url.rstrip("/")

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{zone}' is no IANA time zone; write one like America/New_York") from None
        return zone

    @property
    def limits(self) -> Limits:
        return Limits(
            connect=self.connect_seconds,
            read=self.read_seconds,
            total=self.total_seconds,
            tries=self.tries,
            backoff=self.backoff_seconds,
            patience=self.patience_seconds,
            turns=self.concurrency,
        )


class ClientCredentials:
    """Signs calls with the application's token: one for all threads, fetched when needed, renewed once after a 401."""

    def __init__(self, settings: BlackboardSettings, tools: Tools) -> None:
        self._settings = settings
        self._now = tools.now
        self._http = LmsHttp(settings.url, tools, limits=settings.limits)
        self._lock = threading.Lock()
        self._token = ""
        self._until = datetime.min.replace(tzinfo=UTC)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        return request

    def renew(self, request: requests.PreparedRequest) -> bool:
        """Forget the token that was refused, unless another thread has replaced it meanwhile."""
        with self._lock:
            if request.headers.get("Authorization") == f"Bearer {self._token}":
                self._token = ""
        return True

    def _current(self) -> str:
        with self._lock:
            if not self._token or self._now() >= self._until:
                self._token, lifetime = self._fetch()
                self._until = self._now() + lifetime - self._early(lifetime)
            return self._token

    def _early(self, lifetime: timedelta) -> timedelta:
        """How long before its end a token counts as old: a token handed out again may have seconds left."""
        return min(timedelta(seconds=self._settings.renew_seconds), lifetime / 2)

    def _fetch(self) -> tuple[str, timedelta]:
        pair = f"{self._settings.key}:{self._settings.secret.get_secret_value()}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        answer = self._http.form(f"{API}/oauth2/token", {"grant_type": "client_credentials"}, basic)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Transient(f"{self._http.host} answered our sign-in without a token.")
        lifetime = answer.get("expires_in")
        return token, timedelta(seconds=max(0, lifetime) if isinstance(lifetime, int) else 0)


class BlackboardBridge:
    """Source and sink for one Learn site, signed in as an application.

    Calendars are `course/_12594_1` (also by another name of the course, as in `course/courseId:BIO101`),
    `office-hours/<course>` and `institution`. A RemoteRef is `<item type>/<item id>`: `Course/_801_1`.
    """

    Settings = BlackboardSettings
    rules = SinkRules(keys_reusable=True, keeps_all_day=False, finds_by_key=False)

    def __init__(self, name: str, settings: BlackboardSettings, tools: Tools) -> None:
        self._name = name
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._margin = timedelta(hours=settings.margin_hours)
        self._http = LmsHttp(settings.url, tools, auth=ClientCredentials(settings, tools), limits=settings.limits)
        self._courses: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"BlackboardBridge({self._name!r}, {self._settings.url!r})"

    def calendars(self) -> Iterator[Calendar]:
        """The institution's calendar and those of the courses that the application sees, page by page."""
        for item in self._listed(f"{API}/calendars", {"limit": self._settings.page_size}):
            ref = self._calendar_ref(item.get("id"))
            if ref is not None:
                yield Calendar(ref, _line(item.get("name")) or str(ref), writable=True)

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        """What overlaps the window, one call per 16 weeks and page. A due date counts at its minute."""
        scope = self._scope(calendar)
        found: dict[RemoteRef, Found] = {}
        for since, until in self._spans(window):
            for item in self._items(scope, since, until):
                each = self._found(item)
                if each is not None and _belongs(each, calendar) and window.overlaps(each.event.when):
                    found[each.ref] = each
        return sorted(found.values(), key=lambda each: (window.span(each.event.when)[0], each.ref))

    def check_target(self, calendar: CalendarRef) -> None:
        match calendar.kind:
            case Kind.COURSE | Kind.INSTITUTION | Kind.OFFICE_HOURS:
                return
            case Kind.PERSON:
                raise Denied(
                    "Blackboard lets nobody but the person write into a personal calendar: "
                    "send the events to the person by e-mail instead."
                )
            case _:
                raise Denied(f"Blackboard has no calendars of the kind '{calendar.kind}'.")

    def fit(self, event: Event) -> Event:
        """One line of title and place, cut to length; the link below the text; UTC milliseconds; days as midnights.

        An event without length gets `deadline_minutes` after its start. A cancelled one says so in its title.
        """
        title = _line(event.title) or UNTITLED
        prefix = _line(self._settings.cancelled_prefix)
        if event.status is Status.CANCELLED and prefix and not title.startswith(prefix):
            title = f"{prefix} {title}"
        return Event(
            title=_cut(title, TITLE),
            when=self._fit_when(event.when),
            text=_with_link(_plain(event.text), _line(event.url)),
            place=_cut(_line(event.place), LOCATION),
        )

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """POST one item; Learn knows no keys of ours."""
        self.check_target(calendar)
        body = {"type": _item_type(calendar), "calendarId": self._calendar_id(calendar)} | _filled(_body(event))
        if calendar.kind is Kind.OFFICE_HOURS and self._settings.office_hours_recurrence:
            body["recurrence"] = {"frequency": "Daily", "interval": 1, "count": 1}
        try:
            answer = self._http.write("POST", f"{API}/calendars/items", body=body)
        except (Gone, Forbidden) as error:
            raise Denied(
                f"{error} Is there such a course, is its calendar on, may the application's user create entries in it?",
                raw=error.raw,
            ) from error
        return RemoteRef(f"{body['type']}/{_required_id(answer, self._http.host)}")

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """PATCH every field of one item, the empty ones too: what is not sent would stay."""
        self._http.write("PATCH", _item_path(ref), params={"updateSeries": "false"}, body=_body(event))
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        try:
            self._http.write("DELETE", _item_path(ref), params={"deleteSeries": "false"})
        except Gone:
            return

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> list[RemoteRef]:
        """By value: the writable items around the event's start that are equal to it."""
        start = _timed(event).start
        around = self.read(calendar, Window(start, start + TICK))
        return [each.ref for each in around if each.writable and each.event == event]

    def _fit_when(self, when: When) -> Timed:
        try:
            if isinstance(when, AllDay):
                start = datetime.combine(when.start, time(), self._zone)
                end = datetime.combine(when.end, time(), self._zone)
            else:
                start, end = when.start, when.end
            if start.tzinfo is None:
                raise Rejected("The time has no zone; Blackboard holds nothing but instants.")
            start, end = _floored(start), _floored(end)
            return Timed(start, end if end > start else start + timedelta(minutes=self._settings.deadline_minutes))
        except OverflowError:
            raise Rejected("The time lies outside of the years that a calendar can hold.") from None

    def _scope(self, calendar: CalendarRef) -> dict[str, str]:
        self.check_target(calendar)
        if calendar.kind is Kind.INSTITUTION:
            return {"type": "Institution"}
        course = {"courseId": self._course(calendar.id)}
        return course | {"type": "OfficeHours"} if calendar.kind is Kind.OFFICE_HOURS else course

    def _calendar_id(self, calendar: CalendarRef) -> str:
        return "INSTITUTION" if calendar.kind is Kind.INSTITUTION else self._course(calendar.id)

    def _calendar_ref(self, id: Any) -> CalendarRef | None:
        if id == "INSTITUTION":
            return CalendarRef(self._name, Kind.INSTITUTION)
        is_course = isinstance(id, str) and id.startswith("_")
        return CalendarRef(self._name, Kind.COURSE, id) if is_course else None

    def _course(self, id: str) -> str:
        """The primary id of a course; any other name (`courseId:BIO101`) is looked up once and remembered."""
        if id.startswith("_"):
            return id
        if ":" not in id:
            raise Denied(f"'{id}' names no course: write its id (_12594_1) or courseId:BIO101, externalId:…, uuid:….")
        if id not in self._courses:
            try:
                course = self._http.get(f"{COURSES}/{quote(id, safe=':')}", {"fields": "id"})
            except Gone as error:
                raise Gone(f"There is no course '{id}' at {self._http.host}.", raw=error.raw) from error
            self._courses[id] = _required_id(course, self._http.host)
        return self._courses[id]

    def _spans(self, window: Window) -> Iterator[tuple[datetime, datetime]]:
        """The window and some margin in as few spans as the bare window needs, each within Learn's limit."""
        longest = timedelta(weeks=self._settings.span_weeks)
        start, end = _floored(window.start), _floored(window.end - TICK / 1000) + TICK
        count = -((instant(window.start) - instant(window.end)) // longest)
        spare = max(timedelta(0), min(count * longest - (end - start), 2 * self._margin))
        start, end = _moved(start, -spare / 2), _moved(end, spare / 2)
        for since in (start + n * longest for n in range(count)):
            yield since, end if end - since <= longest else since + longest

    def _items(self, scope: Mapping[str, str], since: datetime, until: datetime) -> Iterator[Mapping[str, Any]]:
        """The one place that lists items. A listing of the whole site is refused here, before it costs a call."""
        if not scope.get("courseId") and scope.get("type") != "Institution":
            raise Denied("A listing needs its course, or type=Institution: Learn would dump the whole site.")
        if not timedelta(0) < until - since <= timedelta(weeks=16):
            raise Denied("A listing covers at most 16 weeks.")
        query: dict[str, str | int] = {**scope, "since": _wire(since), "until": _wire(until)}
        query |= {"limit": self._settings.page_size, "sort": "start"}
        try:
            yield from self._listed(f"{API}/calendars/items", query)
        except Gone as error:
            raise Gone(
                f"{self._http.host} has no calendar for this course: there is no such course, or its calendar is off.",
                raw=error.raw,
            ) from error
        except Rejected as error:
            raise Denied(str(error), raw=error.raw) from error

    def _listed(self, path: str, query: Mapping[str, str | int]) -> Iterator[Mapping[str, Any]]:
        for page in self._http.pages(path, query):
            results = page.get("results")
            if not isinstance(results, list):
                raise Transient(f"{self._http.host} sent a page without a list of results.", raw=repr(page)[:1000])
            yield from (item for item in results if isinstance(item, dict))

    def _found(self, item: Mapping[str, Any]) -> Found | None:
        """An item as a value, mended where it breaks Learn's own rules; None for one that has no place in time."""
        start = _moment(item.get("start"))
        kind, id = item.get("type"), item.get("id")
        if start is None or not isinstance(kind, str) or not isinstance(id, str) or not id:
            log.warning("left out a Learn item without id, type or start: %s/%s", kind, id)
            return None
        end = _moment(item.get("end")) or start
        return Found(
            ref=RemoteRef(f"{kind}/{id}"),
            event=Event(
                title=_line(item.get("title")) or UNTITLED,
                when=Timed(start, max(start, end)),
                text=_plain(item.get("description")),
                place=_line(item.get("location")),
            ),
            writable=kind in ("Course", "Institution", "OfficeHours"),
            modified=_moment(item.get("modified")),
            kind=kind,
        )


def _item_type(calendar: CalendarRef) -> str:
    types = {Kind.COURSE: "Course", Kind.INSTITUTION: "Institution", Kind.OFFICE_HOURS: "OfficeHours"}
    return types[calendar.kind]


def _belongs(found: Found, calendar: CalendarRef) -> bool:
    """A listing by course holds its office hours too; they are a calendar of their own."""
    return (found.kind == "OfficeHours") == (calendar.kind is Kind.OFFICE_HOURS)


def _item_path(ref: RemoteRef) -> str:
    kind, _, id = ref.partition("/")
    if kind == "GradebookColumn":
        raise Rejected("This is a due date: it is moved in the Grade Center, not in the calendar.")
    return f"{API}/calendars/items/{quote(kind, safe='')}/{quote(id, safe='')}"


def _required_id(answer: Any, host: str) -> str:
    id = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(id, str) or not id:
        raise Transient(f"{host} answered without an id.", raw=repr(answer)[:1000])
    return id


def _body(event: Event) -> dict[str, Any]:
    """The fields of a fitted event as Learn names them."""
    when = _timed(event)
    return {
        "title": event.title,
        "description": event.text,
        "location": event.place,
        "start": _wire(when.start),
        "end": _wire(when.end),
    }


def _timed(event: Event) -> Timed:
    if not isinstance(event.when, Timed):
        raise Rejected("Blackboard holds no whole days: the event was not fitted.")
    return event.when


def _filled(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value != ""}


def _floored(moment: datetime) -> datetime:
    """The UTC instant without what is finer than a millisecond."""
    moment = instant(moment)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return _floored(moment + by)
    except OverflowError:
        return moment


def _wire(moment: datetime) -> str:
    return instant(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: Any) -> datetime | None:
    """A date-time as Learn writes it, in UTC; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return _floored(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _plain(text: Any) -> str:
    """Text with plain line ends and without control characters or lone surrogates."""
    if not isinstance(text, str):
        return ""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs")).strip()


def _line(text: Any) -> str:
    return " ".join(_plain(text).split())


def _with_link(text: str, url: str) -> str:
    """The text with its link below it; Learn has no field for one."""
    return text if not url or url in text.split() else f"{text}\n\n{url}".strip()


def _cut(text: str, limit: int) -> str:
    """At most so many UTF-16 letters; a longer text ends in an ellipsis after a whole character as people see it."""
    if len(text) <= limit and _letters(text) <= limit:
        return text
    end = min(limit, len(text) - 1)
    while end and (_letters(text[:end]) > limit - 1 or _joins(text, end)):
        end -= 1
    return f"{text[:end].rstrip()}…"


def _letters(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _joins(text: str, border: int) -> bool:
    """Whether the characters on both sides of a border make one: accents, joined emoji, skin tones, flags."""
    before, after = text[border - 1], text[border]
    if unicodedata.combining(after) or after in "\u200d\ufe0f\u20e3" or before == "\u200d":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    flags = len(text[:border]) - len(text[:border].rstrip(_FLAG_LETTERS))
    return after in _FLAG_LETTERS and flags % 2 == 1


_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
