"""What a feed shows of its calendars and how: filters, privacy, renames, cancelled events, alarms, colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from bridges.model import Event, Status

BUSY = "Busy"
GONE = "Cancelled: "
ARROW = "=>"
COLOURS: Mapping[str, str] = {
    "black": "#000000",
    "blue": "#0000FF",
    "brown": "#A52A2A",
    "crimson": "#DC143C",
    "gold": "#FFD700",
    "gray": "#808080",
    "green": "#008000",
    "magenta": "#FF00FF",
    "maroon": "#800000",
    "navy": "#000080",
    "olive": "#808000",
    "orange": "#FFA500",
    "purple": "#800080",
    "red": "#FF0000",
    "teal": "#008080",
    "turquoise": "#40E0D0",
}
"""COLOR wants a name of CSS (RFC 7986 section 5.9), Apple the numbers."""


class Cancelled(StrEnum):
    """What becomes of cancelled events: Outlook shows them as if they took place, so that leaving them out is usual.

    MARK says it in the title of an event that keeps nobody busy, which every client shows; SHOW in STATUS, which
    Google takes for a deletion; BOTH in both.
    """

    OMIT = "omit"
    MARK = "mark"
    SHOW = "show"
    BOTH = "both"


class Privacy(StrEnum):
    """How much of an event is told."""

    FULL = "full"
    NO_DESCRIPTION = "no-description"
    BUSY_ONLY = "busy-only"


@dataclass(frozen=True, slots=True)
class Policies:
    """What a feed shows. Patterns are those of a shell, whatever the case; one that begins with `!` leaves out.

    `back` and `ahead` are days, None for as many as are read; `alarm` is minutes before the start; `rename` holds
    `pattern=>new title`, of which the first that fits counts; `tag` holds `pattern=>category`, which all events get of
    a calendar whose name fits. With `utc` the times of an iCalendar stream are in UTC and in no zone. With
    `learningspace` it answers at LearningSpace's own addresses, too; with `cors` the scripts of any page may read it;
    without `gzip` it is never compressed.
    """

    cancelled: Cancelled = Cancelled.OMIT
    privacy: Privacy = Privacy.FULL
    back: int | None = None
    ahead: int | None = None
    kind: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()
    alarm: int | None = None
    colour: str = ""
    learningspace: bool = False
    cors: bool = False
    gzip: bool = True
    tag: tuple[str, ...] = ()
    utc: bool = False

    def to_json(self) -> dict[str, Any]:
        """Only what is not as usual, so that a policy added later changes nothing that is kept."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value != getattr(USUAL, name)
        }


USUAL = Policies()


