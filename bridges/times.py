"""Times as LMSs keep them: instants of UTC without what is finer than they keep, and days as midnights."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from bridges.errors import Rejected
from bridges.model import AllDay, Timed, When, instant

MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


def floored(moment: datetime, to: timedelta) -> datetime:
    """The UTC instant without what is finer than `to`, a second or a part of one."""
    moment = instant(moment)
    grain = to // timedelta(microseconds=1)
    return moment.replace(microsecond=moment.microsecond // grain * grain)


def as_instants(when: When, zone: tzinfo, *, to: timedelta, least: timedelta) -> Timed:
    """What an LMS without whole days can hold: days begin at midnight in `zone`, and what has no length lasts `least`.

    Rejected for a floating time, and for years beyond the calendar.
    """
    try:
        if isinstance(when, AllDay):
            start, end = (datetime.combine(day, time(), zone) for day in (when.start, when.end))
        else:
            start, end = when.start, when.end
        if start.tzinfo is None:
            raise Rejected("The time has no zone; this LMS holds nothing but instants.")
        start, end = floored(start, to), floored(end, to)
        return Timed(start, end if end > start else start + least)
    except OverflowError:
        raise Rejected("The time lies outside of the years that a calendar can hold.") from None


def moment_of(text: Any, to: timedelta) -> datetime | None:
    """A date-time of ISO 8601 in UTC, also where it names no zone; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return floored(moment if moment.tzinfo else moment.replace(tzinfo=UTC), to)
    except (ValueError, OverflowError):
        return None
