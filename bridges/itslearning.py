"""itslearning: writes the calendars of courses and people in batches, and reads back what was written.

The facts of the Organisation API that this module relies on; [A] marks what no published page says, and the
setting or the tolerant reading that it sits behind:

- SOAP 1.1 at two full addresses (write, read) that differ by region: `write_url`, `read_url`. [A] The SOAPActions of
  two operations: `types_action`, `read_action`. Connections are not kept open, as a known client had to: `keep_alive`.
- WS-Security UsernameToken in clear text within TLS. [A] `password_type`, `must_understand` and `timestamp` say how.
- What a message does is told by a number that may change and differs between systems: it is asked for on first use,
  and [A] once more when a whole message is refused. The XSDs come along, [A] under any name (seen by `schema`).
- An answer is given at once or queued, and then polled: [A] `poll_first_seconds`, doubling to `poll_longest_seconds`,
  for `poll_total_seconds`. `Finished` may hold errors: details speak for their events, by their Type alone.
- [A] A message that is no valid one is refused whole; of any other batch that has an error, the refused and the
  unmentioned are sent again one by one. Keys make that safe: an event can never come to be twice.
- An event's SyncKey is spent for ever, also once the event is deleted. [A] Lower case, up to 100 letters. [A] What
  marks the refusal of a used key is its wording: `used_key_words`.
- [A] `batch` events in a message (the sister message takes 1000 keys); `read_batch` keys in a reading; one call at a
  time and `calls_per_second`, as nothing is said of limits.
- [A] An update leaves what it does not mention, or clears it: every field is sent. [A] It cannot move an event to
  another calendar or owner.
- There is no listing: events are read by their keys. [A] Members of a read event have any namespace and order, and
  an unknown key is left out; `unknown_key_faults` where it is a fault, which then counts as "not there".
- No series, whole days, place, link, category or status. [A] A day is midnight to midnight in the site's `zone`; the
  rest goes into the description. [A] An event ends after it starts: `deadline_minutes`.
- A title holds 80 characters, [A] counted as UTF-16 does, which suits every way to count. [A] The description is not
  limited: `text_letters` is ours.
- The description is HTML and cleaned on storing, by the profile of the event's owner; [A] p, br and a[href] pass
  (`links`). So what a reader's browser shows is what fits: single blanks, and at most one empty line.
- A course event needs an owner: `owner`. Without a course an event is in its owner's personal calendar.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TypeVar
from zoneinfo import ZoneInfo

from lxml import etree
from lxml.builder import ElementMaker
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bridges.contract import Drop, Order, SinkRules, Tools
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient, unsent
from bridges.http import Limits
from bridges.markup import paragraphs_of, text_of
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
from bridges.soap import Account, Element, Pace, ServerFault, SoapService, below, first, local, parse, value
from bridges.text import UNTITLED, cut, folded, titled, unsaid
from bridges.times import SECOND, as_instants, moment_of

TEMPURI = "http://tempuri.org/"
ENTITIES = "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Services.Entities"
CALENDAR_EVENT = (
    "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Model.ServiceEntities.CalendarEvent"
)
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
MESSAGES = "urn:message-schema"

TITLE = 80
STAMP_LIFETIME = timedelta(minutes=5)

_T = ElementMaker(namespace=TEMPURI, nsmap={"t": TEMPURI})
_D = ElementMaker(namespace=ENTITIES, nsmap={"d": ENTITIES})
_C = ElementMaker(namespace=CALENDAR_EVENT, nsmap={"cal": CALENDAR_EVENT})
_R = ElementMaker(namespace=ARRAYS, nsmap={"arr": ARRAYS})
_M = ElementMaker(namespace=MESSAGES, nsmap={None: MESSAGES})

_KEY = re.compile(r"[a-z0-9._-]{1,100}")
_REFERENCES = {
    Kind.COURSE: re.compile(r"(CourseId):(\d{1,10})|(CourseSyncKey):(.{1,128})"),
    Kind.PERSON: re.compile(r"(UserId):(\d{1,10})|(UserSyncKey):(.{1,64})"),
}


class ItslearningSettings(BaseModel):
    """One itslearning site, as the configuration names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    write_url: str = Field(description="Full address of DataService.svc, https only, as itslearning gave it")
    read_url: str = Field(description="Full address of ReadDataService.svc, https only")
    username: str = Field(min_length=1, description="User name for the Organisation API, one per partner and site")
    password: SecretStr = Field(description="Password that belongs to the user name")
    zone: ZoneName = Field(description="Time zone of the site (IANA); all-day events are written as its midnights")
    owner: str = Field(
        "", description="Owner of the events in courses, UserId:1488 or UserSyncKey:timetable; courses need one"
    )
    calendars: dict[str, str] = Field(
        {},
        description='Calendars to list, as the API cannot, with names: { "course/CourseSyncKey:bio-9b" = "Biology" }',
    )
    site_id: int | None = Field(None, ge=1, description="Number of the site, for credentials that are good for several")
    vendor_id: str = Field("", max_length=36, description="A tag that itslearning stores with each event; empty: none")
    lock_titles: bool = Field(False, description="Keep people from changing the titles in itslearning")
    batch: int = Field(50, ge=1, le=500, description="Events in one message")
    read_batch: int = Field(100, ge=1, le=100, description="Events asked for in one reading")
    text_letters: int = Field(20_000, ge=100, le=1_000_000, description="Longest description, before it becomes HTML")
    links: bool = Field(True, description="Write web addresses as links; off if the owner's profile forbids them")
    place_label: str = Field("Place", max_length=40, description="Stands before the place in the description")
    link_label: str = Field("Link", max_length=40, description="Stands before the event's web address there")
    categories_label: str = Field("Categories", max_length=40, description="Stands before the categories there")
    cancelled_prefix: str = Field(
        "Cancelled: ", max_length=40, description="Put before the title of a cancelled event; itslearning has no status"
    )
    deadline_minutes: int = Field(1, ge=1, le=60, description="Length given to events without one")
    used_key_words: str = Field(
        r"already (been )?(used|in use|taken|exists?)|not unique|must be unique|duplicate|re-?used",
        description="Regular expression for how itslearning says that a key was used before",
    )
    unknown_key_faults: bool = Field(False, description="Reading a key that is not there is answered with a fault")
    password_type: bool = Field(True, description="Say that the password is text (PasswordText)")
    must_understand: bool = Field(False, description="Mark the sign-in with mustUnderstand")
    timestamp: bool = Field(False, description="Send a timestamp with the sign-in; needs a clock that is right")
    types_action: str = Field(
        "http://tempuri.org/IDataService/GetMessageTypes", description="SOAPAction that asks for the message types"
    )
    read_action: str = Field(
        "http://tempuri.org/IReadDataService/ReadCalendarEvent", description="SOAPAction that reads events"
    )
    keep_alive: bool = Field(False, description="Keep connections open between calls")
    calls_per_second: float = Field(2, ge=0, le=100, description="Calls sent in a second at most; 0: no limit")
    poll_first_seconds: float = Field(0.5, gt=0, le=60, description="First wait for a queued message; it doubles")
    poll_longest_seconds: float = Field(8, gt=0, le=300, description="Longest wait between two looks at the queue")
    poll_total_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for a queued message in all")
    connect_seconds: float = Field(10, gt=0, le=120, description="Longest wait for a connection")
    read_seconds: float = Field(60, gt=0, le=300, description="Longest silence within an answer")
    total_seconds: float = Field(120, gt=0, le=900, description="Longest time for one call with its retries")
    tries: int = Field(3, ge=1, le=10, description="How often a read is tried; messages are sent once")
    backoff_seconds: float = Field(0.5, ge=0, le=60, description="First pause before a read is tried again; it doubles")
    patience_seconds: float = Field(
        10, ge=0, le=300, description="Longest pause within a call; for longer ones the work is put off"
    )

    @field_validator("write_url", "read_url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = secured(url)
        if not parts.hostname or parts.path in ("", "/") or parts.fragment or parts.username is not None:
            raise ValueError("is a full address, as in https://migra.itslearning.com/ContentImport/DataService.svc")
        return url

    @field_validator("username", "vendor_id")
    @classmethod
    def _printable(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("has letters that cannot be sent")
        return text

    @field_validator("owner")
    @classmethod
    def _owner(cls, owner: str) -> str:
        if owner and (not _REFERENCES[Kind.PERSON].fullmatch(owner) or not owner.isprintable()):
            raise ValueError("names no user: write UserId:1488 or UserSyncKey:teacher-0815")
        return owner

    @field_validator("calendars")
    @classmethod
    def _calendars(cls, calendars: dict[str, str]) -> dict[str, str]:
        for text in calendars:
            _reference(CalendarRef.parse(f"itslearning/{text}"))
        return calendars

    @field_validator("used_key_words")
    @classmethod
    def _words(cls, words: str) -> str:
        try:
            re.compile(words)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return words

    @property
    def limits(self) -> Limits:
        return Limits(
            connect=self.connect_seconds,
            read=self.read_seconds,
            total=self.total_seconds,
            tries=self.tries,
            backoff=self.backoff_seconds,
            patience=self.patience_seconds,
        )

    @property
    def account(self) -> Account:
        return Account(
            self.username,
            self.password.get_secret_value(),
            typed=self.password_type,
            must_understand=self.must_understand,
            lifetime=STAMP_LIFETIME if self.timestamp else None,
        )


class Message(StrEnum):
    """The messages about calendar events, in the order in which a batch of orders sends them."""

    CREATE = "Create.Calendar.Event"
    UPDATE = "Update.Calendar.Event"
    DELETE = "Delete.Calendar.Event"


KnownKeys = Callable[[CalendarRef, Window], Iterable[RemoteRef]]
"""The refs of what we wrote into a calendar and did not delete, as far as it may overlap the window; more is fine."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What the site says of its messages: number and XSD ("" if none came) by name, and how they differ from ours."""

    types: Mapping[str, int]
    documents: Mapping[str, str]
    differences: Sequence[str]


_Item = TypeVar("_Item")

Outcome = RemoteRef | BridgeError | None
Batch = Mapping[str, Event | None]
"""Events by the text of their keys; None for those to delete."""


@dataclass(frozen=True, slots=True)
class _Detail:
    """What a result says of one event: its key ("" for the whole message), the type in lower case, the text."""

    key: str = ""
    type: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of a message; the status is in lower case."""

    id: str
    status: str
    details: tuple[_Detail, ...]


class ItslearningBridge:
    """Sink for one itslearning site, in batches, and source of our own events there.

    Calendars are `course/CourseId:77`, `course/CourseSyncKey:bio-9b-2026`, `person/UserId:1488` and
    `person/UserSyncKey:teacher-0815`. A RemoteRef is the text of the SyncKey. What can be read is what
    `known_keys` names; `sleep` is how the bridge waits.
    """

    Settings = ItslearningSettings

    def __init__(
        self, name: str, settings: ItslearningSettings, tools: Tools, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.rules = SinkRules(keys_reusable=False, keeps_all_day=False, finds_by_key=True, batch=settings.batch)
        self.known_keys: KnownKeys | None = None
        self._name = name
        self._settings = settings
        self._zone = ZoneInfo(settings.zone)
        self._least = timedelta(minutes=settings.deadline_minutes)
        self._sleep = sleep
        self._used = re.compile(settings.used_key_words, re.IGNORECASE)
        pace = Pace(settings.calls_per_second, sleep)
        self._write, self._read = (
            SoapService(
                url,
                settings.account,
                tools,
                limits=settings.limits,
                pace=pace,
                keep_alive=settings.keep_alive,
                sleep=sleep,
            )
            for url in (settings.write_url, settings.read_url)
        )
        self._types: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"ItslearningBridge({self._name!r}, {self._settings.write_url!r})"

    # Source

    def calendars(self) -> list[Calendar]:
        """Those of the configuration, as the API lists none; writable if the credentials may send every message."""
        writable = set(Message) <= set(self._fetch_types())
        return [
            Calendar(CalendarRef.parse(f"{self._name}/{text}"), name or text, writable=writable)
            for text, name in self._settings.calendars.items()
        ]

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        """Our own events that overlap the window, as they stand there now: people may have changed them.

        Denied without `known_keys`, and for a calendar that is not configured and where nothing of ours is known.
        """
        self.check_target(calendar)
        if self.known_keys is None:
            raise Denied("itslearning only shows events whose keys we know, and nobody told this connection any.")
        keys = [str(ref) for ref in self.known_keys(calendar, window)]
        if not keys and str(calendar).partition("/")[2] not in self._settings.calendars:
            raise Denied(f"{calendar} is not among the calendars of this connection, and nothing of ours is there.")
        events = {key: _read_event(element) for key, element in self._living(keys).items()}
        found = [
            Found(RemoteRef(key), event, kind="Course" if calendar.kind is Kind.COURSE else "Personal")
            for key, event in events.items()
            if window.overlaps(event.when)
        ]
        return sorted(found, key=lambda each: (window.span(each.event.when)[0], each.ref))

    def look_up(self, calendar: CalendarRef, refs: Sequence[RemoteRef]) -> dict[RemoteRef, Found]:
        """`read_batch` to a call."""
        kind = "Course" if calendar.kind is Kind.COURSE else "Personal"
        living = self._living([str(ref) for ref in refs])
        return {RemoteRef(key): Found(RemoteRef(key), _read_event(each), kind=kind) for key, each in living.items()}

    # Sink

    def check_target(self, calendar: CalendarRef) -> None:
        if calendar.lms != self._name:
            raise Denied(f"{calendar} is not a calendar of '{self._name}'.")
        if calendar.kind not in _REFERENCES:
            raise Denied(f"itslearning has no calendars of the kind '{calendar.kind}': name a course or a person.")
        try:
            _reference(calendar)
        except ValueError as error:
            raise Denied(str(error)) from error
        if calendar.kind is Kind.COURSE and not self._settings.owner:
            raise Denied(
                "An event in a course needs an owner: set `owner` for this connection to UserId:… or UserSyncKey:…."
            )

    def fit(self, event: Event) -> Event:
        """One line of 80 for the title; place, link and categories below the text; UTC seconds; days as midnights.

        Blanks become single and empty lines too. An event without length gets `deadline_minutes`. A cancelled one
        says so in its title.
        """
        title = titled(replace(event, title=_line(event.title)), self._settings.cancelled_prefix)
        return Event(
            cut(title, TITLE, after_word=True),
            as_instants(event.when, self._zone, to=SECOND, least=self._least),
            self._fit_text(event),
        )

    def wired(self, when: When) -> tuple[str, str]:
        """Instants of UTC, as `fit` makes them of days too."""
        start, end = (moment for moment in (when.start, when.end) if isinstance(moment, datetime))
        return _wire(start), _wire(end)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """Write a new event under its key. KeyTaken if the key was ever used, for a living event or a deleted one."""
        return self._one(Message.CREATE, calendar, str(key), event)

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """Write every field again. Gone if the event is not there."""
        return self._one(Message.UPDATE, calendar, ref, event)

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        self._one(Message.DELETE, calendar, ref, None)

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> list[RemoteRef]:
        """The living event of this key, or none."""
        return [RemoteRef(found) for found in self._living([str(key)])]

    # BatchSink

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> list[Outcome]:
        """Creates, then updates, then deletes, `batch` to a message; after a Transient or Denied no more are sent."""
        wanted = [_sorted_out(order) for order in orders]
        outcomes: dict[tuple[Message, str], Outcome] = {}
        stop: BridgeError | None = None
        for message in Message:
            events = {key: event for kind, key, event in wanted if kind is message}
            for batch in _portions(events, self._settings.batch):
                results = dict.fromkeys(batch, unsent(stop)) if stop else self._delivered(message, calendar, batch)
                stop = next((each for each in results.values() if isinstance(each, (Transient, Denied))), None)
                outcomes |= {(message, key): outcome for key, outcome in results.items()}
        return [outcomes[message, key] for message, key, _ in wanted]

    # Beyond the contract

    def schema(self) -> Schema:
        """What the site's own description of its messages says, and where it differs from what we send."""
        answer = self._write.call(self._settings.types_action, _T.GetMessageTypes(), repeat=True)
        types, documents = _types(answer), _documents(answer)
        differences = [
            f"{message}: {difference}"
            for message in Message
            for difference in self._differences(message, types, documents.get(message, ""))
        ]
        return Schema(types, documents, differences)

    def _differences(self, message: Message, types: Mapping[str, int], document: str) -> Iterator[str]:
        if message not in types:
            yield "these credentials may not send it"
        elif not document:
            yield "the site sent no schema for it"
        else:
            sample = Event("Sample", Timed(datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC)))
            calendar = CalendarRef(self._name, Kind.PERSON, "UserId:1")
            sent = self._payload(message, calendar, {"sample": None if message is Message.DELETE else sample})
            yield from _compared(sent, document)

    # How an event fits

    def _fit_text(self, event: Event) -> str:
        text = _as_shown(event.text)
        lines = (
            (self._settings.place_label, _line(event.place)),
            (self._settings.link_label, _line(unsaid(event.url, text))),
            (self._settings.categories_label, ", ".join(filter(None, map(_line, event.categories)))),
        )
        labelled = [_line(f"{label}: {said}" if label else said) for label, said in lines if said]
        return folded(text, labelled, self._settings.text_letters)

    # What becomes of a batch

    def _one(self, message: Message, calendar: CalendarRef, key: str, event: Event | None) -> RemoteRef:
        outcome = self._delivered(message, calendar, {key: event})[key]
        if isinstance(outcome, BridgeError):
            raise outcome
        return RemoteRef(key)

    def _delivered(self, message: Message, calendar: CalendarRef, batch: Batch) -> dict[str, Outcome]:
        """The outcome of every event of a batch, in one message if nothing is wrong."""
        try:
            self.check_target(calendar)
            _check_keys(batch)
            undone = self._sent(message, calendar, batch, suspect=True)
        except BridgeError as error:
            return dict.fromkeys(batch, error)
        retried = {key for key, said in undone.items() if len(batch) > 1 and not self._is_final(said)}
        lost = self._sent_singly(message, calendar, {key: batch[key] for key in batch if key in retried}, undone)
        outcomes: dict[str, Outcome] = {key: None if message is Message.DELETE else RemoteRef(key) for key in batch}
        refused = {key: said for key, said in undone.items() if key not in lost}
        return outcomes | lost | self._refusals(message, refused, retried)

    def _is_final(self, said: _Detail) -> bool:
        """Whether sending an event again can change nothing."""
        return said.type == "warning" or self._used.search(said.text) is not None

    def _sent_singly(
        self, message: Message, calendar: CalendarRef, batch: Batch, undone: dict[str, _Detail]
    ) -> dict[str, BridgeError]:
        """Send the events one by one and bring `undone` up to date; the errors of those that nothing is known of."""
        for position, key in enumerate(batch):
            try:
                again = self._sent(message, calendar, {key: batch[key]}, suspect=False)
            except (Transient, Denied) as error:
                return dict.fromkeys(list(batch)[position:], error)
            del undone[key]
            undone |= again
        return {}

    def _refusals(self, message: Message, refused: Mapping[str, _Detail], retried: set[str]) -> dict[str, Outcome]:
        """Refusals by meaning. What stands there decides, asked for in one reading; wording decides what it cannot."""
        if message is Message.DELETE or not refused:
            return {key: _rejected(said) for key, said in refused.items()}
        try:
            living = self._living(list(refused))
        except BridgeError as error:
            return dict.fromkeys(refused, error)
        return {
            key: self._refusal(message, key, said, lives=key in living, retried=key in retried)
            for key, said in refused.items()
        }

    def _refusal(self, message: Message, key: str, said: _Detail, *, lives: bool, retried: bool) -> Outcome:
        if lives and (said.type != "error" or (retried and message is Message.CREATE)):
            return RemoteRef(key)
        if message is Message.UPDATE and not lives:
            return Gone("The event is no longer in itslearning.", raw=said.text)
        if message is Message.CREATE and (lives or self._used.search(said.text)):
            return KeyTaken("itslearning has seen the key of this event before.", raw=said.text)
        return _rejected(said)

    # Sending

    def _sent(self, message: Message, calendar: CalendarRef, batch: Batch, *, suspect: bool) -> dict[str, _Detail]:
        """Send one message. What it says of the events that were not done, or may not have been.

        A message that is refused as such may have a new number: it is looked up and the message sent again. If
        `suspect`, also where all its events are refused: the old number may mean something else by now.
        """
        data = etree.tostring(self._payload(message, calendar, batch), encoding="unicode")
        try:
            type_id = self._type(message)
        except Transient as error:
            raise unsent(error) from error
        undone, fault = self._tried(message, batch, type_id, data)
        in_doubt = len(undone) == len(batch) and (suspect or not all(said.key for said in undone.values()))
        if in_doubt and self._renumbered(message, type_id):
            undone, fault = self._tried(message, batch, self._type(message), data)
        if isinstance(fault, ServerFault):
            raise fault
        return undone

    def _tried(
        self, message: Message, batch: Batch, type_id: int, data: str
    ) -> tuple[dict[str, _Detail], BridgeError | None]:
        """What is undone, and the fault if that was the answer."""
        try:
            return _undone(message, batch, self._result(type_id, data)), None
        except (Rejected, ServerFault) as fault:
            return _all_refused(batch, str(fault).removeprefix(f"{self._write.host} refused this: ")), fault

    def _result(self, type_id: int, data: str) -> _Result:
        """What became of a message, at once or after waiting in the queue."""
        body = _T.AddMessage(_T.dataMessage(_D.Data(data), _D.Type(str(type_id))))
        result = _result(self._write.call(f"{TEMPURI}IDataService/AddMessage", body, repeat=False))
        if result.status == "inqueue":
            return self._polled(result)
        if result.details:
            return result
        try:
            return self._looked_up(result.id)
        except (Rejected, ServerFault):
            return result

    def _polled(self, result: _Result) -> _Result:
        pause, waited = self._settings.poll_first_seconds, 0.0
        while result.status == "inqueue":
            if waited >= self._settings.poll_total_seconds:
                raise Transient(f"itslearning still has message {result.id} in its queue after {waited:g} seconds.")
            self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, self._settings.poll_longest_seconds)
            try:
                result = self._looked_up(result.id)
            except Rejected as error:
                raise Transient(f"itslearning forgot message {result.id}: {error}", raw=error.raw) from error
        return result

    def _looked_up(self, id: str) -> _Result:
        body = _T.GetMessageResult(_T.messageId(id))
        return _result(self._write.call(f"{TEMPURI}IDataService/GetMessageResult", body, repeat=True))

    def _type(self, message: Message) -> int:
        if message not in self._types:
            self._fetch_types()
        if message not in self._types:
            raise Denied(f"These credentials may not send {message} to itslearning: ask itslearning for the right.")
        return self._types[message]

    def _renumbered(self, message: Message, type_id: int) -> bool:
        """Whether the message has another number by now."""
        return self._fetch_types().get(message) not in (None, type_id)

    def _fetch_types(self) -> dict[str, int]:
        self._types = _types(self._write.call(self._settings.types_action, _T.GetMessageTypes(), repeat=True))
        return self._types

    def _payload(self, message: Message, calendar: CalendarRef, batch: Batch) -> Element:
        """The document of a message, its elements in the order that the schema wants."""
        if message is Message.DELETE:
            return _M.Message(_M.SyncKeys(*map(_M.SyncKey, batch)), *self._tags())
        handles = {key: f"ID{number}" for number, key in enumerate(batch, 1)}
        return _M.Message(
            _M.SyncKeys(*(_M.SyncKey(key, ID=handle) for key, handle in handles.items())),
            _M.Events(*(self._event(handles[key], calendar, event) for key, event in batch.items() if event)),
        )

    def _event(self, handle: str, calendar: CalendarRef, event: Event) -> Element:
        when = event.when
        if not isinstance(when, Timed):
            raise Rejected("itslearning holds no whole days: the event was not fitted.")
        course = [] if calendar.kind is Kind.PERSON else [_M(*_reference(calendar))]
        owner = calendar if calendar.kind is Kind.PERSON else CalendarRef(self._name, Kind.PERSON, self._settings.owner)
        return _M.Event(
            *self._tags(),
            _M.StartDateTime(_wire(when.start)),
            _M.EndDateTime(_wire(when.end)),
            _M.Title(event.title),
            *([_M.TitleReadOnlyInUi("true")] if self._settings.lock_titles else []),
            _M.Description(paragraphs_of(event.text, links=self._settings.links)),
            _M.SyncKeyRef(handle),
            _M(*_reference(owner)),
            *course,
        )

    def _tags(self) -> list[Element]:
        site, vendor = self._settings.site_id, self._settings.vendor_id
        return [*([_M.SiteId(str(site))] if site else []), *([_M.VendorId(vendor)] if vendor else [])]

    # Reading by key

    def _living(self, keys: Sequence[str]) -> dict[str, Element]:
        """The events of these keys that are there, as they were answered."""
        living: dict[str, Element] = {}
        for portion in _portions(dict.fromkeys(keys), self._settings.read_batch):
            living |= self._shown(list(portion))
        return living

    def _shown(self, keys: list[str]) -> dict[str, Element]:
        body = _T.ReadCalendarEvent(_T.request(_C.SyncKeys(*map(_R.string, keys))))
        try:
            answer = self._read.call(self._settings.read_action, body, repeat=True)
        except (Rejected, ServerFault) as fault:
            if not self._settings.unknown_key_faults:
                raise fault if isinstance(fault, ServerFault) else Denied(str(fault), raw=fault.raw) from fault
            if len(keys) == 1:
                return {}
            return {key: shown for each in keys for key, shown in self._shown([each]).items()}
        asked = {key.casefold(): key for key in keys}
        events = ((_event_key(each), each) for each in below(answer, "Event", "CalendarEvent"))
        return {asked[key]: event for key, event in events if key in asked}


