"""A source that shows a moving part of its calendar: what its silence means, and when it is not believed. Pure.

A list without tombstones may lose events because they are over, because its window is short, because somebody turned a
setting, or because they were cancelled. Only the last should empty a feed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.feeds.feed import Shown
from bridges.contract import Part
from bridges.model import Found, Window, instant

PATIENCE = timedelta(hours=1)
"""How long a list that lost most of what it had is doubted: by then such a source has renewed it once."""
FEW = 2
"""So few events may vanish at any time."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a feed shows after a partial reading; `doubted` is how many events it shows that the source has lost."""

    found: Sequence[Found]
    doubted: int = 0


def merge(before: Sequence[Found], part: Part, window: Window, now: datetime, doubt: datetime | None = None) -> Merged:
    """The reading `part`, and what is kept of the one before.

    Kept is what lies in `window` and not wholly inside the part's own: of that the source said nothing. If more than
    half of what was to come is gone from the part at once, it is kept as well, until the loss was seen again
    `PATIENCE` after `doubt`, the time when it was seen first (None: it is new). `now` is aware.
    """
    listed = {item.ref for item in part.found}
    absent = [item for item in before if item.ref not in listed and window.overlaps(item.event.when)]
    kept = [item for item in absent if not _wholly_inside(item, part.window)]
    lost = [item for item in absent if _wholly_inside(item, part.window) and _to_come(item, window, now)]
    to_come = [item for item in before if _wholly_inside(item, part.window) and _to_come(item, window, now)]
    mass = len(lost) > FEW and 2 * len(lost) > len(to_come)
    if mass and (doubt is None or now - doubt < PATIENCE):
        return Merged(_sorted([*part.found, *kept, *lost], window), len(lost))
    return Merged(_sorted([*part.found, *kept], window))


def found_again(events: Sequence[Shown]) -> list[Found]:
    """What was shown, as the bridge had found it."""
    return [
        Found(item.ref, item.event, False, item.modified, item.kind, {"rooms": "\n".join(item.rooms)})
        for item in events
    ]


def _wholly_inside(item: Found, spoken: Window | None) -> bool:
    if spoken is None:
        return False
    start, end = spoken.span(item.event.when)
    return instant(spoken.start) <= start and end <= instant(spoken.end)


def _to_come(item: Found, window: Window, now: datetime) -> bool:
    return window.span(item.event.when)[1] > instant(now)


def _sorted(found: Sequence[Found], window: Window) -> Sequence[Found]:
    return sorted(found, key=lambda item: (window.span(item.event.when)[0], item.ref))
