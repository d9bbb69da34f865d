"""A calendar of our own, over SQL: the demo's LMS, a place for calendars without one, and the contract at its plainest.

Every process that opens the same database sees the same calendars. It holds every field of an Event, whole days
included, and our SyncKey, which is unique among the living events of a calendar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.pool import StaticPool

from bridges.contract import SinkRules, Tools
from bridges.errors import Denied, Gone, KeyTaken, Rejected, Transient
from bridges.model import (
    AllDay,
    Calendar,
    CalendarRef,
    Event,
    Found,
    Kind,
    RemoteRef,
    Status,
    SyncKey,
    Timed,
    When,
    Window,
    instant,
)
from bridges.settings import ZoneName

metadata = MetaData()

local_calendar = Table(
    "local_calendar",
    metadata,
    Column("calendar", String(500), primary_key=True, doc="a CalendarRef, as text"),
    Column("name", String(255), nullable=False),
)

local_event = Table(
    "local_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("calendar", String(500), nullable=False, index=True),
    Column("key", String(200), doc="the SyncKey it was written under; null for what people entered"),
    Column("starts", BigInteger, nullable=False, doc="microseconds since 1970; days count from midnight UTC"),
    Column("ends", BigInteger, nullable=False),
    Column("zone", String(64), doc="the zone that the times are shown in; null for whole days"),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("url", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("modified", BigInteger, nullable=False),
    UniqueConstraint("calendar", "key"),
    sqlite_autoincrement=True,  # a ref that was deleted must never come to name another event
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class LocalSettings(BaseModel):
    """Calendars kept by calbridge itself, in its own database or in another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str | None = Field(
        default=None, description="SQLAlchemy URL of the database; the store's own if left out"
    )
    demo: bool = Field(default=False, description="Fill an empty database with a small campus to look at")
    zone: ZoneName = Field(default="Europe/Oslo", description="IANA zone that the demo campus lies in")


class LocalBridge:
    """Source and sink over SQL. Opening it makes its tables, and the demo campus if asked for.

    `name` is the connection's name: it is the `lms` of every CalendarRef here. Transient if the database is away.
    """

    Settings = LocalSettings
    rules = SinkRules(keys_reusable=True, keeps_all_day=True, finds_by_key=True)

    def __init__(self, name: str, settings: LocalSettings, tools: Tools) -> None:
        self.name = name
        self._now = tools.now
        self._engine = _open(settings.database or tools.database)
        _make_tables(self._engine)
        if settings.demo:
            zone = ZoneInfo(settings.zone)
            self.seed_demo(tools.now().astimezone(zone).date(), zone)

    def close(self) -> None:
        """Let the database go; the bridge is not used any more."""
        self._engine.dispose()

    # calendars, outside the contract

    def add_calendar(self, ref: CalendarRef, name: str) -> None:
        """Make a calendar, or give the one that is there this name. ValueError for another connection's ref."""
        if ref.lms != self.name:
            raise ValueError(f"{ref} is not a calendar of '{self.name}'")
        with self._transaction(write=True) as connection, _unless_another_did(connection):
            _put_calendar(connection, ref, name)

    def seed_demo(self, today: date, zone: ZoneInfo) -> None:
        """Fill a campus with a term around `today`, times in `zone`; does nothing where calendars are."""
        with self._transaction(write=True) as connection, _unless_another_did(connection):
            known = connection.execute(select(local_calendar.c.calendar)).scalars()
            if any(CalendarRef.parse(ref).lms == self.name for ref in known):
                return
            for ref, name, events in demo_campus(self.name, today, zone):
                _put_calendar(connection, ref, name)
                rows = [{"calendar": str(ref), "key": None, **_to_row(each, self._now())} for each in events]
                connection.execute(insert(local_event), rows)

    # Source

    def calendars(self) -> Sequence[Calendar]:
        """Every calendar of this connection, by name; all are writable."""
        with self._transaction() as connection:
            rows = connection.execute(select(local_calendar)).all()
        refs = [(row.name, CalendarRef.parse(row.calendar)) for row in rows]
        return [Calendar(ref, name, writable=True) for name, ref in sorted(refs) if ref.lms == self.name]

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        """All events that overlap the window. Gone for a calendar that is not here."""
        with self._transaction() as connection:
            _require(connection, calendar)
            rows = connection.execute(
                select(local_event).where(
                    local_event.c.calendar == str(calendar),
                    # a day either side: where whole days begin is for the window's zone to say
                    local_event.c.starts <= _micros(window.end) + _DAY // _MICROSECOND,
                    local_event.c.ends >= _micros(window.start) - _DAY // _MICROSECOND,
                )
            ).all()
        found = [_to_found(row) for row in rows]
        inside = [each for each in found if window.overlaps(each.event.when)]
        return sorted(inside, key=lambda each: (window.span(each.event.when)[0], each.ref))

    def look_up(self, calendar: CalendarRef, refs: Sequence[RemoteRef]) -> dict[RemoteRef, Found]:
        """Those of these events that stand in the calendar. Gone for a calendar that is not here."""
        with self._transaction() as connection:
            _require(connection, calendar)
            rows = [connection.execute(select(local_event).where(*_at(calendar, ref))).first() for ref in refs]
        found = [_to_found(row) for row in rows if row is not None]
        return {each.ref: each for each in found}

    # Sink

    def check_target(self, calendar: CalendarRef) -> None:
        """Denied for a calendar of another connection, and for one that is not here (asked of our own database)."""
        self._require_ours(calendar)
        with self._transaction() as connection:
            if not _stands(connection, calendar):
                raise Denied(f"there is no calendar {calendar}")

    def fit(self, event: Event) -> Event:
        """The event itself, less what no database keeps (NUL, half surrogate pairs). Rejected for a floating time."""
        if isinstance(event.when, Timed) and event.when.floating:
            raise Rejected(f"'{event.title}' has a time without a zone")
        return replace(
            event,
            title=_storable(event.title),
            text=_storable(event.text),
            place=_storable(event.place),
            categories=tuple(_storable(each) for each in event.categories),
            url=_storable(event.url),
        )

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """Write a new event. KeyTaken while an event of this key stands in the calendar; Gone without a calendar."""
        self._require_ours(calendar)
        row = {"calendar": str(calendar), "key": str(key), **_to_row(event, self._now())}
        with self._transaction(write=True) as connection:
            _require(connection, calendar)
            if _by_key(connection, calendar, key):
                raise KeyTaken(f"'{event.title}' stands in {calendar} already")
            try:
                made = connection.execute(insert(local_event).values(row).returning(local_event.c.id))
            except IntegrityError as taken:
                raise KeyTaken(f"'{event.title}' stands in {calendar} already", raw=str(taken)) from taken
            return RemoteRef(str(made.scalar_one()))

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """Make the event as given; the ref stays."""
        self._require_ours(calendar)
        with self._transaction(write=True) as connection:
            row = _to_row(event, self._now())
            changed = connection.execute(update(local_event).where(*_at(calendar, ref)).values(row))
        if not changed.rowcount:
            raise Gone(f"'{event.title}' is no longer in {calendar}")
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        """Take the event away, if it is there. Its key is free again."""
        self._require_ours(calendar)
        with self._transaction(write=True) as connection:
            connection.execute(delete(local_event).where(*_at(calendar, ref)))

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        """The one event of this key, or none."""
        with self._transaction() as connection:
            return _by_key(connection, calendar, key)

    def _require_ours(self, calendar: CalendarRef) -> None:
        if calendar.lms != self.name:
            raise Denied(f"{calendar} is not a calendar of '{self.name}'")

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        """One transaction; what the database says when it is away or busy becomes Transient."""
        try:
            with self._engine.execution_options(write=write).begin() as connection:
                yield connection
        except DBAPIError as fault:
            raise Transient("the database of our own calendars does not answer", raw=str(fault)) from fault


