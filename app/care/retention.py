"""What is kept for a time only: runs with their plans, reports and journals, histories, and what is long over.

Never the ledger of what stands in an LMS, and never the latest run of an import that was done: the next one is
measured by it. A run that is gone cannot be undone any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, delete, func, or_, select, tuple_

from app.config import Keep
from app.imports.record.runs import Ending, Kind
from app.store import tables
from app.store.engine import writing

PORTION = 500
"""Rows that go in one transaction: others want to write, too."""
DEAD = timedelta(days=1)
"""What ran out so long ago is nobody's any more."""
EVERY = timedelta(days=1)
"""Between two looks."""
ENDED = (Ending.DONE, Ending.LEFT, Ending.FAILED, Ending.CANCELLED, Ending.EXPIRED)
"""How a run stands that nothing waits for; a file that is kept of it goes with it."""

Old = Callable[[datetime, Keep], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Of `table` goes what is `old`."""

    table: Table
    old: Old


def _runs(now: datetime, keep: Keep) -> ColumnElement[bool]:
    runs = tables.import_run.c
    done = (runs.state == Ending.DONE.value, runs.kind == Kind.IMPORT.value)
    latest = select(func.max(runs.id)).where(*done).group_by(runs.calendar, runs.source)
    over = runs.state.in_([ending.value for ending in ENDED]) & (runs.ended_at < now - timedelta(days=keep.runs_days))
    return over & runs.id.not_in(latest)


def _old_runs(now: datetime, keep: Keep) -> Select[tuple[int]]:
    return select(tables.import_run.c.id).where(_runs(now, keep))


def _batches(now: datetime, keep: Keep) -> ColumnElement[bool]:
    batches, runs = tables.import_batch.c, tables.import_run.c
    latest = select(func.max(batches.id)).group_by(batches.source)
    used = select(runs.batch).where(runs.batch.is_not(None), runs.id.not_in(_old_runs(now, keep)))
    over = batches.ended_at < now - timedelta(days=keep.runs_days)
    return over & batches.id.not_in(latest) & batches.id.not_in(used)


def _feed_tokens(now: datetime, keep: Keep) -> ColumnElement[bool]:
    token, child = tables.feed_token.c, tables.feed_token.alias().c
    gone = now - timedelta(days=keep.audit_days)
    parents = select(child.parent_id).where(child.parent_id.is_not(None))
    return or_(token.until < gone, token.revoked_at < gone) & token.id.not_in(parents)


RULES = (
    Rule(tables.import_change, lambda now, keep: tables.import_change.c.run_id.in_(_old_runs(now, keep))),
    Rule(tables.import_batch, _batches),
    Rule(tables.import_run, _runs),
    Rule(tables.imprint, lambda now, keep: tables.imprint.c.at < now - timedelta(days=keep.runs_days)),
    Rule(tables.fetch_history, lambda now, keep: tables.fetch_history.c.at < now - timedelta(days=keep.fetches_days)),
    Rule(tables.notice, lambda now, keep: tables.notice.c.done_at < now - timedelta(days=keep.runs_days)),
    Rule(tables.audit, lambda now, keep: tables.audit.c.at < now - timedelta(days=keep.audit_days)),
    Rule(tables.feed_token, _feed_tokens),
    Rule(tables.lti_nonce, lambda now, keep: tables.lti_nonce.c.until < now - DEAD),
    Rule(tables.kept_answer, lambda now, keep: tables.kept_answer.c.at < now - timedelta(hours=keep.answers_hours)),
    Rule(tables.lease, lambda now, keep: tables.lease.c.until < now - DEAD),
    Rule(tables.lane, lambda now, keep: tables.lane.c.until < now - DEAD),
)
"""In this order: a journal goes before its run. Calendars that no feed shows are the feeds' own affair (feeds.tidy)."""


@dataclass(slots=True)
class Retention:
    """Prunes one store. Any number of processes may do so. `now` gives aware times."""

    engine: Engine
    keep: Keep
    now: Callable[[], datetime]

    def run(self) -> Iterator[tuple[str, str]]:
        """Prune, and say what went."""
        for table, count in self.prune().items():
            if count:
                yield table, f"{count} old rows removed"

    def prune(self, *, dry_run: bool = False) -> dict[str, int]:
        """How many rows of each table went, or would go."""
        now = self.now()
        count = self._old if dry_run else self._removed
        return {rule.table.name: count(rule.table, rule.old(now, self.keep)) for rule in RULES}

    def _old(self, table: Table, old: ColumnElement[bool]) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(old)).scalar_one())

    def _removed(self, table: Table, old: ColumnElement[bool]) -> int:
        total = 0
        while True:
            with writing(self.engine) as connection:
                gone = _remove(connection, table, old)
            total += gone
            if gone < PORTION:
                return total


def _remove(connection: Connection, table: Table, old: ColumnElement[bool]) -> int:
    key = tuple_(*table.primary_key.columns)
    portion = [tuple(row) for row in connection.execute(select(*table.primary_key.columns).where(old).limit(PORTION))]
    if portion:
        connection.execute(delete(table).where(key.in_(portion), old))
    return len(portion)
