"""Calendars by e-mail: writes events into people's own calendars as iMIP messages (RFC 6047, RFC 5546) over SMTP.

It is the one bridge that writes iCalendar, because its protocol is iCalendar in a mail.

What it relies on:

- A calendar client keeps events by UID (with RECURRENCE-ID for one date of a series) and takes a message when its
  SEQUENCE is not below the one that it has. The same message twice therefore shows once; mail servers that compare
  Message-IDs drop the second one. UID, SEQUENCE and Message-ID come from the SyncKey, never from chance or a clock.
- All VEVENTs of a REQUEST or CANCEL have one UID (RFC 5546 sections 3.2.2 and 3.2.5); those of a PUBLISH need not.
- A mailbox cannot be asked. What was sent is remembered in the vault: one small entry per SyncKey, kept for ever, as
  are the keys: an event that was cancelled comes back under a new one. A message whose answer was lost is sent again
  under its old name before anything else is done about it: so nothing is lost, nothing shows twice, and nothing stays
  behind when the event is gone meanwhile.
- Mail is accepted or refused by the first relay. A bounce that is sent later goes to `sender` and is not read here.

What we assume of clients, since they differ: a series in UTC with one weekly or daily rule and EXDATEs is taken by
all of them, RDATE is not; a date of a series that arrives alone, without its series, is shown as a single event.
"""

from __future__ import annotations

import hashlib
import html
import json
import logging
import math
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from email.headerregistry import Address, Group
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from itertools import pairwise
from types import TracebackType
from typing import Annotated, Literal, Self
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import icalendar
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from bridges.contract import Drop, Order, Put, SinkRules, Tools
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient, unsent
from bridges.markup import line_of
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status, SyncKey, Timed, When, instant
from bridges.settings import LOOPBACK, ZoneName
from bridges.text import cleaned, on_one_line, titled

DAY = timedelta(days=1)
PORTS = {"starttls": 587, "tls": 465, "none": 25}
PRODID = "-//calbridge//iMIP//EN"
SUBJECT = 150
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")

_NO_URL = re.compile(r"[\s\"<>\\^`{|}]")

log = logging.getLogger(__name__)


def _mail_address(text: str) -> str:
    if len(text) > 254 or not _ADDRESS.fullmatch(text):
        raise ValueError(f"'{text}' is no plain e-mail address, as in ann@example.edu")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable() or '"' in text:
        raise ValueError("has to be one line without quotation marks")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]
OneLine = Annotated[str, AfterValidator(_one_line)]


class ImipSettings(BaseModel):
    """One mail relay, and how invitations are sent over it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, description="Name of the SMTP server that takes our mail: smtp.example.edu")
    port: int = Field(0, ge=0, le=65535, description="Its port; 0 is 587 with starttls, 465 with tls, 25 with none")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted; none is for a server on this machine alone"
    )
    ca_file: str = Field(
        "", description="PEM file of the authority behind the server's certificate, if it is no public one"
    )
    user: str = Field("", description="User name at the server, if it wants one")
    password: SecretStr = Field(SecretStr(""), description="Password that belongs to the user")
    sender: MailAddress = Field(description="Address that mail comes from and that bounces go to; the organizer")
    sender_name: OneLine = Field("", max_length=100, description="Name shown beside the sender's address")
    zone: ZoneName = Field("UTC", description="Time zone (IANA) in which the text of a mail tells times")
    method: Literal["request", "publish"] = Field(
        "request", description="request invites, and clients follow changes by themselves; publish only offers"
    )
    lists: Mapping[str, tuple[MailAddress, ...]] = Field(
        {}, description="Names for several people, usable like an address; members do not see each other"
    )
    domains: tuple[str, ...] = Field((), description="Domains that mail may go to; all, if left out")
    skip_refused: bool = Field(False, description="Write to the rest of a list when some of its addresses are refused")
    series_from: int = Field(
        3, ge=0, le=1000, description="So many equal events at even distances become one invitation; 0 is never"
    )
    bundle: int = Field(100, ge=1, le=1000, description="Most events in one mail with the method publish")
    attach: bool = Field(True, description="Add the calendar part as a file too, for clients that look for one")
    daily_cap: int = Field(500, ge=1, description="Most recipients that are written to on one day (UTC)")
    cancelled_prefix: OneLine = Field(
        "Cancelled: ",
        max_length=50,
        description="Put before the title of an event that its source shows as cancelled",
    )
    silence_seconds: float = Field(30, gt=0, le=300, description="Longest silence of the server")
    total_seconds: float = Field(60, gt=0, le=900, description="Longest time for signing in, and for one message")

    @field_validator("lists")
    @classmethod
    def _no_empty_list(cls, lists: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for name, members in lists.items():
            if not members or "@" in name or not name.isprintable():
                raise ValueError(f"'{name}': a list has a plain name without @, and at least one member")
        return lists

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("security: mail to another machine is encrypted; write starttls or tls")
        return self

    @property
    def needs_vault(self) -> bool:
        """What was sent can't be asked of anybody: it is remembered there."""
        return True


