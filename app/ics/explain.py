"""Why an occurrence takes place when it does: its time as written, the step of the zone ladder, the instant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

from app.ics.events import Entry
from app.ics.expand import Bounds, Expander
from app.ics.floating import NOBODY_SAID, Floating
from app.ics.parse import Line, Properties
from app.ics.place import Place
from app.ics.problems import Limits
from app.ics.read import Opened, open_calendar
from app.ics.values import Stamp, plain
from app.ics.zones import Ladder, Resolved, Step, zone_name
from bridges.model import AllDay, Occurrence

MOST_TRIED = 2_000
"""Members of series of one UID that are passed over while the first of another is looked for."""

_NAMED = {
    Step.IANA: "'{0}' is the IANA zone {1}",
    Step.EMBEDDED: "a VTIMEZONE in the file itself says what '{0}' is",
    Step.WINDOWS: "'{0}' is Windows' name for {1}",
    Step.LOCATION: "the VTIMEZONE of '{0}' cannot be read, but its X-LIC-LOCATION says {1}",
    Step.ALIAS: "'{0}' is a known other name for {1}",
    Step.CALENDAR: "nobody knows '{0}'; the file's own zone (X-WR-TIMEZONE) was taken, {1}",
    Step.SOURCE: "nobody knows '{0}'; the zone that somebody said of this source was taken, {1}",
    Step.HELD: "nobody knows '{0}', and nobody said which zone the source means: the event is held",
}
_FLOATING = {
    Step.CALENDAR: "no zone is named; the file's own zone (X-WR-TIMEZONE) was taken, {1}",
    Step.SOURCE: "no zone is named; the zone that somebody said of this source was taken, {1}",
    Step.FLOATING: "no zone is named; the one that somebody said for such times was taken, {1}",
    Step.HOME: "no zone is named; the home zone was taken, {1}",
    Step.HELD: "no zone is named, and such times of this source are not guessed at: the event is held",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """One occurrence, or an event that cannot be one.

    `written` is DTSTART as it stands on `line`; `step` a step of the ladder, or "utc" or "day" where none was needed;
    `why` says it in words. `when` is None for an event that is held; `at_home` the zone of floating times and days.
    """

    uid: str
    title: str
    line: int
    written: str
    step: str
    zone: str
    why: str
    at_home: tzinfo
    when: Occurrence | None = None
    remarks: tuple[str, ...] = ()


def explain(
    data: bytes,
    *,
    zone: tzinfo,
    source_zone: tzinfo | None = None,
    floating: Floating = NOBODY_SAID,
    uid: str | None = None,
    at: date | None = None,
    limits: Limits = Limits(),  # noqa: B008 - an immutable value
) -> Iterator[Explained]:
    """The occurrences at a moment or on a day (`at`; a naive time is one of the home `zone`); without it the first of
    each event. What is held is among them. `uid` asks for one event; the zones are those of `read_occurrences`.

    NotACalendar for what is none.
    """
    bounds = Bounds.of(*_around(at), zone)
    opened = open_calendar(data, (source_zone, zone, floating), bounds, limits, lanes=False)
    for members in opened.gathered.families():
        events = [event for _, event in members if uid is None or event.value("UID").strip() == uid]
        if events:
            yield from _family(opened, [member for member in members if member[1] in events], at, zone)


def _around(at: date | None) -> tuple[date | None, date | None]:
    if at is None:
        return None, None
    return at, at + (timedelta(microseconds=1) if isinstance(at, datetime) else timedelta(days=1))


def _family(
    opened: Opened, members: list[tuple[int, Properties]], at: date | None, home: tzinfo
) -> Iterator[Explained]:
    """The events of one UID. Each is laid out under its number as a title: so each occurrence tells whose it is."""
    events = {event.index: event for _, event in members}
    entries = list(opened.reader.entries(members))
    for entry in entries:
        entry.said = replace(entry.said, title=str(entry.index))
    known = {entry.index: entry for entry in entries}
    ladder = opened.reader.ladder
    for occurrence in _chosen(opened, entries, at):
        index = int(occurrence.event.title)
        yield _explained(opened, events[index], ladder, home, known[index], occurrence)
    for index, event in events.items():
        if index not in known and event.first("DTSTART") and _may_be(event, at):
            yield _explained(opened, event, ladder, home)


def _chosen(opened: Opened, entries: list[Entry], at: date | None) -> list[Occurrence]:
    """All that take place at that time, or of each event the first, by their starts."""
    limits = opened.gathered.cutter.limits
    expander = Expander(opened.bounds, limits, opened.days, lambda *_, **__: None, lanes=False)
    found = list(expander.expand(entries)) if at is not None else list(_firsts(expander, entries))
    return [occurrence for _, occurrence in sorted(found, key=lambda one: one[0])]


def _firsts(expander: Expander, entries: list[Entry]) -> Iterator[tuple[datetime, Occurrence]]:
    """Of a series without end only so much is laid out; members of their own are looked up by themselves."""
    wanted = {str(entry.index) for entry in entries if entry.slot is None}
    for moment, occurrence in islice(expander.expand(entries), MOST_TRIED if wanted else 0):
        if occurrence.event.title in wanted:
            wanted.remove(occurrence.event.title)
            yield moment, occurrence
        if not wanted:
            break
    for entry in entries:
        if entry.slot is not None:
            yield from islice(expander.expand([entry]), 1)


def _may_be(event: Properties, at: date | None) -> bool:
    """Whether an event that is held may be meant: it has no instant, so its day as written has to do."""
    line = event.first("DTSTART")
    return at is None or (line is not None and line.value.strip()[:8] == f"{at:%Y%m%d}") or bool(event.first("RRULE"))


def _explained(
    opened: Opened,
    event: Properties,
    ladder: Ladder,
    home: tzinfo,
    entry: Entry | None = None,
    occurrence: Occurrence | None = None,
) -> Explained:
    line = event.first("DTSTART")
    assert line is not None
    step, zone, why = _told(line, ladder, home, entry)
    title = plain(event.value("SUMMARY")).strip()
    return Explained(
        uid=event.value("UID").strip(),
        title=title,
        line=opened.gathered.cutter.source.number(line.at),
        written=_written(line),
        step=step,
        zone=zone,
        why=why if entry or step == Step.HELD else f"{why}; but the event cannot be read otherwise, and is left out",
        at_home=home,
        when=occurrence and replace(occurrence, event=replace(occurrence.event, title=title)),
        remarks=tuple(_remarks(event, ladder, home, entry, occurrence)) if entry and occurrence else (),
    )


def _written(line: Line) -> str:
    tzid = f";TZID={line.head.tzid}" if line.head.tzid else ";VALUE=DATE" if line.head.day else ""
    return f"{line.head.name}{tzid}:{line.value.strip()}"[:300]


def _told(line: Line, ladder: Ladder, home: tzinfo, entry: Entry | None) -> tuple[str, str, str]:
    """The step, the zone's name, and both in words."""
    text = line.value.strip()
    if entry.start.day if entry else line.head.day or len(text) == 8:
        return "day", zone_name(home), f"a whole day has no zone; it begins at midnight of {zone_name(home)}"
    if text.upper().endswith("Z") or (entry and entry.start.zone is UTC and not line.head.tzid):
        return "utc", "UTC", "the time is written in UTC"
    resolved = resolved_of(line, ladder)
    words = _NAMED if resolved.tzid else _FLOATING
    name = zone_name(resolved.zone) if resolved.zone else ""
    return resolved.step.value, name, words[resolved.step].format(resolved.tzid[:80], name)


