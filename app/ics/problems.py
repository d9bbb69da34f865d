"""What can go wrong while a calendar is read, as values: problems, limits, and the refusal of a whole file."""

from __future__ import annotations

from dataclasses import dataclass, field


class NotACalendar(ValueError):
    """The bytes are no whole iCalendar file, or more of one than the limits allow; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong: `text` says in a sentence what it was and what was done about it.

    `line` counts the raw lines of the file from 1. `lost` means that an event or a value is missing because of it;
    otherwise it was mended. `uid` is None where the problem is not one event's, or the event's name cannot be told.
    """

    line: int
    text: str
    uid: str | None = None
    lost: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read before we refuse.

    `bytes`, `components` and `depth` refuse the file; `series` cuts one series and `occurrences` the whole reading,
    each with a problem that is `lost`; an event with more than `dates` RDATEs or EXDATEs is left out. Of the problems
    only so many are listed, and the rest is counted.

    Rules that repeat within a day are refused unless `sub_daily`. A rule with several times a day is refused before
    it is run where it may have more than `cost` of them in the window, or all of the file more than `costs`. `work`
    counts the steps of rules that lead to nothing that is shown, over the whole file, and `event_work` those of one
    event: they bound the time of all others, and what exceeds them is left out. `seconds` is how long those who have a
    clock are to let the events of a file be laid out in time (`late`).
    """

    bytes: int = 10 * 1024 * 1024
    components: int = 20_000
    depth: int = 20
    zones: int = 200
    series: int = 10_000
    occurrences: int = 50_000
    sub_daily: bool = True
    cost: int = 100_000
    costs: int = 1_000_000
    work: int = 300_000
    event_work: int = 100_000
    seconds: float = 20
    dates: int = 50_000
    problems: int = 1_000


@dataclass(slots=True)
class Log:
    """The problems of one file: the first `most` of them, how many `more`, and of whom something was `lost`."""

    most: int
    kept: list[Problem] = field(default_factory=list)
    more: int = 0
    lost: set[str | None] = field(default_factory=set)

    def add(self, problem: Problem) -> None:
        if problem.lost:
            self.lost.add(problem.uid)
        if len(self.kept) < self.most:
            self.kept.append(problem)
        else:
            self.more += 1

    def told(self) -> tuple[Problem, ...]:
        """By line; the last one says how many are not told."""
        told = sorted(self.kept, key=lambda one: one.line)
        if self.more:
            told.append(Problem(told[-1].line, f"there are {self.more:,} more problems, which are not listed"))
        return tuple(told)