class State(StrEnum):
    """How far the last message about an event came."""

    SENDING = "sending"
    SENT = "sent"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one SyncKey at one calendar.

    uid, slot  its name in people's calendars, given once; `slot` is the RECURRENCE-ID of a date of a series, or ""
    size       how many dates that series had
    known      whether some message about it was surely taken
    mark       hash of the event as it was last sent
    title, start, end  for the message that takes it away (times as in iCalendar)
    """

    uid: str
    slot: str = ""
    size: int = 1
    sequence: int = 0
    state: State = State.SENDING
    known: bool = False
    mark: str = ""
    title: str = ""
    start: str = ""
    end: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        record = cls(**json.loads(text))
        return replace(record, state=State(record.state))

    @property
    def is_open(self) -> bool:
        """Whether nobody knows if any message about it ever arrived."""
        return self.state is State.SENDING and not self.known

    @property
    def when(self) -> When:
        first, last = _moment(self.start), _moment(self.end)
        if isinstance(first, datetime) and isinstance(last, datetime):
            return Timed(first, last)
        return AllDay(first, last)

    def ref(self, key: str) -> RemoteRef:
        uid = "-" if self.uid == key else self.uid
        return RemoteRef(f"{key} {self.sequence} {uid} {self.slot or '-'}")


def _is_ours(ref: RemoteRef) -> bool:
    parts = ref.rsplit(" ", 3)
    return len(parts) == 4 and parts[1].isascii() and parts[1].isdecimal()


def _parsed(ref: RemoteRef) -> tuple[str, Record]:
    """The key, and what a ref tells by itself. Gone for a text that is no ref of ours."""
    if not _is_ours(ref):
        raise Gone(f"'{ref}' names nothing that was sent by e-mail.")
    key, sequence, uid, slot = ref.rsplit(" ", 3)
    name = (key if uid == "-" else uid, "" if slot == "-" else slot)
    return key, Record(*name, sequence=int(sequence), state=State.SENT, known=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One event in a message: the order that it answers, and its record before and while the message is under way."""

    order: int
    key: str
    before: Record | None
    after: Record
    event: Event | None

    @property
    def is_due(self) -> bool:
        """Whether anything is left to say about it."""
        return self.after.state in (State.SENDING, State.CANCELLING)

    @property
    def settled(self) -> Record:
        state = State.SENT if self.event else State.CANCELLED
        return replace(self.after, state=state, known=True)

    @property
    def outcome(self) -> RemoteRef | None:
        return self.after.ref(self.key) if self.event else None


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `whole`: its lines are all the dates of a series, which is written as one event with a rule."""

    method: str
    lines: tuple[Line, ...]
    whole: bool = False

    @property
    def name(self) -> str:
        """The same for the same content, so that a repeated message can be told."""
        named = [f"{line.after.uid} {line.after.slot} {line.after.sequence}" for line in self.lines]
        return hashlib.sha256("\n".join([self.method, *named]).encode()).hexdigest()[:40]


class Lost(Transient):
    """The message left, and no answer came."""


class NobodyThere(Rejected):
    """The server refuses the recipients: it would refuse them for every other message, too."""


class ImipBridge:
    """Sink for people's own calendars, by e-mail.

    Calendars are `person/<address>` and `person/<name of a list in the settings>`. A person gets REQUEST or PUBLISH
    by setting; a list always gets PUBLISH to hidden recipients, since a REQUEST names all who are invited. Removal is
    CANCEL, change is the same UID with the next SEQUENCE. An event that its source shows as cancelled stays, with a
    word before its title: REQUEST knows no such status, and clients disagree about it.

    One call of `carry_out` is one SMTP connection. With PUBLISH the events of a call share messages. With REQUEST
    every UID needs a message of its own; so new events that are equal but for their time, and lie at even distances
    in UTC, become one series with a rule: a term of weekly lectures is one message on either side of a change of the
    clocks. Every date keeps a ref of its own and is changed and cancelled by its RECURRENCE-ID.

    A RemoteRef is `<key> <sequence> <uid of the series or -> <recurrence id or ->`.
    """

    Settings = ImipSettings
    rules = SinkRules(keys_reusable=False, keeps_all_day=True, finds_by_key=True)

    def __init__(self, name: str, settings: ImipSettings, tools: Tools) -> None:
        self._name = name
        self._settings = settings
        self._tools = tools
        self._vault = tools.vault
        self._zone = ZoneInfo(settings.zone)

    def __repr__(self) -> str:
        return f"ImipBridge({self._name!r}, {self._settings.host!r})"

    def check_target(self, calendar: CalendarRef) -> None:
        """Denied for what is neither a list nor an address that mail may go to."""
        if calendar.lms != self._name or calendar.kind is not Kind.PERSON:
            raise Denied(f"{calendar} is no person's calendar of '{self._name}'; e-mail goes to people.")
        if calendar.id in self._settings.lists:
            return
        if len(calendar.id) > 254 or not _ADDRESS.fullmatch(calendar.id):
            raise Denied(f"'{calendar.id}' is neither an e-mail address nor a list in the settings.")
        domain = calendar.id.rpartition("@")[2].lower()
        if self._settings.domains and domain not in map(str.lower, self._settings.domains):
            raise Denied(f"Mail may not go to {domain}: it is not among the `domains` of '{self._name}'.")

    def fit(self, event: Event) -> Event:
        """One line of title, place, link and each category; whole seconds of UTC, or days; no status `cancelled`."""
        return Event(
            title=titled(event, self._settings.cancelled_prefix),
            when=_fit_when(event.when),
            text=cleaned(event.text),
            place=on_one_line(event.place),
            categories=tuple(filter(None, map(on_one_line, event.categories))),
            url=_NO_URL.sub(lambda found: quote(found[0]), on_one_line(event.url)),
            status=Status.CONFIRMED if event.status is Status.CANCELLED else event.status,
        )

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """Send a first message. KeyTaken for a key that was surely sent before, cancelled or not."""
        return _ref_of(self._one(calendar, Put(key, event)))

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """Send the next SEQUENCE; nothing if the event stands like this already. Gone after a cancellation."""
        return _ref_of(self._one(calendar, _Change(ref, event)))

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        """Send a cancellation, unless one was sent."""
        self._one(calendar, Drop(ref))

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        """What was sent under this key and not cancelled, from our own memory.

        A message whose answer was lost is sent again, under its old name, and counts as found when it is taken: no
        other question can be put to a mailbox, and what was never taken for sure could never be taken back.
        """
        name = str(key)
        with self._vault.alone(self._drawer(calendar)):
            record = self._recall(calendar, name)
            if record and record.is_open:
                self._send_again(calendar, name, record, event)
                record = self._recall(calendar, name)
        return [record.ref(name)] if record and record.known and record.state is not State.CANCELLED else []

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> Sequence[RemoteRef | BridgeError | None]:
        """Send the messages for all orders over one connection; where the server is away, the rest is not tried."""
        changes = [_Change(each.ref, each.event) if isinstance(each, Put) and each.ref else each for each in orders]
        return self._carried_out(calendar, changes)

    def _one(self, calendar: CalendarRef, step: _Step) -> RemoteRef | None:
        (outcome,) = self._carried_out(calendar, [step])
        if isinstance(outcome, BridgeError):
            raise outcome
        return outcome

    def _carried_out(self, calendar: CalendarRef, steps: Sequence[_Step]) -> list[_Outcome]:
        try:
            self.check_target(calendar)
        except Denied as error:
            return [error for _ in steps]
        with self._vault.alone(self._drawer(calendar)):
            outcomes: dict[int, _Outcome] = {}
            lines = []
            for order, step in enumerate(steps):
                try:
                    line = self._line(calendar, order, step)
                except BridgeError as error:
                    outcomes[order] = error
                else:
                    lines.append(line)
            due = [line for line in lines if line.is_due]
            outcomes |= {line.order: line.outcome for line in lines} | self._posted(calendar, due)
        return [outcomes[order] for order in range(len(steps))]

    # What is to be said of one event

    def _line(self, calendar: CalendarRef, order: int, step: _Step) -> Line:
        if isinstance(step, Put):
            return self._new(order, str(step.key), self._recall(calendar, str(step.key)), step.event)
        if isinstance(step, Drop) and not _is_ours(step.ref):
            return Line(order, "", None, Record("", state=State.CANCELLED), None)
        key, told = _parsed(step.ref)
        before = self._recall(calendar, key)
        if isinstance(step, Drop):
            return self._removal(order, key, told, before)
        return self._change(order, key, told, before, step.event)

    def _new(self, order: int, key: str, before: Record | None, event: Event) -> Line:
        if before and (before.known or before.state in (State.CANCELLING, State.CANCELLED)):
            raise KeyTaken(f"'{event.title}' was sent before under this key.")
        record = _described(before or Record(key), event)
        changed = before is not None and before.mark != record.mark
        return Line(order, key, before, replace(record, sequence=record.sequence + changed), event)

    def _change(self, order: int, key: str, told: Record, before: Record | None, event: Event) -> Line:
        if before and before.state is State.CANCELLED:
            raise Gone(f"'{event.title}' was cancelled.")
        latest = _latest(told, before)
        record = _described(latest, event)
        if record.mark == latest.mark and latest.state in (State.SENT, State.SENDING):
            return Line(order, key, before, record, event)
        return Line(order, key, before, replace(record, sequence=latest.sequence + 1, state=State.SENDING), event)

    def _removal(self, order: int, key: str, told: Record, before: Record | None) -> Line:
        latest = _latest(told, before)
        if latest.state in (State.CANCELLING, State.CANCELLED):
            return Line(order, key, before, latest, None)
        record = replace(latest, sequence=latest.sequence + 1, state=State.CANCELLING)
        return Line(order, key, before, record, None)

    def _send_again(self, calendar: CalendarRef, key: str, record: Record, event: Event) -> None:
        """A message that may be lost, with all the dates of its series. A refusal leaves it as it is."""
        line = self._new(0, key, record, event)
        if line.after != record:
            lines = [line]
        else:
            lines = [
                Line(order, each, sibling, sibling, replace(event, when=sibling.when))
                for order, (each, sibling) in enumerate(self._siblings(calendar, key, record).items())
            ]
        for outcome in self._posted(calendar, lines).values():
            if isinstance(outcome, (Transient, Denied)):
                raise outcome

    def _siblings(self, calendar: CalendarRef, key: str, record: Record) -> dict[str, Record]:
        """All dates of a series, if its first message may be lost as a whole; else the one event."""
        roll = self._vault.get(self._drawer(calendar, record.uid)) if record.slot else None
        records = {each: self._recall(calendar, each) for each in json.loads(roll)} if roll else {}
        lost = {each: other for each, other in records.items() if other and other.is_open and not other.sequence}
        return lost if record.size == len(lost) else {key: record}

    # What shares a message

    def _letters(self, calendar: CalendarRef, lines: Sequence[Line]) -> Iterator[Letter]:
        puts = [line for line in lines if line.event]
        if self._publishes(calendar):
            for start in range(0, len(puts), self._settings.bundle):
                yield Letter("PUBLISH", tuple(puts[start : start + self._settings.bundle]))
        else:
            yield from self._requests(puts)
        for group in _by_uid([line for line in lines if not line.event]):
            yield Letter("CANCEL", group, whole=_is_whole(group))

    def _requests(self, puts: Sequence[Line]) -> Iterator[Letter]:
        series = list(_series([line for line in puts if not line.before], self._settings.series_from))
        in_series = {line.order: line for group in series for line in group}
        for group in _by_uid([in_series.get(line.order, line) for line in puts]):
            first_time = all(not line.after.known and not line.after.sequence for line in group)
            yield Letter("REQUEST", group, whole=first_time and _is_whole(group))

    def _publishes(self, calendar: CalendarRef) -> bool:
        return self._settings.method == "publish" or calendar.id in self._settings.lists

    # Sending

    def _posted(self, calendar: CalendarRef, lines: Sequence[Line]) -> dict[int, _Outcome]:
        outcomes: dict[int, _Outcome] = {}
        stopped: BridgeError | None = None
        with Relay(self._settings) as relay:
            for letter in self._letters(calendar, lines):
                error = stopped or self._sent(relay, calendar, letter)
                if isinstance(error, (Transient, Denied, NobodyThere)):
                    stopped = unsent(error)
                outcomes |= {line.order: error or line.outcome for line in letter.lines}
        return outcomes

    def _sent(self, relay: Relay, calendar: CalendarRef, letter: Letter) -> BridgeError | None:
        """Intent before deed: a record says `sending` before the message leaves, and what it was if it did not."""
        recipients = self._settings.lists.get(calendar.id, (calendar.id,))
        try:
            self._spend(len(recipients))
            message = self._message(calendar, letter)
            relay.connect()
        except BridgeError as error:
            return unsent(error)
        if letter.whole:
            self._vault.put(
                self._drawer(calendar, letter.lines[0].after.uid), json.dumps([line.key for line in letter.lines])
            )
        self._remember(calendar, {line.key: line.after for line in letter.lines})
        try:
            self._tools.meter.spent()
            relay.send(message, recipients)
        except Lost as error:
            return error
        except BridgeError as error:
            self._remember(calendar, {line.key: line.before for line in letter.lines})
            return unsent(error)
        self._remember(calendar, {line.key: line.settled for line in letter.lines})
        return None

    def _spend(self, recipients: int) -> None:
        """Count recipients of the day. Transient when the cap is reached; what was counted stays counted."""
        now = self._tools.now().astimezone(UTC)
        cap, name = self._settings.daily_cap, f"imip/{self._name}/day"
        with self._vault.alone(name):
            day, _, count = (self._vault.get(name) or "").partition(" ")
            used = int(count) if day == f"{now:%Y-%m-%d}" else 0
            if recipients > cap:
                raise Denied(f"The list has {recipients} members, more than the {cap} that one day permits.")
            if used + recipients > cap:
                tomorrow = datetime.combine(now.date() + DAY, time(), UTC)
                wait = (tomorrow - now).total_seconds()
                raise Transient(f"The {cap} recipients that one day permits are used up.", retry_after=wait)
            self._vault.put(name, f"{now:%Y-%m-%d} {used + recipients}")

    # Memory

    def _drawer(self, calendar: CalendarRef, key: str = "") -> str:
        """The vault's name for a calendar, or for one key in it."""
        return f"imip/{self._name}/{hashlib.sha256(f'{calendar.id} {key}'.encode()).hexdigest()[:40]}"

    def _recall(self, calendar: CalendarRef, key: str) -> Record | None:
        text = self._vault.get(self._drawer(calendar, key))
        return Record.from_json(text) if text else None

    def _remember(self, calendar: CalendarRef, records: Mapping[str, Record | None]) -> None:
        for key, record in records.items():
            self._vault.put(self._drawer(calendar, key), record.to_json() if record else "")

    # Writing

    def _message(self, calendar: CalendarRef, letter: Letter) -> EmailMessage:
        """multipart/alternative of plain text, HTML and the calendar; around it multipart/mixed with the file."""
        settings, domain = self._settings, self._settings.sender.rpartition("@")[2]
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(settings.sender_name, addr_spec=settings.sender)
        hidden = calendar.id in settings.lists
        message["To"] = Group("undisclosed-recipients") if hidden else Address(addr_spec=calendar.id)
        message["Subject"] = _subject(letter)
        message["Date"] = format_datetime(self._tools.now())
        message["Message-ID"] = f"<{letter.name}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        parts = [self._told(line) for line in letter.lines]
        message.set_content("\n\n".join("\n".join(part) for part in parts), cte="base64")
        message.add_alternative(_page(parts), subtype="html", cte="base64")
        body = self._calendar(calendar, letter).to_ical()
        params = {"method": letter.method, "component": "VEVENT"}
        message.add_alternative(body.decode(), subtype="calendar", cte="base64", params=params)
        if settings.attach:
            message.add_attachment(body, maintype="application", subtype="ics", filename="invite.ics")
        return message

    def _told(self, line: Line) -> list[str]:
        """An event as lines of text for people."""
        record, event = line.after, line.event
        when = _shown(record.when, self._zone) if record.start else ""
        title = record.title if event else f"Cancelled: {record.title}".removesuffix(": ")
        more = [event.place, event.text, event.url] if event else []
        return [part for part in (title, when, *more) if part]

    def _calendar(self, calendar: CalendarRef, letter: Letter) -> icalendar.Calendar:
        body = icalendar.Calendar()
        body.add("prodid", PRODID)
        body.add("version", "2.0")
        body.add("calscale", "GREGORIAN")
        body.add("method", letter.method)
        invited = [] if self._publishes(calendar) else [calendar.id]
        lines = letter.lines
        if letter.whole:
            lines = (replace(lines[0], after=replace(lines[0].after, slot="", sequence=_highest(lines))),)
        for line in lines:
            entry = self._entry(line, invited)
            if letter.whole and line.event:
                _add_rule(entry, [each.after for each in letter.lines])
            body.add_component(entry)
        return body

    def _entry(self, line: Line, invited: Iterable[str]) -> icalendar.Event:
        record, event = line.after, line.event
        entry = icalendar.Event()
        entry.add("uid", record.uid)
        entry.add("dtstamp", self._tools.now().astimezone(UTC))
        entry.add("sequence", record.sequence)
        entry.add("organizer", _person(self._settings.sender, cn=self._settings.sender_name))
        for address in invited:
            roles = {"role": "REQ-PARTICIPANT", "partstat": "NEEDS-ACTION", "rsvp": "FALSE"}
            entry.add("attendee", _person(address, **roles))
        if record.slot:
            entry.add("recurrence-id", _moment(record.slot))
        if record.start:
            entry.add("dtstart", _moment(record.start))
        if record.end != record.start:
            # a DTEND has to be later than DTSTART; without one, an event ends where it starts
            entry.add("dtend", _moment(record.end))
        if record.title:
            entry.add("summary", record.title)
        entry.add("status", event.status.value.upper() if event else "CANCELLED")
        if event:
            _add_details(entry, event)
        return entry


