"""An itslearning site that is as stubborn as the real one: the Organisation API for calendar events, over SOAP.

`FakeItslearning()` is a WSGI app. Tests hold its state in hand (`users`, `courses`, `events`, `used`, `faults`,
`settings`, `journal`, `calls`, `sent`); over HTTP the same is under `/_fake/`: GET state; POST users, courses, edits,
faults, settings, renumber; DELETE faults, events/<key>.
"""

from __future__ import annotations

import copy
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from uuid import uuid4

import nh3
from lxml import etree
from lxml.builder import ElementMaker
from werkzeug.wrappers import Request, Response

from tests.fakes import mangled
from tests.fakes.wsgi import hang_up

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WRITE = "/ContentImport/DataService.svc"
READ = "/ContentImport/ReadDataService.svc"
CREATE, UPDATE, DELETE = "Create.Calendar.Event", "Update.Calendar.Event", "Delete.Calendar.Event"
OTHERS = ("Create.Course.Element.Folder", "Update.Course.Element", "Update.Calendar.Event.ConnectEvents")
OPERATIONS = {
    "GetMessageTypes": WRITE,
    "AddMessage": WRITE,
    "GetMessageResult": WRITE,
    "ReadCalendarEvent": READ,
}
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
LOGIN_PAGE = b"<!DOCTYPE html><title>Log in</title><form><input type='password' name='password'></form>"
BUSY_PAGE = b"<!DOCTYPE html><html><title>Scheduled maintenance</title><p>We will be back soon.</html>"
BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
TEMPURI = "http://tempuri.org/"
ENTITIES = "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Services.Entities"
CALENDAR_EVENT = (
    "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Model.ServiceEntities.CalendarEvent"
)
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
MESSAGES = "urn:message-schema"

_S = ElementMaker(namespace=SOAP, nsmap={"s": SOAP})
_O = ElementMaker(namespace=WSS, nsmap={"o": WSS})
_U = ElementMaker(namespace=WSU, nsmap={"u": WSU})
_T = ElementMaker(namespace=TEMPURI, nsmap={None: TEMPURI})
_A = ElementMaker(namespace=ENTITIES, nsmap={"a": ENTITIES, "i": INSTANCE})
_C = ElementMaker(namespace=CALENDAR_EVENT, nsmap={"a": CALENDAR_EVENT, "i": INSTANCE})

Element = etree._Element
Json = dict[str, Any]

_XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:message-schema"
  targetNamespace="urn:message-schema" elementFormDefault="qualified">
  <xs:simpleType name="Vendor"><xs:restriction base="xs:string">
    <xs:minLength value="1"/><xs:maxLength value="36"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Key"><xs:restriction base="xs:string">
    <xs:maxLength value="128"/></xs:restriction></xs:simpleType>
  <xs:simpleType name="Title"><xs:restriction base="xs:string">
    <xs:maxLength value="80"/></xs:restriction></xs:simpleType>
  <xs:element name="Message"><xs:complexType><xs:sequence>%s</xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
EVENT_XSD = (
    _XSD
    % """
    <xs:element name="SyncKeys" minOccurs="0"><xs:complexType><xs:sequence>
      <xs:element name="SyncKey" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:simpleContent>
        <xs:extension base="Key"><xs:attribute name="ID" type="xs:ID" use="required"/></xs:extension>
      </xs:simpleContent></xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element>
    <xs:element name="Events"><xs:complexType><xs:sequence>
      <xs:element name="Event" maxOccurs="unbounded"><xs:complexType><xs:sequence>
        <xs:element name="SiteId" type="xs:int" minOccurs="0"/>
        <xs:element name="VendorId" type="Vendor" minOccurs="0"/>
        <xs:element name="StartDateTime" type="xs:dateTime"/>
        <xs:element name="EndDateTime" type="xs:dateTime"/>
        <xs:element name="Title" type="Title" minOccurs="0"/>
        <xs:element name="TitleReadOnlyInUi" type="xs:boolean" minOccurs="0"/>
        <xs:element name="Description" type="xs:string" minOccurs="0"/>
        <xs:element name="SyncKeyRef" type="xs:NCName" minOccurs="0"/>
        <xs:element name="IsLesson" type="xs:boolean" minOccurs="0"/>
        <xs:choice><xs:element name="UserId" type="xs:int"/><xs:element name="UserSyncKey" type="Key"/></xs:choice>
        <xs:choice minOccurs="0">
          <xs:element name="CourseId" type="xs:int"/><xs:element name="CourseSyncKey" type="Key"/></xs:choice>
      </xs:sequence></xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element>"""
)
DELETE_XSD = (
    _XSD
    % """
    <xs:element name="SyncKeys"><xs:complexType><xs:sequence>
      <xs:element name="SyncKey" type="Key" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="SiteId" type="xs:int" minOccurs="0"/>
    <xs:element name="VendorId" type="Vendor" minOccurs="0"/>
    <xs:element name="DeleteProtection" type="xs:boolean" minOccurs="0"/>"""
)
DOCUMENTS = {CREATE: EVENT_XSD, UPDATE: EVENT_XSD, DELETE: DELETE_XSD}
_CHECKS = {name: etree.XMLSchema(etree.fromstring(text)) for name, text in DOCUMENTS.items()}


