"""A LearningSpace site: its public calendar as JSON and ICS, renewed hourly, with the switches of a bad day.

`FakeLearningSpace()` is a WSGI app. Tests hold its state in hand: `add`, `events`, `now`, the switches below, `calls`.
Over HTTP, POST /_fake/refresh plays the Refresh button.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Request, Response

from tests.fakes.wsgi import hang_up

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BASE = "/w/api/v2"
LOGIN_PAGE = b"<!DOCTYPE html><title>Log in</title><form><input type='password' name='password'></form>"
BUSY_PAGE = b"<!DOCTYPE html><title>Maintenance</title><p>We will be back soon."
OPENAPI = b"""# Made for tests: our own description of what the fake serves, not the vendor's.
openapi: 3.0.3
info: {title: Public calendar (fake), version: "1"}
paths:
  /w/api/v2/public-calendar.json:
    get: {responses: {"200": {description: every approved event of the window}}}
"""

Json = dict[str, Any]


@dataclass
class Room:
    name: str
    location: str | None = None


@dataclass
class Booked:
    """An event as the centre's staff see it; times are aware."""

    title: str
    start: datetime
    end: datetime
    rooms: list[Room] = field(default_factory=list)
    note: str | None = None
    colour: str = "azure"
    approved: bool = True
    in_series: bool = False
    is_series: bool = False
    status: str = "approved"
    number: int = 0
    changed: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    more: Json = field(default_factory=dict)
    """Members that are laid over the event's own in every profile."""


