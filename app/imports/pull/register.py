"""Which subscriptions there are, how each stands, and what happened to it: values, and the tables behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from app.imports.pull.fetch import Validators
from app.imports.pull.rhythm import Body, Standing, State, Visit, What
from app.imports.pull.wish import Wish, changed, unusual
from app.imports.subscription import Mode
from app.store import tables
from app.store.engine import writing
from app.store.slices import Part, Slice, part_of
from bridges.model import CalendarRef

HISTORY = 500
"""How many visits of each subscription are kept."""


class NoSubscription(ValueError):
    """There is no such subscription."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A wish, and how it stands. `opened` says whether the vault has headers for it, `headers` names them."""

    id: int
    wish: Wish
    opened: bool
    enabled: bool
    state: State
    headers: tuple[str, ...] = ()

    def is_due(self, now: datetime) -> bool:
        return self.enabled and self.state.standing is not Standing.PARKED and self.state.next_check <= now


def add(engine: Engine, wish: Wish, headers: Sequence[str], now: datetime) -> Subscription:
    """A new subscription, due at once. ValueError where its source has one already."""
    values = {
        "source": wish.source,
        "calendar": str(wish.calendar),
        **_terms(wish, headers),
        "enabled": True,
        "created_at": now,
        **_columns(State(now)),
    }
    try:
        with writing(engine) as connection:
            made = connection.execute(insert(tables.subscription).values(values).returning(tables.subscription.c.id))
            return _one(connection, int(made.scalar_one()))
    except IntegrityError:
        raise ValueError(f"there is a subscription called '{wish.source}' already") from None


