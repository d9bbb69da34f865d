"""A Brightspace site and its token server, as stubborn as the real ones: the calendar routes with rules and faults.

`FakeBrightspace()` is a WSGI app for both hosts. Tests hold its state in hand (`add_course`, `put`, `faults`,
`journal`, `calls`); over HTTP the same is under `/_fake/`: GET /_fake/state; POST /_fake/events, /_fake/courses,
/_fake/faults, /_fake/settings; DELETE /_fake/faults.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
import threading
import time as clock
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote, urlencode
from zoneinfo import ZoneInfo

from dateutil import rrule
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tests.fakes import mangled
from tests.fakes.wsgi import hang_up

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CLIENT = ("client-1", "client-secret-1")
APP_KEYS = {"app-id-1": "app-key-1"}
FIRST_REFRESH = "rt.us-east-1.first"
ORGANISATION = "6606"
TEACHER = "30100"
STUDENT = "30121"
MEMBERS = (
    "Title",
    "Description",
    "StartDateTime",
    "EndDateTime",
    "StartDay",
    "EndDay",
    "GroupId",
    "RecurrenceInfo",
    "LocationId",
    "LocationName",
    "AssociatedEntity",
    "VisibilityRestrictions",
)
VISIBLE: dict[str, Any] = {"Type": 1, "Range": None, "HiddenRangeUnitType": None, "StartDate": None, "EndDate": None}
DUE = {
    "IsAssociatedWithEntity": True,
    "EventType": 6,
    "AssociatedEntity": {
        "AssociatedEntityType": "D2L.LE.Dropbox.Dropbox",
        "AssociatedEntityId": 412,
        "Link": "https://lms.example.edu/d2l/lms/dropbox/412",
    },
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FREQUENCIES: Any = {2: rrule.DAILY, 3: rrule.WEEKLY, 4: rrule.MONTHLY, 5: rrule.YEARLY}
UNITS = {1: timedelta(days=1), 2: timedelta(hours=1), 3: timedelta(minutes=1)}
LOGIN_PAGE = b"<!DOCTYPE html><title>Log in</title><form><input type='password' name='password'></form>"
BUSY_PAGE = b"<!DOCTYPE html><html><title>Scheduled maintenance</title><p>We will be back soon.</html>"
HELP = "http://docs.valence.desire2learn.com/res/apiprop.html"

Json = dict[str, Any]


class Refused(Exception):
    """An answer other than success: problem+json, the older `Errors` or plain text."""

    def __init__(self, status: int, words: str, *, form: str = "problem", type: str = "") -> None:
        super().__init__(words)
        self.status, self.words, self.form, self.type = status, words, form, type

    def response(self) -> Response:
        if self.form == "text":
            return Response(self.words, self.status, content_type="text/plain")
        if self.form == "errors":
            return _json({"Errors": [{"Message": self.words}]}, self.status)
        body = {"type": f"{HELP}#{self.type}", "title": "Refused", "status": self.status, "detail": self.words}
        return _json(body | {"instance": None}, self.status, kind="application/problem+json")


@dataclass
class User:
    """`roles` by org unit: `teacher` may manage the calendar, `student` may see it."""

    id: str
    name: str
    key: str
    roles: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)


@dataclass
class Grant:
    """A refresh token and the access token that was handed out with it; `family` is the sign-in it descends from."""

    family: str
    user: User
    scope: str
    refresh: str
    access: str = ""
    until: datetime | None = None
    used: bool = False


@dataclass
class Fault:
    """What goes wrong: `kind` with calls of the kind `on` (`*` is any), `times` often (-1: always) after `after` such.

    status   answers `status` (with `retry_after`, if given) and does nothing
    silent   answers `status` with an empty body
    expire   every access token is dead from this call on
    lost     does the work, then hangs up without an answer
    unheard  hangs up without doing the work
    half     does the work, then hangs up within the answer
    short    does the work and answers less than Content-Length says
    cut      answers half of the JSON as if it were whole
    html     answers a page with status 200 (or `status`): `page` is login or busy
    slow     waits `seconds` before the answer; with `drip`, also so long between single bytes
    loop     the next page is this one again; `foreign`: it is at another host
    null     answers null where the members of a page should be
    barren   hands out a refresh token, and no access token with it
    """

    kind: str
    on: str = "*"
    times: int = 1
    after: int = 0
    status: int = 503
    retry_after: str = ""
    seconds: float = 0.0
    drip: bool = False
    page: str = "busy"

    def strikes(self, call: str) -> bool:
        if self.on not in ("*", call) or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Settings:
    """`now` is ISO 8601, or empty for the real clock; `ahead` is by how many seconds the site's clock is off.

    `listing` says what the listings by time go by: the `start` of an event and of a whole series, an `overlap`, or
    nothing (`all`).
    `bad_body` is the status of a body that cannot be bound. `empty_pages` puts an empty page before each full one.
    Tokens live `token_seconds`, and `told_seconds` is what is said about it.
    `occurrences_hold_all`: the listings of occurrences hold events that do not recur, too.
    """

    zone: str = "America/New_York"
    now: str = ""
    ahead: int = 0
    drift: int = 300
    le: tuple[str, ...] = ("1.82", "1.83", "1.94", "1.97")
    lp: tuple[str, ...] = ("1.48", "1.63")
    page: int = 20
    empty_pages: bool = False
    occurrences_hold_all: bool = False
    listing: str = "start"
    bad_body: int = 404
    milliseconds: bool = True
    tidy_html: bool = True
    title_letters: int = 256
    token_seconds: int = 3600
    told_seconds: Any = 3600
    credits: int = 50_000
    cost: int = 10


class FakeBrightspace:
    """The site and the token server. Thread-safe; everything happens under one lock, but for waiting."""

    def __init__(self, *, journal: Path | None = None) -> None:
        self.settings = Settings()
        self.courses: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.users: dict[str, User] = {}
        self.events: dict[str, Json] = {}
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.journal: list[Json] = []
        self.grants: list[Grant] = []
        self.visitor = TEACHER
        self.most_at_once = 0
        self.used = 0
        self._minute = -1
        self._at_once = 0
        self._codes: dict[str, Grant] = {}
        self._next_id = 8800
        self._dice = random.Random(7)
        self._lock = threading.RLock()
        self._file: TextIO | None = journal.open("a", encoding="utf-8") if journal else None
        self.add_user(TEACHER, "Ada", "user-key-1")
        self.add_user(STUDENT, "Bo", "user-key-2")
        self.add_course(ORGANISATION, "Example University", teachers=[TEACHER])
        self.add_course("6700", "Biology 101", teachers=[TEACHER], students=[STUDENT])
        self.sign_in(FIRST_REFRESH)

    def connection(self, url: str) -> str:
        """The table of the configuration that connects to this site, served at `url`, by ID-Key."""
        teacher, (app, app_key) = self.users[TEACHER], next(iter(APP_KEYS.items()))
        return (
            f'[lms.d2l]\nbridge = "brightspace"\nurl = "{url}"\napp_id = "{app}"\napp_key = "{app_key}"\n'
            f'user_id = "{teacher.id}"\nuser_key = "{teacher.key}"\n'
            f'zone = "{self.settings.zone}"\norganisation = "{ORGANISATION}"\n'
        )

    def sign_in(self, refresh: str, *, user: str = TEACHER, scope: str = "core:*:*") -> None:
        """A person signs in (again) by browser, and is handed this refresh token."""
        self.grants.append(Grant(refresh, self.users[user], scope, refresh))

    def add_user(self, id: str, name: str, key: str) -> User:
        self.users[id] = User(id, name, key)
        return self.users[id]

    def add_course(self, id: str, name: str, *, teachers: Iterable[str] = (), students: Iterable[str] = ()) -> str:
        self.courses[id] = name
        for role, members in (("teacher", teachers), ("student", students)):
            for each in members:
                self.users[each].roles[id] = role
        return id

    def add_group(self, id: str, course: str, members: Iterable[str] = ()) -> str:
        self.groups[id] = course
        for each in members:
            self.users[each].groups.add(id)
        return id

    def put(self, **members: Any) -> str:
        """An event as it is, past every rule (a broken one too); the id."""
        with self._lock:
            id = str(members.get("CalendarEventId") or self._new_id())
            block: Json = dict.fromkeys(MEMBERS) | {
                "CalendarEventId": int(id),
                "OrgUnitId": 6700,
                "Title": "Seminar",
                "Description": "",
                "LocationName": "",
                "VisibilityRestrictions": VISIBLE,
                "IsAssociatedWithEntity": False,
                "CreatorUserId": int(TEACHER),
            }
            self.events[id] = block | members
            return id

    @property
    def now(self) -> datetime:
        moment = datetime.fromisoformat(self.settings.now) if self.settings.now else datetime.now(UTC)
        return moment + timedelta(seconds=self.settings.ahead)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def expire_tokens(self) -> None:
        for grant in self.grants:
            grant.access = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = re.sub(r"(?i)/myevents(?=/|$)", "/myEvents", environ["PATH_INFO"])
        request = Request(environ)
        try:
            call, arguments = ROUTES.bind_to_environ(environ).match()
        except MethodNotAllowed:
            return Refused(405, "Method not allowed").response()(environ, start_response)
        except HTTPException:
            return Refused(404, "Resource not found").response()(environ, start_response)
        if call.startswith("_"):
            with self._lock:
                return self._control(call, request)(environ, start_response)
        return self._called(call, request, arguments)(environ, start_response)

    def _called(self, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.calls[call] += 1
            fault = next((each for each in self.faults if each.strikes(call)), None)
        try:
            if fault is not None and fault.kind == "slow":
                clock.sleep(fault.seconds)
            with self._lock:
                return self._faulty(fault, call, request, arguments)
        finally:
            with self._lock:
                self._at_once -= 1

    def _faulty(self, fault: Fault | None, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        if fault is None:
            return self._answer(call, request, arguments)
        if fault.kind in _BEFORE:
            early = _BEFORE[fault.kind](self, fault, request)
            return early if early is not None else self._answer(call, request, arguments)
        return _AFTER[fault.kind](fault, request, self._answer(call, request, arguments))

    def _answer(self, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        try:
            if call == "token":
                return self.on_token(request)
            self._spend()
            response: Response = getattr(self, f"on_{call}")(request, **arguments)
        except Refused as refused:
            response = refused.response()
            if refused.status == 429:
                response.headers["Retry-After"] = str(60 - self.now.second)
                return response
        response.headers["X-Rate-Limit-Remaining"] = str(self.settings.credits - self.used)
        response.headers["X-Rate-Limit-Reset"] = str(60 - self.now.second)
        response.headers["X-Request-Cost"] = str(self.settings.cost)
        return response

    def _spend(self) -> None:
        minute = int(self.now.timestamp()) // 60
        if minute != self._minute:
            self._minute, self.used = minute, 0
        if self.used + self.settings.cost > self.settings.credits:
            raise Refused(429, "Too Many Requests", form="text")
        self.used += self.settings.cost

    def on_authorize(self, request: Request) -> Response:
        """Signs in `visitor`."""
        given = request.args
        if given.get("client_id") != CLIENT[0] or not given.get("redirect_uri", "").startswith("https://"):
            return _oauth_error("invalid_request")
        code = self._random()
        self._codes[code] = Grant(self._random(), self.users[self.visitor], given.get("scope", ""), "")
        query = urlencode({"code": code, "state": given.get("state", "")})
        return Response(status=302, headers={"Location": f"{given['redirect_uri']}?{query}"})

    def on_token(self, request: Request) -> Response:
        given, basic = request.form, request.authorization
        if basic is not None and basic.type == "basic":
            client = (basic.username, basic.password)
        else:
            client = (given.get("client_id"), given.get("client_secret"))
        if client != CLIENT:
            return _oauth_error("invalid_client", 401)
        match given.get("grant_type"):
            case "authorization_code":
                grant = self._codes.pop(given.get("code", ""), None)
                return self._token(grant, grant.scope) if grant else _oauth_error("invalid_grant")
            case "refresh_token":
                return self._refreshed(given.get("refresh_token", ""), given.get("scope", ""))
        return _oauth_error("unsupported_grant_type")

    def _refreshed(self, refresh: str, scope: str) -> Response:
        """A token that comes a second time kills all that descend from the same sign-in."""
        old = next((each for each in self.grants if refresh and each.refresh == refresh), None)
        if old is None:
            return _oauth_error("invalid_grant")
        if old.used:
            self.grants = [each for each in self.grants if each.family != old.family]
            return _oauth_error("invalid_grant")
        if set(scope.split()) - set(old.scope.split()):
            return _oauth_error("invalid_scope")
        old.used = True
        return self._token(old, scope or old.scope)

    def _token(self, old: Grant, scope: str) -> Response:
        until = self.now + timedelta(seconds=self.settings.token_seconds)
        grant = Grant(old.family, old.user, scope, f"rt.us-east-1.{self._random()}", f"eyJ{self._random()}", until)
        self.grants.append(grant)
        return _json(
            {
                "access_token": grant.access,
                "token_type": "Bearer",
                "expires_in": self.settings.told_seconds,
                "refresh_token": grant.refresh,
                "scope": scope,
            }
        )

    def _caller(self, request: Request, *scopes: str) -> User:
        """Who asks, by either way to sign in; with OAuth one of the scopes is needed."""
        if "x_a" in request.args:
            return self._signer(request)
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ")
        grant = next((each for each in self.grants if each.access and each.access == token), None)
        if not header.startswith("Bearer ") or grant is None or grant.until is None or grant.until <= self.now:
            raise Refused(401, "Couldn't parse token" if header else "No token", type="invalid-token")
        wanted = {"core:*:*", *scopes}
        if not wanted & set(grant.scope.split()):
            needed = scopes[0] if scopes else "core:*:*"
            raise Refused(403, f"Insufficient scope to call API. Required: {needed}", form="errors")
        return grant.user

    def _signer(self, request: Request) -> User:
        given = {name: request.args.getlist(name) for name in ("x_a", "x_b", "x_c", "x_d", "x_t")}
        if any(len(values) != 1 for values in given.values()) or not given["x_t"][0].isdecimal():
            raise Refused(403, "Invalid token", form="text")
        app, user, by_app, by_user, moment = (values[0] for values in given.values())
        base = f"{request.method}&{unquote(request.path.lower())}&{moment}"
        known = self.users.get(user)
        if known is None or (by_app, by_user) != (_hmac(APP_KEYS.get(app, ""), base), _hmac(known.key, base)):
            raise Refused(403, "Invalid token", form="text")
        if abs(int(moment) - self.now.timestamp()) > self.settings.drift:
            raise Refused(403, f"Timestamp out of range {int(self.now.timestamp())}", form="text")
        return known

    def on_versions(self, request: Request) -> Response:
        return _json([self._product("le"), self._product("lp")])

    def on_product(self, request: Request, product: str) -> Response:
        return _json(self._product(product))

    def on_supported(self, request: Request, product: str, version: str) -> Response:
        supported, latest = self._product(product)["SupportedVersions"], self._product(product)["LatestVersion"]
        return _json({"Supported": version in supported, "LatestVersion": latest})

    def _product(self, product: str) -> Json:
        if product not in ("le", "lp"):
            raise Refused(404, "No such product")
        supported = list(getattr(self.settings, product))
        return {"ProductCode": product, "LatestVersion": (supported or [""])[-1], "SupportedVersions": supported}

    def _speaks(self, version: str, product: str = "le", since: tuple[int, int] = (0, 0)) -> None:
        if version not in getattr(self.settings, product) or tuple(map(int, version.split("."))) < since:
            raise Refused(404, "Resource not found")

    def _may(self, user: User, unit: str, *, write: bool = False) -> None:
        if unit not in self.courses:
            raise Refused(404, "Resource not found")
        if unit not in user.roles or (write and user.roles[unit] != "teacher"):
            words = f"Not authorized for [ orgUnitId: {unit}, securityVariableName: ManageEvents ]"
            raise Refused(403, words, type="not-authorized")

    def on_create(self, request: Request, version: str, unit: str) -> Response:
        self._speaks(version)
        caller = self._caller(request)
        self._may(caller, unit, write=True)
        body = self._body(request, unit)
        id = self.put(**body, OrgUnitId=int(unit), CreatorUserId=int(caller.id))
        self._log("create", self.events[id])
        return self._json(self._info(self.events[id], version))

    def on_event(self, request: Request, version: str, unit: str, id: str) -> Response:
        self._speaks(version)
        caller = self._caller(request)
        event = self._event(caller, unit, id)
        if not self._sees(caller, event):
            raise Refused(403, "Hidden", type="not-authorized")
        return self._json(self._info(event, version))

    def on_update(self, request: Request, version: str, unit: str, id: str) -> Response:
        self._speaks(version)
        event = self._writable(request, unit, id)
        event |= self._body(request, unit)
        self._log("update", event)
        return self._json(self._info(event, version))

    def on_delete(self, request: Request, version: str, unit: str, id: str) -> Response:
        self._speaks(version)
        event = self._writable(request, unit, id)
        del self.events[id]
        self._log("delete", event)
        return Response(status=200)

    def _event(self, caller: User, unit: str, id: str) -> Json:
        self._may(caller, unit)
        event = self.events.get(id)
        if event is None or str(event["OrgUnitId"]) != unit:
            raise Refused(404, "Event not found")
        return event

    def _writable(self, request: Request, unit: str, id: str) -> Json:
        caller = self._caller(request)
        event = self._event(caller, unit, id)
        self._may(caller, unit, write=True)
        if event["IsAssociatedWithEntity"]:
            raise Refused(403, "The event belongs to an activity", type="not-authorized")
        return event

    def _body(self, request: Request, unit: str) -> Json:
        """EventData, with every member and every rule."""
        if request.mimetype != "application/json":
            raise Refused(415, "Unsupported media type")
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or any(name not in body for name in MEMBERS):
            raise Refused(self.settings.bad_body, "The body cannot be bound")
        body = {name: body[name] for name in MEMBERS}
        self._check_times(body)
        title = body["Title"]
        if not isinstance(title, str) or not title.strip() or _letters(title) > self.settings.title_letters:
            raise Refused(400, "Title")
        if body["GroupId"] is not None and self.groups.get(str(body["GroupId"])) != unit:
            raise Refused(400, "No such group in this org unit")
        if self.settings.tidy_html:
            body["Description"] = body["Description"].replace("<br>", "<br />\r\n").replace("&nbsp;", "\xa0")
        return body

    def _check_times(self, body: Json) -> None:
        moments = [_bound(body[name], _UTC_FORM) for name in ("StartDateTime", "EndDateTime")]
        days = [_bound(body[name], _LOCAL_FORM) for name in ("StartDay", "EndDay")]
        if any(text is False for text in (*moments, *days)):
            raise Refused(self.settings.bad_body, "The timestamp cannot be bound")
        given = [bool(pair[0] and pair[1]) for pair in (moments, days)]
        if given[0] == given[1]:
            raise Refused(400, "Give either the times or the days")
        start, end = (moments if given[0] else days)[:2]
        if not start < end or (given[1] and start[:10] == end[:10]):
            raise Refused(400, "The end has to be after the start")

    def _info(self, event: Json, version: str) -> Json:
        """EventDataInfo in the words of a version."""
        restrictions = event["VisibilityRestrictions"]
        more: Json = {
            "IsAllDayEvent": event["StartDay"] is not None,
            "IsRecurring": event["RecurrenceInfo"] is not None,
            "OrgUnitName": self.courses.get(str(event["OrgUnitId"]), ""),
            "OrgUnitCode": f"C-{event['OrgUnitId']}",
            "HasVisibilityRestrictions": bool(restrictions and restrictions["Type"] != 1),
            "CalendarEventViewUrl": f"https://lms.example.edu/d2l/le/calendar/{event['OrgUnitId']}",
        }
        info = more | event
        if tuple(map(int, version.split("."))) < (1, 94):
            info.pop("EventType", None)
        return info

    def on_events(self, request: Request, version: str, unit: str) -> Response:
        self._speaks(version)
        caller = self._caller(request)
        self._may(caller, unit)
        associated = request.args.get("associatedEventsOnly", "false").lower() == "true"
        found = [each for each in self._seen(caller, [unit]) if each["IsAssociatedWithEntity"] or not associated]
        return self._json([self._info(each, version) for each in found])

    def on_orgunits(self, request: Request, version: str, unit: str) -> Response:
        self._speaks(version)
        caller = self._caller(request)
        units = self._units(request)
        for each in (unit, *units):
            self._may(caller, each)
        found = self._within(request, self._seen(caller, units))
        return self._page(request, [self._info(each, version) for each in found])

    def on_user(self, request: Request, version: str, unit: str) -> Response:
        self._speaks(version)
        caller = self._caller(request)
        self._may(caller, unit, write=True)
        user = self.users.get(request.args.get("userId", ""))
        if user is None:
            raise Refused(400, "Bad userId")
        found = self._within(request, self._seen(caller, user.roles))
        return self._page(request, [self._info(each, version) for each in found])

    def on_mine(self, request: Request, version: str, unit: str = "") -> Response:
        self._speaks(version)
        caller = self._caller(request, "calendar:my_events:read")
        units = [unit] if unit else self._units(request)
        for each in units:
            self._may(caller, each)
        found = self._within(request, self._seen(caller, units))
        kinds = {"6": 6, "DueDate": 6}
        if "eventType" in request.args:
            found = [each for each in found if each.get("EventType") == kinds.get(request.args["eventType"])]
        if request.args.get("association") in ("2", "AssociatedOnly"):
            found = [each for each in found if each["IsAssociatedWithEntity"]]
        found.sort(key=lambda each: self._span(each)[0], reverse=True)
        return self._list(request, [self._info(each, version) for each in found])

    def on_my_count(self, request: Request, version: str, unit: str = "") -> Response:
        self._speaks(version)
        caller = self._caller(request, "calendar:my_events:read")
        counts = [
            {
                "OrgUnitId": int(each),
                "UserId": int(caller.id),
                "EventCount": len(self._within(request, self._seen(caller, [each]))),
            }
            for each in ([unit] if unit else self._units(request))
        ]
        return _json(counts[0]) if unit else self._list(request, counts)

    def on_occurrences(self, request: Request, version: str, unit: str = "") -> Response:
        self._speaks(version, since=(1, 94))
        caller = self._caller(request)
        units = [unit] if unit else self._units(request)
        for each in units:
            self._may(caller, each)
        since, until = self._window(request)
        rows = []
        for event in self._seen(caller, units):
            told = [each for each in self._expanded(event) if since <= self._span(each)[0] < until]
            if told and (event["RecurrenceInfo"] is not None or self.settings.occurrences_hold_all):
                rows.append({"EventDataInfo": self._info(event, version), "Occurrences": told})
        return self._list(request, rows)

    def on_event_occurrences(self, request: Request, version: str, unit: str, id: str) -> Response:
        self._speaks(version, since=(1, 94))
        event = self._event(self._caller(request), unit, id)
        return self._json({"EventDataInfo": self._info(event, version), "Occurrences": list(self._expanded(event))})

    def on_access(self, request: Request, version: str, unit: str, id: str) -> Response:
        self._speaks(version)
        event = self._event(self._caller(request, "calendar:access:read"), unit, id)
        user = self.users.get(request.args.get("userId", ""))
        return _json([{"UserId": int(user.id), "HasAccess": self._sees(user, event)}] if user else [])

    def on_whoami(self, request: Request, version: str) -> Response:
        self._speaks(version, "lp")
        caller = self._caller(request)
        return _json({"Identifier": caller.id, "FirstName": caller.name, "LastName": "", "UniqueName": caller.name})

    def on_my_enrolments(self, request: Request, version: str) -> Response:
        self._speaks(version, "lp")
        caller = self._caller(request)
        access = {"IsActive": True, "StartDate": None, "EndDate": None, "CanAccess": True}
        rows = [{"OrgUnit": self._unit(each), "Access": access, "PinDate": None} for each in caller.roles]
        return self._page(request, rows)

    def on_enrolments(self, request: Request, version: str, user: str) -> Response:
        self._speaks(version, "lp")
        self._caller(request)
        if user not in self.users:
            raise Refused(404, "No such user")
        type = request.args.get("orgUnitTypeId")
        rows = [
            {"OrgUnit": self._unit(unit), "Role": {"Id": 110, "Code": None, "Name": role.title()}}
            for unit, role in self.users[user].roles.items()
            if type is None or str(self._unit(unit)["Type"]["Id"]) == type
        ]
        return self._page(request, rows)

    def on_members(self, request: Request, version: str, unit: str) -> Response:
        self._speaks(version, "lp")
        self._caller(request)
        if unit not in self.courses:
            raise Refused(404, "No such org unit")
        rows = [
            {
                "User": {"Identifier": user.id, "DisplayName": user.id, "UserName": user.id},
                "Role": {"Id": 110, "Code": None, "Name": user.roles[unit].title()},
            }
            for user in self.users.values()
            if unit in user.roles
        ]
        return self._page(request, rows)

    def _unit(self, id: str) -> Json:
        type = (1, "Organization") if id == ORGANISATION else (3, "Course Offering")
        return {
            "Id": int(id),
            "Type": {"Id": type[0], "Code": type[1], "Name": type[1]},
            "Name": self.courses[id],
            "Code": f"C-{id}",
        }

    def _units(self, request: Request) -> list[str]:
        units = [each for each in request.args.get("orgUnitIdsCSV", "").split(",") if each]
        if not units or len(units) > 100:
            raise Refused(400, "orgUnitIdsCSV names 1 to 100 org units")
        return units

    def _seen(self, user: User, units: Iterable[str]) -> list[Json]:
        among = set(units)
        return [each for each in self.events.values() if str(each["OrgUnitId"]) in among and self._sees(user, each)]

    def _sees(self, user: User, event: Json) -> bool:
        """Who manages a calendar sees all of it; others see what is not hidden, and their own groups' events."""
        if user.roles.get(str(event["OrgUnitId"])) == "teacher":
            return True
        mine = event["GroupId"] is None or str(event["GroupId"]) in user.groups
        return mine and self._is_visible(event)

    def _is_visible(self, event: Json) -> bool:
        info = event["VisibilityRestrictions"] or VISIBLE
        start, end = self._span(event)
        match info["Type"]:
            case 1:
                return True
            case 2:
                return bool(self.now >= start - info["Range"] * UNITS[info["HiddenRangeUnitType"]])
            case 3:
                return bool(self.now < end + info["Range"] * UNITS[info["HiddenRangeUnitType"]])
            case 4:
                return _instant(info["StartDate"]) <= self.now < _instant(info["EndDate"])
        return False

    def _window(self, request: Request) -> tuple[datetime, datetime]:
        texts = [request.args.get(name) for name in ("startDateTime", "endDateTime")]
        if any(not text or not _bound(text, _UTC_FORM) for text in texts):
            raise Refused(400, "startDateTime and endDateTime are needed, with milliseconds")
        since, until = (_instant(text) for text in texts)
        if since > until:
            raise Refused(400, "The start is after the end")
        return since, until

    def _within(self, request: Request, events: list[Json]) -> list[Json]:
        since, until = self._window(request)
        if self.settings.listing == "all":
            return events
        if self.settings.listing == "start":
            return [each for each in events if since <= self._span(each)[0] <= until]
        spans = [(each, [self._span(one) for one in self._expanded(each)]) for each in events]
        return [each for each, times in spans if any(start <= until and end >= since for start, end in times)]

    def _span(self, event: Json) -> tuple[datetime, datetime]:
        """The instants of an event as far as it has any; one broken on purpose (see `put`) is of this moment."""
        zone = ZoneInfo(self.settings.zone)
        try:
            if event["StartDay"]:
                days = (date.fromisoformat(event[name][:10]) for name in ("StartDay", "EndDay"))
                start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)
                return start, end
            return _instant(event["StartDateTime"]), _instant(event["EndDateTime"])
        except (KeyError, TypeError, ValueError):
            return self.now, self.now

    def _expanded(self, event: Json) -> Iterator[Json]:
        """OccurrenceInfo of each occurrence, at the same wall-clock time of the organisation."""
        start, end = self._span(event)
        zone = ZoneInfo(self.settings.zone)
        for number, wall in enumerate(_walls(event, start, zone), 1):
            begins = wall.replace(tzinfo=zone).astimezone(UTC)
            days = (wall.date(), wall.date() + ((end - start) + timedelta(hours=2)) // timedelta(days=1) * timedelta(1))
            all_day = event["StartDay"] is not None
            yield {
                "RecurrenceId": number,
                "CalendarEventId": None,
                "StartDateTime": None if all_day else _stamp(begins),
                "EndDateTime": None if all_day else _stamp(begins + (end - start)),
                "IsAllDayEvent": all_day,
                "StartDay": f"{days[0]}T00:00:00.000" if all_day else None,
                "EndDay": f"{days[1]}T00:00:00.000" if all_day else None,
            }

    def _page(self, request: Request, rows: list[Json]) -> Response:
        """PagedResultSet: a bookmark that only this query takes."""
        some, mark = self._turned(request, rows)
        return self._json({"PagingInfo": {"Bookmark": mark, "HasMoreItems": bool(mark)}, "Items": some})

    def _list(self, request: Request, rows: list[Any]) -> Response:
        """ObjectListPage: the next page's whole URL."""
        some, mark = self._turned(request, rows)
        query = urlencode([*((n, v) for n, v in request.args.items(True) if n != "bookmark"), ("bookmark", mark)])
        url = f"{request.host_url.rstrip('/')}{request.path}?{query}"
        return self._json({"Next": url if mark else None, "Objects": some})

    def _turned(self, request: Request, rows: list[Any]) -> tuple[list[Any], str]:
        seal = _seal(request)
        step, _, given = request.args.get("bookmark", f"0_{seal}").partition("_")
        if given != seal or not step.isdecimal():
            raise Refused(400, "Bad bookmark")
        pages = [rows[at : at + self.settings.page] for at in range(0, len(rows), self.settings.page)] or [[]]
        if self.settings.empty_pages:
            pages = [each for page in pages for each in ([], page)]
        at = int(step)
        return pages[at], f"{at + 1}_{seal}" if at + 1 < len(pages) else ""

    def _json(self, body: Any) -> Response:
        text = json.dumps(body)
        return _text(text if self.settings.milliseconds else re.sub(r'(T\d\d:\d\d:\d\d)\.000(Z?")', r"\1\2", text))

    def _log(self, deed: str, event: Json) -> None:
        """One line for each accepted write, never taken back."""
        names = ("CalendarEventId", "OrgUnitId", "GroupId", "Title", "StartDateTime", "EndDateTime", "StartDay")
        entry = {"n": len(self.journal) + 1, "do": deed, "at": _stamp(self.now)} | {n: event[n] for n in names}
        self.journal.append(entry)
        if self._file is not None:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def _new_id(self) -> str:
        self._next_id += 1
        return str(self._next_id)

    def _random(self) -> str:
        return f"{self._dice.getrandbits(120):030x}"

    def _control(self, call: str, request: Request) -> Response:
        body = request.get_json(silent=True) or {}
        match call:
            case "_events":
                return _json({"CalendarEventId": self.put(**body)}, 201)
            case "_courses":
                return _json({"Id": self.add_course(**body)}, 201)
            case "_faults":
                self.faults.append(Fault(**body))
            case "_clear":
                self.faults.clear()
            case "_settings":
                self._set(body)
        return _json(
            {
                "calls": dict(self.calls),
                "journal": self.journal,
                "events": list(self.events.values()),
                "faults": [vars(fault) for fault in self.faults],
                "settings": vars(self.settings),
                "most_at_once": self.most_at_once,
            }
        )

    def _set(self, values: Json) -> None:
        for name, value in values.items():
            if name == "expire_tokens":
                self.expire_tokens()
            elif name in {each.name for each in fields(Settings)}:
                setattr(self.settings, name, value)
            else:
                raise ValueError(f"no such setting: {name}")


def _routes() -> Iterator[Rule]:
    """Collections end in a slash and single things do not; the other form is a 404."""
    event = "/d2l/api/le/<version>/<unit>/calendar/event/"
    events = "/d2l/api/le/<version>/<unit>/calendar/events/"
    any_unit = "/d2l/api/le/<version>/calendar/events/"
    for method, path, call in (
        ("GET", "/oauth2/auth", "authorize"),
        ("POST", "/core/connect/token", "token"),
        ("GET", "/d2l/api/versions/", "versions"),
        ("GET", "/d2l/api/<product>/versions/", "product"),
        ("GET", "/d2l/api/<product>/versions/<version>", "supported"),
        ("POST", event, "create"),
        ("GET", f"{event}<id>", "event"),
        ("PUT", f"{event}<id>", "update"),
        ("DELETE", f"{event}<id>", "delete"),
        ("GET", f"{event}<id>/occurrences", "event_occurrences"),
        ("GET", f"{event}<id>/access/", "access"),
        ("GET", events, "events"),
        ("GET", f"{events}orgunits/", "orgunits"),
        ("GET", f"{events}user/", "user"),
        ("GET", f"{events}myEvents/", "mine"),
        ("GET", f"{events}myEvents/itemCount", "my_count"),
        ("GET", f"{events}occurrences/", "occurrences"),
        ("GET", f"{any_unit}myEvents/", "mine"),
        ("GET", f"{any_unit}myEvents/itemCounts/", "my_count"),
        ("GET", f"{any_unit}myEventsWithOccurrences/", "occurrences"),
        ("GET", "/d2l/api/lp/<version>/users/whoami", "whoami"),
        ("GET", "/d2l/api/lp/<version>/enrollments/myenrollments/", "my_enrolments"),
        ("GET", "/d2l/api/lp/<version>/enrollments/users/<user>/orgUnits/", "enrolments"),
        ("GET", "/d2l/api/lp/<version>/enrollments/orgUnits/<unit>/users/", "members"),
        ("GET", "/_fake/state", "_state"),
        ("POST", "/_fake/events", "_events"),
        ("POST", "/_fake/courses", "_courses"),
        ("POST", "/_fake/faults", "_faults"),
        ("DELETE", "/_fake/faults", "_clear"),
        ("POST", "/_fake/settings", "_settings"),
    ):
        yield Rule(path, methods=[method], endpoint=call)


ROUTES = Map(list(_routes()), merge_slashes=False)

_UTC_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LOCAL_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")


def _bound(text: Any, form: re.Pattern[str]) -> Any:
    """The text if it is a date of this form, None if there is none, False for anything else."""
    if text is None:
        return None
    if not isinstance(text, str) or not form.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return text


def _instant(text: Any) -> datetime:
    return datetime.fromisoformat(text)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _walls(event: Json, start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The wall-clock starts of an event, at most a thousand of a series."""
    wall = start.astimezone(zone).replace(tzinfo=None)
    info = event["RecurrenceInfo"]
    if info is None:
        yield wall
        return
    ticked = [number for number, name in enumerate(WEEKDAYS) if (info.get("RepeatOnInfo") or {}).get(name)]
    until = _instant(info["RepeatUntilDate"]).astimezone(zone).replace(tzinfo=None)
    yield from rrule.rrule(
        FREQUENCIES[info["RepeatType"]],
        dtstart=wall,
        interval=info["RepeatEvery"],
        byweekday=ticked if info["RepeatType"] == 3 and ticked else None,
        wkst=rrule.SU,
        until=until,
    )


def _seal(request: Request) -> str:
    """What binds a bookmark to its query."""
    query = [(n, v) for n, v in request.args.items(True) if n != "bookmark" and not n.startswith("x_")]
    return hashlib.sha256(repr((request.path, sorted(query))).encode()).hexdigest()[:8]


def _letters(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _hmac(key: str, text: str) -> str:
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _text(text: str, status: int = 200, kind: str = "application/json; charset=UTF-8") -> Response:
    return Response(text, status, content_type=kind)


def _json(body: Any, status: int = 200, *, kind: str = "application/json; charset=UTF-8") -> Response:
    return _text(json.dumps(body), status, kind)


def _oauth_error(error: str, status: int = 400) -> Response:
    return _json({"error": error}, status)


def _status(site: FakeBrightspace, fault: Fault, request: Request) -> Response:
    response = Response("out of order", fault.status, content_type="text/plain")
    if fault.retry_after:
        response.headers["Retry-After"] = fault.retry_after
    return response


def _silent(site: FakeBrightspace, fault: Fault, request: Request) -> Response:
    return Response(status=fault.status)


def _expire(site: FakeBrightspace, fault: Fault, request: Request) -> None:
    site.expire_tokens()


def _unheard(site: FakeBrightspace, fault: Fault, request: Request) -> Response:
    hang_up(request.environ)
    return Response(status=204)


def _html(site: FakeBrightspace, fault: Fault, request: Request) -> Response:
    status = 200 if fault.status == 503 else fault.status
    return Response(LOGIN_PAGE if fault.page == "login" else BUSY_PAGE, status, content_type="text/html")


def _null(site: FakeBrightspace, fault: Fault, request: Request) -> Response:
    return _json({"PagingInfo": {"Bookmark": "", "HasMoreItems": False}, "Items": None, "Next": None, "Objects": None})


def _slow(fault: Fault, request: Request, response: Response) -> Response:
    if not fault.drip:
        return response
    data = response.get_data()

    def pieces() -> Iterator[bytes]:
        for byte in data:
            clock.sleep(fault.seconds)
            yield bytes([byte])

    return mangled.streamed(response, pieces(), len(data))


def _barren(fault: Fault, request: Request, response: Response) -> Response:
    response.set_data(json.dumps({"refresh_token": response.get_json()["refresh_token"]}))
    return response


def _loop(fault: Fault, request: Request, response: Response) -> Response:
    body = response.get_json()
    if "Items" in body:
        body["PagingInfo"] = {"Bookmark": f"0_{_seal(request)}", "HasMoreItems": True}
    else:
        host = "https://elsewhere.example" if fault.kind == "foreign" else ""
        body["Next"] = f"{host}{request.path}?{request.query_string.decode()}"
    response.set_data(json.dumps(body))
    return response


_BEFORE: dict[str, Callable[[FakeBrightspace, Fault, Request], Response | None]] = {
    "status": _status,
    "silent": _silent,
    "expire": _expire,
    "unheard": _unheard,
    "html": _html,
    "null": _null,
}
_AFTER: dict[str, Callable[[Fault, Request, Response], Response]] = {
    "lost": mangled.lost,
    "half": mangled.half,
    "short": mangled.short,
    "cut": mangled.cut,
    "slow": _slow,
    "loop": _loop,
    "foreign": _loop,
    "barren": _barren,
}
