"""What a run obeys between two portions: its lease, people's wishes, the quota's reserve and the lanes it shares.

And what it tells meanwhile: how far it has come, once a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.imports.deciding.forecast import WAITED_FOR, reserved
from app.imports.record.report import Progress, silent
from app.imports.record.runs import Ending, Runs
from app.imports.writing.ledger import Ledger
from app.imports.writing.progress import BEFORE, At, Phase, progress_to_json
from app.store.lanes import Lanes
from app.store.leases import Lease
from app.store.quota import StoreMeter
from bridges.errors import NotSent

TELL = timedelta(seconds=1)
"""How often the store is told how far a run has come, and asked what people wish of it."""
LOOK = timedelta(seconds=0.25)
"""How often a run that works looks who else wants to write to the account, and what is left of the quota."""

SAID = {
    Ending.PAUSED: "It was paused, as somebody wished.",
    Ending.CANCELLED: "It was cancelled, as somebody wished. What was written before stays.",
    Ending.QUEUED: "The worker was stopped; the next one goes on with it.",
}


class Halted(NotSent):
    """The run stops here by somebody's wish; `ending` is how it stands from now on."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(SAID[ending])
        self.ending = ending


@dataclass(slots=True)
class Steering:
    """The step of one run (app.imports.writing.apply).

    `stopping` says that the worker is to end; `reserve` is the share of the quota that is left to feeds. `halted` is
    how the run stands if somebody stopped it; `worked` counts the seconds of all lanes at work.
    """

    run: int
    runs: Runs
    ledger: Ledger
    lease: Lease
    lanes: Lanes
    meter: StoreMeter
    reserve: float
    now: Callable[[], datetime]
    progress: Progress = silent
    stopping: Callable[[], bool] = bool
    begun: datetime | None = None
    halted: Ending | None = None
    worked: float = 0.0
    _granted: int = 0
    _looked: datetime | None = None
    _told: datetime | None = None
    _asked: datetime | None = None

    def __call__(self, at: At) -> int:
        """How many lanes may be at work. Raises Halted, NotSent where only the reserve is left, Lost."""
        self.lease.beat()
        self.progress(at.done, at.of)
        now = self.now()
        self.begun = self.begun or now
        self.worked += at.busy * (now - (self._asked or now)).total_seconds()
        self._asked = now
        if self.stopping():
            self._halt(Ending.QUEUED)
        fresh = self._looked is not None and now - self._looked < LOOK
        if fresh and at.done < at.of and self._granted >= max(at.busy, 1):
            return self._granted
        self._looked = now
        self._granted = self._look(at, now)
        return self._granted

    def one(self) -> bool:
        """Whether there is a lane for work that is not counted. Raises as a step."""
        return self(BEFORE) > 0

    def tell(self, phase: Phase, at: At = BEFORE) -> None:
        """Say how far it is, at once. Raises Halted."""
        now = self.now()
        with self.ledger.beside() as connection:
            wish = self.runs.tell(connection, self.run, progress_to_json(phase, at, self.begun or now, now))
        self._told = now
        if wish is not None:
            self._halt(wish)

    def _look(self, at: At, now: datetime) -> int:
        refilling = at.done < at.of and self._spares_the_reserve(now)  # the last portion is not stopped any more
        with self.ledger.beside() as connection:
            granted = 0 if refilling else self.lanes.look(connection, at.busy, now)
        if self._told is None or now - self._told >= TELL or at.done == at.of:
            self.tell(Phase.WRITING if granted or at.busy or at.done == at.of else Phase.WAITING, at)
        return granted

    def _spares_the_reserve(self, now: datetime) -> bool:
        """Whether to wait a moment until the quota is back. NotSent where that takes longer."""
        quota = self.meter.quota()
        if quota is None or not self.reserve or quota.remaining > (kept := reserved(quota, self.reserve)):
            return False
        if quota.resets_at is not None and quota.resets_at - now <= WAITED_FOR:
            return True
        back = f" The quota is back at {quota.resets_at:%Y-%m-%d %H:%M} UTC." if quota.resets_at else ""
        wait = (quota.resets_at - now).total_seconds() if quota.resets_at else None
        raise NotSent(
            f"{quota.remaining:,} calls are left of the quota; {kept:,} are kept for feeds (imports.reserve).{back}",
            retry_after=wait,
        )

    def _halt(self, ending: Ending) -> None:
        self.halted = ending
        raise Halted(ending)
