"""What each LMS account has left, kept in the store: it survives restarts and is shared by all workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing
from bridges.contract import Quota

_UNDATED_HOLDS = timedelta(hours=1)


class StoreMeter:
    """The Meter of one LMS account (bridges.contract). `now` gives aware times."""

    def __init__(self, engine: Engine, account: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._account = account
        self._now = now

    def spent(self, calls: int = 1) -> None:
        """Count calls that were sent; what is left of the noted quota falls with them."""
        quota = tables.quota
        # `remaining` may be null, and null less something is null
        self._put({"calls": quota.c.calls + calls, "remaining": quota.c.remaining - calls}, {"calls": calls})

    def note(self, quota: Quota) -> None:
        """Keep what the LMS said last."""
        said = {
            "limit": quota.limit,
            "remaining": quota.remaining,
            "resets_at": quota.resets_at,
            "noted_at": self._now(),
        }
        self._put(said, {**said, "calls": 0})

    def quota(self) -> Quota | None:
        """What was noted last and holds still: until its reset, or for an hour where the LMS named none."""
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.quota).where(tables.quota.c.account == self._account)).first()
        if row is None or row.noted_at is None:
            return None
        if self._now() >= (row.resets_at or row.noted_at + _UNDATED_HOLDS):
            return None
        return Quota(row.limit, max(row.remaining, 0), row.resets_at)

    def pace(self) -> float | None:
        """Seconds that a change took in one lane, as measured last; None if none was."""
        with self._engine.connect() as connection:
            return connection.execute(
                select(tables.quota.c.pace).where(tables.quota.c.account == self._account)
            ).scalar()

    def measured(self, pace: float) -> None:
        """Keep how many seconds a change took in one lane."""
        self._put({"pace": pace}, {"pace": pace, "calls": 0})

    def calls(self) -> int:
        """Calls ever sent on this account."""
        with self._engine.connect() as connection:
            query = select(tables.quota.c.calls).where(tables.quota.c.account == self._account)
            return connection.execute(query).scalar() or 0

    def _put(self, changed: dict[str, Any], first: dict[str, Any]) -> None:
        """Change the account's row, or make it; of two that make it at once, the second changes it."""
        change = update(tables.quota).where(tables.quota.c.account == self._account).values(changed)
        with writing(self._engine) as connection:
            if connection.execute(change).rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(insert(tables.quota).values(account=self._account, **first))
            except IntegrityError:
                connection.execute(change)