@dataclass
class FakeLearningSpace:
    """The site. Its switches:

    profile       sample (the published members alone), full (with ends), rich (with id, status, lastModified and
                  unknown members), odd (as full, but offsets, null notes, no rooms, blank titles, each event twice)
    spellings     which of `public-calendar` and `public_calendar` exist
    enabled       the toggle in System Manager; `off_status` is what a disabled endpoint answers
    blocked       403 for everybody; `page` answers these bytes as an HTML page with 200; `down` answers this status
    body          answered instead of the document; `cut` answers half of it; `lost` hangs up
    etag, dated   whether validators are given; `stable_uids` is for the ICS
    ticking       `now` follows the real clock
    """

    now: datetime = datetime(2025, 3, 10, 6, tzinfo=UTC)
    zone: str = "America/New_York"
    window_days: int = 7
    profile: str = "full"
    spellings: tuple[str, ...] = ("public-calendar", "public_calendar")
    enabled: bool = True
    off_status: int = 404
    blocked: bool = False
    page: bytes = b""
    down: int = 0
    body: bytes = b""
    cut: bool = False
    lost: bool = False
    etag: bool = True
    dated: bool = True
    stable_uids: bool = True
    ticking: bool = False
    events: list[Booked] = field(default_factory=list)
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)
    """The headers of every request."""

    def __post_init__(self) -> None:
        self.refresh()

    @classmethod
    def busy(cls) -> Self:
        """A site in the present, with a session in either room on each day of the week to come."""
        now = datetime.now(UTC)
        site = cls(now=now, ticking=True)
        for day in range(7):
            start = datetime.combine(now.date() + timedelta(days=day), time(9), ZoneInfo(site.zone))
            for room, title in (("Sim 1 (Sim Room)", "Resuscitation"), ("Exam 2 (Exam Room)", "OSCE: history taking")):
                site.add(title, start, start + timedelta(hours=2), [room])
        site.refresh()
        return site

    def connection(self, url: str) -> str:
        """The table of the configuration that reads this site, served at `url`."""
        return f'[lms.sim]\nbridge = "learningspace"\nurl = "{url}"\nzone = "{self.zone}"\n'

    def add(self, title: str, start: datetime, end: datetime, rooms: Iterable[str] = (), **more: Any) -> Booked:
        """Book an event; it is published at the next renewal."""
        named = [Room(name) for name in rooms]
        booked = Booked(title, start, end, named, number=4711 + len(self.events), **more)
        self.events.append(booked)
        return booked

    def refresh(self) -> None:
        """The Refresh button: publish what stands in the centre's calendar now."""
        self._made = self.now
        self._published = [
            each for each in self.events if each.approved and self._first <= each.start and each.end < self._last
        ]
        self._json = json.dumps({"events": self._members()}).encode()
        self._ics = self._calendar().encode()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if self.ticking:
            self.now = datetime.now(UTC)
        if self.now - self._made >= timedelta(hours=1):
            self.refresh()
        self.heard.append(dict(request.headers.items()))
        response = self._answer(request)
        self.calls.append((request.method, request.path, response.status_code))
        if self.lost:
            hang_up(environ)
        return response(environ, start_response)

    @property
    def _first(self) -> datetime:
        zone = ZoneInfo(self.zone)
        return datetime.combine(self.now.astimezone(zone).date(), time(), zone)

    @property
    def _last(self) -> datetime:
        return datetime.combine(self._first.date() + timedelta(days=self.window_days), time(), ZoneInfo(self.zone))

    def _answer(self, request: Request) -> Response:
        if request.path == "/_fake/refresh":
            self.refresh()
            return Response(status=204)
        if self.down:
            return Response("out of order", self.down)
        if self.blocked:
            return Response("Forbidden", 403)
        if self.page:
            return Response(self.page, mimetype="text/html")
        if request.method not in ("GET", "HEAD"):
            return Response("Method Not Allowed", 405, {"Allow": "GET, HEAD"})
        return self._file(request)

    def _file(self, request: Request) -> Response:
        name, _, kind = request.path.removeprefix(f"{BASE}/").partition(".")
        if (name, kind) == ("openapi", "yml"):
            return Response(OPENAPI, mimetype="application/yaml")
        if name not in self.spellings or kind not in ("json", "ics"):
            return Response("<h1>Not Found</h1>", 404, mimetype="text/html")
        if not self.enabled:
            return Response("", self.off_status)
        if kind == "ics":
            return self._conditional(request, Response(self._ics, content_type="text/calendar; charset=utf-8"))
        body = self.body or self._json
        body = body[: len(body) // 2] if self.cut else body
        return self._conditional(request, Response(body, content_type="application/json; charset=utf-8"))

    def _conditional(self, request: Request, response: Response) -> Response:
        if self.etag:
            response.set_etag(hashlib.sha256(response.data).hexdigest()[:16])
        if self.dated:
            response.headers["Last-Modified"] = format_datetime(self._made.astimezone(UTC), usegmt=True)
        return response.make_conditional(request) if self.etag or self.dated else response

    def _members(self) -> list[Json]:
        shape: Callable[[Booked], Json] = getattr(self, f"_{self.profile}")
        copies = 2 if self.profile == "odd" else 1
        return [shape(each) | each.more for each in self._published for _ in range(copies)]

    def _sample(self, event: Booked) -> Json:
        return {
            "isRecurringSeries": event.is_series,
            "isPartOfRecurringSeries": event.in_series,
            "activity": {"color": event.colour, "title": event.title},
            "eventStart": _utc(event.start),
            "note": event.note,
            "rooms": [{"location": room.location, "name": room.name} for room in event.rooms],
        }

    def _full(self, event: Booked) -> Json:
        return self._sample(event) | {"eventEnd": _utc(event.end)}

    def _rich(self, event: Booked) -> Json:
        return self._full(event) | {
            "id": event.number,
            "status": event.status,
            "lastModified": _utc(event.changed),
            "eventType": "Session",
            "participants": {"expected": 12},
        }

    def _odd(self, event: Booked) -> Json:
        members = self._full(event) | {"activity": {"color": None, "title": "  "}, "note": None}
        members["eventStart"] = event.start.astimezone(ZoneInfo(self.zone)).isoformat()
        del members["rooms"]
        return members

    def _calendar(self) -> str:
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//LearningSpace//Public Calendar//EN", "METHOD:PUBLISH"]
        for event in self._published:
            uid = f"ls-{event.number}" if self.stable_uids else uuid4().hex
            rooms = "\\, ".join(room.name for room in event.rooms)
            lines += ["BEGIN:VEVENT", f"UID:{uid}@learningspace.example.edu", f"DTSTAMP:{_basic(self._made)}"]
            lines += [f"DTSTART:{_basic(event.start)}", f"DTEND:{_basic(event.end)}", f"SUMMARY:{event.title.strip()}"]
            lines += [f"LOCATION:{rooms}", "END:VEVENT"]
        return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _basic(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
