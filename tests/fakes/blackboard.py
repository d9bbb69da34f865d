"""A Learn site that is as stubborn as the real one: the calendar REST API with its rules, limits and faults.

`FakeLearn()` is a WSGI app. Tests hold its state in hand (`courses`, `put`, `faults`, `journal`, `calls`); over HTTP
the same is under `/_fake/`: GET /_fake/state; POST /_fake/items, /_fake/courses, /_fake/faults, /_fake/settings;
DELETE /_fake/faults.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tests.fakes import mangled
from tests.fakes.wsgi import hang_up

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

API = "/learn/api/public"
TYPES = ("Course", "GradebookColumn", "Institution", "OfficeHours", "Personal")
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
SORTABLE = ("id", "calendarId", "title", "start", "end", "modified")
RIGHTS = frozenset(
    {
        "course.calendar.VIEW",
        "course.calendar-entry.CREATE",
        "course.calendar-entry.MODIFY",
        "course.calendar-entry.DELETE",
        "course.gradebook-metadata.VIEW",
        "system.calendar-item.EXECUTE",
    }
)
LOGIN_PAGE = b"<!DOCTYPE html><title>Log in</title><form><input type='password' name='password'></form>"
BUSY_PAGE = b"<!DOCTYPE html><html><title>Scheduled maintenance</title><p>We will be back soon.</html>"

Json = dict[str, Any]


class Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"status": status, "message": message} | more


@dataclass
class Course:
    id: str
    course_id: str
    name: str
    external_id: str = ""
    calendar: str = "on"
    """`on`; `missing` (the list answers 404) or `empty` (it answers no items); both refuse to create."""
    available: str = "Yes"
    """`Yes`, `No`, `Disabled` or `Term`."""

    @property
    def names(self) -> set[str]:
        uuid = uuid5(NAMESPACE_URL, self.id).hex
        return {self.id, f"courseId:{self.course_id}", f"externalId:{self.external_id}", f"uuid:{uuid}"}


@dataclass
class User:
    id: str
    name: str
    courses: dict[str, str] = field(default_factory=dict)
    rights: frozenset[str] = RIGHTS
    barred: set[str] = field(default_factory=set)
    """`courses` is role by course id; in `barred` ones the membership is not available."""

    @property
    def uuid(self) -> str:
        return uuid5(NAMESPACE_URL, self.id).hex


@dataclass
class Grant:
    """A token; `user` is None for an application on its own."""

    token: str
    user: User | None
    scope: str
    until: datetime
    refresh: str = ""
    verifier_hash: str = ""


@dataclass
class Fault:
    """What goes wrong: `kind` with calls of the kind `on` (`*` is any), `times` often (-1: always) after `after` such.

    status   answers `status` (with `retry_after`, if given) and does nothing
    quota    answers `status` (429, 402 or 403) as an exhausted quota
    expire   every token is dead from this call on
    lost     does the work, then hangs up without an answer
    unheard  hangs up without doing the work
    half     does the work, then hangs up within the answer
    short    does the work and answers less than Content-Length says
    cut      answers half of the JSON as if it were whole
    html     answers a page with status 200 (or `status`): `page` is login or busy
    slow     waits `seconds` before the answer; with `drip`, also so long between single bytes
    loop     nextPage leads to the same page; `foreign` to another host
    null     answers {"results": null}
    `share` strikes that part of the calls at random, with a seed.
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
    share: float = 1.0

    def strikes(self, call: str, dice: random.Random) -> bool:
        if self.on not in ("*", call) or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.share < 1.0 and dice.random() >= self.share:
            return False
        self.times -= 1
        return True


@dataclass
class Settings:
    zone: str = "America/New_York"
    now: str = ""
    strict: bool = True
    overlong: str = "refuse"
    limit: int = 10_000
    top_page: int = 200
    quota_status: int = 429
    one_time_refresh: bool = False
    expands: bool = True
    """`now` is ISO 8601, or empty for the real clock; `overlong` is refuse (400) or cut; `expands` is whether a list of
    memberships knows expand=course; with `one_time_refresh` each refresh brings another refresh token."""