class Relay:
    """One connection to the SMTP server, made when it is first needed, as a context."""

    def __init__(self, settings: ImipSettings) -> None:
        self._settings = settings
        self._line: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._line is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._line.quit()
            self._line.close()
            self._line = None

    def connect(self) -> None:
        """Connect, encrypt and sign in, unless that was done. Denied where only a person can help."""
        if self._line is not None:
            return
        try:
            self._line = self._opened()
            with self._in_time():
                self._sign_in(self._line)
        except smtplib.SMTPAuthenticationError as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Denied, "does not accept our sign-in") from error
        except smtplib.SMTPNotSupportedError as error:
            raise Denied(f"{self._settings.host} offers no encryption or no sign-in: {error}") from error
        except smtplib.SMTPResponseException as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Denied, "does not talk to us") from error
        except ssl.SSLCertVerificationError as error:
            raise Denied(f"{self._settings.host} shows no valid certificate: {error.verify_message}.") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{self._settings.host} could not be reached.", raw=repr(error)) from error

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Hand over one message for all recipients. Lost once it was sent and no answer came."""
        with self._in_time():
            self._send(message, recipients)

    def _send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        try:
            self._address(recipients)
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{self._settings.host} broke off.", raw=repr(error)) from error
        try:
            code, answer = self._open_line.data(message.as_bytes())
        except smtplib.SMTPDataError as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Rejected, "refused the message") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Lost(f"{self._settings.host} took the message and did not answer.", raw=repr(error)) from error
        if code != 250:
            raise self._verdict(code, answer, Rejected, "refused the message")

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Cut the connection when the block takes too long: a server that drips is never silent."""
        watch = threading.Timer(self._settings.total_seconds, self._cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _cut(self) -> None:
        sock = self._open_line.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def _open_line(self) -> smtplib.SMTP:
        assert self._line is not None, "connect() comes first"
        return self._line

    def _opened(self) -> smtplib.SMTP:
        settings = self._settings
        port = settings.port or PORTS[settings.security]
        # our own name is told, for the default asks the DNS for it
        ours = settings.sender.rpartition("@")[2]
        if settings.security == "tls":
            context = self._context()
            return smtplib.SMTP_SSL(settings.host, port, ours, timeout=settings.silence_seconds, context=context)
        return smtplib.SMTP(settings.host, port, ours, timeout=settings.silence_seconds)

    def _sign_in(self, line: smtplib.SMTP) -> None:
        if self._settings.security == "starttls":
            line.starttls(context=self._context())
        line.ehlo_or_helo_if_needed()
        if self._settings.user:
            line.login(self._settings.user, self._settings.password.get_secret_value())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file or None)

    def _address(self, recipients: Sequence[str]) -> None:
        """MAIL and RCPT. One refused address of several stops the message, or is left out, as the settings say."""
        line = self._open_line
        self._expect(line.mail(self._settings.sender), Denied, "does not send mail from our address")
        refused = []
        for address in recipients:
            code, answer = line.rcpt(address)
            if 500 <= code < 600:
                refused.append(f"{address} ({_said(answer)})")
            else:
                self._expect((code, answer), Rejected, f"does not take mail to {address} now")
        if refused and (len(refused) == len(recipients) or not self._settings.skip_refused):
            line.rset()
            raise NobodyThere(f"{self._settings.host} does not take mail to {', '.join(refused)}.")
        if refused:
            log.warning("%s does not take mail to %s", self._settings.host, ", ".join(refused))

    def _expect(self, answer: tuple[int, bytes], kind: type[BridgeError], problem: str) -> None:
        code, words = answer
        if code not in (250, 251):
            error = self._verdict(code, words, kind, problem)
            with suppress(smtplib.SMTPException, OSError):
                self._open_line.rset()
            raise error

    def _verdict(self, code: int, answer: bytes | str, kind: type[BridgeError], problem: str) -> BridgeError:
        """5xx is for ever (RFC 5321 section 4.2.1), save that 530 asks for a sign-in; everything else passes."""
        words = f"{self._settings.host} {problem}: {code} {_said(answer)}."
        if not 500 <= code < 600:
            return Transient(words)
        return Denied(words) if code == 530 else kind(words)