def from_json(data: Mapping[str, Any] | None) -> Policies:
    """The inverse of `to_json`; None is the usual."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (data or {}).items()
    }
    if "cancelled" in values:
        values["cancelled"] = Cancelled(values["cancelled"])
    if "privacy" in values:
        values["privacy"] = Privacy(values["privacy"])
    return replace(USUAL, **values)


def changed(policies: Policies, settings: Iterable[str]) -> Policies:
    """The policies with these `key=value` settings; an empty value brings back the usual. ValueError says what fits."""
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign or name not in _READ:
            raise ValueError(f"'{setting}' sets nothing: write key=value; the keys are {', '.join(_READ)}")
        try:
            value: Any = _READ[name](text.strip()) if text.strip() else getattr(USUAL, name)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        policies = replace(policies, **{name: value})
    return policies


def applied(policies: Policies, event: Event, kind: str = "", calendar: str = "") -> Event | None:
    """The event as the feed tells it, None for one that it does not show.

    `kind` is the LMS's word for it, `calendar` the name of where it stands.
    """
    cancelled = event.status is Status.CANCELLED
    if (cancelled and policies.cancelled is Cancelled.OMIT) or not _wanted(policies, event, kind):
        return None
    event = _private(policies.privacy, _tagged(policies.tag, _renamed(policies.rename, event), calendar))
    if cancelled and policies.cancelled in (Cancelled.MARK, Cancelled.BOTH):
        status = Status.CONFIRMED if policies.cancelled is Cancelled.MARK else Status.CANCELLED
        event = replace(event, title=f"{GONE}{event.title}", status=status)
    return event


def _wanted(policies: Policies, event: Event, kind: str) -> bool:
    return (
        fits(policies.kind, (kind,))
        and fits(policies.category, event.categories)
        and fits(policies.title, (event.title,))
    )


def fits(patterns: tuple[str, ...], texts: Iterable[str]) -> bool:
    """Whether one of the texts fits a pattern, or there is none to fit, and none fits a pattern that leaves out."""
    if not patterns:
        return True
    folded = [text.strip().casefold() for text in texts]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return (not wanted or _any(wanted, folded)) and not _any(unwanted, folded)


def _any(patterns: Iterable[str], folded: Iterable[str]) -> bool:
    return any(fnmatchcase(text, pattern.casefold()) for pattern in patterns for text in folded)


def _renamed(rules: tuple[str, ...], event: Event) -> Event:
    for rule in rules:
        pattern, _, title = rule.partition(ARROW)
        if _any([pattern.strip()], [event.title.strip().casefold()]):
            return replace(event, title=title.strip())
    return event


def _tagged(rules: tuple[str, ...], event: Event, calendar: str) -> Event:
    """The event with the categories of its calendar first, for clients that give an event one colour."""
    parts = (rule.partition(ARROW) for rule in rules)
    tags = [tag.strip() for pattern, _, tag in parts if _any([pattern.strip()], [calendar.casefold()])]
    return replace(event, categories=tuple(dict.fromkeys([*tags, *event.categories]))) if tags else event


def _private(privacy: Privacy, event: Event) -> Event:
    if privacy is Privacy.BUSY_ONLY:
        return Event(BUSY, event.when, status=event.status)
    return replace(event, text="") if privacy is Privacy.NO_DESCRIPTION else event


def _ahead(text: str) -> int:
    if text == "0":
        raise ValueError("a feed shows at least one day, today")
    return _days(text)


def _days(text: str) -> int:
    return _number(text, 3650, "days")


def _minutes(text: str) -> int | None:
    return None if text == "none" else _number(text, 40320, "minutes")


def _number(text: str, most: int, unit: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= most):
        raise ValueError(f"'{text}' is no number of {unit}, 0 to {most}")
    return int(text)


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(part for each in text.split("|") if (part := each.strip()))


def _rules(old: str, new: str) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        rules = _patterns(text)
        for rule in rules:
            pattern, arrow, wanted = rule.partition(ARROW)
            if not arrow or not pattern.strip() or not wanted.strip():
                raise ValueError(f"'{rule}' changes nothing: write '{old}{ARROW}{new}', several with |")
        return rules

    return read


def _colour(text: str) -> str:
    if text not in COLOURS:
        raise ValueError(f"'{text}' is none of {', '.join(COLOURS)}")
    return text


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(f"'{text}' is neither on nor off")
    return text == "on"


def _one_of(kind: type[Cancelled] | type[Privacy]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        if text not in list(kind):
            raise ValueError(f"'{text}' is none of {', '.join(kind)}")
        return kind(text)

    return read


_READ: Mapping[str, Callable[[str], object]] = {
    "back": _days,
    "ahead": _ahead,
    "kind": _patterns,
    "category": _patterns,
    "title": _patterns,
    "rename": _rules("old title", "new title"),
    "tag": _rules("calendar", "category"),
    "privacy": _one_of(Privacy),
    "cancelled": _one_of(Cancelled),
    "alarm": _minutes,
    "colour": _colour,
    "learningspace": _switch,
    "cors": _switch,
    "gzip": _switch,
    "utc": _switch,
}