class FakeLearn:
    """The site. Thread-safe; everything happens under one lock, but for waiting."""

    def __init__(self, *, key: str = "app-key", secret: str = "app-secret", journal: Path | None = None) -> None:
        self.key, self.secret = key, secret
        self.settings = Settings()
        self.courses: dict[str, Course] = {}
        self.users: dict[str, User] = {}
        self.items: dict[str, Json] = {}
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.journal: list[Json] = []
        self.rights = RIGHTS
        self.visitor = ""
        self.most_at_once = 0
        self.used = 0
        self._at_once = 0
        self._grants: dict[str, Grant] = {}
        self._codes: dict[str, tuple[Grant, str]] = {}
        self._next_id = 800
        self._dice = random.Random(7)
        self._lock = threading.RLock()
        self._file: TextIO | None = journal.open("a", encoding="utf-8") if journal else None
        self.add_user("_1354_1", "integration")
        self.add_course("_12594_1", "BIO101", "Biology")

    def connection(self, url: str) -> str:
        """The table of the configuration that connects to this site, served at `url`."""
        return (
            f'[lms.learn]\nbridge = "blackboard"\nurl = "{url}"\nkey = "{self.key}"\nsecret = "{self.secret}"\n'
            f'zone = "{self.settings.zone}"\n'
        )

    def add_course(self, id: str, course_id: str, name: str, *, external_id: str = "", calendar: str = "on") -> Course:
        self.courses[id] = Course(id, course_id, name, external_id or f"sis-{course_id}", calendar)
        return self.courses[id]

    def add_user(self, id: str, name: str, courses: Mapping[str, str] | None = None) -> User:
        self.users[id] = User(id, name, dict(courses or {}))
        return self.users[id]

    def put(self, **members: Any) -> str:
        """An item as it is, past every rule (a broken one too); the id."""
        with self._lock:
            id = str(members.get("id") or self._new_id())
            calendar = members.get("calendarId", "_12594_1")
            item = {
                "id": id,
                "type": "Course",
                "calendarId": calendar,
                "calendarName": self._calendar_name(calendar),
                "title": "Seminar",
                "modified": self._stamp(self.now),
                "color": "#670033",
                "disableResizing": False,
                "createdByUserId": "_1354_1",
            }
            if members.get("type") == "GradebookColumn":
                item |= {"modified": None, "disableResizing": True, "createdByUserId": None}
            self.items[id] = item | members
            return id

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.settings.now) if self.settings.now else datetime.now(UTC)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def expire_tokens(self) -> None:
        """Every access token is dead; refresh tokens are not."""
        for grant in self._grants.values():
            grant.until = datetime.min.replace(tzinfo=UTC)

    def revoke(self, user: str) -> None:
        """All that this person permitted is withdrawn."""
        self._grants = {token: each for token, each in self._grants.items() if not each.user or each.user.id != user}

    def exhaust(self, status: int = 429) -> None:
        self.settings.quota_status = status
        self.used = self.settings.limit

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        adapter = ROUTES.bind_to_environ(environ)
        try:
            call, arguments = adapter.match()
        except HTTPException as error:
            return error.get_response(environ)(environ, start_response)
        if call.startswith("_"):
            with self._lock:
                return self._control(call, request)(environ, start_response)
        return self._called(call, request, arguments)(environ, start_response)

    def _called(self, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.calls[call] += 1
            fault = next((each for each in self.faults if each.strikes(call, self._dice)), None)
        try:
            if fault is not None and fault.kind == "slow":
                time.sleep(fault.seconds)
            with self._lock:
                return self._faulty(fault, call, request, arguments)
        finally:
            with self._lock:
                self._at_once -= 1

    def _faulty(self, fault: Fault | None, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        kind = fault.kind if fault else ""
        if fault is None or kind not in _BEFORE | _AFTER:
            return self._answer(call, request, arguments)
        if kind in _BEFORE:
            early = _BEFORE[kind](self, fault, request)
            return early if early is not None else self._answer(call, request, arguments)
        return _AFTER[kind](fault, request, self._answer(call, request, arguments))

    def _answer(self, call: str, request: Request, arguments: Mapping[str, str]) -> Response:
        try:
            self._count()
            response = getattr(self, f"on_{call}")(request, **arguments)
        except Refused as refused:
            response = _json(refused.body, refused.status)
        reset = (self.now + timedelta(hours=6)).timestamp()
        response.headers["X-Rate-Limit-Limit"] = str(self.settings.limit)
        response.headers["X-Rate-Limit-Remaining"] = str(max(0, self.settings.limit - self.used))
        response.headers["X-Rate-Limit-Reset"] = str(int(reset))
        made: Response = response
        return made

    def _count(self) -> None:
        if self.used >= self.settings.limit:
            raise Refused(self.settings.quota_status, "Rate limit exceeded")
        self.used += 1

    def on_token(self, request: Request) -> Response:
        given = request.values
        if request.authorization is None or (request.authorization.username, request.authorization.password) != (
            self.key,
            self.secret,
        ):
            message = "Invalid client credentials, or no access granted to this Learn server."
            response = _json({"error": "invalid_client", "error_description": message}, 401)
            response.headers["WWW-Authenticate"] = 'Basic realm="Learn"'
            return response
        match given.get("grant_type"):
            case "client_credentials":
                return self._token(self._own_grant())
            case "authorization_code":
                return self._token_for_code(given)
            case "refresh_token":
                return self._token_for_refresh(given.get("refresh_token", ""))
            case None:
                return _oauth_error("invalid_request")
            case _:
                return _oauth_error("unsupported_grant_type")

    def _own_grant(self) -> Grant:
        for grant in self._grants.values():
            if grant.user is None and grant.until > self.now:
                return grant
        return self._keep(Grant(self._random(), None, "", self.now + timedelta(seconds=3599)))

    def _token_for_code(self, given: Mapping[str, str]) -> Response:
        grant, redirect = self._codes.pop(given.get("code", ""), (None, ""))
        if grant is None or redirect != given.get("redirect_uri"):
            return _oauth_error("invalid_grant")
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if grant.verifier_hash and grant.verifier_hash != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
            return _oauth_error("invalid_grant")
        return self._token(self._keep(grant))

    def _token_for_refresh(self, refresh: str) -> Response:
        old = next((each for each in self._grants.values() if refresh and each.refresh == refresh), None)
        if old is None:
            return _oauth_error("invalid_grant")
        until, refresh = self.now + timedelta(seconds=3599), old.refresh
        if self.settings.one_time_refresh:
            old.refresh, refresh = "", self._random()
        return self._token(self._keep(Grant(self._random(), old.user, old.scope, until, refresh)))

    def _keep(self, grant: Grant) -> Grant:
        self._grants[grant.token] = grant
        return grant

    def _token(self, grant: Grant) -> Response:
        seconds = int((grant.until - self.now).total_seconds())
        body: Json = {"access_token": grant.token, "token_type": "bearer", "expires_in": seconds}
        if grant.user is not None:
            body |= {"scope": grant.scope, "user_id": grant.user.uuid}
            body |= {"refresh_token": grant.refresh} if grant.refresh else {}
        return _json(body, 200, {"Cache-Control": "no-store", "Pragma": "no-cache"})

    def on_authorize(self, request: Request) -> Response:
        """Signs in `visitor` (a user's id); without one the person pressed Deny."""
        given, user = request.args, self.users.get(self.visitor)
        state = {"state": given.get("state", "")}
        hashed = given.get("code_challenge_method") == "S256" or "code_challenge" not in given
        if given.get("client_id") != self.key or given.get("response_type") != "code" or not hashed:
            return _oauth_error("invalid_request")
        if user is None:
            return _redirect(given["redirect_uri"], {"error": "access_denied"} | state)
        scope = given.get("scope", "")
        refresh = self._random() if "offline" in scope.split() else ""
        until = self.now + timedelta(seconds=3599)
        grant = Grant(self._random(), user, scope, until, refresh, given.get("code_challenge", ""))
        code = self._random()
        self._codes[code] = (grant, given["redirect_uri"])
        return _redirect(given["redirect_uri"], {"code": code} | state)

    def on_tokeninfo(self, request: Request) -> Response:
        grant = self._grants.get(request.args.get("access_token", ""))
        if grant is None:
            raise Refused(400, "Bearer token is invalid")
        return _json({"applicationId": str(uuid5(NAMESPACE_URL, self.key)), "scope": grant.scope})

    def _signed_in(self, request: Request, scope: str) -> Grant:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            raise Refused(401, "API request is not authenticated.")
        grant = self._grants.get(header.removeprefix("Bearer "))
        if grant is None or grant.until <= self.now:
            raise Refused(401, "Bearer token is invalid")
        if grant.user is not None and scope not in grant.scope.split():
            raise _forbidden()
        return grant

    def _need(self, grant: Grant, right: str) -> None:
        if right not in (grant.user.rights if grant.user else self.rights):
            raise _forbidden()

    def _author(self, grant: Grant) -> str:
        return grant.user.id if grant.user else "_1354_1"

    def on_course(self, request: Request, course: str) -> Response:
        self._signed_in(request, "read")
        each = self._course(course)
        return _json(_chosen(self._described(each), request))

    def _described(self, course: Course) -> Json:
        available = {"available": course.available}
        return {"id": course.id, "courseId": course.course_id, "name": course.name, "availability": available}

    def on_user(self, request: Request, user: str) -> Response:
        self._signed_in(request, "read")
        each = self._user(user)
        return _json(_chosen({"id": each.id, "userName": each.name, "uuid": each.uuid}, request))

    def on_memberships(self, request: Request, user: str) -> Response:
        self._signed_in(request, "read")
        each = self._user(user)
        rows = [self._membership(each, course, role) for course, role in each.courses.items()]
        if request.args.get("expand") == "course" and self.settings.expands:
            rows = [row | {"course": self._described(self.courses[row["courseId"]])} for row in rows]
        return self._page(request, rows)

    def on_members(self, request: Request, course: str) -> Response:
        self._signed_in(request, "read")
        each = self._course(course)
        rows = [
            self._membership(user, each.id, user.courses[each.id])
            for user in self.users.values()
            if each.id in user.courses
        ]
        return self._page(request, rows)

    def _membership(self, user: User, course: str, role: str) -> Json:
        available = {"available": "No" if course in user.barred else "Yes"}
        return {"userId": user.id, "courseId": course, "availability": available, "courseRoleId": role}

    def _course(self, name: str) -> Course:
        for course in self.courses.values():
            if name in course.names:
                return course
        raise _missing(name)

    def _user(self, name: str) -> User:
        for user in self.users.values():
            if name in (user.id, f"userName:{user.name}", f"uuid:{user.uuid}"):
                return user
        raise _missing(name)

    def on_calendars(self, request: Request) -> Response:
        grant = self._signed_in(request, "read")
        rows = [{"id": "INSTITUTION", "name": "Institution"}]
        rows += [{"id": "PERSONAL", "name": "Personal"}] if grant.user else []
        rows += [
            {"id": course.id, "name": self._calendar_name(course.id)}
            for course in self.courses.values()
            if grant.user is None or course.id in grant.user.courses
        ]
        return self._page(request, rows)

    def _calendar_name(self, id: str) -> str:
        course = self.courses.get(id)
        return f"{course.course_id}: {course.name}" if course else id.title()

    def on_items(self, request: Request) -> Response:
        grant = self._signed_in(request, "read")
        course, type = request.args.get("courseId"), request.args.get("type")
        if type is not None and type not in TYPES:
            raise Refused(400, f"Invalid type: {type}")
        if grant.user is None and type == "Personal":
            raise _forbidden()
        if grant.user is None and course is None and type != "Institution":
            self.calls["unscoped"] += 1
            if self.settings.strict:
                raise Refused(403, "UNSCOPED LIST: an application must name a course or type=Institution")
        since, until = self._span(request)
        rows = [
            item
            for item in self.items.values()
            if (type is None or item["type"] == type)
            and self._visible(item, grant, course)
            and _overlaps(item, since, until)
        ]
        if course is not None:
            self._need(grant, "course.calendar.VIEW")
            rows = self._of_course(course, rows)
        return self._page(request, _sorted(rows, request.args.get("sort", "")))

    def _of_course(self, course: str, rows: list[Json]) -> list[Json]:
        if not re.fullmatch(r"_\d+_\d+", course):
            raise Refused(400, f"Invalid id: {course}")
        known = self.courses.get(course)
        if known is None or known.calendar == "missing":
            raise _missing(course)
        return [] if known.calendar == "empty" else rows

    def _visible(self, item: Json, grant: Grant, course: str | None) -> bool:
        if item["type"] == "Personal":
            return grant.user is not None and item["createdByUserId"] == grant.user.id
        if course is not None:
            return bool(item["calendarId"] == course)
        return grant.user is None or item["type"] == "Institution" or item["calendarId"] in grant.user.courses

    def _span(self, request: Request) -> tuple[datetime, datetime]:
        two_weeks = timedelta(weeks=2)
        since, until = (_instant(request.args[name]) if name in request.args else None for name in ("since", "until"))
        if since is None:
            since = until - two_weeks if until else self.now
        until = until or since + two_weeks
        if until < since:
            raise Refused(400, "until is before since")
        if until - since > timedelta(weeks=16):
            if self.settings.overlong == "refuse":
                raise Refused(400, "The span between since and until is longer than 16 weeks")
            until = since + timedelta(weeks=16)
        return since, until

    def on_item(self, request: Request, type: str, id: str) -> Response:
        grant = self._signed_in(request, "read")
        item = self._item(type, id)
        if not self._visible(item, grant, None):
            raise _missing(id)
        return _json(_chosen(item, request))

    def _item(self, type: str, id: str) -> Json:
        item = self.items.get(id)
        if item is None or item["type"] != type:
            raise _missing(id)
        return item

    def on_create(self, request: Request) -> Response:
        grant = self._signed_in(request, "write")
        body = _body(request)
        type, calendar = self._may_write(grant, body.get("type"), body.get("calendarId"), "CREATE")
        if type == "OfficeHours" and not body.get("recurrence"):
            raise Refused(400, "recurrence is required for OfficeHours")
        _check(body, {"title", "start", "end"})
        made = self._make(body, type=type, calendar=calendar, author=self._author(grant))
        self._log("create", made[0], count=len(made))
        return _json(_chosen(made[0], request), 201)

    def _may_write(self, grant: Grant, type: Any, calendar: Any, right: str) -> tuple[str, str]:
        if not isinstance(type, str) or type not in TYPES or not isinstance(calendar, str):
            raise Refused(400, "type and calendarId are required")
        if type == "GradebookColumn":
            raise Refused(403, "Grade columns are managed in the Grade Center")
        if type == "Personal":
            if grant.user is None or calendar != "PERSONAL":
                raise _forbidden()
        elif type == "Institution":
            self._need(grant, "system.calendar-item.EXECUTE")
            if calendar != "INSTITUTION":
                raise Refused(400, "calendarId has to be INSTITUTION")
        else:
            self._may_write_course(grant, calendar, right)
        return type, calendar

    def _own(self, grant: Grant, item: Json) -> None:
        if item["type"] == "Personal" and not self._visible(item, grant, None):
            raise _missing(item["id"])

    def _may_write_course(self, grant: Grant, calendar: str, right: str) -> None:
        if calendar not in self.courses:
            raise _missing(calendar)
        if self.courses[calendar].calendar != "on":
            raise Refused(403, "The calendar is not available in this course")
        self._need(grant, f"course.calendar-entry.{right}")

    def _make(self, body: Json, *, type: str, calendar: str, author: str) -> list[Json]:
        """One item, or one for each occurrence of a series, with consecutive ids."""
        start, end = _instant(body["start"]), _instant(body["end"])
        recurrence = body.get("recurrence")
        times = [(start, end)]
        if recurrence:
            zone = ZoneInfo(self.settings.zone)
            times = list(expand(recurrence, start, end, zone))
            recurrence = recurrence | {
                "originalStart": self._stamp(start),
                "originalEnd": self._stamp(end),
                "repeatBroken": False,
            }
        series = self._next_id
        return [
            self._new(body, recurrence, series, begins, ends, type=type, calendarId=calendar, createdByUserId=author)
            for begins, ends in times
        ]

    def _new(
        self, body: Json, recurrence: Json | None, series: int, start: datetime, end: datetime, **fixed: str
    ) -> Json:
        texts = {name: body[name] for name in ("title", "description", "location") if body.get(name)}
        more: Json = {"recurrence": dict(recurrence), "_series": series} if recurrence else {}
        id = self.put(
            **fixed,
            **texts,
            **more,
            start=self._stamp(start),
            end=self._stamp(end),
            disableResizing=bool(body.get("disableResizing", False)),
        )
        return self.items[id]

    def on_update(self, request: Request, type: str, id: str) -> Response:
        grant = self._signed_in(request, "write")
        item = self._item(type, id)
        self._may_write(grant, type, item["calendarId"], "MODIFY")
        self._own(grant, item)
        body = _body(request)
        whole = _flag(request, "updateSeries")
        if whole != ("recurrence" in body):
            raise Refused(400, "recurrence belongs to updateSeries=true, and only there")
        merged = {name: body.get(name, item.get(name)) for name in ("title", "description", "location", "start", "end")}
        _check(merged, {"title", "start", "end"})
        if whole:
            self._remove(item, series=True)
            made = self._make(body | merged, type=type, calendar=item["calendarId"], author=self._author(grant))
            self._log("series", made[0], count=len(made))
            return _json(_chosen(made[0], request))
        self._change(item, merged)
        self._log("update", item)
        return _json(_chosen(item, request))

    def _change(self, item: Json, merged: Json) -> None:
        for name in ("title", "description", "location"):
            item.pop(name, None)
            if merged[name]:
                item[name] = merged[name]
        item["start"], item["end"] = (self._stamp(_instant(merged[name])) for name in ("start", "end"))
        stamp = self._stamp(self.now)
        item["modified"] = max(stamp, self._stamp(_instant(item["modified"]) + timedelta(milliseconds=1)))
        if "recurrence" in item:
            item["recurrence"]["repeatBroken"] = True

    def on_delete(self, request: Request, type: str, id: str) -> Response:
        grant = self._signed_in(request, "delete")
        item = self._item(type, id)
        self._may_write(grant, type, item["calendarId"], "DELETE")
        self._own(grant, item)
        if type == "OfficeHours" and item["createdByUserId"] != self._author(grant):
            raise _forbidden()
        self._remove(item, series=_flag(request, "deleteSeries"))
        self._log("delete", item)
        return Response(status=204)

    def _remove(self, item: Json, *, series: bool) -> None:
        number = item.get("_series")
        for id, other in list(self.items.items()):
            if other is item or (series and number is not None and other.get("_series") == number):
                del self.items[id]

    def on_column(self, request: Request, course: str, column: str) -> Response:
        self._signed_in(request, "read")
        return _json(self._column(self._item("GradebookColumn", column)))

    def on_move_column(self, request: Request, course: str, column: str) -> Response:
        self._signed_in(request, "write")
        item = self._item("GradebookColumn", column)
        due = (_body(request).get("grading") or {}).get("due")
        if isinstance(due, str):
            item["start"] = item["end"] = self._stamp(_instant(due))
            self._log("due", item)
        return _json(self._column(item))

    def _column(self, item: Json) -> Json:
        return {"id": item["id"], "name": item["title"], "grading": {"type": "Attempts", "due": item["start"]}}

    def _page(self, request: Request, rows: list[Json]) -> Response:
        offset, limit = (_count_of(request, name, default) for name, default in (("offset", 0), ("limit", 100)))
        limit = min(limit or 1, self.settings.top_page)
        body: Json = {"results": [_chosen(row, request) for row in rows[offset : offset + limit]]}
        if offset + limit < len(rows):
            query = {**request.args.to_dict(), "limit": str(limit), "offset": str(offset + limit)}
            body["paging"] = {"nextPage": f"{request.path}?{urlencode(query)}"}
        return _json(body)

    def _log(self, deed: str, item: Json, **more: Any) -> None:
        """One line for each accepted write, never taken back."""
        entry = {"n": len(self.journal) + 1, "do": deed, "at": self._stamp(self.now), **more}
        entry |= {name: item.get(name) for name in ("type", "id", "calendarId", "title", "start", "end")}
        self.journal.append(entry)
        if self._file is not None:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def _new_id(self) -> str:
        self._next_id += 1
        return f"_{self._next_id}_1"

    def _random(self) -> str:
        return f"{self._dice.getrandbits(120):030x}"

    def _stamp(self, moment: datetime) -> str:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _control(self, call: str, request: Request) -> Response:
        body = request.get_json(silent=True) or {}
        match call:
            case "_items":
                return _json({"id": self.put(**body)}, 201)
            case "_courses":
                return _json({"id": self.add_course(**body).id}, 201)
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
                "items": [_shown(item) for item in self.items.values()],
                "faults": [vars(fault) for fault in self.faults],
                "settings": vars(self.settings),
                "most_at_once": self.most_at_once,
            }
        )

    def _set(self, values: Json) -> None:
        names = {each.name for each in fields(Settings)}
        for name, value in values.items():
            if name == "rights":
                self.rights = frozenset(value)
            elif name == "expire_tokens":
                self.expire_tokens()
            elif name == "visitor":
                self.visitor = value
            elif name == "exhaust":
                self.exhaust(value)
            elif name in names:
                setattr(self.settings, name, value)
            else:
                raise ValueError(f"no such setting: {name}")


