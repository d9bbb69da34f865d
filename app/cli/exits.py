"""What a command ends with: one exit status for each thing that its caller may want to know."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of every command. `meaning` is what README says of it."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Exit:
        made = int.__new__(cls, value)
        made._value_ = value
        made.meaning = meaning
        return made

    DONE = 0, "done, and all is well"
    ATTENTION = 1, "done, and something wants attention: it is said what"
    NOTHING = 2, "nothing could be read or written: standard error says why, and what to do"
    DECIDE = (
        3,
        "waits for a person: a plan is held, people changed what was imported, a calendar program refuses a feed",
    )
    UNFINISHED = 4, "unfinished, or somebody else is at it: run it again"
    REFUSED = 5, "done, but the LMS or its rules refused some events"
    FAULT = 70, "a fault of calbridge itself: please report it, with what `--debug` prints"
    STOPPED = 130, "stopped by whoever ran it, with Ctrl-C or a 'no': standard error says how to go on"


def of_run(state: str, refused: bool) -> Exit:
    """That of an import, undo or purge which ended in this state."""
    if refused and state == "done":
        return Exit.REFUSED
    known = {"done": Exit.DONE, "dry": Exit.DONE, "held": Exit.DECIDE}
    known |= dict.fromkeys(("left", "paused", "cancelled"), Exit.UNFINISHED)
    return known.get(state, Exit.NOTHING)


def of_visit(what: str) -> Exit:
    """That of one pull of a subscription."""
    known = {"done": Exit.DONE, "unchanged": Exit.DONE, "held": Exit.DECIDE}
    return known.get(what, Exit.UNFINISHED if what in {"left", "busy"} else Exit.NOTHING)


def of_check(look: str) -> Exit:
    """That of one comparison of a calendar with what was written."""
    known = {"same": Exit.DONE, "drifted": Exit.DECIDE, "doubtful": Exit.DECIDE}
    return known.get(look, Exit.UNFINISHED if look in {"left", "busy"} else Exit.NOTHING)
