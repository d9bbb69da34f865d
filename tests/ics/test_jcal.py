"""jCal says what the iCalendar stream says: as icalendar converts it, property by property."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from icalendar import Calendar

from app.ics.jcal import jcal
from app.ics.render import Cover, Published, render
from bridges.model import AllDay, Event
from tests.ics.test_render import BERLIN, NASTY, NOON, STAMP, cover, events, published, zones


def of(stream: bytes) -> Any:
    return json.loads(jcal(stream))


def theirs(stream: bytes) -> Any:
    return json.loads(json.dumps(Calendar.from_ical(stream).to_jcal()))


def plain(component: Any) -> Any:
    """A component whose order means nothing, with RFC 7986's names as that has them: icalendar takes them for unknown.

    A rule's part of one value may stand alone (RFC 7265 section 3.6.10).
    """
    name, properties, parts = component
    return [name, sorted(json.dumps(_same(each)) for each in properties), [plain(part) for part in parts]]


def _same(told: list[Any]) -> list[Any]:
    name, parameters, kind, *values = told
    if name in ("name", "color"):
        return [name, parameters]
    if kind == "recur":
        rule = {
            key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in values[0].items()
        }
        return [name, parameters, kind, rule]
    return told


@settings(max_examples=100, deadline=None)
@given(event=events, zone=zones)
def test_it_is_what_icalendar_makes_of_the_stream(event: Event, zone: ZoneInfo) -> None:
    assume(event.when.start.year > 999)  # before, icalendar forgets a digit
    stream = render(cover(zone), [published(event)])
    assert plain(of(stream)) == plain(theirs(stream))


def test_an_event_reads_as_in_the_rfc() -> None:
    head = Cover("Kurs, eins", BERLIN, timedelta(hours=1), 2026, 2026, ("red", "#FF0000"))
    event = Event("a;b,c", NOON, text="1\n2\\n", categories=("x", "y, z"), url="https://x.example/a")
    name, about, (zone, vevent) = of(render(head, [Published("u", event, STAMP, STAMP, 2, alarm=15)]))
    assert (name, zone[0], vevent[0]) == ("vcalendar", "vtimezone", "vevent")
    assert ["name", {}, "text", "Kurs, eins"] in about
    assert ["refresh-interval", {}, "duration", "PT1H"] in about
    assert ["x-apple-calendar-color", {}, "unknown", "#FF0000"] in about
    daylight, standard = zone[2]
    assert ["rrule", {}, "recur", {"freq": "YEARLY", "bymonth": 3, "byday": "-1SU"}] in daylight[1]
    assert ["tzoffsetto", {}, "utc-offset", "+01:00"] in standard[1]
    for expected in [
        ["dtstamp", {}, "date-time", "2026-01-02T03:04:05Z"],
        ["sequence", {}, "integer", 2],
        ["dtstart", {"tzid": "Europe/Berlin"}, "date-time", "2026-03-10T12:00:00"],
        ["summary", {}, "text", "a;b,c"],
        ["description", {}, "text", "1\n2\\n"],
        ["categories", {}, "text", "x"],
        ["categories", {}, "text", "y, z"],
        ["url", {}, "uri", "https://x.example/a"],
    ]:
        assert expected in vevent[1]
    assert ["trigger", {}, "duration", "-PT15M"] in vevent[2][0][1]
    days = of(render(head, [Published("u", Event("t", AllDay(date(2026, 3, 9), date(2026, 3, 10))), STAMP, STAMP)]))
    assert ["dtend", {}, "date", "2026-03-10"] in days[2][-1][1]


@pytest.mark.parametrize("field", ["title", "text", "place", "name"])
def test_a_nasty_text_is_text(field: str) -> None:
    plain_one = render(cover(name="x"), [published(Event("x", NOON, text="x", place="x"))])
    nasty = {field: NASTY}
    event = Event(nasty.get("title", "x"), NOON, text=nasty.get("text", "x"), place=nasty.get("place", "x"))
    stream = render(cover(name=nasty.get("name", "x")), [published(event)])
    assert _names(of(stream)) == _names(of(plain_one))


def _names(component: Any) -> Any:
    return [component[0], [each[0] for each in component[1]], [_names(part) for part in component[2]]]
