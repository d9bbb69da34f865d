"""One timetable into many calendars: rules of a person that say which event goes where, as values. Pure.

A route is `PATTERN=>CALENDAR`, with patterns as in rules.py; `uid:` may stand before one too. `{1}` in the calendar is
what the first `*` matched, `{2}` the second. The first route that matches an event takes it, into each calendar that
it names: an event of two courses goes into both.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.imports.deciding.rules import FIELDS
from app.store.values import when_to_json
from bridges.model import CalendarRef, Occurrence

Look = tuple[tuple[str, ...], ...]
"""The values of one event that routes look at, by field."""

NAMES = (*FIELDS, "uid")
SAMPLES = 100
"""So many kinds of unmatched events are told one by one."""


@dataclass(frozen=True)
class Route:
    """One route. ValueError, as a sentence, for what can match nothing or leads nowhere.

    `text` is how a person writes it. The LMS and the kind of calendar stand in it as they are: an event chooses among
    the calendars that a person thought of, and no others.
    """

    text: str

    def __post_init__(self) -> None:
        how = "write PATTERN=>CALENDAR, for example 'category:COURSE *=>learn/course/courseId:{1}'"
        if not self.text.rpartition("=>")[1] or not self.text.isprintable():
            raise ValueError(f"'{self.text}' is no route: {how}")
        if not self.pattern:
            raise ValueError(f"'{self.text}' has an empty pattern: {how}")
        if "{" in CalendarRef.parse(self.target).lms:
            raise ValueError(f"'{self.text}' leaves the LMS open: {how}")
        stars = self.pattern.count("*")
        for number in _PLACES.findall(self.target):
            if not 1 <= int(number) <= stars:
                raise ValueError(f"'{self.text}' has {stars} stars, so {{{number}}} stands for nothing")

    @cached_property
    def target(self) -> str:
        return self.text.rpartition("=>")[2].strip()

    @cached_property
    def fields(self) -> tuple[int, ...]:
        """Where it looks, as places in a Look."""
        name, colon, _ = self.text.rpartition("=>")[0].partition(":")
        said = name.strip().lower()
        return (NAMES.index(said),) if colon and said in NAMES else tuple(range(len(FIELDS)))

    @cached_property
    def pattern(self) -> str:
        """In lower case, since case makes no difference."""
        whole = self.text.rpartition("=>")[0]
        return (whole.partition(":")[2] if len(self.fields) == 1 else whole).strip().lower()

    @cached_property
    def sign(self) -> tuple[bool, str]:
        """What every match has in it, and whether it stands at the beginning: few routes share it."""
        first, *others = re.split(r"[*?]", self.pattern)
        return (True, first) if first or not any(others) else (False, max(others, key=len))

    def targets(self, look: Look) -> list[str]:
        """The calendars that this route names for an event, as texts."""
        values = (value for place in self.fields for value in look[place])
        return list(dict.fromkeys(target for value in values if (target := self._target(value)) is not None))

    def _target(self, value: str) -> str | None:
        lower = value.lower()
        found = self._compiled.match(lower)
        if not found:
            return None
        same = value if len(lower) == len(value) else lower
        parts = [same[slice(*found.span(number))].strip() for number in range(1, found.re.groups + 1)]
        used = {int(number) for number in _PLACES.findall(self.target)}
        if not all(parts[number - 1] for number in used):
            return None
        return _PLACES.sub(lambda place: parts[int(place[1]) - 1], self.target)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        """Each star takes as little as it can and gives nothing back, so that no text takes long (as in fnmatch)."""
        first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in self.pattern.split("*"))
        if not rest:
            return re.compile(rf"{first}\Z", re.DOTALL)
        inner = "".join(rf"(?>(.*?){piece})" for piece in rest[:-1])
        return re.compile(rf"{first}{inner}(.*){rest[-1]}\Z", re.DOTALL)


_PLACES = re.compile(r"\{(\d+)\}")


@dataclass(frozen=True)
class Routes:
    """Routes in their order."""

    each: tuple[Route, ...]

    def __post_init__(self) -> None:
        if not self.each:
            raise ValueError("there is no route: write PATTERN=>CALENDAR")

    def to_json(self) -> list[str]:
        return [route.text for route in self.each]

    def sort(self, occurrences: Iterable[Occurrence]) -> Sorted:
        """Every occurrence under the calendars that it goes to, as texts. Events that look alike are looked at once."""
        with_uid = any(route.fields == (len(FIELDS),) for route in self.each)
        known: dict[Look, list[str]] = {}
        found = Sorted()
        for occurrence in occurrences:
            event, uid = occurrence.event, occurrence.id.uid
            look = ((event.title,), event.categories, (event.place,), (uid,) if with_uid else ())
            if (targets := known.get(look)) is None:
                known[look] = targets = self.targets(look)
            for target in targets:
                found.parts[target].append(occurrence)
            if not targets:
                found.unmatched.append(occurrence)
        return found

    def targets(self, look: Look) -> list[str]:
        """The calendars of one event, by the first route that names any."""
        for number in sorted(self._likely(look)):
            if targets := self.each[number].targets(look):
                return targets
        return []

    def _likely(self, look: Look) -> set[int]:
        """The routes whose sign one of the values bears: of a thousand, one or two."""
        likely: set[int] = set()
        for (place, opens, length), routes in self._index.items():
            for value in map(str.lower, look[place]):
                for start in range(1 if opens else max(len(value) - length, 0) + 1):
                    likely.update(routes.get(value[start : start + length], ()))
        return likely

    @cached_property
    def _index(self) -> dict[tuple[int, bool, int], dict[str, list[int]]]:
        """Numbers of routes by their sign, by the field it is looked for in, where in it, and its length."""
        index: dict[tuple[int, bool, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, route in enumerate(self.each):
            opens, sign = route.sign
            for place in route.fields:
                index[place, opens, len(sign)][sign].append(number)
        return index


def routes_of(texts: Sequence[str]) -> Routes:
    """The routes that a person wrote, also the inverse of Routes.to_json. ValueError says what is wrong with which."""
    return Routes(tuple(map(Route, texts)))


@dataclass(slots=True)
class Sorted:
    """A file sorted into `parts` by the texts of calendars; `unmatched` is what no route takes."""

    parts: dict[str, list[Occurrence]] = field(default_factory=lambda: defaultdict(list))
    unmatched: list[Occurrence] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What no route takes: how many occurrences, and the kinds of them, the most frequent first."""

    events: int = 0
    kinds: tuple[tuple[Occurrence, int], ...] = ()
    """The first of each title, and how many there are."""

    def to_json(self) -> dict[str, Any]:
        samples = [
            {
                "title": one.event.title,
                "events": count,
                "categories": list(one.event.categories),
                "place": one.event.place,
                "uid": one.id.uid,
                "when": when_to_json(one.event.when),
            }
            for one, count in self.kinds[:SAMPLES]
        ]
        return {"events": self.events, "titles": len(self.kinds), "samples": samples}

    def lines(self, most: int = 10) -> Iterator[str]:
        """For a terminal."""
        if self.events:
            yield f"no route takes {self.events} events of {len(self.kinds)} titles:"
        for one, count in self.kinds[:most]:
            words = [*one.event.categories, one.event.place]
            yield f"  {count} × {one.event.title} ({', '.join(filter(None, words)) or 'no category, no place'})"
        if len(self.kinds) > most:
            yield f"  … and {len(self.kinds) - most} more titles"


def unmatched(occurrences: Sequence[Occurrence]) -> Unmatched:
    """These, by title."""
    first = {one.event.title: one for one in reversed(occurrences)}
    counts = Counter(one.event.title for one in occurrences)
    kinds = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Unmatched(len(occurrences), tuple((first[title], count) for title, count in kinds))
