"""What makes a plan too reckless to run unasked. Pure.

The danger is in what would be deleted, and in what would be written a second time under another UID.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.imports.deciding.plan import Change, Entry, Plan
from app.imports.spool import Hashed
from bridges.model import Event

Walk = Callable[[], Iterable[Entry]]


class Names(Protocol):
    """UIDs, or identities: how many they are, and whether one is among them."""

    def __len__(self) -> int: ...

    def __contains__(self, name: object, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class ReadingFacts:
    """What the guard asks about a file: how many events it holds, their UIDs, and how many it held last time.

    `previous` is None where no import of this source into this calendar was finished yet. `wanted` are the
    identities of what it wants. Not `whole`: it is one calendar's part of a file that goes into many.
    """

    events: int
    uids: Names
    previous: int | None
    wanted: Names
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Guard:
    """A plan that deletes more than `share` (0 to 1) and more than `count` of what it could is held for a yes."""

    share: float = 0.5
    count: int = 5

    def objections(self, plan: Plan, walk: Walk, facts: ReadingFacts) -> list[str]:
        """Every reason to hold the plan, as sentences for people; none means that it may run.

        `walk` goes through the ledger of the calendar, each time that it is called: it is never held.
        """
        gone = len(plan.deletes)
        if not gone and len(plan.creates) * 2 <= len(facts.wanted):
            return []
        earlier = _Earlier.of(plan, walk, facts)
        if renamed := _renamed(plan, earlier, walk, facts):
            return [renamed]
        if not gone:
            return []
        if not facts.whole:
            return _said(self._too_many(plan.source, gone, earlier.inside))
        if not facts.events:
            return [f"The file holds no event at all, and {_events(gone)} would be deleted."]
        stranger = "" if earlier.known else _another_file([plan])
        return _said(self._too_many(plan.source, gone, earlier.inside), self._too_small(gone, facts), stranger)

    def is_silent(self, plan: Plan, standing: int, facts: ReadingFacts) -> bool:
        """Whether there surely are no objections, without a look at the ledger: so many of the file's events are
        `standing` there unchanged. False where that takes a look."""
        gone = len(plan.deletes)
        if len(plan.creates) * 2 > len(facts.wanted):
            return False
        few = gone <= self.count or gone * 2 <= self.share * (standing + gone)
        return not gone or (standing > 0 and facts.whole and few and not self._too_small(gone, facts))

    def over_all(self, plans: Sequence[Plan], of: int, facts: ReadingFacts) -> list[str]:
        """Every reason to hold the plans of all calendars that one file goes into, as sentences: an event that moves
        from one to another is deleted as well. `of` counts this import's events inside the window, in all of them."""
        gone = sum(len(plan.deletes) for plan in plans)
        if not gone:
            return []
        if not facts.events:
            return [f"The file holds no event at all, and {_events(gone)} would be deleted."]
        if renamed := _renamed_over_all(plans):
            return [renamed]
        known = any(plan.unchanged or plan.updates for plan in plans)
        known = known or any(change.id.uid in facts.uids for plan in plans for change in plan.deletes)
        return _said(
            self._too_many(plans[0].source, gone, of),
            self._too_small(gone, facts),
            "" if known else _another_file(plans),
        )

    def _too_many(self, source: str, gone: int, of: int) -> str:
        if gone <= self.count or gone <= self.share * of:
            return ""
        return f"It would delete {gone} of the {_events(of)} that earlier imports of '{source}' wrote."

    def _too_small(self, gone: int, facts: ReadingFacts) -> str:
        """Deletions of a few are ordinary, also in a small file."""
        if facts.previous is None or gone <= self.count:
            return ""
        if facts.events >= facts.previous * (1 - self.share):
            return ""
        return f"The file holds {_events(facts.events)}; last time it held {facts.previous}."


def surprises(plan: Plan, approved: Mapping[str, Any]) -> list[str]:
    """Why the yes that was given to a plan (as JSON) does not cover this one, as sentences; none if it does.

    To delete less than was approved is covered: somebody else was faster.
    """
    known = {(each["uid"], each["slot"]) for each in approved["changes"] if each["deed"] == "delete"}
    new = [change for change in plan.deletes if (change.id.uid, change.id.slot_text) not in known]
    if not new:
        return []
    return [
        f"The calendar has changed since this was planned: it would now delete {_events(len(new))} more, "
        f"among them '{new[0].event.title}'. Look at the new plan and say yes again."
    ]


@dataclass(slots=True)
class _Earlier:
    """What this import has in the calendar by now. `inside` counts what lies in the window: the others were never in
    question. `known` says that the file has something of it."""

    uids: Hashed = field(default_factory=Hashed)
    inside: int = 0
    known: bool = False

    @classmethod
    def of(cls, plan: Plan, walk: Walk, facts: ReadingFacts) -> _Earlier:
        found = cls()
        for entry in _ours(plan, walk):
            found.uids.update((entry.id.uid,))
            found.inside += plan.window.overlaps(entry.event.when)
            found.known = found.known or entry.id.uid in facts.uids
        return found


def _ours(plan: Plan, walk: Walk) -> Iterable[Entry]:
    return (entry for entry in walk() if entry.live and entry.source == plan.source)


def _renamed(plan: Plan, earlier: _Earlier, walk: Walk, facts: ReadingFacts) -> str:
    """Most of the file's events are new by their UIDs, and most of these stand here already by their contents."""
    if not earlier.uids or len(plan.creates) * 2 <= len(facts.wanted):
        return ""
    looks = Counter(hash(_look(change.event)) for change in plan.creates if change.id.uid not in earlier.uids)
    new, twins = looks.total(), 0
    if new * 2 <= len(facts.wanted):
        return ""
    for entry in _ours(plan, walk):
        if entry.id not in facts.wanted and looks[look := hash(_look(entry.event))] > 0:
            looks[look] -= 1
            twins += 1
    return _new_uids(plan.source, len(facts.wanted), new, twins) if twins * 2 > new else ""


def _renamed_over_all(plans: Sequence[Plan]) -> str:
    """What is created stands already where it is created, and would be deleted there."""
    new = sum(len(plan.creates) for plan in plans)
    of = new + sum(len(plan.updates) + plan.unchanged for plan in plans)
    twins = sum((_looks(plan.creates) & _looks(plan.deletes)).total() for plan in plans)
    return _new_uids(plans[0].source, of, new, twins) if new * 2 > of and twins * 2 > new else ""


def _new_uids(source: str, of: int, new: int, twins: int) -> str:
    return (
        f"Of the file's {_events(of)}, {new} came under a UID that was not there before, and {twins} of these stand "
        f"here already, with the same title, time and place. It seems that '{source}' gets new UIDs at each export: "
        "import it with match=content ('--match content'), and events are known by what they are."
    )


def _looks(changes: Iterable[Change]) -> Counter[tuple[object, ...]]:
    return Counter(_look(change.event) for change in changes)


def _look(event: Event) -> tuple[object, ...]:
    return event.title, event.when, event.place


def _said(*objections: str) -> list[str]:
    return [objection for objection in objections if objection]


def _another_file(plans: Sequence[Plan]) -> str:
    gone = sum(len(plan.deletes) for plan in plans)
    return (
        f"None of its events was in earlier files of '{plans[0].source}', and {_events(gone)} of those would "
        "be deleted. If this is another calendar, give the import a name of its own."
    )


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
