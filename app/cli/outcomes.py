"""What an import, an undo or a purge came to: printed, and as an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from app.cli.exits import Exit, of_run
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from app.imports.record.outcome import Outcome
    from app.imports.record.routed_outcome import RoutedOutcome


def tell_outcome(outcome: Outcome | RoutedOutcome, as_json: bool) -> NoReturn:
    """Print it, and end with the status that says it."""
    _tell(outcome, as_json)
    sys.exit(of_run(outcome.state, outcome.refused))


def tell_outcomes(outcomes: Sequence[Outcome], as_json: bool) -> NoReturn:
    """Print those of several calendars, and end with the status of the worst."""
    for each in outcomes:
        _tell(each, as_json)
    sys.exit(max((of_run(each.state, each.refused) for each in outcomes), key=_GRAVITY.index, default=Exit.DONE))


_GRAVITY = [Exit.DONE, Exit.REFUSED, Exit.DECIDE, Exit.UNFINISHED, Exit.NOTHING]


def _tell(outcome: Outcome | RoutedOutcome, as_json: bool) -> None:
    if as_json:
        say_json(outcome.to_json())
    else:
        say(outcome.to_text())
