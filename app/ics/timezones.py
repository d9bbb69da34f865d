"""VTIMEZONE components (RFC 5545 section 3.6.5) to zones; a broken one costs only itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from app.ics import repair
from app.ics.parse import Component, Cutter
from app.ics.rrule import Freq, Rule, RuleError, parse_rule
from app.ics.values import read_basic, read_offset
from app.ics.zones import Observance, Observed

MOST_DATES = 2_000
"""RDATEs of one observance; exporters that list every change from 1601 to 2100 stay below."""

_EVER = datetime.max  # noqa: DTZ901 - wall clock


def embedded_zones(cutter: Cutter) -> tuple[dict[str, Observed], dict[str, str]]:
    """The zones by TZID, and the X-LIC-LOCATIONs by TZID."""
    zones: dict[str, Observed] = {}
    locations: dict[str, str] = {}
    most = cutter.limits.zones
    if len(cutter.zones) > most:
        cutter.note(cutter.zones[most].index, f"only the first {most} of {len(cutter.zones)} VTIMEZONEs were read")
    for component in cutter.zones[:most]:
        for name in _names(component):
            location = component.value("X-LIC-LOCATION").strip()
            if location:
                locations.setdefault(name, location)
            try:
                zones.setdefault(name, _zone(component, name))
            except (ValueError, RuleError, OverflowError) as error:
                cutter.note(component.index, f"the VTIMEZONE '{name[:80]}' was passed over: {error}")
    return zones, locations


def _names(component: Component) -> list[str]:
    """Its TZID; some exporters write one VTIMEZONE for several (The Events Calendar), which tells us nothing of any."""
    names = [line.value.strip().strip('"') for line in component.props.get("TZID", ())]
    return [names[0]] if len(names) == 1 and names[0] else []


def _zone(component: Component, name: str) -> Observed:
    observances = tuple(_observances(component))
    if not observances:
        raise ValueError("it has neither STANDARD nor DAYLIGHT")
    return Observed(name, observances)


def _observances(component: Component) -> Iterator[Observance]:
    for child in component.children:
        start = read_basic(child.value("DTSTART").strip()).local
        before, after = (read_offset(child.value(name)) for name in ("TZOFFSETFROM", "TZOFFSETTO"))
        yield Observance(
            start=start,
            before=before,
            after=after,
            daylight=child.name == "DAYLIGHT",
            name=child.value("TZNAME").strip(),
            rules=tuple(_rules(child, before)),
            dates=tuple(_dates(child)),
        )


def _rules(child: Component, before: timedelta) -> Iterator[tuple[Rule, datetime]]:
    """Each rule with the last wall clock time that its UNTIL allows."""
    for line in child.props.get("RRULE", ()):
        if not line.value.strip():
            continue
        rule = parse_rule(repair.vcalendar_rule(line.value) if "=" not in line.value else line.value)
        if rule.freq not in (Freq.YEARLY, Freq.MONTHLY) or len(rule.byhour + rule.byminute + rule.bysecond) > 3:
            raise ValueError(f"no clock is turned as often as by {line.value[:80]}")
        if rule.until is None:
            yield rule, _EVER
        elif rule.until.utc:
            yield rule, rule.until.moment.replace(tzinfo=UTC).astimezone(timezone(before)).replace(tzinfo=None)
        else:
            yield rule, rule.until.moment + timedelta(days=1) * rule.until.day


def _dates(child: Component) -> Iterator[datetime]:
    items = [item.strip() for line in child.props.get("RDATE", ()) for item in line.value.split(",")]
    if len(items) > MOST_DATES:
        raise ValueError(f"no clock was turned {len(items):,} times")
    for item in items:
        if item:
            yield read_basic(item.partition("/")[0]).local
