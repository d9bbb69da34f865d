"""The window of an import, from what a person or a program said of it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
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


def _day(text: str | None, name: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{name}' is no date: '{text}'; write it as 2026-09-01") from None
    if not 1970 <= day.year <= 2200:
        raise ValueError(f"'{name}' lies too far away: {text}")
    return day