def resolved_of(line: Line, ladder: Ladder) -> Resolved:
    """What the ladder makes of a property's zone."""
    tzid = line.head.tzid
    return ladder.resolve(tzid) if tzid and tzid.strip() else ladder.floats


# -------------------------------------------------------------------------------------------------------------- remarks


def _remarks(event: Properties, ladder: Ladder, home: tzinfo, entry: Entry, occurrence: Occurrence) -> Iterator[str]:
    when = occurrence.event.when
    if not isinstance(when, AllDay):
        yield from _clocks(when.start, entry, home)
        end = event.first("DTEND")
        begin = event.first("DTSTART")
        if end is not None and begin is not None and end.head.tzid != begin.head.tzid and "Z" not in end.value:
            yield f"its end has a zone of its own: {_told(end, ladder, home, None)[2]}"
    for rule in entry.rules:
        if rule.until is not None and not entry.start.day:
            yield _until(rule.until.moment, rule.until.day, rule.until.utc, entry.start)


def _clocks(start: datetime, entry: Entry, home: tzinfo) -> Iterator[str]:
    """What the clocks do to this start, in its own zone and at home."""
    zone = entry.start.zone
    meant = datetime.combine(start.date(), entry.start.local.time())
    clocked = any(rule.byhour or rule.byminute or rule.bysecond for rule in entry.rules)
    if zone is not None and not clocked and (placed := Place(zone).put(meant)).gap and placed.shown == start:
        yield (
            f"{meant:%H:%M} does not exist on {meant:%Y-%m-%d} in {zone_name(zone)}, where clocks go forward: "
            f"{start:%H:%M} was taken"
        )
    for one in {zone_name(zone): zone, zone_name(home): home}.values() if zone is not None else ():
        shown = start.astimezone(one)
        if one is not UTC and shown.replace(fold=0).utcoffset() != shown.replace(fold=1).utcoffset():
            which = "second" if shown.fold else "first"
            place = f"on {shown:%Y-%m-%d} in {zone_name(one)}, where clocks go back"
            yield f"{shown:%H:%M} comes twice {place}: the {which} is meant"


