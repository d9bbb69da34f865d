"""What the mails say, in plain text. Pure: a run or a subscription in, a subject and a body out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.imports.pull.register import Subscription
from app.imports.pull.rhythm import Standing
from app.imports.record.runs import Run
from app.store.values import when_from_json
from bridges.model import AllDay

FIRST = 10
"""Changes that a mail shows."""
LONGEST = 200
"""Letters of anything that others wrote."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail before it is one; `subject` is one line, whatever the file that it speaks of held."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Row:
    """One change of a stored plan, for people."""

    deed: str
    when: str
    title: str
    place: str
    before: str = ""


def asking(run: Run, zone: ZoneInfo, link: str) -> Letter:
    """A plan that waits for a yes; `link` leads to where it is said."""
    subject = f"calbridge: '{run.source}' into {run.calendar} waits for your yes"
    return Letter(_line(subject), "\n".join(_ask(run, zone, link)))


def _ask(run: Run, zone: ZoneInfo, link: str) -> Iterator[str]:
    until = f"{run.expires_at.astimezone(zone):%A %Y-%m-%d %H:%M} ({zone.key})" if run.expires_at else "now"
    yield f"Nothing was written to {_line(str(run.calendar))}: the plan of '{_line(run.source)}' waits for a yes."
    yield f"\n{counts(run)}.\n\nWhy it waits:\n"
    yield from (f"- {_line(objection, 1000)}" for objection in run.objections)
    yield "\nThe first changes:\n"
    shown = rows(run, zone)
    yield from (_told(row) for row in shown[:FIRST])
    if len(shown) > FIRST:
        yield f"… and {len(shown) - FIRST} more"
    yield f"\nTo see all of it, and to say yes or no:\n\n{link}\n"
    yield f"It waits until {until};\nafter that the file has to come again."
    yield "The link is good for this plan alone, and for whoever has it: do not pass it on."
    yield f"On the server itself: calbridge run show, approve or cancel {run.id}"


def stopped(subscription: Subscription, zone: ZoneInfo) -> Letter:
    """A subscription that is parked, or fails for long."""
    state, name = subscription.state, _line(subscription.wish.source)
    parked = state.standing is Standing.PARKED
    had = f"{state.ok_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})" if state.ok_at else "never"
    said = "is no longer looked at" if parked else "has failed for a day"
    number = subscription.id
    lines = [
        f"The subscription '{name}' into {_line(str(subscription.wish.calendar))} {said}.",
        f"\n{_line(state.problem, 1000)}\n\nThe last whole calendar was had: {had}.",
        "What was written of it stays as it is.",
        f"\nMore: calbridge subscription show {number}",
        f"To look again: calbridge subscription enable {number}" if parked else "It is tried again by itself.",
    ]
    return Letter(_line(f"calbridge: the subscription '{name}' {said}"), "\n".join(lines))


def counts(run: Run) -> str:
    """What a stored plan would do, in numbers."""
    plan = run.plan or {}
    told = [
        f"{plan.get(name, 0)} {word}"
        for name, word in (("create", "new"), ("update", "changed"), ("delete", "deleted"))
    ]
    return f"It would come to {', '.join(told)}, and {plan.get('unchanged', 0)} left as they are"


def rows(run: Run, zone: ZoneInfo) -> Sequence[Row]:
    """The changes of a stored plan, times in `zone`."""
    return [_row(change, zone) for change in (run.plan or {}).get("changes", ())]


def _row(change: dict[str, Any], zone: ZoneInfo) -> Row:
    event, before = change["event"], change.get("before")
    was = f"{_when(before['when'], zone)} {before['title']}" if before else ""
    when = _when(change.get("days") or event["when"], zone)
    return Row(change["deed"], when, event["title"], event.get("place", ""), was)


def _when(data: dict[str, str], zone: ZoneInfo) -> str:
    when = when_from_json(data)
    if isinstance(when, AllDay):
        return f"{when.start:%a %Y-%m-%d}"
    return f"{_in(when.start, zone)} – {when.end.astimezone(zone):%H:%M}"


def _in(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M}"


def _told(row: Row) -> str:
    was = f" (before: {_line(row.before)})" if row.before else ""
    return f"{row.deed:6}  {row.when}  {_line(row.title)}{was}"


def _line(text: str, longest: int = LONGEST) -> str:
    """One line without control characters: nothing that others wrote may look like a header or a line of ours."""
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"