def _reference(calendar: CalendarRef) -> tuple[str, str]:
    """The element that names a course or person, and its text; ValueError says what the form is."""
    pattern = _REFERENCES.get(calendar.kind)
    match = pattern.fullmatch(calendar.id) if pattern and calendar.id.isprintable() else None
    if match is None:
        forms = {Kind.COURSE: "CourseId:77 or CourseSyncKey:bio-9b", Kind.PERSON: "UserId:1488 or UserSyncKey:ann"}
        raise ValueError(f"'{calendar.id}' names nothing in itslearning: write {forms.get(calendar.kind, 'a course')}.")
    name, _, id = calendar.id.partition(":")
    return name, id


def _check_keys(keys: Iterable[str]) -> None:
    for key in keys:
        if not _KEY.fullmatch(key):
            raise Denied(f"'{key}' is no key for itslearning: small letters, digits, '-', '_' and '.', 100 at most.")


def _sorted_out(order: Order) -> tuple[Message, str, Event | None]:
    if isinstance(order, Drop):
        return Message.DELETE, order.ref, None
    if order.ref is None:
        return Message.CREATE, str(order.key), order.event
    return Message.UPDATE, order.ref, order.event


def _portions(items: Mapping[str, _Item], size: int) -> Iterator[dict[str, _Item]]:
    rest = iter(items.items())
    while portion := dict(islice(rest, size)):
        yield portion


