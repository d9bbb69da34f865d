"""A bar on the terminal while a run goes on: on standard error, and nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import click


@contextmanager
def bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress to hand to imports (changes made, changes in all); None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as stack:
        shown: list[click._termui_impl.ProgressBar[int]] = []

        def progress(done: int, of: int) -> None:
            if not shown:
                shown.append(stack.enter_context(click.progressbar(length=of, label="written", file=sys.stderr)))
            shown[0].update(done - shown[0].pos)

        yield progress
