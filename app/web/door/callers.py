"""Who calls, and what that caller may do, as values. Pure.

Four kinds of caller: this machine's own user while nobody else was let in, the bearer of an API token, a person who
signed in, and everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase

from bridges.model import CalendarRef

SAFE = {"GET", "HEAD", "OPTIONS"}
CLOSED = ("/api", "/metrics", "/import", "/imports", "/subscriptions", "/drift", "/doctor")
"""Paths that are not for everybody, even to read."""
OPEN = ("/api", "/api/", "/api/openapi.json")
"""What tells how to call: for everybody."""
SIGNED = ("/approve", "/feeds")
"""Paths that are a credential of their own: signed and good for one thing, or secret and good for one feed."""
ADMINISTERING = ("/admin", "/api/tokens", "/api/admins", "/api/links", "/api/settings", "/api/audit")
"""Paths that only administrators see: who has which token, what is configured, who did what."""
IMPORTING = ("/imports", "/api/imports", "/api/explain", "/doctor", "/api/doctor")
"""Paths where a calendar file is handed in and followed: for those who may import, also into few calendars."""

OF_A_COURSE = ("/import", *IMPORTING)
"""All that whoever came from inside a course sees of what is closed: other people's courses are none of theirs."""


class Right(IntEnum):
    """What a caller may do; each holds those before it."""

    NONE = 0
    READ = 1
    """See what the API and the administration show."""
    IMPORT = 2
    """Write calendar files into calendars."""
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """`calendars` are patterns (`learn/course/*`) of those that may be written into; None: all of them.

    `name` is for the log of who did what. `by_cookie` says that a browser sends the credential by itself, so that
    what writes has to prove that it comes from a page of ours.
    """

    name: str
    right: Right
    calendars: tuple[str, ...] | None = None
    by_cookie: bool = False

    def may(self, right: Right) -> bool:
        return self.right >= right

    def may_write_into(self, calendar: CalendarRef) -> bool:
        """Whether this caller may import there."""
        if not self.may(Right.IMPORT):
            return False
        return self.calendars is None or any(fnmatchcase(str(calendar), each) for each in self.calendars)


NOBODY = Caller("nobody", Right.NONE)
AT_THE_MACHINE = Caller("at the machine", Right.ADMIN)


def needed(method: str, path: str) -> Right:
    """What a request asks its caller to be allowed to.

    Whatever writes is the administrator's, but for imports. Reading feeds has its own credential, the feed's address,
    and never asks for more: an Authorization header that a calendar client sends by itself is ignored.
    """
    if is_signed(path) or (method in SAFE and path in OPEN):
        return Right.NONE
    if _is_within(path, ADMINISTERING):
        return Right.ADMIN
    if method in SAFE:
        return Right.READ if _is_within(path, CLOSED) else Right.NONE
    return Right.IMPORT if _is_within(path, IMPORTING) else Right.ADMIN


def is_of_a_course(path: str) -> bool:
    """Whether the path is for those, too, who came from inside a course."""
    return _is_within(path, OF_A_COURSE)


def is_signed(path: str) -> bool:
    """Whether the path is a credential of its own."""
    return _is_within(path, SIGNED)


def _is_within(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