# What itslearning answers


def _types(answer: Element) -> dict[str, int]:
    """Numbers of messages by name; entries that are none are left out."""
    types = below(answer, "DataMessageType")
    pairs = ((value(each, "Name"), value(each, "Identifier").strip()) for each in types)
    return {name: int(number) for name, number in pairs if re.fullmatch("[0-9]{1,10}", number)}


def _documents(answer: Element) -> dict[str, str]:
    """Schemas of messages by name: whatever a type says beside its name and number, as text or as XML."""
    return {
        value(each, "Name"): "".join(
            etree.tostring(child[0], encoding="unicode") if len(child) else child.text or ""
            for child in each
            if local(child) not in ("Name", "Identifier")
        ).strip()
        for each in below(answer, "DataMessageType")
    }


def _result(answer: Element) -> _Result:
    """AddMessageResult or GetMessageResultResult, whichever is in the answer."""
    result = next((each for each in answer if local(each).endswith("Result")), answer)
    details = first(result, "StatusDetails")
    if not value(result, "Status"):
        raise Transient("itslearning answered a message without saying what became of it.")
    return _Result(
        value(result, "MessageId").strip(),
        value(result, "Status").strip().lower(),
        tuple(
            _Detail(
                value(each, "SyncKey").strip().casefold(),
                value(each, "Type").strip().lower(),
                " ".join(value(each, "Message").split()),
            )
            for each in (() if details is None else below(details, "DataMessageStatusDetail"))
        ),
    )


