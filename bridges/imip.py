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
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from bridges.contract import Drop, Order, Put, SinkRules, Tools
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient, unsent
from bridges.invitations import Writer
from bridges.letters import Letter, Line, Record, State, by_uid, described, is_ours, is_whole, newest, parsed, series
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status, SyncKey, Timed, When, instant
from bridges.relay import ADDRESS, Lost, MailAddress, NobodyThere, OneLine, Relay, RelaySettings
from bridges.settings import ZoneName
from bridges.text import cleaned, on_one_line, titled

DAY = timedelta(days=1)
_NO_URL = re.compile(r"[\s\"<>\\^`{|}]")


class ImipSettings(RelaySettings):
    """One mail relay, and how invitations are sent over it."""

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

    @field_validator("lists")
    @classmethod
    def _no_empty_list(cls, lists: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for name, members in lists.items():
            if not members or "@" in name or not name.isprintable():
                raise ValueError(f"'{name}': a list has a plain name without @, and at least one member")
        return lists

    @property
    def needs_vault(self) -> bool:
        """What was sent can't be asked of anybody: it is remembered there."""
        return True


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
        self._writer = Writer(settings.sender, settings.sender_name, ZoneInfo(settings.zone), settings.attach)

    def __repr__(self) -> str:
        return f"ImipBridge({self._name!r}, {self._settings.host!r})"

    def check_target(self, calendar: CalendarRef) -> None:
        """Denied for what is neither a list nor an address that mail may go to."""
        if calendar.lms != self._name or calendar.kind is not Kind.PERSON:
            raise Denied(f"{calendar} is no person's calendar of '{self._name}'; e-mail goes to people.")
        if calendar.id in self._settings.lists:
            return
        if len(calendar.id) > 254 or not ADDRESS.fullmatch(calendar.id):
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
        if isinstance(step, Drop) and not is_ours(step.ref):
            return Line(order, "", None, Record("", state=State.CANCELLED), None)
        key, told = parsed(step.ref)
        before = self._recall(calendar, key)
        if isinstance(step, Drop):
            return self._removal(order, key, told, before)
        return self._change(order, key, told, before, step.event)

    def _new(self, order: int, key: str, before: Record | None, event: Event) -> Line:
        if before and (before.known or before.state in (State.CANCELLING, State.CANCELLED)):
            raise KeyTaken(f"'{event.title}' was sent before under this key.")
        record = described(before or Record(key), event)
        changed = before is not None and before.mark != record.mark
        return Line(order, key, before, replace(record, sequence=record.sequence + changed), event)

    def _change(self, order: int, key: str, told: Record, before: Record | None, event: Event) -> Line:
        if before and before.state is State.CANCELLED:
            raise Gone(f"'{event.title}' was cancelled.")
        latest = newest(told, before)
        record = described(latest, event)
        if record.mark == latest.mark and latest.state in (State.SENT, State.SENDING):
            return Line(order, key, before, record, event)
        return Line(order, key, before, replace(record, sequence=latest.sequence + 1, state=State.SENDING), event)

    def _removal(self, order: int, key: str, told: Record, before: Record | None) -> Line:
        latest = newest(told, before)
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
        for group in by_uid([line for line in lines if not line.event]):
            yield Letter("CANCEL", group, whole=is_whole(group))

    def _requests(self, puts: Sequence[Line]) -> Iterator[Letter]:
        found = list(series([line for line in puts if not line.before], self._settings.series_from))
        in_series = {line.order: line for group in found for line in group}
        for group in by_uid([in_series.get(line.order, line) for line in puts]):
            first_time = all(not line.after.known and not line.after.sequence for line in group)
            yield Letter("REQUEST", group, whole=first_time and is_whole(group))

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

    def _message(self, calendar: CalendarRef, letter: Letter) -> EmailMessage:
        hidden = calendar.id in self._settings.lists
        invited = [] if self._publishes(calendar) else [calendar.id]
        return self._writer.message(letter, "" if hidden else calendar.id, invited, self._tools.now())

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


def _fit_when(when: When) -> When:
    if isinstance(when, Timed) and when.floating:
        raise Rejected("The time has no zone; an invitation needs one.")
    if when.start.year <= 1 or when.end.year >= 9999:
        raise Rejected("The time lies outside of the years that a calendar can hold.")
    return when if isinstance(when, AllDay) else Timed(_floored(when.start), _floored(when.end))


def _floored(moment: datetime) -> datetime:
    return instant(moment).replace(microsecond=0)