def _until(moment: datetime, day: bool, utc: bool, start: Stamp) -> str:
    where = zone_name(start.zone) if start.zone is not None else "its zone"
    if day:
        return f"UNTIL is the day {moment:%Y-%m-%d} without a time: all of that day in {where} counts"
    if utc and start.zone is not None:
        last = moment.replace(tzinfo=UTC).astimezone(start.zone)
        return f"UNTIL is {moment:%Y-%m-%d %H:%M} UTC, which is {last:%Y-%m-%d %H:%M} in {where}"
    return f"UNTIL is {moment:%Y-%m-%d %H:%M} without a zone: it was read in that of the series, {where}"


# ---------------------------------------------------------------------------------------------------------------- faces


def record(one: Explained) -> dict[str, Any]:
    """Flat JSON; `start` and `end` in the event's own zone, `utc` and `home` those of the start; null where held."""
    when = one.when.event.when if one.when else None
    days = isinstance(when, AllDay)
    start = _instant(when.start, one.at_home) if when else None
    return {
        "uid": one.uid,
        "title": one.title,
        "line": one.line,
        "written": one.written,
        "step": one.step,
        "zone": one.zone or None,
        "why": one.why,
        "slot": one.when.id.slot_text or None if one.when else None,
        "all_day": days if when else None,
        "start": when.start.isoformat() if when else None,
        "end": when.end.isoformat() if when else None,
        "utc": start.astimezone(UTC).isoformat() if start else None,
        "home": start.astimezone(one.at_home).isoformat() if start else None,
        "remarks": list(one.remarks),
    }


def paragraph(one: Explained, more: Iterable[str] = ()) -> str:
    """The same for people."""
    facts = record(one)
    lines = [f"{one.title or 'without a title'} ({one.uid})", f"written: {one.written} (line {one.line})"]
    lines.append(f"zone:    {one.why} [{one.step}]")
    if one.when is None:
        lines.append("instant: none; nothing is written of it")
    elif facts["all_day"]:
        lines.append(f"days:    {facts['start']}, up to but not including {facts['end']}")
    else:
        start = one.when.event.when.start
        assert isinstance(start, datetime)
        lines += [f"there:   {_spoken(start)} {one.zone}", f"instant: {start.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"]
        lines.append(f"home:    {_spoken(start.astimezone(one.at_home))} {zone_name(one.at_home)}")
    lines += [f"slot:    {facts['slot']}"] if facts["slot"] else []
    return "\n  ".join([*lines, *more, *(f"note:    {remark}" for remark in one.remarks)])


def _spoken(moment: datetime) -> str:
    text = f"{moment:%z}"
    return f"{moment:%a %Y-%m-%d %H:%M} ({text[:3]}:{text[3:5]})"


def _instant(start: date | datetime, home: tzinfo) -> datetime:
    if isinstance(start, datetime):
        return start if start.tzinfo else start.replace(tzinfo=home)
    return datetime(start.year, start.month, start.day, tzinfo=home)