def every_one(engine: Engine) -> Sequence[Subscription]:
    """All subscriptions, by source."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.subscription).order_by(tables.subscription.c.source))
        return [_subscription(row) for row in rows]


def some(engine: Engine, asked: Slice) -> Part[Subscription]:
    """Some subscriptions, by source; searched are source, calendar and problem, and never the address."""
    one = tables.subscription.c
    with engine.connect() as connection:
        query = select(tables.subscription).order_by(one.source)
        return part_of(connection, query, asked, (one.source, one.calendar, one.problem)).map(_subscription)


def due(engine: Engine, now: datetime) -> Sequence[int]:
    """The numbers of those whose time has come (`Subscription.is_due`), the one that waits longest first."""
    table = tables.subscription.c
    waiting = (table.next_check <= now, table.enabled.is_(true()), table.standing != Standing.PARKED.value)
    with engine.connect() as connection:
        query = select(table.id).where(*waiting).order_by(table.next_check, table.id)
        return list(connection.execute(query).scalars())


def by_id(engine: Engine, id: int) -> Subscription:
    """The subscription of that number. NoSubscription if there is none."""
    with engine.connect() as connection:
        return _one(connection, id)


def remove(engine: Engine, id: int) -> None:
    """Forget the subscription and its history; what it wrote stays. NoSubscription if there is none."""
    with writing(engine) as connection:
        connection.execute(delete(tables.subscription).where(tables.subscription.c.id == _one(connection, id).id))


def switch(engine: Engine, id: int, enabled: bool, now: datetime) -> None:
    """Look at it no longer; or again, at once, also if it was parked. NoSubscription if there is none."""
    with writing(engine) as connection:
        known = _one(connection, id)
        values: dict[str, Any] = {"enabled": enabled}
        if enabled:
            values |= {"next_check": now, "missing_since": None}
            values |= {"standing": Standing.FAILING.value} if known.state.standing is Standing.PARKED else {}
        connection.execute(update(tables.subscription).where(tables.subscription.c.id == id).values(values))


def change(engine: Engine, id: int, wish: Wish, headers: Sequence[str], now: datetime) -> Subscription:
    """Other settings: its body counts as unread, and it is due at once, also if it was parked. NoSubscription."""
    with writing(engine) as connection:
        state = _one(connection, id).state
        standing = Standing.FAILING if state.standing is Standing.PARKED else state.standing
        state = replace(state, next_check=now, missing_since=None, standing=standing, body=Body())
        chosen = tables.subscription.c.id == id
        values = {**_terms(wish, headers), **_columns(state)}
        connection.execute(update(tables.subscription).where(chosen).values(values))
        return _one(connection, id)


def outlined(engine: Engine, id: int, url: str) -> Subscription:
    """Its address, which the vault has from now on, as it may be shown. NoSubscription if there is none."""
    with writing(engine) as connection:
        connection.execute(update(tables.subscription).where(tables.subscription.c.id == id).values(url=url))
        return _one(connection, id)


def book(engine: Engine, id: int, next_check: datetime) -> None:
    """Set the next check before the work: whoever dies at it does not leave it due for ever."""
    with writing(engine) as connection:
        chosen = tables.subscription.c.id == id
        connection.execute(update(tables.subscription).where(chosen).values(next_check=next_check))


def keep(engine: Engine, id: int, state: State, visit: Visit) -> None:
    """The state after a visit, and the visit as the newest line of the history. Nothing if it was removed meanwhile."""
    with writing(engine) as connection:
        chosen = tables.subscription.c.id == id
        if not connection.execute(update(tables.subscription).where(chosen).values(_columns(state))).rowcount:
            return
        line = {name: getattr(visit, name) for name in ("at", "problem", "events", "created", "updated", "deleted")}
        values = {"subscription_id": id, "what": visit.what.value, "run_id": visit.run, "batch_id": visit.batch, **line}
        connection.execute(insert(tables.fetch_history).values(values))
        _forget_old(connection, id)


def _forget_old(connection: Connection, id: int) -> None:
    rows = tables.fetch_history.c
    last = select(rows.id).where(rows.subscription_id == id).order_by(rows.id.desc()).offset(HISTORY).limit(1)
    oldest = connection.execute(last).scalar()
    if oldest is not None:
        connection.execute(delete(tables.fetch_history).where(rows.subscription_id == id, rows.id <= oldest))


def history(engine: Engine, id: int, limit: int = HISTORY) -> Sequence[Visit]:
    """What happened, the newest first. NoSubscription if there is none."""
    rows = tables.fetch_history.c
    query = select(tables.fetch_history).where(rows.subscription_id == id).order_by(rows.id.desc()).limit(limit)
    with engine.connect() as connection:
        _one(connection, id)
        return [_visit(row) for row in connection.execute(query)]


def _one(connection: Connection, id: int) -> Subscription:
    row = connection.execute(select(tables.subscription).where(tables.subscription.c.id == id)).first()
    if row is None:
        raise NoSubscription(f"there is no subscription {id}")
    return _subscription(row)


def _subscription(row: Row[Any]) -> Subscription:
    wish = Wish(
        source=row.source,
        url=row.url,
        calendar=CalendarRef.parse(row.calendar),
        every=timedelta(minutes=row.every_minutes),
        ahead_days=row.ahead_days,
        mode=Mode(row.mode),
        agent=row.agent,
    )
    wish = changed(wish, row.terms or {})
    return Subscription(row.id, wish, row.opened, row.enabled, _state(row), tuple(row.headers or ()))


def _terms(wish: Wish, headers: Sequence[str]) -> dict[str, Any]:
    return {
        "url": wish.url,
        "every_minutes": wish.every // timedelta(minutes=1),
        "ahead_days": wish.ahead_days,
        "mode": wish.mode.value,
        "agent": wish.agent,
        "terms": unusual(wish) or None,
        "opened": bool(headers),
        "headers": list(headers) or None,
    }


def _state(row: Row[Any]) -> State:
    return State(
        next_check=row.next_check,
        standing=Standing(row.standing),
        failures=row.failures,
        missing_since=row.missing_since,
        ok_at=row.ok_at,
        problem=row.problem,
        body=Body(row.hash, Validators(row.etag, row.modified), row.readings, row.window_end),
    )


def _columns(state: State) -> dict[str, Any]:
    body = state.body
    return {
        "standing": state.standing.value,
        "next_check": state.next_check,
        "failures": state.failures,
        "missing_since": state.missing_since,
        "ok_at": state.ok_at,
        "problem": state.problem,
        "etag": body.validators.etag,
        "modified": body.validators.modified,
        "hash": body.hash,
        "readings": body.readings,
        "window_end": body.until,
    }


def _visit(row: Row[Any]) -> Visit:
    return Visit(
        what=What(row.what),
        at=row.at,
        problem=row.problem,
        run=row.run_id,
        batch=row.batch_id,
        events=row.events,
        created=row.created,
        updated=row.updated,
        deleted=row.deleted,
    )