def _open(url: str) -> Engine:
    """As the store opens its own: SQLite in WAL mode that writers wait 5 s for; in memory, one shared connection."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    memory = url in {"sqlite://", "sqlite:///:memory:"}
    # the type of `options` is that of create_engine's keywords
    options: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 5}, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL" if memory else "PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _make_tables(engine: Engine) -> None:
    """Two processes may open a new database at once: the one that comes second finds the tables there."""
    try:
        with engine.execution_options(write=True).begin() as connection:
            metadata.create_all(connection)
    except (IntegrityError, OperationalError, ProgrammingError):
        metadata.create_all(engine)


@contextmanager
def _unless_another_did(connection: Connection) -> Iterator[None]:
    """What another process made at the same moment is not made again: all of the block is undone, and that is well."""
    with suppress(IntegrityError), connection.begin_nested():
        yield


def _put_calendar(connection: Connection, ref: CalendarRef, name: str) -> None:
    known = local_calendar.c.calendar == str(ref)
    if not connection.execute(update(local_calendar).where(known).values(name=name)).rowcount:
        connection.execute(insert(local_calendar).values(calendar=str(ref), name=name))


def _stands(connection: Connection, calendar: CalendarRef) -> bool:
    known = local_calendar.c.calendar == str(calendar)
    return connection.execute(select(local_calendar.c.calendar).where(known)).first() is not None


def _require(connection: Connection, calendar: CalendarRef) -> None:
    if not _stands(connection, calendar):
        raise Gone(f"there is no calendar {calendar}")


def _by_key(connection: Connection, calendar: CalendarRef, key: SyncKey) -> list[RemoteRef]:
    ours = (local_event.c.calendar == str(calendar), local_event.c.key == str(key))
    return [RemoteRef(str(id)) for id in connection.execute(select(local_event.c.id).where(*ours)).scalars()]


def _at(calendar: CalendarRef, ref: RemoteRef) -> tuple[Any, Any]:
    """The conditions that pick one event. Refs are numbers; any other text names nothing."""
    number = int(ref) if ref.isascii() and ref.isdigit() and len(ref) < 10 else -1
    return local_event.c.calendar == str(calendar), local_event.c.id == number


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _micros(moment: datetime) -> int:
    return (instant(moment) - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _to_row(event: Event, now: datetime) -> dict[str, Any]:
    when = event.when
    if isinstance(when, AllDay):
        start, end, zone = _midnight(when.start), _midnight(when.end), None
    else:
        start, end, zone = when.start, when.end, _zone_name(when)
    return {
        "starts": _micros(start),
        "ends": _micros(end),
        "zone": zone,
        "title": event.title,
        "text": event.text,
        "place": event.place,
        "categories": list(event.categories),
        "url": event.url,
        "status": event.status.value,
        "modified": _micros(now),
    }


def _zone_name(when: Timed) -> str:
    key = getattr(when.start.tzinfo, "key", None)  # zones of other makes have no name that we could read back
    return key if isinstance(key, str) and len(key) <= 64 else "UTC"


def _to_found(row: Row[Any]) -> Found:
    event = Event(
        title=row.title,
        when=_to_when(row.starts, row.ends, row.zone),
        text=row.text,
        place=row.place,
        categories=tuple(row.categories),
        url=row.url,
        status=Status(row.status),
    )
    return Found(RemoteRef(str(row.id)), event, modified=_moment(row.modified))


def _to_when(starts: int, ends: int, zone: str | None) -> When:
    start, end = _moment(starts), _moment(ends)
    if zone is None:
        return AllDay(start.date(), end.date())
    return Timed(start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone)))


def demo_campus(lms: str, today: date, zone: ZoneInfo) -> list[tuple[CalendarRef, str, list[Event]]]:
    """Calendars, their names and their events from two weeks before `today` to six months after: a term that sees
    a change of the clocks wherever there is one."""
    monday = today - timedelta(days=today.weekday())
    weeks = [monday + timedelta(weeks=week) for week in range(-2, 26)]
    return [
        (CalendarRef(lms, Kind.COURSE, "anatomy-1"), "Anatomy I", _anatomy(weeks, zone)),
        (CalendarRef(lms, Kind.COURSE, "statistics"), "Statistics for Health Sciences", _statistics(weeks, zone)),
        (CalendarRef(lms, Kind.INSTITUTION), "Campus calendar", _campus(monday, zone)),
        (CalendarRef(lms, Kind.ROOM, "simulation-1"), "Simulation room 1", _simulations(weeks, zone)),
    ]


def _at_clock(day: date, start: str, end: str, zone: ZoneInfo) -> Timed:
    """Wall times in the zone, `HH:MM`: lectures keep their hour when the clocks change."""
    first, last = time.fromisoformat(start), time.fromisoformat(end)
    return Timed(datetime.combine(day, first, zone), datetime.combine(day, last, zone))


def _anatomy(weeks: list[date], zone: ZoneInfo) -> list[Event]:
    lectures = [
        Event(f"Lecture {number}: Anatomy I", _at_clock(week, "09:15", "11:00", zone), place="Auditorium A")
        for number, week in enumerate(weeks, 1)
    ]
    essay = Event(
        "Essay due: The heart",
        _at_clock(weeks[4] + timedelta(days=4), "23:59", "23:59", zone),
        text="Hand in on the course page.\nLate essays are not read.",
        categories=("Deadline",),
    )
    return [*lectures, essay]


def _statistics(weeks: list[date], zone: ZoneInfo) -> list[Event]:
    tuesday, thursday = timedelta(days=1), timedelta(days=3)
    lectures = [
        Event("Statistics: lecture", _at_clock(week + tuesday, "12:15", "14:00", zone), place="Auditorium B")
        for week in weeks
    ]
    seminars = [
        Event("Statistics: seminar", _at_clock(week + thursday, "14:15", "16:00", zone), place="Room 204")
        for week in weeks[1::2]
    ]
    return lectures + seminars


def _campus(monday: date, zone: ZoneInfo) -> list[Event]:
    closed, friday = monday + timedelta(days=16), monday + timedelta(days=11)
    opens = datetime.combine(friday, time(10), zone)
    return [
        Event("Campus closed", AllDay(closed, closed + _DAY), text="No teaching; the library is shut."),
        Event("Research days", AllDay(monday + timedelta(days=22), monday + timedelta(days=24)), place="Main hall"),
        Event("Hackathon", Timed(opens, datetime.combine(friday + _DAY, time(16), zone)), place="Innovation lab"),
    ]


def _simulations(weeks: list[date], zone: ZoneInfo) -> list[Event]:
    wednesday = timedelta(days=2)
    return [
        Event(
            "Resuscitation training",
            _at_clock(week + wednesday, "08:00", "12:00", zone),
            place="Simulation room 1",
            categories=("Simulation",),
        )
        for week in weeks
    ]