class Faulted(Exception):
    """An answer that is a SOAP fault."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Invalid(Exception):
    """The message is no valid one: nothing of it is done."""


class Refused(Exception):
    """One event is refused."""


@dataclass
class User:
    id: int
    sync_key: str


@dataclass
class Course:
    id: int
    sync_key: str
    locked_before: datetime | None = None


@dataclass
class Partner:
    password: str
    rights: frozenset[str] = frozenset({CREATE, UPDATE, DELETE, *OTHERS})


@dataclass
class Stored:
    """An event as the site holds it."""

    id: int
    key: str
    user: User
    course: Course | None
    fields: dict[str, str]


@dataclass
class Logged:
    """A message and what became of it; `work` is left to do while it is queued, for so many more looks."""

    status: str = "InQueue"
    details: list[tuple[str, str, str]] = field(default_factory=list)
    work: Callable[[], None] | None = None
    looks: int = 0


@dataclass
class Fault:
    """What goes wrong: `kind` with calls of the operation `on` (`*` is any), `times` often (-1: always) after `after`.

    status    answers `status` (with `retry_after`, if given) and does nothing
    fault     answers a SOAP fault of `code` and does nothing
    renumber  the types have new numbers from this call on
    swap      the types have each other's numbers from this call on
    unheard   hangs up without doing the work
    lost      does the work, then hangs up without an answer
    late      does the work, then answers `status` (with a SOAP fault, if `code` is given)
    half      does the work, then hangs up within the answer
    short     does the work and answers less than Content-Length says
    cut       answers half of the XML as if it were whole
    html      answers a page with status 200 (or `status`): `page` is login or busy
    bomb      answers XML with a DOCTYPE
    slow      waits `seconds` before the answer
    """

    kind: str
    on: str = "*"
    times: int = 1
    after: int = 0
    status: int = 503
    retry_after: str = ""
    code: str = ""
    page: str = "busy"
    seconds: float = 0.0
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
    """How the site behaves where the documents leave it open.

    queued          looks at the queue before a message is worked on; 0: at once
    details         in an answer given at once: `all`, `nil` (only GetMessageResult tells), `one` for a good batch
    forgets         GetMessageResult answers with a fault
    put_type        the Type of the detail about an event that was created or updated
    error_status    the message's status when events of it were refused
    one_for_all     a batch with a refused event is undone as a whole
    keep_omitted    an update leaves what it does not mention
    most_events     more in one message are refused as a whole (0: any number); `most_bytes` answers 413
    type_fault      how an unknown or forbidden type is refused: `client` or `internal` fault, or `status`
    used_text       how it says that a key was used before
    unknown_key     reading one: `missing` from the answer, or a `fault`
    schemas         the XSDs come with the types
    french          read events have the members of the French layout
    tags            what the sanitiser lets pass
    """

    queued: int = 0
    details: str = "all"
    forgets: bool = False
    put_type: str = "Info"
    error_status: str = "Finished"
    one_for_all: bool = False
    keep_omitted: bool = False
    most_events: int = 0
    most_bytes: int = 0
    type_fault: str = "client"
    used_text: str = "SyncKey '{key}' is already used."
    unknown_key: str = "missing"
    schemas: bool = False
    french: bool = False
    zone: str = "Europe/Oslo"
    tags: str = "p br b strong i em u ul ol li a"


class FakeItslearning:
    """The site. Thread-safe; everything happens under one lock, but for waiting."""

    def __init__(self, *, username: str = "partner-user", password: str = "partner-pass", journal: Path | None = None):
        self.username, self.password = username, password
        self.settings = Settings()
        self.partners = {username: Partner(password)}
        self.users = [User(1488, "teacher-0815"), User(7, "timetable")]
        self.courses = [Course(77, "bio-9b-2026")]
        self.events: dict[tuple[str, str], Stored] = {}
        self.used: set[tuple[str, str]] = set()
        self.log: dict[int, Logged] = {}
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.created: Counter[str] = Counter()
        """How often each key was sent in a create."""
        self.journal: list[Json] = []
        self._dice = random.Random()
        self._next = 55_000
        self._lock = threading.RLock()
        self._file: TextIO | None = journal.open("a", encoding="utf-8") if journal else None
        self.types: dict[str, int] = {}
        self.renumber()

    def connection(self, url: str) -> str:
        """The table of the configuration that connects to this site, served at `url`."""
        return (
            f'[lms.its]\nbridge = "itslearning"\nwrite_url = "{url}{WRITE}"\nread_url = "{url}{READ}"\n'
            f'username = "{self.username}"\npassword = "{self.password}"\nzone = "{self.settings.zone}"\n'
            'owner = "UserSyncKey:timetable"\ncalls_per_second = 0\n'
            'calendars = { "course/CourseSyncKey:bio-9b-2026" = "Biology 9b" }\n'
        )

    # What tests do behind the API

    def renumber(self, *, swap: bool = False) -> None:
        """New numbers for all messages, none of them in use before; or (`swap`) each other's numbers."""
        names = [CREATE, UPDATE, DELETE, *OTHERS]
        if swap:
            numbers = [self.types[name] for name in names]
            self.types = dict(zip(names, numbers[1:] + numbers[:1], strict=True))
            return
        free = sorted(set(range(40, 200)) - set(self.types.values()))
        self.types = dict(zip(names, self._dice.sample(free, len(names)), strict=True))

    def edit(self, key: str, **members: str) -> None:
        """A person changes an event in itslearning."""
        next(each for each in self.events.values() if each.key == key).fields.update(members)

    def remove(self, key: str) -> None:
        """A person deletes an event in itslearning; its key stays used."""
        self.events = {name: each for name, each in self.events.items() if each.key != key}

    def work_off(self) -> None:
        """What is queued is done now."""
        for each in self.log.values():
            _work(each)

    # The door

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith("/_fake/"):
            with self._lock:
                return self._control(request)(environ, start_response)
        if request.method != "POST" or request.path not in (WRITE, READ):
            return Response("not found", 404)(environ, start_response)
        if request.mimetype != "text/xml":
            return Response("unsupported media type", 415)(environ, start_response)
        return self._called(request)(environ, start_response)

    def _called(self, request: Request) -> Response:
        call = _operation(request)
        with self._lock:
            self.calls[call] += 1
            fault = next((each for each in self.faults if each.strikes(call, self._dice)), None)
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        with self._lock:
            early = _BEFORE[fault.kind](self, fault, request) if fault and fault.kind in _BEFORE else None
            response = early if early is not None else self._answer(call, request)
            return _AFTER[fault.kind](fault, request, response) if fault and fault.kind in _AFTER else response

    def _answer(self, call: str, request: Request) -> Response:
        if self.settings.most_bytes and len(request.get_data()) > self.settings.most_bytes:
            return Response("too large", 413)
        try:
            envelope = etree.fromstring(request.get_data())
            partner = self._signed_in(envelope)
            if OPERATIONS.get(call) != request.path:
                raise Faulted("a:ActionNotSupported", f"The message with Action '{call}' cannot be processed.")
            (body,) = envelope.iterfind(f"{{{SOAP}}}Body/{{{TEMPURI}}}{call}")
            result = getattr(self, f"on_{call}")(partner, body)
            return _envelope(_T(f"{call}Response", result))
        except Faulted as fault:
            return _fault(fault.code, str(fault))

    def _signed_in(self, envelope: Element) -> str:
        token = envelope.find(f"{{{SOAP}}}Header/{{{WSS}}}Security/{{{WSS}}}UsernameToken")
        name = "" if token is None else token.findtext(f"{{{WSS}}}Username", "")
        given = "" if token is None else token.findtext(f"{{{WSS}}}Password", "")
        if name not in self.partners or self.partners[name].password != given:
            raise Faulted("w:InvalidSecurity", "An error occurred when verifying security for the message.")
        return name

    # DataService

    def on_GetMessageTypes(self, partner: str, body: Element) -> Element:  # noqa: N802 - the operation's name
        rights = self.partners[partner].rights
        return _T.GetMessageTypesResult(
            *(
                _A.DataMessageType(
                    _A.Identifier(str(number)), _A.Name(name), _member(_A, "Schema", self._document(name))
                )
                for name, number in self.types.items()
                if name in rights
            )
        )

    def _document(self, name: str) -> str | None:
        return DOCUMENTS.get(name) if self.settings.schemas else None

    def on_AddMessage(self, partner: str, body: Element) -> Element:  # noqa: N802
        given = [each.tag for each in body.iterfind(f"{{{TEMPURI}}}dataMessage/*")]
        if given != [f"{{{ENTITIES}}}Data", f"{{{ENTITIES}}}Type"]:
            raise Faulted("a:DeserializationFailed", "The formatter threw an exception.")
        data, number = (each.text or "" for each in body.iterfind(f"{{{TEMPURI}}}dataMessage/*"))
        name = self._name(partner, number)
        id, logged = len(self.log) + 90_211, Logged(looks=self.settings.queued)
        self.log[id] = logged
        logged.work = lambda: self._process(logged, partner, name, data)
        if not logged.looks:
            _work(logged)
        return self._result("AddMessageResult", id, logged, shown=self.settings.details != "nil")

    def _name(self, partner: str, number: str) -> str:
        name = next((name for name, id in self.types.items() if str(id) == number), "")
        if name in self.partners[partner].rights:
            return name
        match self.settings.type_fault:
            case "client":
                raise Faulted("s:Client", f"Message type {number} is not valid.")
            case "internal":
                raise Faulted("a:InternalServiceFault", "The server was unable to process the request.")
            case _:
                return ""

    def on_GetMessageResult(self, partner: str, body: Element) -> Element:  # noqa: N802
        id = int(body.findtext(f"{{{TEMPURI}}}messageId", "0"))
        if self.settings.forgets or id not in self.log:
            raise Faulted("s:Client", f"Message {id} was not found.")
        logged = self.log[id]
        logged.looks -= 1
        if logged.looks <= 0:
            _work(logged)
        return self._result("GetMessageResultResult", id, logged, shown=True)

    def _result(self, name: str, id: int, logged: Logged, *, shown: bool) -> Element:
        details = logged.details
        if self.settings.details == "one" and all(kind == "Info" for kind, _, _ in details):
            details = details[:1]
        rows = (
            _A.DataMessageStatusDetail(
                _A.Entity("CalendarEvent"), _A.Message(text), _member(_A, "SyncKey", key or None), _A.Type(kind)
            )
            for kind, key, text in details
        )
        listed = _A.StatusDetails(*rows) if shown and not logged.work else _member(_A, "StatusDetails", None)
        return _T(name, _A.MessageId(str(id)), _A.Status(logged.status), listed)

    # The work

    def _process(self, logged: Logged, partner: str, name: str, data: str) -> None:
        self.sent[name] += 1
        before = copy.copy(self.events), set(self.used)
        try:
            message = _valid(name, data, self.settings.most_events)
            work = {CREATE: self._creates, UPDATE: self._updates, DELETE: self._deletes}[name]
            logged.details = list(work(partner, message))
        except Invalid as error:
            logged.status, logged.details = "Error", [("Error", "", str(error))]
            return
        errors = [each for each in logged.details if each[0] == "Error"]
        logged.status = self.settings.error_status if errors else "Finished"
        if errors and self.settings.one_for_all:
            self.events, self.used = before
            logged.details = errors

    def _creates(self, partner: str, message: Element) -> Iterator[tuple[str, str, str]]:
        for key, event in _keyed(message):
            self.created[key] += 1
            yield self._judge("create", key, partial(self._create, partner, key, event))

    def _updates(self, partner: str, message: Element) -> Iterator[tuple[str, str, str]]:
        for key, event in _keyed(message):
            yield self._judge("update", key, partial(self._update, partner, key, event))

    def _deletes(self, partner: str, message: Element) -> Iterator[tuple[str, str, str]]:
        protected = message.findtext(f"{{{MESSAGES}}}DeleteProtection", "") in ("true", "1")
        for each in message.iter(f"{{{MESSAGES}}}SyncKey"):
            key = each.text or ""
            yield self._judge("delete", key, partial(self._delete, partner, key, protected))

    def _judge(self, deed: str, key: str, work: Callable[[], tuple[str, str, str]]) -> tuple[str, str, str]:
        try:
            detail = work()
        except Refused as error:
            detail = ("Error", key, str(error))
        stored = next((each for each in self.events.values() if each.key == detail[1]), None)
        told = {name: stored.fields.get(name) for name in ("Title", "StartDateTime", "EndDateTime")} if stored else {}
        self._note(do=deed, key=detail[1], type=detail[0], text=detail[2], **told)
        return detail

    def _create(self, partner: str, key: str, event: dict[str, str]) -> tuple[str, str, str]:
        key = key or f"itsl-{uuid4()}"
        name = partner, key.casefold()
        if name in self.used:
            raise Refused(self.settings.used_text.format(key=key))
        user, course = self._people(event)
        self._check_time(event, course)
        self._next += 1
        self.used.add(name)
        self.events[name] = Stored(self._next, key, user, course, self._members(event))
        return self.settings.put_type, key, "Calendar event created."

    def _update(self, partner: str, key: str, event: dict[str, str]) -> tuple[str, str, str]:
        old = self.events.get((partner, key.casefold()))
        if old is None:
            raise Refused(f"Event '{key}' was not found.")
        user, course = self._people(event)
        if (user, course) != (old.user, old.course):
            raise Refused(f"Event '{key}' cannot be moved to another calendar.")
        self._check_time(event, course)
        self._check_time(old.fields, course)
        kept = old.fields if self.settings.keep_omitted else {}
        self.events[partner, key.casefold()] = Stored(old.id, old.key, user, course, kept | self._members(event))
        return self.settings.put_type, key, "Calendar event updated."

    def _delete(self, partner: str, key: str, protected: bool) -> tuple[str, str, str]:
        old = self.events.get((partner, key.casefold()))
        if old is None:
            return "Warning", key, f"Event '{key}' does not exist in itslearning"
        if old.course and old.course.locked_before and _time(old.fields["StartDateTime"]) < old.course.locked_before:
            raise Refused(
                f"Event '{key}' cannot be deleted because the period is locked in given course "
                f"(Course Id {old.course.id})."
            )
        if protected and old.fields.get("Description"):
            return "Warning", key, f"Event '{key}' contains content and has not been deleted."
        del self.events[partner, key.casefold()]
        return "Info", key, "Calendar event deleted."

    def _people(self, event: Mapping[str, str]) -> tuple[User, Course | None]:
        user_name, course_name = _choice(event, "User"), _choice(event, "Course")
        user = next((each for each in self.users if user_name in (each.id, each.sync_key)), None)
        course = next((each for each in self.courses if course_name in (each.id, each.sync_key)), None)
        if user is None:
            raise Refused(f"User '{user_name}' was not found.")
        if course_name and course is None:
            raise Refused(f"Course '{course_name}' was not found.")
        return user, course

    def _check_time(self, event: Mapping[str, str], course: Course | None) -> None:
        if _time(event["EndDateTime"]) <= _time(event["StartDateTime"]):
            raise Refused("The end of the event is not after its start.")
        if course and course.locked_before and _time(event["StartDateTime"]) < course.locked_before:
            raise Refused(f"The period is locked in given course (Course Id {course.id}).")

    def _members(self, event: Mapping[str, str]) -> dict[str, str]:
        """What is stored: the description is cleaned, and comes out as another writer would have written it."""
        names = ("StartDateTime", "EndDateTime", "Title", "TitleReadOnlyInUi", "Description", "VendorId")
        members = {name: event[name] for name in names if name in event}
        if "Description" in members:
            clean = nh3.clean(members["Description"], tags=set(self.settings.tags.split()), attributes={"a": {"href"}})
            members["Description"] = clean.replace("<br>", "<br />\n").replace("</p><p>", "</p>\n<p>")
        return members

    # ReadDataService

    def on_ReadCalendarEvent(self, partner: str, body: Element) -> Element:  # noqa: N802
        path = f"{{{TEMPURI}}}request/{{{CALENDAR_EVENT}}}SyncKeys/{{{ARRAYS}}}string"
        keys = [each.text or "" for each in body.iterfind(path)]
        if not keys or len(keys) > 100:
            raise Faulted("s:Client", "Between 1 and 100 keys can be read.")
        found = [self.events.get((partner, key.casefold())) for key in keys]
        if None in found and self.settings.unknown_key == "fault":
            raise Faulted("a:InternalServiceFault", "The server was unable to process the request.")
        shown = [self._shown(each) for each in found if each is not None]
        self._dice.shuffle(shown)
        return _T.ReadCalendarEventResult(_C.Events(*shown))

    def _shown(self, event: Stored) -> Element:
        members: dict[str, str | None] = {
            "CourseId": str(event.course.id) if event.course else None,
            "CourseSyncKey": event.course.sync_key if event.course else None,
            "Description": event.fields.get("Description"),
            "EndDateTime": event.fields["EndDateTime"],
            "EventId": str(event.id),
            "StartDateTime": event.fields["StartDateTime"],
            "SyncKey": event.key,
            "Title": event.fields.get("Title"),
            "UserId": str(event.user.id),
            "UserSyncKey": event.user.sync_key,
        }
        if self.settings.french:
            members |= {"ExtraDescription": "", "NextEventId": None, "NextEventSyncKey": None}
            members |= {"ShowExtraDescription": "false"}
        return _C.Event(*(_member(_C, name, members[name]) for name in sorted(members)))

    # Over HTTP, for tests in another process

    def _note(self, **entry: Any) -> None:
        self.journal.append({"n": len(self.journal) + 1, **entry})
        if self._file:
            self._file.write(json.dumps(self.journal[-1]) + "\n")
            self._file.flush()

    def _control(self, request: Request) -> Response:
        body = request.get_json(silent=True) or {}
        match request.method, request.path.removeprefix("/_fake/").split("/"):
            case "POST", ["users"]:
                self.users.append(User(**body))
            case "POST", ["courses"]:
                locked = body.pop("locked_before", None)
                self.courses.append(Course(**body, locked_before=_time(locked) if locked else None))
            case "POST", ["edits"]:
                self.edit(body.pop("key"), **body)
            case "POST", ["faults"]:
                self.faults.append(Fault(**body))
            case "POST", ["settings"]:
                self._set(body)
            case "POST", ["renumber"]:
                self.renumber(**body)
            case "DELETE", ["faults"]:
                self.faults.clear()
            case "DELETE", ["events", key]:
                self.remove(key)
            case "GET", ["state"]:
                pass
            case _:
                return Response("not found", 404)
        return Response(json.dumps(self._state()), content_type="application/json")

    def _set(self, values: Json) -> None:
        names = {each.name for each in fields(Settings)}
        for name, value in values.items():
            if name not in names:
                raise ValueError(f"no such setting: {name}")
            setattr(self.settings, name, value)

    def _state(self) -> Json:
        return {
            "calls": dict(self.calls),
            "sent": dict(self.sent),
            "created": dict(self.created),
            "journal": self.journal,
            "events": [{"key": each.key, "id": each.id, **each.fields} for each in self.events.values()],
            "used": sorted(key for _, key in self.used),
            "faults": [vars(fault) for fault in self.faults],
            "settings": vars(self.settings),
        }


