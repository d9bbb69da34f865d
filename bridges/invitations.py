"""Writes letters: a mail with text, HTML and the calendar in it (RFC 6047, RFC 5546)."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address, Group
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import icalendar

from bridges.letters import Letter, Line, Record, basic, highest, moment, steps
from bridges.markup import line_of
from bridges.model import AllDay, Event, When

DAY = timedelta(days=1)
PRODID = "-//calbridge//iMIP//EN"
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Writer:
    """Whose letters these are.

    sender, name  address and name of who sends them: the organizer
    zone          in which their text tells times
    attach        whether the calendar is added as a file too
    """

    sender: str
    name: str
    zone: ZoneInfo
    attach: bool

    def message(self, letter: Letter, to: str, invited: Sequence[str], now: datetime) -> EmailMessage:
        """multipart/alternative of plain text, HTML and the calendar; around it multipart/mixed with the file.

        `to` is empty for recipients who do not see each other; `invited` are those whom a REQUEST or its CANCEL names.
        """
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(self.name, addr_spec=self.sender)
        message["To"] = Address(addr_spec=to) if to else Group("undisclosed-recipients")
        message["Subject"] = _subject(letter)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{letter.name}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        parts = [self._told(line) for line in letter.lines]
        message.set_content("\n\n".join("\n".join(part) for part in parts), cte="base64")
        message.add_alternative(_page(parts), subtype="html", cte="base64")
        body = self._calendar(letter, invited, now).to_ical()
        params = {"method": letter.method, "component": "VEVENT"}
        message.add_alternative(body.decode(), subtype="calendar", cte="base64", params=params)
        if self.attach:
            message.add_attachment(body, maintype="application", subtype="ics", filename="invite.ics")
        return message

    def _told(self, line: Line) -> list[str]:
        """An event as lines of text for people."""
        record, event = line.after, line.event
        when = _shown(record.when, self.zone) if record.start else ""
        title = record.title if event else f"Cancelled: {record.title}".removesuffix(": ")
        more = [event.place, event.text, event.url] if event else []
        return [part for part in (title, when, *more) if part]

    def _calendar(self, letter: Letter, invited: Sequence[str], now: datetime) -> icalendar.Calendar:
        body = icalendar.Calendar()
        body.add("prodid", PRODID)
        body.add("version", "2.0")
        body.add("calscale", "GREGORIAN")
        body.add("method", letter.method)
        lines = letter.lines
        if letter.whole:
            lines = (replace(lines[0], after=replace(lines[0].after, slot="", sequence=highest(lines))),)
        for line in lines:
            entry = self._entry(line, invited, now)
            if letter.whole and line.event:
                _add_rule(entry, [each.after for each in letter.lines])
            body.add_component(entry)
        return body

    def _entry(self, line: Line, invited: Iterable[str], now: datetime) -> icalendar.Event:
        record, event = line.after, line.event
        entry = icalendar.Event()
        entry.add("uid", record.uid)
        entry.add("dtstamp", now.astimezone(UTC))
        entry.add("sequence", record.sequence)
        entry.add("organizer", _person(self.sender, cn=self.name))
        for address in invited:
            roles = {"role": "REQ-PARTICIPANT", "partstat": "NEEDS-ACTION", "rsvp": "FALSE"}
            entry.add("attendee", _person(address, **roles))
        if record.slot:
            entry.add("recurrence-id", moment(record.slot))
        if record.start:
            entry.add("dtstart", moment(record.start))
        if record.end != record.start:
            # a DTEND has to be later than DTSTART; without one, an event ends where it starts
            entry.add("dtend", moment(record.end))
        if record.title:
            entry.add("summary", record.title)
        entry.add("status", event.status.value.upper() if event else "CANCELLED")
        if event:
            _add_details(entry, event)
        return entry


def _add_rule(entry: icalendar.Event, records: Sequence[Record]) -> None:
    """The rule from the first date to the last, and an EXDATE for each of its dates that is none of ours."""
    days = [step.days for step in steps(records)]
    step = math.gcd(*days)
    first = moment(records[0].start)
    slots = [first + number * step * DAY for number in range(sum(days) // step + 1)]
    rule: dict[str, object] = {"freq": "daily", "interval": step, "count": len(slots)}
    if step % 7 == 0:
        rule |= {"freq": "weekly", "interval": step // 7, "byday": WEEKDAYS[first.weekday()]}
    entry.add("rrule", rule)
    ours = {record.start for record in records}
    for slot in slots:
        if basic(slot) not in ours:
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