def _undone(message: Message, batch: Batch, result: _Result) -> dict[str, _Detail]:
    """The events of a batch that a result calls refused, doubtful (a put with a warning), or does not mention.

    A message without any error is done for all, whether it mentions them or not.
    """
    errors = [each for each in result.details if each.type == "error"]
    whole = next((each for each in errors if each.key not in batch), None)
    if whole or result.status not in ("finished", "warning"):
        text = whole.text if whole else "; ".join(each.text for each in errors) or f"status '{result.status}'"
        return _all_refused(batch, text)
    bad = ("error",) if message is Message.DELETE else ("error", "warning")
    remarks = {each.key: each for each in result.details if each.type in bad}
    done = {each.key for each in result.details} if errors else set(batch)
    return {key: remarks.get(key, _Detail(key)) for key in batch if key in remarks or key not in done}


def _all_refused(batch: Batch, text: str) -> dict[str, _Detail]:
    return dict.fromkeys(batch, _Detail("", "error", text))


def _rejected(said: _Detail) -> Rejected:
    return Rejected(f"itslearning refused this: {said.text or 'it gave no reason'}".rstrip(".") + ".", raw=said.text)


def _event_key(event: Element) -> str:
    return (value(event, "SyncKey") or value(event, "EventSyncKey")).strip().casefold()