def _operation(request: Request) -> str:
    """By SOAPAction if there is one, else by what stands first in the body."""
    action = request.headers.get("SOAPAction", "").strip('" ')
    if action:
        return action.rpartition("/")[2]
    try:
        body = etree.fromstring(request.get_data()).find(f"{{{SOAP}}}Body")
    except etree.XMLSyntaxError:
        return ""
    return "" if body is None or not len(body) else etree.QName(body[0]).localname


def _work(logged: Logged) -> None:
    if logged.work:
        work, logged.work = logged.work, None
        work()


def _valid(name: str, data: str, most_events: int) -> Element:
    """The message, if it keeps its schema to the letter."""
    try:
        message = etree.fromstring(data.encode())
    except etree.XMLSyntaxError as error:
        raise Invalid(f"The message is not well-formed: {error}") from error
    if name not in _CHECKS or not _CHECKS[name].validate(message):
        raise Invalid(f"Invalid format: {_CHECKS[name].error_log.last_error if name in _CHECKS else name}")
    events = message.findall(f"{{{MESSAGES}}}Events/{{{MESSAGES}}}Event")
    if most_events and len(events) > most_events:
        raise Invalid(f"A message may hold {most_events} events.")
    handles = {each.get("ID") for each in message.iter(f"{{{MESSAGES}}}SyncKey")}
    for event in map(_fields, events):
        if event.get("SyncKeyRef", "" if name == CREATE else "none") not in {*handles, ""}:
            raise Invalid("Invalid parameters: SyncKeyRef names no SyncKey.")
        if not all(UTC_TIME.fullmatch(event[each]) for each in ("StartDateTime", "EndDateTime")):
            raise Invalid("Invalid parameters: the dates have to be UTC.")
        if len(event.get("Title", "").encode("utf-16-le")) > 160:
            raise Invalid("Invalid parameters: the title is too long.")
    return message