ROUTES = Map(
    [
        Rule(f"{API}/v1/oauth2/token", methods=["POST"], endpoint="token"),
        Rule(f"{API}/v1/oauth2/authorizationcode", methods=["GET"], endpoint="authorize"),
        Rule(f"{API}/v1/oauth2/tokeninfo", methods=["GET"], endpoint="tokeninfo"),
        Rule(f"{API}/v1/calendars", methods=["GET"], endpoint="calendars"),
        Rule(f"{API}/v1/calendars/items", methods=["GET"], endpoint="items"),
        Rule(f"{API}/v1/calendars/items", methods=["POST"], endpoint="create"),
        Rule(f"{API}/v1/calendars/items/<type>/<id>", methods=["GET"], endpoint="item"),
        Rule(f"{API}/v1/calendars/items/<type>/<id>", methods=["PATCH"], endpoint="update"),
        Rule(f"{API}/v1/calendars/items/<type>/<id>", methods=["DELETE"], endpoint="delete"),
        Rule(f"{API}/v2/courses/<course>/gradebook/columns/<column>", methods=["GET"], endpoint="column"),
        Rule(f"{API}/v2/courses/<course>/gradebook/columns/<column>", methods=["PATCH"], endpoint="move_column"),
        Rule(f"{API}/v3/courses/<course>", methods=["GET"], endpoint="course"),
        Rule(f"{API}/v1/users/<user>", methods=["GET"], endpoint="user"),
        Rule(f"{API}/v1/users/<user>/courses", methods=["GET"], endpoint="memberships"),
        Rule(f"{API}/v1/courses/<course>/users", methods=["GET"], endpoint="members"),
        Rule("/_fake/state", methods=["GET"], endpoint="_state"),
        Rule("/_fake/items", methods=["POST"], endpoint="_items"),
        Rule("/_fake/courses", methods=["POST"], endpoint="_courses"),
        Rule("/_fake/faults", methods=["POST"], endpoint="_faults"),
        Rule("/_fake/faults", methods=["DELETE"], endpoint="_clear"),
        Rule("/_fake/settings", methods=["POST"], endpoint="_settings"),
    ]
)


