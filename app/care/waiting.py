"""What waits for somebody's word, over all calendars: plans, people's changes, subscriptions that stopped, quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.imports.drift.changes import Policy
from app.imports.drift.drifts import Drifts
from app.imports.pull.register import Subscription
from app.imports.pull.rhythm import Standing
from app.imports.pull.subscriptions import to_json as subscription_to_json
from app.imports.record.runs import Ending, Run
from app.parts import Parts
from bridges.model import CalendarRef

STOPPED = (Standing.PARKED, Standing.FAILING, Standing.LEFT)
"""How a subscription stands that somebody should look after; one that is held waits with its run."""
MOST = 200
"""Plans that are told at a time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """People's changes to what one import wrote into one calendar, that nobody has agreed to yet; `asked` says that
    its policy wants somebody's word."""

    calendar: CalendarRef
    source: str
    count: int
    asked: bool

    def to_json(self) -> dict[str, Any]:
        return {"calendar": str(self.calendar), "source": self.source, "count": self.count, "asked": self.asked}


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that waits, the newest plan first. Plans that are part of a batch are said yes to together."""

    held: Sequence[Run]
    changes: Sequence[Changes]
    stopped: Sequence[Subscription]

    @property
    def count(self) -> int:
        """How many things want a word; people's changes that stay as they are by policy do not."""
        return len(self.held) + sum(each.asked for each in self.changes) + len(self.stopped)

    def to_json(self) -> dict[str, Any]:
        return {
            "held": [run.to_json() for run in self.held],
            "changes": [each.to_json() for each in self.changes],
            "subscriptions": [subscription_to_json(each) for each in self.stopped],
        }


def waiting(parts: Parts) -> Waiting:
    """What waits now. Asks no LMS."""
    held = parts.imports.latest(MOST, state=Ending.HELD)
    stopped = [one for one in parts.subscriptions.list() if one.enabled and one.state.standing in STOPPED]
    return Waiting(held, _changes(parts.drifts), stopped)


def _changes(drifts: Drifts) -> Sequence[Changes]:
    open_ones = Counter((one.calendar, one.source) for one in drifts.list() if not one.accepted)
    policies = {(calendar, source): policy for calendar, source, policy in drifts.policies.every_one()}
    usual = drifts.policies.usual
    return [
        Changes(calendar, source, count, policies.get((calendar, source), usual) is Policy.ASK)
        for (calendar, source), count in sorted(open_ones.items())
    ]
