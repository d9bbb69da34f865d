"""When a calendar is read again, and how much of it: near weeks often, far ones seldom, all within the quota. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from bridges.contract import Quota
from bridges.model import Found, Window

DAY = timedelta(days=1)
BY_THE_MINUTE = timedelta(minutes=2)
"""A quota that is renewed so soon is none of a day: whoever waits a little has a new one."""
MORNING, EVENING = time(6), time(22)
CALM, SLEEPY = 24, 72
"""Readings in a row without news after which half, and then a quarter as many are made."""
OUTDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""The next check of a calendar that we have changed ourselves: who asks for it waits for a reading."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`every` for what lies within `near` of today, `far_every` for the rest.

    An adaptive one is twice as fast after news, slower where nothing happens, and half as fast at night.
    """

    every: timedelta
    far_every: timedelta = timedelta(hours=6)
    near: timedelta = timedelta(days=42)
    adaptive: bool = True

    def after(self, now: datetime, quiet: int, pace: timedelta = timedelta(0)) -> datetime:
        """When to read again after a whole reading, `quiet` of which in a row brought nothing new (0: this one did).

        `now` is in the home zone. `pace` is the least that the quota allows between two readings.
        """
        span = self.every * _slowness(quiet) if self.adaptive else self.every
        later = now + max(span, min(pace, DAY))
        return max(later, _through_the_night(now, span)) if self.adaptive else later

    def near_part(self, window: Window, now: datetime) -> Window:
        """The part of the window that is read often; `now` is in the home zone."""
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return Window(max(window.start, today - self.near), min(window.end, today + self.near))


def _slowness(quiet: int) -> float:
    if quiet == 0:
        return 0.5
    return 1 if quiet < CALM else 2 if quiet < SLEEPY else 4


def _through_the_night(now: datetime, span: timedelta) -> datetime:
    """Half as often at night, and yet not much later than when people get up."""
    if MORNING <= now.time() < EVENING:
        return now
    morning = datetime.combine(now.date() + (DAY if now.time() >= EVENING else timedelta(0)), MORNING, now.tzinfo)
    return min(now + 2 * span, morning)


def pace(calls: int, quota: Quota | None, now: datetime) -> timedelta:
    """The least time between rounds of so many calls that the rest of the quota allows until its reset."""
    if quota is None or quota.resets_at is None or quota.resets_at <= now:
        return timedelta(0)
    return (quota.resets_at - now) * calls / max(quota.remaining, 1)


def a_day(quota: Quota | None, now: datetime) -> int | None:
    """The calls a day that an LMS permits; None where it has not said, or counts by the minute."""
    if quota is None or (quota.resets_at is not None and quota.resets_at - now < BY_THE_MINUTE):
        return None
    return quota.limit


def topped_up(before: Iterable[Found], found: Sequence[Found], near: Window, window: Window) -> Sequence[Found] | None:
    """The last reading of `window` with its `near` part replaced by what was `found` now.

    None where an event is gone from the near part: it may have moved beyond, so that all of it has to be read.
    """
    refs = {item.ref for item in found}
    absent = [item for item in before if item.ref not in refs]
    if any(near.overlaps(item.event.when) for item in absent):
        return None
    both = [*found, *(item for item in absent if window.overlaps(item.event.when))]
    return sorted(both, key=lambda item: (window.span(item.event.when)[0], item.ref))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a day costs at one LMS as things are configured; `limit` is the calls that it permits, None if unsaid."""

    lms: str
    calendars: int
    calls: int
    limit: int | None

    @property
    def fits(self) -> bool:
        return self.limit is None or self.calls <= self.limit

    def __str__(self) -> str:
        need = f"{self.lms}: {self.calendars} calendars need about {self.calls:,} calls a day"
        if self.limit is None:
            return f"{need}; the LMS has not said how many it permits a day."
        if self.fits:
            return f"{need}, of the {self.limit:,} that it permits."
        return (
            f"{need}, and it permits {self.limit:,}: they will be read less often. Raise feeds.refresh_minutes or "
            "feeds.far_minutes, lower feeds.ahead_days, or ask for a larger quota."
        )


def forecast(
    lms: str,
    calendars: int,
    rhythm: Rhythm,
    window: Window,
    now: datetime,
    cost: Callable[[Window], int],
    limit: int | None,
    questions: int = 0,
) -> Forecast:
    """The calls of a usual day; what `cost` says of a window is a reading's. `now` is in the home zone.

    `questions` are those that its directory is asked in a day.
    """
    near, whole = cost(rhythm.near_part(window, now)), cost(window)
    often, seldom = DAY / rhythm.every, DAY / max(rhythm.far_every, rhythm.every)
    return Forecast(lms, calendars, round(calendars * (often * near + seldom * (whole - near)) + questions), limit)