@dataclass(frozen=True, slots=True)
class _Change:
    """An event to send anew under the ref that it has."""

    ref: RemoteRef
    event: Event


_Step = Put | _Change | Drop
_Outcome = RemoteRef | BridgeError | None


def _ref_of(outcome: RemoteRef | None) -> RemoteRef:
    assert outcome is not None, "what was put has a ref"
    return outcome


def _latest(told: Record, before: Record | None) -> Record:
    """What the register says; without it, or behind it, what the ref says."""
    return replace(before, sequence=max(before.sequence, told.sequence)) if before else told


def _described(record: Record, event: Event) -> Record:
    start, end = _wire(event.when)
    details = [event.title, start, end, event.text, event.place, *event.categories, event.url, event.status.value]
    mark = hashlib.sha256(json.dumps(details).encode()).hexdigest()[:20]
    return replace(record, mark=mark, title=event.title[:SUBJECT], start=start, end=end)


def _by_uid(lines: Iterable[Line]) -> list[tuple[Line, ...]]:
    groups: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.after.start):
        groups.setdefault(line.after.uid, []).append(line)
    return [tuple(group) for group in groups.values()]


def _is_whole(group: Sequence[Line]) -> bool:
    return len(group) > 1 and len(group) == group[0].after.size


def _series(new: Sequence[Line], least: int) -> Iterator[list[Line]]:
    """New events that can be said as a rule: by weekday and time first, then what is left by time of day alone."""
    left = list(new)
    for weekly in (True, False):
        groups: dict[object, list[Line]] = {}
        for line in left:
            groups.setdefault(_likeness(line, weekly=weekly), []).append(line)
        for group in groups.values():
            group.sort(key=lambda line: line.after.start)
            if least and len(group) >= least and _is_even(group):
                left = [line for line in left if line not in group]
                yield _named(group)


