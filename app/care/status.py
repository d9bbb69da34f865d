"""How all is, on one screen: feeds, readings, quotas, what waits for a yes, subscriptions, workers. Asks no LMS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select

from app.care import connections
from app.care.connections import Connected
from app.care.weather import Sky
from app.parts import Parts
from app.store import tables, workers

LATE = timedelta(hours=1)
"""How long after its time a reading, or a pull, is worth a word: workers do what is due within seconds."""
BACK = timedelta(days=1)
"""How long a run that was left half-way is worth a word."""
ALARMING = {"failing", "parked", "held", "left"}
"""How a subscription stands that wants attention."""


@dataclass(frozen=True, slots=True)
class Line:
    """How one thing is, in words. `alarm` says what to do where it wants attention, and is empty where all is well."""

    about: str
    says: str
    alarm: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"about": self.about, "says": self.says, "attention": bool(self.alarm), "do": self.alarm}


def status(parts: Parts) -> Sequence[Line]:
    """How all is, now."""
    return list(_lines(parts))


def _lines(parts: Parts) -> Iterator[Line]:
    now = parts.now()
    with parts.engine.connect() as connection:
        yield _feeds(connection)
        late = _late(connection, now)
    yield from _unknown(parts)
    for each in connections.every_one(parts):
        yield _readings(each, now)
        if each.weather.sky is not Sky.UNKNOWN:
            yield _quota(each)
    with parts.engine.connect() as connection:
        yield late
        yield _holds(connection)
        yield from _left(connection, now)
        yield _subscriptions(connection)
    yield _workers(parts, now)


def _feeds(connection: Connection) -> Line:
    state = case((tables.feed.c.enabled, "on"), else_="off")
    counts = {row[0]: row[1] for row in connection.execute(select(state, func.count()).group_by(state))}
    return Line("feeds", f"{counts.get('on', 0):,} on, {counts.get('off', 0):,} off")


def _unknown(parts: Parts) -> Iterator[Line]:
    """The feeds of an LMS that the configuration does not name: of the demo campus, once a real LMS is connected."""
    for feed in parts.feeds.list():
        gone = {each.lms for each in feed.calendars} - parts.config.connections.keys()
        if gone and feed.enabled:
            says = f"shows calendars of {', '.join(sorted(gone))}, which the configuration does not name"
            yield Line(f"feed {feed.slug}", says, f"calbridge feed remove {feed.slug}")


def _readings(one: Connected, now: datetime) -> Line:
    standing, about = one.standing, f"readings of {one.name}"
    if not standing.calendars:
        return Line(about, "no feed shows a calendar of it")
    read = f"the newest {ago(standing.read_at, now)} old" if standing.read_at else "none was read yet"
    says = f"{_counted(standing.calendars, 'calendar')}, {read}"
    if not standing.failing:
        return Line(about, says)
    return Line(
        about, f"{says}, {standing.failing:,} fail: {standing.problem}", f"calbridge check-connections {one.name}"
    )


def _quota(one: Connected) -> Line:
    stormy = one.weather.sky is Sky.STORMY
    alarm = "raise feeds.refresh_minutes, or ask for a larger quota" if stormy else ""
    return Line(f"quota of {one.name}", str(one.weather).partition(": ")[2], alarm)


def _late(connection: Connection, now: datetime) -> Line:
    reading = tables.calendar_reading.c
    due = reading.next_check < now - LATE, reading.unused_since.is_(None)
    unread = reading.read_at.is_(None) | (reading.read_at < now - LATE)  # what an import wrote to is due since ever
    count = connection.execute(select(func.count()).where(*due, unread)).scalar() or 0
    says = f"{_counted(count, 'calendar')} should have been read over an hour ago" if count else "none is late"
    return Line("due", says, "calbridge workers" if count else "")


def _holds(connection: Connection) -> Line:
    run = tables.import_run.c
    held = select(func.count()).select_from(tables.held_import.join(tables.import_run)).where(run.state == "held")
    count = connection.execute(held).scalar() or 0
    return Line(
        "imports",
        f"{_counted(count, 'plan')} waiting for a yes" if count else "none waits for a yes",
        "calbridge holds" if count else "",
    )


def _left(connection: Connection, now: datetime) -> Iterator[Line]:
    run = tables.import_run.c
    left = select(func.count()).where(run.state == "left", run.started_at > now - BACK)
    if count := connection.execute(left).scalar() or 0:
        yield Line(
            "unfinished", f"{_counted(count, 'run')} of the last day left half-way", "calbridge run list --state left"
        )


def _subscriptions(connection: Connection) -> Line:
    columns = tables.subscription.c
    standing = case((columns.enabled, columns.standing), else_="off")
    counts = {row[0]: row[1] for row in connection.execute(select(standing, func.count()).group_by(standing))}
    says = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"
    return Line("subscriptions", says, "calbridge subscription list" if ALARMING & counts.keys() else "")


def _workers(parts: Parts, now: datetime) -> Line:
    alive = [each for each in workers.known(parts.engine) if not each.is_silent(now)]
    doing = sum(len(each.doing) for each in alive)
    if not alive:
        return Line("workers", "none has been heard of lately: nothing is read or pulled by itself", "calbridge work")
    return Line("workers", f"{len(alive)} live, {_counted(doing, 'job')} in hand")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def ago(at: datetime | None, now: datetime) -> str:
    """How long that is ago, roughly."""
    if at is None:
        return "never"
    minutes = max(int((now - at).total_seconds()) // 60, 0)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
