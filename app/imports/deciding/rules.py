"""What of a file is imported and under which titles: patterns of a person, as values. Pure.

A pattern is a text with `*` (anything) and `?` (one letter), in any case. `title:`, `category:` or `place:` before it
says where it is looked for; without one, in all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from bridges.model import Event, Occurrence

FIELDS = ("title", "category", "place")


@dataclass(frozen=True, slots=True)
class Rules:
    """`include` takes what matches one of its patterns (none: everything), `exclude` drops what matches one of its.

    `renames` gives an event whose title matches the pattern another title; `{}` in it stands for the title as it
    was, and the first that matches is taken. ValueError for a pattern that is empty.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for pattern in (*self.include, *self.exclude, *(old for old, _ in self.renames)):
            if not _split(pattern)[1]:
                raise ValueError(f"'{pattern}' is an empty pattern: write for example title:Lecture*")

    def taken(self, occurrences: Iterable[Occurrence]) -> Iterator[Occurrence]:
        """Those that are to be imported, renamed."""
        for occurrence in occurrences:
            if self.takes(occurrence.event):
                title = self._title(occurrence.event.title)
                yield replace(occurrence, event=replace(occurrence.event, title=title)) if self.renames else occurrence

    def to_json(self) -> dict[str, Any]:
        return {"include": list(self.include), "exclude": list(self.exclude), "renames": [*map(list, self.renames)]}

    def takes(self, event: Event) -> bool:
        """Whether this event is to be imported."""
        wanted = not self.include or any(_matches(event, pattern) for pattern in self.include)
        return wanted and not any(_matches(event, pattern) for pattern in self.exclude)

    def _title(self, title: str) -> str:
        named = (new for old, new in self.renames if _fits(title, _split(old)[1]))
        new = next(named, None)
        return title if new is None else new.replace("{}", title)


NO_RULES = Rules()


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """The inverse of Rules.to_json."""
    return Rules(
        tuple(data.get("include", ())),
        tuple(data.get("exclude", ())),
        tuple((old, new) for old, new in data.get("renames", ())),
    )


def rename(text: str) -> tuple[str, str]:
    """A rename as a person writes it, `pattern=new title`. ValueError says what the form is."""
    old, equals, new = text.partition("=")
    if not equals or not old.strip() or not new.strip():
        raise ValueError(f"'{text}' is no rename: write pattern=new title, for example BIO101*=Biology ({{}})")
    return old.strip(), new.strip()


def _matches(event: Event, pattern: str) -> bool:
    field, text = _split(pattern)
    values = {"title": (event.title,), "category": event.categories, "place": (event.place,)}
    fields = FIELDS if field is None else (field,)
    return any(_fits(value, text) for name in fields for value in values[name])


def _split(pattern: str) -> tuple[str | None, str]:
    field, colon, text = pattern.partition(":")
    if colon and field.strip().lower() in FIELDS:
        return field.strip().lower(), text.strip()
    return None, pattern.strip()


def _fits(value: str, pattern: str) -> bool:
    # brackets are letters here: people write them in titles, and mean no sets
    return fnmatchcase(value.casefold(), pattern.casefold().replace("[", "[[]"))
