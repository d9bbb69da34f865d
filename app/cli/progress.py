"""How far a long work is, on standard error: a bar on a terminal, else a line now and then; Ctrl-C ends it cleanly."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.cli.common import is_quiet
from app.cli.faults import Stopped
from app.cli.terminal import say

Progress = Callable[[int, int], None]
"""Is told how much is done, of how much in all; 0 while that is not known."""
NOW_AND_THEN = 15.0
"""Seconds between two lines."""
AGAIN = "Run the same command again: what was done already is known, and is not done twice."


@contextmanager
def bar(doing: str, *, go_on: str = AGAIN) -> Iterator[Progress]:
    """A progress to hand to whatever is `doing` something; `go_on` tells whoever stops it how to take it up again."""
    try:
        if is_quiet():
            yield lambda done, of: None
        elif sys.stderr.isatty():
            with _bar(doing) as progress:
                yield progress
        else:
            yield lines(doing)
    except KeyboardInterrupt:
        raise Stopped(go_on) from None


def lines(doing: str, clock: Callable[[], float] = time.monotonic) -> Progress:
    """A line each quarter of a minute, for logs; what is done sooner says nothing. `clock` counts seconds."""
    last = clock()

    def progress(done: int, of: int) -> None:
        nonlocal last
        if clock() - last >= NOW_AND_THEN:
            last = clock()
            say(f"{doing}: {_counted(done, of) or 'begun'}", err=True)

    return progress


@contextmanager
def _bar(doing: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(doing, total=None, count="")
        yield lambda done, of: shown.update(task, completed=done, total=of or None, count=_counted(done, of))


def _counted(done: int, of: int) -> str:
    return f"{done:,} of {of:,}" if of else ""
