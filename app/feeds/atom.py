"""The changes of a feed as an Atom feed (RFC 4287): an entry for each event that changed lately. Pure.

An entry tells its event's latest change, and is called after the event for ever: a reader shows the change of a change
in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from app.feeds.feed import Feed
from app.feeds.since import Change
from app.ics.render import clean, one_line

SPACE = "http://www.w3.org/2005/Atom"
_NO_XML = {ord(letter): "\N{REPLACEMENT CHARACTER}" for letter in "\ufffe\uffff"}


def atom(feed: Feed, changes: Iterable[Change]) -> bytes:
    """The document. Its links are relative, so that a secret address stands in none."""
    told = list(changes)
    root = Element("feed", xmlns=SPACE)
    _text(root, "id", _urn(f"feed {feed.id} {feed.created_at.isoformat()} {feed.view}"))
    _text(root, "title", one_line(feed.title))
    _text(root, "updated", _moment(max((change.at for change in told), default=feed.created_at)))
    _text(SubElement(root, "author"), "name", "calbridge")
    SubElement(root, "link", rel="self", type="application/atom+xml", href=f"{feed.slug}.atom")
    SubElement(root, "link", rel="alternate", type="text/calendar", href=f"{feed.slug}.ics")
    for change in told:
        _entry(root, change)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(root, "unicode")}\n'.encode()


def _entry(feed: Element, change: Change) -> None:
    entry, event = SubElement(feed, "entry"), change.after or change.before or {}
    _text(entry, "id", _urn(f"event {change.uid}"))
    _text(entry, "title", f"{_kind(change)}: {one_line(event['title'])}".rstrip())
    _text(entry, "updated", _moment(change.at))
    if event["url"]:
        SubElement(entry, "link", rel="alternate", href=event["url"])
    for name in event["categories"]:
        SubElement(entry, "category", term=_xml(name))
    _text(entry, "content", "\n".join(_said(change, event)), type="text")


def _kind(change: Change) -> str:
    if change.after is None:
        return "Removed"
    if change.before is None:
        return "New"
    cancelled = change.after["status"] == "cancelled" != change.before["status"]
    return "Cancelled" if cancelled else "Changed"


def _said(change: Change, event: Mapping[str, Any]) -> Iterable[str]:
    yield when(event)
    if change.before and change.after and when(change.before) != when(change.after):
        yield f"(before: {when(change.before)})"
    yield from (event[name] for name in ("place", "text") if event[name])


def when(event: Mapping[str, Any]) -> str:
    """The event's time as people write it: `2026-03-09`, `2026-03-09 10:00 to 11:00 (+01:00)`."""
    if event["all_day"]:
        first, last = date.fromisoformat(event["start"]), date.fromisoformat(event["end"]) - timedelta(days=1)
        return f"{first}" if last <= first else f"{first} to {last}"
    start, end = datetime.fromisoformat(event["start"]), datetime.fromisoformat(event["end"])
    zone = f"({start.isoformat()[19:]})" if start.utcoffset() else "(UTC)"
    if start == end:
        return f"{start:%Y-%m-%d %H:%M} {zone}"
    shown = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {shown} {zone}"


def _text(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, name, attributes).text = _xml(text)


def _xml(text: str) -> str:
    """Text as XML 1.0 can hold it."""
    return clean(text).translate(_NO_XML)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _urn(name: str) -> str:
    return uuid5(NAMESPACE_URL, f"https://calbridge.invalid/{name}").urn
