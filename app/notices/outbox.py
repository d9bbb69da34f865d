"""The outbox: what should be told is written down first and sent then, at least once, however often it takes.

Nobody announces a run that was held: what waits is looked up, so that no crash between both can lose a mail.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.config import Mail
from app.imports.pull.register import NoSubscription, Subscription
from app.imports.pull.rhythm import Standing
from app.imports.pull.subscriptions import Subscriptions
from app.imports.record.runs import Ending, NoRun
from app.imports.run import Imports
from app.notices.letters import Letter, asking, stopped
from app.notices.post import NotPosted, message_of, post
from app.notices.ticket import plan_hash, sealed, ticket_for
from app.store import tables
from app.store.engine import writing
from app.store.leases import Busy, lease

LONG = timedelta(days=1)
"""A subscription that fails for so long is told of."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
"""Between two tries to send; they double."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notices:
    """Mail about one store. Any number of processes may run what is due.

    `key` signs the links, which begin with `base_url` (no slash at its end). `now` gives aware times.
    """

    engine: Engine
    imports: Imports
    subscriptions: Subscriptions
    mail: Mail
    base_url: str
    zone: ZoneInfo
    key: Callable[[], bytes]
    now: Callable[[], datetime]

    def run(self) -> Iterator[tuple[str, str]]:
        """Write down what is to be told by now, send what is due, and say of each what came of it."""
        if not self.mail.host:
            return
        self._collect()
        for row in self._due():
            try:
                with lease(self.engine, f"notice {row.id}", self.now):
                    yield row.about, self._send(row)
            except Busy:
                continue

    # What is to be told

    def _collect(self) -> None:
        for about in (*self._waiting(), *self._stopped()):
            self._write_down(about)

    def _waiting(self) -> Iterator[str]:
        runs = tables.import_run.c
        with self.engine.connect() as connection:
            held = connection.execute(select(runs.id).where(runs.state == Ending.HELD.value)).scalars().all()
        for id in held:
            run = self.imports.get(id)
            if run.state is Ending.HELD:  # it may have expired by being looked at
                yield f"run {id} {plan_hash(run)[:32]}"

    def _stopped(self) -> Iterator[str]:
        for each in self.subscriptions.list():
            if self._has_stopped(each):
                since = each.state.ok_at.isoformat() if each.state.ok_at else "ever"
                yield f"subscription {each.id} {each.state.standing} since {since}"

    def _has_stopped(self, subscription: Subscription) -> bool:
        state = subscription.state
        if state.standing is Standing.PARKED:
            return True
        if state.standing is not Standing.FAILING:
            return False
        visits = self.subscriptions.history(subscription.id)
        since = state.ok_at or (visits[-1].at if visits else self.now())
        return self.now() - since >= LONG

    def _write_down(self, about: str) -> None:
        notice = tables.notice
        with self.engine.connect() as connection:
            if connection.execute(select(notice.c.id).where(notice.c.about == about)).first():
                return
        values = {"about": about, "made_at": self.now(), "next_try": self.now(), "tries": 0, "problem": ""}
        try:
            with writing(self.engine) as connection:
                connection.execute(insert(notice).values(values))
        except IntegrityError:  # another worker was faster
            return

    # The sending

    def _due(self) -> Sequence[Row[Any]]:
        notice = tables.notice.c
        waits = (notice.done_at.is_(None), notice.next_try <= self.now())
        with self.engine.connect() as connection:
            return connection.execute(select(tables.notice).where(*waits).order_by(notice.id)).all()

    def _send(self, row: Row[Any]) -> str:
        if self._is_done(row.id):
            return "another worker has sent it"
        letter = self._letter(row.about)
        if letter is None:
            self._note(row.id, done_at=self.now(), problem="It was over before a mail could be sent.")
            return "it is over"
        name = hashlib.sha256(f"{self.base_url} {row.about}".encode()).hexdigest()[:40]
        try:
            post(message_of(letter, name, self.mail, self.now()), self.mail)
        except NotPosted as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row.tries, 10))
            self._note(row.id, tries=row.tries + 1, next_try=self.now() + pause, problem=str(error))
            log.warning("a mail about %s could not be sent: %s", row.about.split(" ")[:2], error)
            return str(error)
        self._note(row.id, done_at=self.now(), tries=row.tries + 1, problem="")
        return "sent"

    def _letter(self, about: str) -> Letter | None:
        """What is to be said by now; None where nothing is, any more."""
        kind, id, rest = about.split(" ", 2)
        if kind == "run":
            return self._asking(int(id), rest)
        try:
            subscription = self.subscriptions.get(int(id))
        except NoSubscription:
            return None
        return stopped(subscription, self.zone) if self._has_stopped(subscription) else None

    def _asking(self, id: int, plan: str) -> Letter | None:
        try:
            run = self.imports.get(id)
        except NoRun:
            return None
        if run.state is not Ending.HELD or not plan_hash(run).startswith(plan):
            return None
        # a signature may end in a hyphen, and programs that make links of addresses leave that out
        link = f"{self.base_url}/approve/{sealed(ticket_for(run), self.key())}/plan"
        return asking(run, self.zone, link)

    def _is_done(self, id: int) -> bool:
        with self.engine.connect() as connection:
            return (
                connection.execute(select(tables.notice.c.done_at).where(tables.notice.c.id == id)).scalar() is not None
            )

    def _note(self, id: int, **values: Any) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(tables.notice).where(tables.notice.c.id == id).values(values))
