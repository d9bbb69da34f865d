"""What a calendar program shows of an event, in a form that all of them can be compared in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One event. Times are `2026-03-10T11:00:00Z`, or `2026-03-10` for whole days; the end is not included."""

    uid: str
    start: str
    end: str
    title: str
    text: str = ""
    place: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""
    status: str = "CONFIRMED"

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Out of JSON."""
        return cls(**{**told, "categories": tuple(told["categories"])})


def written(moment: date) -> str:
    """A day, or an aware time as an instant."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def differences(expected: Iterable[Seen], seen: Iterable[Seen]) -> list[str]:
    """A line for each event that is missing, is there for nothing or twice, or differs, and in what."""
    wanted, found = sorted(expected), sorted(seen)
    by_uid = {each.uid: each for each in found}
    lines = [f"{len(found)} events, and {len(wanted)} were published"] if len(found) != len(wanted) else []
    for each in wanted:
        other = by_uid.get(each.uid)
        if other is None:
            lines.append(f"missing: {each}")
            continue
        for field in fields(Seen):
            here, there = getattr(each, field.name), getattr(other, field.name)
            if here != there:
                lines.append(f"{each.start} {each.title[:30]!a}: {field.name} is {there!a}, published as {here!a}")
    known = {each.uid for each in wanted}
    return lines + [f"nobody published {each}" for each in found if each.uid not in known]
