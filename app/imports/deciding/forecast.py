"""What a plan will cost an LMS account, and when it will be done, as values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from app.imports.deciding.plan import Plan
from bridges.contract import Quota, SinkRules

ASSUMED_PACE = 0.3
"""Seconds that a change takes in one lane, where none was measured yet."""
WAITED_FOR = timedelta(seconds=90)
"""A quota that comes back within so long is waited for by the import itself: it stands in no plan's way."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan is expected to cost. `left` are the calls that the account has now, of which an import may use all
    but `reserve`; None where the LMS has not told. `done_at` is None where a quota has to come back that nobody knows
    the time of. `fits` says that the quota does not end before the plan does.
    """

    writes: int
    calls: int
    left: int | None
    reserve: int
    resets_at: datetime | None
    done_at: datetime | None
    fits: bool

    def sentence(self, now: datetime, zone: tzinfo) -> str:
        """As in "1,240 writes, 6,310 calls left today, done about 02:10"; times in `zone`."""
        parts = [f"{self.writes:,} write{'' if self.writes == 1 else 's'}"]
        if self.calls != self.writes:
            parts[0] += f" in {self.calls:,} call{'' if self.calls == 1 else 's'}"
        if self.left is not None:
            kept = f", of which {self.reserve:,} are kept for feeds" if self.reserve else ""
            parts.append(f"{self.left:,} calls left {_until(self.resets_at, now, zone)}{kept}")
        if self.done_at is not None:
            parts.append(f"done about {_told(self.done_at, now, zone)}")
        return ", ".join(parts)

    def objection(self, now: datetime, zone: tzinfo) -> str:
        """Why the plan should not begin now, as a sentence; empty if nothing speaks against it."""
        if self.fits:
            return ""
        return f"The quota would end before the plan does: {self.sentence(now, zone)}."

    def to_json(self, now: datetime, zone: tzinfo) -> dict[str, Any]:
        """Times as ISO 8601 in UTC; `text` is the sentence in the home zone."""
        return {
            "writes": self.writes,
            "calls": self.calls,
            "calls_left": self.left,
            "reserve": self.reserve,
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
            "done_at": self.done_at.isoformat() if self.done_at else None,
            "fits": self.fits,
            "text": self.sentence(now, zone),
        }


def forecast(
    plan: Plan, rules: SinkRules, batches: bool, quota: Quota | None, share: float, pace: float | None, now: datetime
) -> Forecast:
    """The forecast of a plan. `batches` says that the LMS takes many changes in one call, `share` of the quota's limit
    is kept for feeds, `pace` is seconds a change in one lane (None: not measured). It counts the least that can do:
    what has to be settled or tried again comes on top.
    """
    writes = len(plan.changes)
    kinds = (len(plan.creates), len(plan.updates), len(plan.deletes))
    calls = sum(-(-count // rules.batch) for count in kinds) if batches else writes
    seconds = writes * (ASSUMED_PACE if pace is None else pace) / (1 if batches else rules.writers)
    ideal = now + timedelta(seconds=seconds)
    if quota is None:
        return Forecast(writes, calls, None, 0, None, ideal, fits=True)
    reserve = reserved(quota, share)
    usable = max(quota.remaining - reserve, 0)
    told = (writes, calls, quota.remaining, reserve, quota.resets_at)
    if calls <= usable or _comes_back_in_time(quota, usable, calls, ideal, now):
        return Forecast(*told, ideal, fits=True)
    waited_for = quota.resets_at is not None and quota.resets_at - now <= WAITED_FOR
    return Forecast(*told, _after_reset(quota, calls - usable, reserve, seconds / calls), fits=waited_for)


def reserved(quota: Quota, share: float) -> int:
    """The calls that imports leave to feeds."""
    return int(quota.limit * share)


def _comes_back_in_time(quota: Quota, usable: int, calls: int, ideal: datetime, now: datetime) -> bool:
    """Whether so few calls are made each second that the quota is full again before it is used up."""
    if quota.resets_at is None or ideal <= now:
        return False
    return calls * ((quota.resets_at - now) / (ideal - now)) <= usable


def _after_reset(quota: Quota, rest: int, reserve: int, pace: float) -> datetime | None:
    """When the calls that are left at the reset are made; None where that takes a second reset, or nobody knows when
    the first is."""
    if quota.resets_at is None or rest > quota.limit - reserve:
        return None
    return quota.resets_at + timedelta(seconds=rest * pace)


def _until(resets_at: datetime | None, now: datetime, zone: tzinfo) -> str:
    if resets_at is None:
        return "for now"
    if resets_at.astimezone(zone).date() == now.astimezone(zone).date() or resets_at - now > timedelta(hours=12):
        return "today"
    return f"until {_told(resets_at, now, zone)}"


def _told(moment: datetime, now: datetime, zone: tzinfo) -> str:
    there = moment.astimezone(zone)
    return f"{there:%H:%M}" if moment - now < timedelta(hours=20) else f"{there:%Y-%m-%d %H:%M}"
