"""libical through ctypes (Debian's libical3): what KOrganizer, Evolution and GNOME Calendar see of a calendar."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from ctypes import Structure, c_char_p, c_int, c_long, c_void_p
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache

from tests.clients.seen import Seen, written

BLANKS = " \t"
VEVENT = 4  # icalcomponent_kind, libical/icalenums.h: NO, ANY, XROOT, XATTACH, VEVENT


class Time(Structure):
    """icaltimetype of libical 3, libical/icaltime.h."""

    _fields_ = (
        *((name, c_int) for name in ("year", "month", "day", "hour", "minute", "second", "is_date", "is_daylight")),
        ("zone", c_void_p),
    )


_TAKES = {
    "icalparser_parse_string": (c_void_p, [c_char_p]),
    "icalcomponent_free": (None, [c_void_p]),
    "icalcomponent_count_errors": (c_int, [c_void_p]),
    "icalcomponent_get_first_component": (c_void_p, [c_void_p, c_int]),
    "icalcomponent_get_next_component": (c_void_p, [c_void_p, c_int]),
    "icalcomponent_get_dtstart": (Time, [c_void_p]),
    "icalcomponent_get_dtend": (Time, [c_void_p]),
    "icaltime_as_timet_with_zone": (c_long, [Time, c_void_p]),
    "icalproperty_string_to_kind": (c_int, [c_char_p]),
    "icalcomponent_get_first_property": (c_void_p, [c_void_p, c_int]),
    "icalcomponent_get_next_property": (c_void_p, [c_void_p, c_int]),
    "icalproperty_get_value": (c_void_p, [c_void_p]),
    "icalproperty_get_status": (c_int, [c_void_p]),
    "icalproperty_status_to_string": (c_char_p, [c_int]),
    "icalvalue_get_text": (c_char_p, [c_void_p]),
    "icalvalue_get_uri": (c_char_p, [c_void_p]),
}


@cache
def library() -> ctypes.CDLL | None:
    """libical 3, None where it is not installed."""
    found = ctypes.util.find_library("ical")
    if found is None:
        return None
    ical = ctypes.CDLL(found)
    for name, (gives, takes) in _TAKES.items():
        function = getattr(ical, name)
        function.restype, function.argtypes = gives, takes
    return ical


def read(body: bytes, *, blanks: bool = False) -> list[Seen]:
    """The events of a calendar in which libical finds no error; with `blanks` it may hold texts of nothing else.

    Such a text is an error for libical, and for RFC 5545 it is none.
    """
    ical = library()
    assert ical
    root = ical.icalparser_parse_string(body)
    assert root, "libical cannot read it at all"
    try:
        assert blanks or ical.icalcomponent_count_errors(root) == 0, "libical finds errors in it"
        return [_seen(ical, each) for each in _events(ical, root)]
    finally:
        ical.icalcomponent_free(root)


def as_libical_shows(seen: Seen) -> Seen:
    """The event as libical is known to show it: without blanks at the ends of its texts."""
    names = tuple(filter(None, (name.strip(BLANKS) for name in seen.categories)))
    title, text, place = (each.strip(BLANKS) for each in (seen.title, seen.text, seen.place))
    return replace(seen, title=title, text=text, place=place, categories=names)


def _events(ical: ctypes.CDLL, root: int) -> Iterator[int]:
    each = ical.icalcomponent_get_first_component(root, VEVENT)
    while each:
        yield each
        each = ical.icalcomponent_get_next_component(root, VEVENT)


def _seen(ical: ctypes.CDLL, event: int) -> Seen:
    def all_of(name: str) -> list[str]:
        return [_told(ical, name, each) for each in _properties(ical, event, name)]

    def told(name: str) -> str:
        return "".join(all_of(name))

    return Seen(
        told("UID"),
        _written(ical, ical.icalcomponent_get_dtstart(event)),
        _written(ical, ical.icalcomponent_get_dtend(event)),
        told("SUMMARY"),
        told("DESCRIPTION"),
        told("LOCATION"),
        tuple(filter(None, all_of("CATEGORIES"))),
        told("URL"),
        told("STATUS"),
    )


def _properties(ical: ctypes.CDLL, event: int, name: str) -> Iterator[int]:
    kind = ical.icalproperty_string_to_kind(name.encode())
    each = ical.icalcomponent_get_first_property(event, kind)
    while each:
        yield each
        each = ical.icalcomponent_get_next_property(event, kind)


def _told(ical: ctypes.CDLL, name: str, property: int) -> str:
    if name == "STATUS":
        said: bytes = ical.icalproperty_status_to_string(ical.icalproperty_get_status(property))
        return said.decode()
    value = ical.icalproperty_get_value(property)
    said = ical.icalvalue_get_uri(value) if name == "URL" else ical.icalvalue_get_text(value)
    return said.decode()


def _written(ical: ctypes.CDLL, time: Time) -> str:
    if time.is_date:
        return written(date(time.year, time.month, time.day))
    return written(datetime.fromtimestamp(ical.icaltime_as_timet_with_zone(time, time.zone), UTC))