def expand(recurrence: Json, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The occurrences of a series, each at the same wall-clock time of the site; at most 500."""
    length = end - start
    wall = start.astimezone(zone).replace(tzinfo=None)
    until = _instant(recurrence["until"]) if recurrence.get("until") else None
    count = 500 if until else int(recurrence.get("count") or 0)
    if not count:
        raise Refused(400, "recurrence needs count or until")
    for number, each in enumerate(_walls(recurrence, wall)):
        begins = each.replace(tzinfo=zone).astimezone(UTC)
        if number >= min(count, 500) or (until and begins > until):
            return
        yield begins, begins + length


def _walls(recurrence: Json, wall: datetime) -> Iterator[datetime]:
    step = recurrence.get("interval", 1)
    if not isinstance(step, int) or not 1 <= step <= 100:
        raise Refused(400, "interval is 1 to 100")
    match recurrence.get("frequency"):
        case "Daily":
            yield from (wall + timedelta(days=n * step) for n in range(500))
        case "Weekly":
            yield from _weekly(wall, step, recurrence.get("weekDays") or [DAYS[wall.isoweekday() % 7]])
        case "Monthly":
            yield from _monthly(wall, step, recurrence)
        case other:
            raise Refused(400, f"Invalid frequency: {other}")


def _weekly(wall: datetime, step: int, days: list[str]) -> Iterator[datetime]:
    sunday = wall - timedelta(days=wall.isoweekday() % 7)
    for week in range(500):
        for day in sorted(DAYS.index(name) for name in days):
            each = sunday + timedelta(weeks=week * step, days=day)
            if each >= wall:
                yield each


def _monthly(wall: datetime, step: int, recurrence: Json) -> Iterator[datetime]:
    by_day: int | None = recurrence.get("monthRepeatDay")
    position: int | None = recurrence.get("monthPosition")
    if (by_day is None) == (position is None):
        raise Refused(400, "a monthly recurrence has monthRepeatDay, or monthPosition with repeatDay")
    for number in range(0, 500 * step, step):
        year, month = divmod(wall.year * 12 + wall.month - 1 + number, 12)
        first = wall.replace(year=year, month=month + 1, day=1)
        month_days = [first + timedelta(days=n) for n in range(31) if (first + timedelta(days=n)).month == first.month]
        if position is not None:
            weekday = DAYS.index(recurrence["repeatDay"])
            month_days = [day for day in month_days if day.isoweekday() % 7 == weekday]
            wanted = position - 1 if position > 0 else -1
        else:
            wanted = (by_day or 1) - 1
        if -1 <= wanted < len(month_days) and month_days[wanted] >= wall:
            yield month_days[wanted]


_GRAMMAR = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8})"
    r"(?:T(?P<time>\d\d:\d\d(?::\d\d(?:\.\d{3})?)?|\d{4}(?:\d\d(?:\.\d{3})?)?))?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?"
)


def _instant(text: Any) -> datetime:
    """A date-time as Learn takes it; without a zone it is UTC."""
    form = _GRAMMAR.fullmatch(text) if isinstance(text, str) else None
    try:
        if form is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(f"{form['date']}T{form['time'] or '00:00'}{form['zone'] or 'Z'}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(400, f"Invalid date: {text!r}") from None


def _overlaps(item: Json, since: datetime, until: datetime) -> bool:
    """Both ends of the window count. An item broken on purpose (see `put`) is always shown."""
    try:
        start, end = _instant(item["start"]), _instant(item["end"])
    except (Refused, KeyError):
        return True
    return start <= until and (end >= since or end < start)


def _check(body: Json, required: set[str]) -> None:
    for name in ("title", "description", "location"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise Refused(400, f"{name} has to be text")
    if any(not body.get(name) for name in required) or not body["title"].strip():
        raise Refused(400, f"required: {', '.join(sorted(required))}")
    for name, most in (("title", 255), ("location", 1024)):
        if len((body.get(name) or "").encode("utf-16-le", "surrogatepass")) // 2 > most:
            raise Refused(400, f"{name} has more than {most} characters")
    if _instant(body["start"]) >= _instant(body["end"]):
        raise Refused(400, "start has to be before end")


def _body(request: Request) -> Json:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused(400, "The body has to be a JSON object")
    return body


def _flag(request: Request, name: str) -> bool:
    return request.args.get(name, "false").lower() == "true"


def _count_of(request: Request, name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isdecimal():
        raise Refused(400, f"Invalid {name}: {text}")
    return int(text)


def _sorted(rows: list[Json], sort: str) -> list[Json]:
    for rule in reversed([each for each in sort.split(",") if each]):
        name, falling = rule.removesuffix("(desc)"), rule.endswith("(desc)")
        if name not in SORTABLE:
            raise Refused(400, f"Cannot sort by {rule}")
        rows = sorted(rows, key=lambda row: str(row.get(name) or ""), reverse=falling)
    return rows


def _shown(item: Json) -> Json:
    return {name: value for name, value in item.items() if not name.startswith("_")}


def _chosen(item: Json, request: Request) -> Json:
    """The members that `fields` asks for."""
    shown = _shown(item)
    wanted = {each.partition(".")[0] for each in request.args.get("fields", "").split(",") if each}
    return {name: value for name, value in shown.items() if name in wanted} if wanted else shown


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json;charset=UTF-8")


def _oauth_error(error: str) -> Response:
    return _json({"error": error, "error_description": error.replace("_", " ")}, 400)


def _redirect(uri: str, query: Mapping[str, str]) -> Response:
    return Response(status=302, headers={"Location": f"{uri}?{urlencode(query)}"})


def _missing(name: str) -> Refused:
    return Refused(404, f"Could not find object with ID: {name}", extraInfo=uuid5(NAMESPACE_URL, name).hex)


def _forbidden() -> Refused:
    return Refused(403, "User does not have the required privileges")


def _status(learn: FakeLearn, fault: Fault, request: Request) -> Response:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    return _json({"status": fault.status, "message": "out of order"}, fault.status, headers)


def _quota(learn: FakeLearn, fault: Fault, request: Request) -> Response:
    response = _status(learn, fault, request)
    response.headers["X-Rate-Limit-Limit"] = str(learn.settings.limit)
    response.headers["X-Rate-Limit-Remaining"] = "0"
    response.headers["X-Rate-Limit-Reset"] = str(int((learn.now + timedelta(hours=6)).timestamp()))
    return response


def _expire(learn: FakeLearn, fault: Fault, request: Request) -> None:
    learn.expire_tokens()


def _unheard(learn: FakeLearn, fault: Fault, request: Request) -> Response:
    hang_up(request.environ)
    return Response(status=204)


def _html(learn: FakeLearn, fault: Fault, request: Request) -> Response:
    status = 200 if fault.status == 503 else fault.status
    return Response(LOGIN_PAGE if fault.page == "login" else BUSY_PAGE, status, content_type="text/html")


def _null(learn: FakeLearn, fault: Fault, request: Request) -> Response:
    return _json({"results": None})


def _slow(fault: Fault, request: Request, response: Response) -> Response:
    if not fault.drip:
        return response
    data = response.get_data()

    def pieces() -> Iterator[bytes]:
        for byte in data:
            time.sleep(fault.seconds)
            yield bytes([byte])

    return mangled.streamed(response, pieces(), len(data))


def _loop(fault: Fault, request: Request, response: Response) -> Response:
    body = response.get_json()
    host = "https://elsewhere.example" if fault.kind == "foreign" else ""
    body["paging"] = {"nextPage": f"{host}{request.path}?{request.query_string.decode()}"}
    response.set_data(json.dumps(body))
    return response


_BEFORE: dict[str, Callable[[FakeLearn, Fault, Request], Response | None]] = {
    "status": _status,
    "quota": _quota,
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
}