def _likeness(line: Line, *, weekly: bool) -> object:
    """What the dates of a series have in common."""
    assert line.event is not None
    start, when = _moment(line.after.start), line.event.when
    clock = start.time() if isinstance(start, datetime) else None
    return replace(line.event, when=_EPOCH), clock, when.end - when.start, start.weekday() if weekly else None


_EPOCH = AllDay(date(1970, 1, 1), date(1970, 1, 2))


def _steps(records: Sequence[Record]) -> list[timedelta]:
    starts = [_moment(record.start) for record in records]
    return [later - earlier for earlier, later in pairwise(starts)]


def _is_even(group: Sequence[Line]) -> bool:
    """Whether the starts differ, and most dates of the rule would be real ones."""
    gaps = [step.days for step in _steps([line.after for line in group])]
    return min(gaps) > 0 and sum(gaps) // math.gcd(*gaps) + 1 <= 2 * len(group)


def _named(group: Sequence[Line]) -> list[Line]:
    uid = str(uuid5(NAMESPACE_URL, "\n".join(line.key for line in group)))
    return [replace(line, after=replace(line.after, uid=uid, slot=line.after.start, size=len(group))) for line in group]


def _add_rule(entry: icalendar.Event, records: Sequence[Record]) -> None:
    """The rule from the first date to the last, and an EXDATE for each of its dates that is none of ours."""
    days = [step.days for step in _steps(records)]
    step = math.gcd(*days)
    first = _moment(records[0].start)
    slots = [first + number * step * DAY for number in range(sum(days) // step + 1)]
    rule: dict[str, object] = {"freq": "daily", "interval": step, "count": len(slots)}
    if step % 7 == 0:
        rule |= {"freq": "weekly", "interval": step // 7, "byday": WEEKDAYS[first.weekday()]}
    entry.add("rrule", rule)
    ours = {record.start for record in records}
    for slot in slots:
        if _basic(slot) not in ours:
            entry.add("exdate", slot)


def _add_details(entry: icalendar.Event, event: Event) -> None:
    if event.title:
        entry["summary"] = icalendar.vText(event.title)
    if event.text:
        entry.add("description", event.text)
    if event.place:
        entry.add("location", event.place)
    if event.categories:
        entry.add("categories", list(event.categories))
    if event.url:
        entry.add("url", event.url)


def _person(address: str, **params: str) -> icalendar.vCalAddress:
    person = icalendar.vCalAddress(f"mailto:{address}")
    for name, value in params.items():
        if value:
            person.params[name.upper()] = icalendar.vText(value)
    return person


def _highest(lines: Iterable[Line]) -> int:
    return max(line.after.sequence for line in lines)


def _subject(letter: Letter) -> str:
    first = letter.lines[0]
    title = first.after.title or "an event"
    more = f" (and {len(letter.lines) - 1} more)" if len(letter.lines) > 1 else ""
    word = "" if first.event and not first.after.known else "Changed: " if first.event else "Cancelled: "
    return f"{word}{title}{more}"


def _page(parts: Iterable[Sequence[str]]) -> str:
    """The same text as HTML; everything in it is escaped, and web addresses that stand alone become links."""
    shown = []
    for first, *others in parts:
        lines = [f"<strong>{html.escape(first)}</strong>", *(line_of(other).replace("\n", "<br>") for other in others)]
        shown.append(f"<p>{'<br>'.join(lines)}</p>")
    return f"<!DOCTYPE html><html><body>{''.join(shown)}</body></html>"


def _shown(when: When, zone: ZoneInfo) -> str:
    """Times for people: `Monday 2025-03-10, 09:00-10:00 (Europe/Oslo)`."""
    if isinstance(when, AllDay):
        last = when.end - DAY
        return f"{when.start:%A %Y-%m-%d}" + (f" to {last:%A %Y-%m-%d}" if last > when.start else "")
    start, end = when.start.astimezone(zone), when.end.astimezone(zone)
    until = "" if start == end else f"-{end:%H:%M}" if start.date() == end.date() else f" to {end:%A %Y-%m-%d, %H:%M}"
    return f"{start:%A %Y-%m-%d, %H:%M}{until} ({zone.key})"


def _fit_when(when: When) -> When:
    if isinstance(when, Timed) and when.floating:
        raise Rejected("The time has no zone; an invitation needs one.")
    if when.start.year <= 1 or when.end.year >= 9999:
        raise Rejected("The time lies outside of the years that a calendar can hold.")
    return when if isinstance(when, AllDay) else Timed(_floored(when.start), _floored(when.end))


def _floored(moment: datetime) -> datetime:
    return instant(moment).replace(microsecond=0)


def _wire(when: When) -> tuple[str, str]:
    return (_basic(when.start), _basic(when.end))


def _basic(moment: datetime | date) -> str:
    """As iCalendar writes it: `20250310`, `20250310T080000Z`."""
    if isinstance(moment, datetime):
        return f"{instant(moment).year:04}{instant(moment):%m%dT%H%M%SZ}"
    return f"{moment.year:04}{moment:%m%d}"


def _moment(text: str) -> datetime | date:
    """The inverse of _basic()."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _said(answer: bytes | str) -> str:
    """The server's own words, on one line."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return on_one_line(text)[:300].rstrip(".")
