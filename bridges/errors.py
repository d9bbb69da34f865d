"""What can go wrong at an LMS, named by the caller's next step.

`str(error)` is a plain sentence for people; `raw` is the LMS's own answer, for the log alone.
"""

from __future__ import annotations


class BridgeError(Exception):
    """Base of the three decisions below; raised only as one of them."""

    def __init__(self, message: str, *, raw: str = "") -> None:
        super().__init__(message)
        self.raw = raw


class Transient(BridgeError):
    """The LMS is away, busy or out of quota: stop, keep the rest, come back after `retry_after` seconds (None: unsaid).

    After a write this also means that the answer may have been lost: the change may have landed.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, raw: str = "") -> None:
        super().__init__(message, raw=raw)
        self.retry_after = retry_after


class NotSent(Transient):
    """A Transient that came before anything left: whatever was to be changed is surely as it was."""


def unsent(stop: BridgeError) -> BridgeError:
    """What is said of a change that was not tried because of `stop`."""
    if isinstance(stop, NotSent) or not isinstance(stop, Transient):
        return stop
    return NotSent(str(stop), retry_after=stop.retry_after, raw=stop.raw)


class Rejected(BridgeError):
    """This one change cannot be had; go on with the others."""


class Gone(Rejected):
    """What should be read or changed is not there (any more)."""


class KeyTaken(Rejected):
    """The SyncKey was used before: our earlier try landed, or the key is spent."""


class Denied(BridgeError):
    """Nothing on this connection or calendar can succeed until a person changes something."""