def _read_event(element: Element) -> Event:
    """An event as it stands there, with its description as plain text. Transient where it has no time."""
    start, end = moment_of(value(element, "StartDateTime"), SECOND), moment_of(value(element, "EndDateTime"), SECOND)
    if start is None:
        raise Transient(f"itslearning shows event {_event_key(element)} without its time: the reading is not whole.")
    return Event(
        title=_line(value(element, "Title")) or UNTITLED,
        when=Timed(start, max(start, end or start)),
        text=_as_shown(text_of(value(element, "Description"))),
    )


def _compared(sent: Element, document: str) -> Iterator[str]:
    """How a message of ours differs from its XSD: names and order of elements, and what must be there."""
    try:
        schema = parse(document)
    except ValueError as error:
        yield f"the site's schema cannot be read ({error})"
        return
    declared = [each for each in schema.iter() if local(each) == "element" and each.get("name")]
    known = [each.get("name", "") for each in declared]
    ours = list(dict.fromkeys(local(each) for each in sent.iter()))
    yield from (f"we send {name}, which the schema does not know" for name in ours if name not in known)
    places = [known.index(name) for name in ours if name in known]
    if places != sorted(places):
        yield f"the schema wants another order: {', '.join(name for name in known if name in ours)}"
    for each in declared:
        optional = each.get("minOccurs") == "0" or local(_parent(each)) == "choice"
        if not optional and each.get("name") not in ours:
            yield f"the schema wants {each.get('name')}, which we do not send"


def _parent(element: Element) -> Element:
    parent = element.getparent()
    return element if parent is None else parent


# Times and texts


def _wire(moment: datetime) -> str:
    return instant(moment).isoformat(timespec="seconds").replace("+00:00", "Z")


def _as_shown(text: str) -> str:
    """Text as a browser shows it: single blanks, at most one empty line, no letters that XML forbids."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    joined = "\n".join(" ".join("".join(filter(_sendable, line)).split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", joined).strip()


def _line(text: str) -> str:
    return " ".join(_as_shown(text).split())


def _sendable(letter: str) -> bool:
    return letter.isspace() or (letter not in "\ufffe\uffff" and unicodedata.category(letter) not in ("Cc", "Cs"))
