"""What went wrong, as a sentence and an exit status; where it is a fault of ours, so that it can be reported."""

from __future__ import annotations

import errno

from app.cli.exits import Exit

FAULT = "a fault of calbridge itself, {kind}: {error}. Please report it, with what 'calbridge --debug …' prints."


class Stopped(KeyboardInterrupt):
    """Ctrl-C, while something went on of which is known how it is taken up again; the message says so."""


def told(error: Exception) -> tuple[str, Exit]:
    """The sentence for a person, and the exit status. Loads what knows the error only now that there is one."""
    from sqlalchemy.exc import DataError, SQLAlchemyError

    from app.store.leases import Busy
    from app.store.trouble import UNFIT, is_trouble, sentence

    if isinstance(error, DataError):
        return UNFIT, Exit.NOTHING
    if isinstance(error, SQLAlchemyError) and is_trouble(error):
        return sentence(error), Exit.NOTHING
    if isinstance(error, OverflowError):
        return "a date or a number of these lies too far away", Exit.NOTHING
    if isinstance(error, Busy):
        return f"{error}: run it again in a while", Exit.UNFINISHED
    if isinstance(error, _meant()):
        return str(error), Exit.NOTHING
    return FAULT.format(kind=type(error).__name__, error=error), Exit.FAULT


def interruption(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C that this error came of: a driver that is cut off in the midst of a question may raise its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def is_closed_pipe(error: Exception) -> bool:
    """Whether nobody reads any more what is printed: 'head' has seen enough."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _meant() -> tuple[type[Exception], ...]:
    """What the program raises on purpose, with a sentence. ConfigError, NotACalendar and BadBackup are ValueErrors."""
    from alembic.util.exc import CommandError

    from app.care.erasure import NotPurged
    from app.feeds.feed import Disabled, NotReady, Unknown
    from app.store.migrate import NewerStore, OlderStore
    from bridges.errors import BridgeError

    return (
        *(ValueError, OSError, Unknown, Disabled, NotReady),
        *(BridgeError, NotPurged, NewerStore, OlderStore, CommandError),
    )