def _keyed(message: Element) -> Iterator[tuple[str, dict[str, str]]]:
    keys = {each.get("ID"): each.text or "" for each in message.iter(f"{{{MESSAGES}}}SyncKey")}
    for event in message.iterfind(f"{{{MESSAGES}}}Events/{{{MESSAGES}}}Event"):
        members = _fields(event)
        yield keys.get(members.get("SyncKeyRef", ""), ""), members


def _fields(event: Element) -> dict[str, str]:
    return {etree.QName(each).localname: each.text or "" for each in event}


def _choice(event: Mapping[str, str], what: str) -> int | str:
    return int(event[f"{what}Id"]) if f"{what}Id" in event else event.get(f"{what}SyncKey", "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _member(make: Any, name: str, text: str | None) -> Element:
    member: Element = make(name) if text is None else make(name, text)
    if text is None:
        member.set(f"{{{INSTANCE}}}nil", "true")
    return member


def _envelope(content: Element, status: int = 200) -> Response:
    now = datetime.now(UTC)
    stamps = [f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in (now, now + timedelta(minutes=5))]
    security = _O.Security(_U.Timestamp(_U.Created(stamps[0]), _U.Expires(stamps[1])))
    security.set(f"{{{SOAP}}}mustUnderstand", "1")
    envelope = _S.Envelope(_S.Header(security), _S.Body(content))
    return Response(etree.tostring(envelope), status, content_type="text/xml; charset=utf-8")


def _fault(code: str, text: str) -> Response:
    fault = etree.SubElement(etree.Element("x", nsmap={"s": SOAP}), f"{{{SOAP}}}Fault")
    etree.SubElement(fault, "faultcode", nsmap={"w": WSS, "a": f"{TEMPURI}a"}).text = code
    etree.SubElement(fault, "faultstring").text = text
    return _envelope(fault, 500)


# What goes wrong


def _status(site: FakeItslearning, fault: Fault, request: Request) -> Response:
    return Response("out of order", fault.status, {"Retry-After": fault.retry_after} if fault.retry_after else {})


def _faulted(site: FakeItslearning, fault: Fault, request: Request) -> Response:
    return _fault(fault.code or "a:InternalServiceFault", "The server was unable to process the request.")


def _unheard(site: FakeItslearning, fault: Fault, request: Request) -> Response:
    hang_up(request.environ)
    return Response(status=204)


def _html(site: FakeItslearning, fault: Fault, request: Request) -> Response:
    status = 200 if fault.status == 503 else fault.status
    return Response(LOGIN_PAGE if fault.page == "login" else BUSY_PAGE, status, content_type="text/html")


def _bomb(site: FakeItslearning, fault: Fault, request: Request) -> Response:
    return Response(BOMB, content_type="text/xml")


def _renumber(site: FakeItslearning, fault: Fault, request: Request) -> None:
    site.renumber(swap=fault.kind == "swap")


def _late(fault: Fault, request: Request, response: Response) -> Response:
    if fault.code:
        return _fault(fault.code, "The server was unable to process the request.")
    return Response("out of order", fault.status)


_BEFORE: dict[str, Callable[[FakeItslearning, Fault, Request], Response | None]] = {
    "status": _status,
    "fault": _faulted,
    "unheard": _unheard,
    "html": _html,
    "bomb": _bomb,
    "renumber": _renumber,
    "swap": _renumber,
}
_AFTER: dict[str, Callable[[Fault, Request, Response], Response]] = {
    "late": _late,
    "lost": mangled.lost,
    "half": mangled.half,
    "short": mangled.short,
    "cut": mangled.cut,
}
