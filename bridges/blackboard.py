"""Blackboard Learn (Anthology): reads and writes the calendars of courses, of the institution and of linked people.

The facts of the public REST API that this module relies on:

- A registered application signs in on its own (two-legged OAuth). Its token lives an hour; asking again gives the
  same one. The Learn user that the site's administrator chose for it supplies every right.
- Without a user's own sign-in (three-legged OAuth) personal calendars are closed, and a listing must name its course
  or type=Institution, or it would dump the site. It covers 16 weeks at most, both ends included.
- A person links an account by signing in at Learn (three-legged OAuth with PKCE); `offline` yields a refresh token.
  Assumed: each refresh may bring another one, which counts from then on; where none comes the old one stays good.
- Personal items are their owner's alone, and so is the deleting of office hours. Who creates office hours owns them.
- `courseId` takes the primary id alone (`_12594_1`); other names are looked up first.
- There is no all-day flag, no field for a link, a category or a status; times are UTC with milliseconds, and an item
  ends after it starts. A title holds 255 letters (of UTF-16, as Java counts), a location 1024.
- A series comes as its single items. A change with updateSeries=false is for one item and may carry no `recurrence`.
- `GradebookColumn` items are due dates: they move in the Grade Center alone, and are never written here.
- There is no key of ours on an item, no ETag and no change feed: absence in a whole reading means deleted. Pages go
  by offset, so what is deleted while a long list is read can hide a neighbour from that one reading.
- A calendar that is switched off may answer 404 or nothing at all; the latter looks like an empty one.
- Assumed: `users/{id}/courses?expand=course` tells each course's own availability (`Yes`, `No`, `Disabled`, `Term`).

Series are written as single items. Native ones (`recurrence`, updateSeries=true) would be an order of their own beside
Put: such a change gives every item a new id, which no RemoteRef of the single items would survive.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bridges.contract import SinkRules, Tools, Vault
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.http import Answer, Forbidden, Limits, LmsHttp
from bridges.model import (
    Calendar,
    CalendarRef,
    Event,
    Found,
    Kind,
    RemoteRef,
    SyncKey,
    Timed,
    When,
    Window,
    instant,
)
from bridges.settings import ZoneName, secured
from bridges.text import UNTITLED, cleaned, cut, folded, on_one_line, titled, unsaid
from bridges.times import MILLISECOND, as_instants, floored, moment_of

if TYPE_CHECKING:
    import requests

API = "/learn/api/public/v1"
COURSES = "/learn/api/public/v3/courses"
SCOPE = "read write delete offline"
TITLE = 255
LOCATION = 1024
NOT_OURS = "Blackboard opens what is a person's own to nobody but the person"
BY_MAIL = "send the events by e-mail instead (a connection with the bridge imip)"
MOST_PEOPLE = 100
"""People whose connections and tokens one process keeps at hand; for others a token is fetched anew."""

log = logging.getLogger(__name__)


class BlackboardSettings(BaseModel):
    """One Learn site, as the configuration names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Address of the site, https only, without a path: https://learn.example.edu")
    key: str = Field(min_length=1, description="Application key from developer.anthology.com")
    secret: SecretStr = Field(min_length=1, description="Application secret that belongs to the key")
    zone: ZoneName = Field(description="Time zone of the site (IANA); all-day events are written as its midnights")
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
    linking: bool = Field(
        False, description="Let people link their own accounts, for personal items; Learn has to permit End User Access"
    )
    staff_roles: tuple[str, ...] = Field(
        ("Instructor", "TeachingAssistant", "CourseBuilder"),
        description="Course roles whose members see a course that is not available to its students",
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
        parts = secured(url.rstrip("/"))
        if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("is scheme and host alone, as in https://learn.example.edu")
        return url.rstrip("/")

    @property
    def needs_vault(self) -> bool:
        return self.linking

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


Granted = Mapping[str, Any]
"""What the token endpoint answers: access_token, expires_in, and for a person refresh_token and user_id."""


class TokenServer:
    """Learn's token endpoint, asked with the application's key and secret."""

    def __init__(self, settings: BlackboardSettings, tools: Tools) -> None:
        self._settings = settings
        self._http = LmsHttp(settings.url, tools, limits=settings.limits)

    def ask(self, **fields: str) -> Granted:
        """Rejected for a code or a refresh token that is spent or withdrawn, Denied for the application itself."""
        pair = f"{self._settings.key}:{self._settings.secret.get_secret_value()}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        try:
            answer = self._http.form(f"{API}/oauth2/token", fields, basic)
        except Gone as error:
            raise Denied(f"There is no signing in at {self._http.host}: is it a Learn site?", raw=error.raw) from error
        return answer if isinstance(answer, dict) else {}


class Bearer:
    """Signs calls with a token: one for all threads, fetched when needed, renewed once after a 401."""

    def __init__(self, fetch: Callable[[], Granted], now: Callable[[], datetime], early: timedelta) -> None:
        self._fetch = fetch
        self._now = now
        self._early = early
        self._lock = threading.Lock()
        self._token = ""
        self._until = datetime.min.replace(tzinfo=UTC)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        return request

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        """Forget the token that was not taken (401), unless another thread has replaced it meanwhile."""
        with self._lock:
            if refusal.status == 401 and request.headers.get("Authorization") == f"Bearer {self._token}":
                self._token = ""
        return refusal.status == 401

    def _current(self) -> str:
        """The token while it is young: one that is handed out again may have seconds left, and half of them count."""
        with self._lock:
            if not self._token or self._now() >= self._until:
                granted = self._fetch()
                self._token = _token(granted.get("access_token"))
                if not self._token:
                    raise Transient("Learn answered our sign-in without a token.")
                seconds = granted.get("expires_in")
                lifetime = timedelta(seconds=max(0, seconds) if isinstance(seconds, int) else 0)
                self._until = self._now() + lifetime - min(self._early, lifetime / 2)
            return self._token


class PersonHttp(LmsHttp):
    """Calls in the name of one person, on the turns of the application's own.

    The session is not shared: by the cookies that Learn sets it could take one person for another.
    """

    def __init__(self, site: LmsHttp, settings: BlackboardSettings, tools: Tools, auth: Bearer) -> None:
        super().__init__(settings.url, tools, auth=auth, limits=settings.limits)
        self._turns = site._turns


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has linked an account: the primary id, the user name, the uuid."""

    id: str
    name: str
    uuid: str

    def is_called(self, spelling: str) -> bool:
        """Whether `_5_1`, `userName:jdoe` or `uuid:915c…` means this person."""
        kind, _, name = spelling.partition(":")
        if kind == "userName":
            return name.casefold() == self.name.casefold()
        return spelling in (self.id, f"uuid:{self.uuid}")


class Links:
    """Who lets us act for them, and their refresh tokens: all in the vault, the list under a name of its own."""

    def __init__(self, lms: str, server: TokenServer, vault: Vault) -> None:
        self._place = f"blackboard/{lms}"
        self._server = server
        self._vault = vault

    def people(self) -> list[Person]:
        """Everybody who has linked an account, by id."""
        listed = json.loads(self._vault.get(self._place) or "{}")
        return [Person(id, name, uuid) for id, (name, uuid) in sorted(listed.items())]

    def find(self, spelling: str) -> Person | None:
        return next((person for person in self.people() if person.is_called(spelling)), None)

    def keep(self, person: Person, refresh: str, back: str) -> None:
        """Keep the person's refresh token, in place of an earlier one; `back` is the address it was got with."""
        with self._vault.alone(self._drawer(person)):
            self._vault.put(self._drawer(person), json.dumps({"refresh": refresh, "back": back}))
        self._list(person, keep=True)

    def drop(self, person: Person) -> None:
        """Forget the person's refresh token. Learn has no call that would withdraw it."""
        self._list(person, keep=False)
        with self._vault.alone(self._drawer(person)):
            self._vault.put(self._drawer(person), "")

    def refreshed(self, person: Person) -> Granted:
        """A new access token. A refresh token that comes with it is stored before the answer is used."""
        drawer = self._drawer(person)
        with self._vault.alone(drawer):
            kept = json.loads(self._vault.get(drawer) or "{}")
            granted = self._spent(person, **kept)
            refresh = _token(granted.get("refresh_token"))
            if refresh not in ("", kept["refresh"]):
                self._vault.put(drawer, json.dumps(kept | {"refresh": refresh}))
        return granted

    def _spent(self, person: Person, refresh: str = "", back: str = "") -> Granted:
        withdrawn = f"Learn no longer lets us act for {person.name}: the person has to link the account again."
        if not refresh:
            raise Denied(withdrawn)
        try:
            return self._server.ask(grant_type="refresh_token", refresh_token=refresh, redirect_uri=back)
        except Rejected as error:
            raise Denied(withdrawn, raw=error.raw) from error

    def _list(self, person: Person, *, keep: bool) -> None:
        with self._vault.alone(self._place):
            listed = {each.id: (each.name, each.uuid) for each in self.people() if each.id != person.id}
            listed |= {person.id: (person.name, person.uuid)} if keep else {}
            self._vault.put(self._place, json.dumps(listed))

    def _drawer(self, person: Person) -> str:
        return f"{self._place}/{person.id}"


def _token(text: Any) -> str:
    return text if isinstance(text, str) and text.isascii() and text.isprintable() else ""


class BlackboardBridge:
    """Source, sink and directory for one Learn site, signed in as an application and as each person who linked.

    Calendars are `course/_12594_1` (also by another name of the course, as in `course/courseId:BIO101`),
    `institution`, `person/_5_1` (or `person/userName:jdoe`, `person/uuid:915c…`) for a linked person,
    `office-hours/<course>` with those that the application owns or sees, and `office-hours/<course>/<person>` with
    those that a linked person owns. A RemoteRef is `<item type>/<item id>`: `Course/_801_1`.
    """

    Settings = BlackboardSettings

    def __init__(self, name: str, settings: BlackboardSettings, tools: Tools) -> None:
        self.rules = SinkRules(keys_reusable=True, keeps_all_day=False, writers=settings.concurrency)
        self._name = name
        self._settings = settings
        self._tools = tools
        self._zone = ZoneInfo(settings.zone)
        self._least = timedelta(minutes=settings.deadline_minutes)
        self._margin = timedelta(hours=settings.margin_hours)
        self._server = TokenServer(settings, tools)
        own = self._bearer(lambda: self._server.ask(grant_type="client_credentials"))
        self._http = LmsHttp(settings.url, tools, auth=own, limits=settings.limits)
        self._links = Links(name, self._server, tools.vault)
        self._acting: dict[Person, PersonHttp] = {}
        self._opening = threading.Lock()
        self._courses: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"BlackboardBridge({self._name!r}, {self._settings.url!r})"

    def calendars(self) -> Iterator[Calendar]:
        """The institution's calendar, those of the courses that the application sees, and those of linked people."""
        for item in self._listed(self._http, f"{API}/calendars", {"limit": self._settings.page_size}):
            ref = self._calendar_ref(item.get("id"))
            if ref is not None:
                yield Calendar(ref, on_one_line(item.get("name")) or str(ref), writable=True)
        if self._settings.linking:
            yield from self.links()

    def canonical(self, calendar: CalendarRef) -> CalendarRef:
        """The calendar by primary ids (`courseId:BIO101` and `_12594_1` are one course); a new name costs a call."""
        match calendar.kind:
            case Kind.COURSE:
                return replace(calendar, id=self._course(calendar.id))
            case Kind.OFFICE_HOURS:
                course, slash, owner = calendar.id.partition("/")
                return replace(calendar, id=f"{self._course(course)}{slash}{self._known_as(owner)}")
            case Kind.PERSON:
                return replace(calendar, id=self._known_as(calendar.id))
            case _:
                return calendar

    def _known_as(self, spelling: str) -> str:
        person = self._links.find(spelling) if spelling else None
        return person.id if person else spelling

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        """What overlaps the window, one call per 16 weeks and page. A due date counts at its minute."""
        person, scope = self._person(calendar), self._scope(calendar)
        found: dict[RemoteRef, Found] = {}
        for since, until in self._spans(window):
            for item in self._items(self._http_of(person), scope, since, until):
                each = self._found(item) if _is_of(item, calendar, person) else None
                if each is not None and window.overlaps(each.event.when):
                    found[each.ref] = each
        return sorted(found.values(), key=lambda each: (window.span(each.event.when)[0], each.ref))

    def read_cost(self, window: Window) -> int:
        """One call per 16 weeks; a crowded calendar has more pages."""
        return sum(1 for _ in self._spans(window))

    def look_up(self, calendar: CalendarRef, refs: Sequence[RemoteRef]) -> dict[RemoteRef, Found]:
        """One call for each."""
        http, found = self._http_of(self._person(calendar)), {}
        for ref in refs:
            try:
                item = http.get(_item_path(ref))
            except Gone:
                continue
            each = self._found(item) if isinstance(item, dict) else None
            if each is None:
                raise Transient(f"{self._http.host} sent no calendar item.", raw=repr(item)[:1000])
            found[ref] = each
        return found

    def check_target(self, calendar: CalendarRef) -> None:
        self._person(calendar)

    def calendars_of(self, person: str) -> list[CalendarRef]:
        """The courses that a user (`_5_1`, `userName:jdoe` …) may see now, and the user's own calendar if it is linked.

        One call for each page of memberships, and one for each course that the site does not describe among them.
        """
        if not person.startswith("_") and ":" not in person:
            raise Gone(f"'{person}' names no user of Blackboard: write _5_1, userName:jdoe, externalId:… or uuid:….")
        path = f"{API}/users/{quote(person, safe=':')}/courses"
        query: dict[str, str | int] = {"limit": self._settings.page_size, "expand": "course"}
        try:
            members = list(self._listed(self._http, path, query))
        except Gone as error:
            raise Gone(f"There is no user '{person}' at {self._http.host}.", raw=error.raw) from error
        courses = [CalendarRef(self._name, Kind.COURSE, each["courseId"]) for each in members if self._is_open(each)]
        linked = self._links.find(person) if self._settings.linking else None
        return ([self._personal(linked).ref] if linked else []) + sorted(set(courses))

    def members_of(self, calendar: CalendarRef) -> list[str] | None:
        """The primary ids of a course's members who may see it now. One call for each page, and one for the course."""
        if calendar.kind is not Kind.COURSE:
            return None
        course = self._course(calendar.id)
        path = f"{API}/courses/{quote(course, safe='')}/users"
        members = list(self._listed(self._http, path, {"limit": self._settings.page_size}))
        if not (available := self._availability(course, {})):
            return []
        told = {"courseId": course, "course": {"availability": {"available": available}}}
        return [each["userId"] for each in members if each.get("userId") and self._is_open({**each, **told})]

    def is_in_rosters(self, person: str) -> bool:
        return person.startswith("_")

    def sign_in_url(self, back: str, state: str, verifier: str) -> str:
        """Where a person signs in to link an account; Learn sends them to `back` with `code` and `state`, or `error`.

        `verifier` is 43 to 128 letters that only we know until `link` (PKCE, RFC 7636). Denied if linking is off.
        """
        self._check_linking()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {"redirect_uri": back, "response_type": "code", "client_id": self._settings.key, "scope": SCOPE}
        query |= {"state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self._settings.url}{API}/oauth2/authorizationcode?{urlencode(query, quote_via=quote)}"

    def link(self, back: str, code: str, verifier: str) -> Calendar:
        """The personal calendar that is open from now on, for the code that Learn sent to `back`.

        Rejected where the code is spent, Denied where the person gave no lasting permission.
        """
        self._check_linking()
        try:
            granted = self._server.ask(
                grant_type="authorization_code", code=code, redirect_uri=back, code_verifier=verifier
            )
        except Rejected as error:
            raise Rejected(
                "Learn does not take this sign-in: it was used before, or is too old.", raw=error.raw
            ) from error
        refresh = _token(granted.get("refresh_token"))
        if not refresh:
            raise Denied("Learn gave no lasting permission (offline): nothing was linked.")
        person = self._who(granted)
        self._links.keep(person, refresh, back)
        return self._personal(person)

    def links(self) -> list[Calendar]:
        """The personal calendars of everybody who has linked an account."""
        return [self._personal(person) for person in self._links.people()]

    def unlink(self, person: str) -> bool:
        """Forget what this person permitted; whether there was anything to forget."""
        linked = self._links.find(person)
        if linked is not None:
            self._links.drop(linked)
        return linked is not None

    def fit(self, event: Event) -> Event:
        """One line of title and place, cut to length; the link below the text; UTC milliseconds; days as midnights.

        An event without length gets `deadline_minutes` after its start. A cancelled one says so in its title.
        """
        text = cleaned(event.text)
        return Event(
            title=cut(titled(event, self._settings.cancelled_prefix), TITLE),
            when=as_instants(event.when, self._zone, to=MILLISECOND, least=self._least),
            text=folded(text, [unsaid(event.url, text)]),
            place=cut(on_one_line(event.place), LOCATION),
        )

    def wired(self, when: When) -> tuple[str, str]:
        """Instants of UTC, as `fit` makes them of days too."""
        start, end = (moment for moment in (when.start, when.end) if isinstance(moment, datetime))
        return _wire(start), _wire(end)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """POST one item; Learn knows no keys of ours."""
        person = self._person(calendar)
        body = {"type": _item_type(calendar), "calendarId": self._calendar_id(calendar)} | _filled(_body(event))
        if calendar.kind is Kind.OFFICE_HOURS and self._settings.office_hours_recurrence:
            body["recurrence"] = {"frequency": "Daily", "interval": 1, "count": 1}
        try:
            answer = self._http_of(person).write("POST", f"{API}/calendars/items", body=body)
        except (Gone, Forbidden) as error:
            user = person.name if person else "the application's user"
            raise Denied(
                f"{error} Is there such a course, is its calendar on, may {user} create entries in it?",
                raw=error.raw,
            ) from error
        return RemoteRef(f"{body['type']}/{_required_id(answer, self._http.host)}")

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """PATCH every field of one item, the empty ones too: what is not sent would stay."""
        path, http = _item_path(ref), self._http_of(self._person(calendar))
        http.write("PATCH", path, params={"updateSeries": "false"}, body=_body(event))
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        path, http = _item_path(ref), self._http_of(self._person(calendar))
        try:
            http.write("DELETE", path, params={"deleteSeries": "false"})
        except Gone:
            return

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> list[RemoteRef]:
        """By value: the writable items around the event's start that are equal to it."""
        start = _timed(event).start
        around = self.read(calendar, Window(start, start + MILLISECOND))
        return [each.ref for each in around if each.writable and each.event == event]

    def _scope(self, calendar: CalendarRef) -> dict[str, str]:
        if calendar.kind in (Kind.INSTITUTION, Kind.PERSON):
            return {"type": _item_type(calendar)}
        course = {"courseId": self._calendar_id(calendar)}
        return course | {"type": "OfficeHours"} if calendar.kind is Kind.OFFICE_HOURS else course

    def _calendar_id(self, calendar: CalendarRef) -> str:
        match calendar.kind:
            case Kind.INSTITUTION:
                return "INSTITUTION"
            case Kind.PERSON:
                return "PERSONAL"
            case Kind.OFFICE_HOURS:
                return self._course(calendar.id.partition("/")[0])
            case _:
                return self._course(calendar.id)

    def _person(self, calendar: CalendarRef) -> Person | None:
        """Whose own the calendar is, None for those of a course or of all. Denied where nobody linked that account."""
        if calendar.kind is Kind.ROOM:
            raise Denied(f"Blackboard has no calendars of the kind '{calendar.kind}'.")
        spelling = _owner(calendar)
        if spelling is None:
            return None
        if not self._settings.linking:
            raise Denied(f"{NOT_OURS}: {BY_MAIL}, or let people link their accounts (lms.{self._name}.linking).")
        person = self._links.find(spelling)
        if person is None:
            raise Denied(
                f"{NOT_OURS}, and '{spelling}' has linked no account: the person does so at /link/{self._name}. "
                f"Or {BY_MAIL}."
            )
        return person

    def _personal(self, person: Person) -> Calendar:
        return Calendar(CalendarRef(self._name, Kind.PERSON, person.id), f"Personal: {person.name}", writable=True)

    def _check_linking(self) -> None:
        if not self._settings.linking:
            raise Denied(f"Nobody can link an account at '{self._name}': lms.{self._name}.linking is off.")

    def _who(self, granted: Granted) -> Person:
        """The person that a fresh grant is from, as Learn tells it to that person."""
        uuid = _token(granted.get("user_id"))
        if not uuid:
            raise Transient(f"{self._http.host} did not say who signed in.")
        http = PersonHttp(self._http, self._settings, self._tools, self._bearer(lambda: granted))
        user = http.get(f"{API}/users/uuid:{quote(uuid, safe='')}", {"fields": "id,userName"})
        id = _required_id(user, self._http.host)
        return Person(id, on_one_line(user.get("userName")) or id, uuid)

    def _http_of(self, person: Person | None) -> LmsHttp:
        """The application's calls, or the person's own; whoever came first makes room."""
        if person is None:
            return self._http
        with self._opening:
            if person not in self._acting:
                while len(self._acting) >= MOST_PEOPLE:
                    del self._acting[next(iter(self._acting))]
                auth = self._bearer(lambda: self._links.refreshed(person))
                self._acting[person] = PersonHttp(self._http, self._settings, self._tools, auth)
            return self._acting[person]

    def _bearer(self, fetch: Callable[[], Granted]) -> Bearer:
        return Bearer(fetch, self._tools.now, timedelta(seconds=self._settings.renew_seconds))

    def _is_open(self, member: Mapping[str, Any]) -> bool:
        """Whether the membership counts and its course is open to it: to staff also while students do not see it."""
        id = member.get("courseId")
        if not isinstance(id, str) or not id or _available(member) != "Yes":
            return False
        is_staff = member.get("courseRoleId") in self._settings.staff_roles
        return self._availability(id, member) in (("Yes", "Term", "No") if is_staff else ("Yes", "Term"))

    def _availability(self, course: str, member: Mapping[str, Any]) -> str:
        told = _available(member.get("course"))
        try:
            return told or _available(self._http.get(f"{COURSES}/{quote(course, safe='')}", {"fields": "availability"}))
        except Gone:
            return ""

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
        start, end = (
            floored(window.start, MILLISECOND),
            floored(window.end - MILLISECOND / 1000, MILLISECOND) + MILLISECOND,
        )
        count = -((instant(window.start) - instant(window.end)) // longest)
        spare = max(timedelta(0), min(count * longest - (end - start), 2 * self._margin))
        start, end = _moved(start, -spare / 2), _moved(end, spare / 2)
        for since in (start + n * longest for n in range(count)):
            yield since, end if end - since <= longest else since + longest

    def _items(
        self, http: LmsHttp, scope: Mapping[str, str], since: datetime, until: datetime
    ) -> Iterator[Mapping[str, Any]]:
        """The one place that lists items. A listing of the whole site is refused here, before it costs a call."""
        whole = {"Institution"} if http is self._http else {"Institution", "Personal"}
        if not scope.get("courseId") and scope.get("type") not in whole:
            raise Denied("A listing needs its course, or type=Institution: Learn would dump the whole site.")
        if not timedelta(0) < until - since <= timedelta(weeks=16):
            raise Denied("A listing covers at most 16 weeks.")
        query: dict[str, str | int] = {**scope, "since": _wire(since), "until": _wire(until)}
        query |= {"limit": self._settings.page_size, "sort": "start"}
        try:
            yield from self._listed(http, f"{API}/calendars/items", query)
        except Gone as error:
            raise Gone(
                f"{self._http.host} has no calendar for this course: there is no such course, or its calendar is off.",
                raw=error.raw,
            ) from error
        except Rejected as error:
            raise Denied(str(error), raw=error.raw) from error

    def _listed(self, http: LmsHttp, path: str, query: Mapping[str, str | int]) -> Iterator[Mapping[str, Any]]:
        for page in http.pages(path, query):
            results = page.get("results")
            if not isinstance(results, list):
                raise Transient(f"{self._http.host} sent a page without a list of results.", raw=repr(page)[:1000])
            yield from (item for item in results if isinstance(item, dict))

    def _found(self, item: Mapping[str, Any]) -> Found | None:
        """An item as a value, mended where it breaks Learn's own rules; None for one that has no place in time."""
        start = moment_of(item.get("start"), MILLISECOND)
        kind, id = item.get("type"), item.get("id")
        if start is None or not isinstance(kind, str) or not isinstance(id, str) or not id:
            log.warning("left out a Learn item without id, type or start: %s/%s", kind, id)
            return None
        end = moment_of(item.get("end"), MILLISECOND) or start
        return Found(
            ref=RemoteRef(f"{kind}/{id}"),
            event=Event(
                title=on_one_line(item.get("title")) or UNTITLED,
                when=Timed(start, max(start, end)),
                text=cleaned(item.get("description")),
                place=on_one_line(item.get("location")),
            ),
            writable=kind in ("Course", "Institution", "OfficeHours", "Personal"),
            modified=moment_of(item.get("modified"), MILLISECOND),
            kind=kind,
        )


def _item_type(calendar: CalendarRef) -> str:
    types = {
        Kind.COURSE: "Course",
        Kind.INSTITUTION: "Institution",
        Kind.OFFICE_HOURS: "OfficeHours",
        Kind.PERSON: "Personal",
    }
    return types[calendar.kind]


def _owner(calendar: CalendarRef) -> str | None:
    """The user that the calendar names as its owner, as it is spelled there."""
    if calendar.kind is Kind.PERSON:
        return calendar.id
    _, slash, owner = calendar.id.partition("/")
    return owner if calendar.kind is Kind.OFFICE_HOURS and slash else None


def _is_of(item: Mapping[str, Any], calendar: CalendarRef, person: Person | None) -> bool:
    """A listing by course holds everybody's office hours too; they are calendars of their own."""
    if calendar.kind is Kind.COURSE:
        return item.get("type") != "OfficeHours"
    if calendar.kind is Kind.OFFICE_HOURS:
        owner = person.id if person else item.get("createdByUserId")
        return item.get("type") == "OfficeHours" and item.get("createdByUserId") == owner
    return item.get("type") == _item_type(calendar)


def _available(thing: Any) -> str:
    """The word for the availability of a course or a membership; empty where there is none."""
    told = thing.get("availability") if isinstance(thing, dict) else None
    word = told.get("available") if isinstance(told, dict) else None
    return word if isinstance(word, str) else ""


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


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return floored(moment + by, MILLISECOND)
    except OverflowError:
        return moment


def _wire(moment: datetime) -> str:
    return instant(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
