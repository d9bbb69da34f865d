"""Times and numbers as people read them, in the language of the page."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_timedelta, get_datetime_format, get_day_names
from babel.numbers import format_decimal
from flask import Flask
from markupsafe import Markup

from app.web.language import gettext, locale, ngettext
from app.web.pages.month import Shown
from bridges.model import AllDay, Event, When


class Happening(Protocol):
    """A change of a plan, or what stood there before it."""

    @property
    def event(self) -> Event: ...


def install(app: Flask) -> None:
    """Give templates the words for days, moments and numbers."""
    for each in (moment, day, day_month, month, instant, instant_near, instant_short, timed, hours, ago, number):
        app.add_template_filter(each)
    app.add_template_global(weekdays)
    app.add_template_global(events)
    app.add_template_global(and_more)


def day(value: date) -> str:
    """`Saturday, 21 November 2026`, as a heading."""
    return _heading(format_date(value, "full", locale()))


def month(value: date) -> str:
    """`November 2026`, as a heading."""
    return _heading(format_skeleton("yMMMM", value, locale=locale()))


def _heading(text: str) -> str:
    return text[:1].upper() + text[1:]


def day_month(value: date) -> str:
    """`21 November`."""
    return format_skeleton("MMMMd", value, locale=locale())


def instant(value: datetime, zone: ZoneInfo) -> str:
    """`21 November 2026, 14:05`."""
    local = value.astimezone(zone)
    return _joined(format_date(local, "long", locale()), clock(local))


def instant_near(value: datetime, zone: ZoneInfo) -> str:
    """`21 November, 14:05`, where the year goes without saying."""
    local = value.astimezone(zone)
    return _joined(day_month(local), clock(local))


def instant_short(value: datetime, zone: ZoneInfo) -> str:
    """`21 Nov, 14:05`, in lists."""
    local = value.astimezone(zone)
    return _joined(format_skeleton("MMMd", local, locale=locale()), clock(local))


def timed(value: datetime, zone: ZoneInfo | None = None) -> Markup:
    """`21 November, 14:05` as an element; without a zone, in the time's own."""
    local = value.astimezone(zone) if zone else value
    words = _joined(day_month(local), clock(local))
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), words)


def ago(value: datetime, now: datetime) -> str:
    """`12 minutes ago`."""
    return format_timedelta(min(value - now, timedelta(0)), add_direction=True, locale=locale())


def clock(value: datetime | time) -> str:
    """`14:05`, in each of our languages."""
    return f"{value:%H:%M}"


def span(when: When, zone: ZoneInfo) -> str:
    """When on its first day: `09:00–10:30`, `all day`, `3 days`."""
    if isinstance(when, AllDay):
        days = (when.end - when.start).days
        return gettext("all day") if days == 1 else ngettext("%(num)s day", "%(num)s days", days)
    start, end = when.start.astimezone(zone), when.end.astimezone(zone)
    if start == end:
        return clock(start)
    if end.date() == start.date():
        return f"{clock(start)}–{clock(end)}"
    return f"{clock(start)} – {_joined(_weekday(end), clock(end))}"


def with_day(when: When, zone: ZoneInfo) -> str:
    """The same with its day: `Sat 21 Nov, 09:00–10:30`."""
    first = when.start if isinstance(when, AllDay) else when.start.astimezone(zone)
    return _joined(_weekday(first), span(when, zone))


def moment(what: Happening, zone: ZoneInfo) -> str:
    """When it happens, in `zone`; the days that were meant where an LMS made instants of them."""
    return whole(getattr(what, "days", None) or what.event.when, zone)


def whole(when: When, zone: ZoneInfo) -> str:
    """`Sat 21 Nov 2026, 09:00–10:30`."""
    first = when.start if isinstance(when, AllDay) else when.start.astimezone(zone)
    return _joined(format_skeleton("yMMMEd", first, locale=locale()), span(when, zone))


def hours(event: Shown) -> str:
    """When an event of a feed is, on its first day."""
    start, end = event.start, event.end
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        one_day = event.last == event.first
        return gettext("all day") if one_day else gettext("all day, until %(day)s", day=day_month(event.last))
    if end == start:
        return clock(start)
    return f"{clock(start)}–{clock(end) if end.date() == event.first else _joined(day_month(end), clock(end))}"


def weekdays() -> list[tuple[str, str]]:
    """Monday to Sunday, whole and short."""
    wide, short = (get_day_names(width, "stand-alone", locale()) for width in ("wide", "short"))
    return [(_heading(wide[each]), _heading(short[each].rstrip("."))) for each in range(7)]


def number(value: float) -> str:
    """`1,240`, with the marks of the language and one digit after them at most."""
    return format_decimal(value, format="#,##0.#", locale=locale())


def events(count: int) -> str:
    """`1,240 events`."""
    return ngettext("%(n)s event", "%(n)s events", count, n=number(count))


def and_more(count: int) -> str:
    """What stands under a list that was cut."""
    return ngettext("… and %(n)s more.", "… and %(n)s more.", count, n=number(count))


def _weekday(value: date) -> str:
    return format_skeleton("EMMMd", value, locale=locale())


def _joined(first: str, then: str) -> str:
    """A day and what follows it, as the language writes them one after the other."""
    pattern = str(get_datetime_format("medium", locale()))
    return pattern.replace("'", "").replace("{1}", first).replace("{0}", then)
