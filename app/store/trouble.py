"""What a database says when it cannot go on, as a sentence: what is wrong, and what to do about it."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

OURS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""These are no trouble of the database's: a fault of this program."""

UNFIT = "a text or a number of these cannot be kept: it is too long, too large, or holds a NUL"
"""For a DataError: SQLite takes more than PostgreSQL."""

_SAID = (
    (
        ("database or disk is full", "no space left on device", "disk full"),
        "the disk of the database is full: make room there, and it goes on by itself",
    ),
    (
        ("readonly database", "read-only transaction", "read-only mode"),
        "the database can be read and not written: its disk, its file or its server is read-only",
    ),
    (("database is locked", "database table is locked"), "another process keeps the database locked: try again"),
    (("disk i/o error",), "the disk of the database cannot be read or written: look at the disk and its log"),
    (("unable to open database file",), "the file of the database cannot be opened: look at its folder and its rights"),
    (
        ("malformed", "not a database", "invalid page", "could not read block"),
        "the database is damaged: stop calbridge, see what 'calbridge check-store' says, move the damaged file away "
        "and bring back the last backup with 'calbridge restore FILE'",
    ),
    (("too many connections", "too many clients", "connection slots"), "the database takes no more connections now"),
    (("deadlock detected", "could not serialize"), "two changes were in each other's way: try again"),
    (
        ("connection", "server closed", "terminating", "starting up", "shutting down", "timeout expired", "ssl"),
        "the database cannot be reached: is its server running?",
    ),
)


def is_trouble(error: Exception) -> bool:
    """Whether the database is at fault or its surroundings, and not what we asked of it."""
    return isinstance(error, DBAPIError | NoConnection) and not isinstance(error, OURS)


def sentence(error: Exception, url: str = "") -> str:
    """The error for people, without what was asked; `url` adds which file it is about."""
    if isinstance(error, NoConnection):
        return "all connections to the database are in use: try again"
    said = str(getattr(error, "orig", None) or error).strip()
    reason = next((text for words, text in _SAID if any(word in said.lower() for word in words)), "")
    first = said.splitlines()[0] if said else type(error).__name__
    return f"{_file(url)}{reason} ({first})" if reason else f"{_file(url)}{first}"


def _file(url: str) -> str:
    where = make_url(url) if url.startswith("sqlite") else None
    return f"{where.database}: " if where is not None and where.database else ""
