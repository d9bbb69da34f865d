"""The window of an import, from what a person or a program said of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from bridges.model import Window


def window_of(since: str | None, until: str | None, now: datetime, zone: ZoneInfo, ahead_days: int) -> Window:
    """The half-open window from the day `since` to the day `until`, midnights of `zone`.

    By default from today (`now`, in that zone) for `ahead_days`. ValueError, as a sentence, for what is no date.
    """
    first = _day(since, "from") or now.astimezone(zone).date()
    last = _day(until, "to") or first + timedelta(days=ahead_days)
    if last <= first:
        raise ValueError(f"the window is empty: 'to' ({last}) has to come after 'from' ({first})")
    return Window(datetime.combine(first, time(), zone), datetime.combine(last, time(), zone))


def bound(text: str, zone: tzinfo) -> date | datetime:
    """A day, or a time, which is read in the zone where it names none. ValueError, as a sentence, for neither."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text[:40]}' is no date: write it as 2026-09-01 (or a time as 2026-09-01T08:00)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _day(text: str | None, name: str) -> date | None:
    if not text:
        return None
    try:
        day = bound(text, UTC)
    except ValueError as error:
        raise ValueError(f"'{name}': {error}") from None
    if isinstance(day, datetime):
        raise ValueError(f"'{name}' is a day, without a time: {text[:40]}")
    if not 1970 <= day.year <= 2200:
        raise ValueError(f"'{name}' lies too far away: {text}")
    return day
