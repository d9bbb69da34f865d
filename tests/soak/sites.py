"""Each LMS that can be written to, as a process that keeps a journal; and what stands there, by the journal alone.

The journal is append-only: one line for each write that was accepted. A mailbox cannot be read, so what stands in it
is what a calendar client shows that has taken each message of the relay's journal. The calendar of our own has no
process: SQLite itself keeps the journal, by triggers.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests
from sqlalchemy import Select, select

from app.store import tables
from app.store.engine import open_engine
from bridges.contract import PlainMeter, Tools
from bridges.local import LocalBridge, LocalSettings
from bridges.model import CalendarRef, Timed, instant
from tests import stores
from tests.bridges.test_imip import Client
from tests.soak.line import Fate, Loss, line_to
from tests.soak.term import Lesson

ANN = "ann@example.edu"
OSLO = ZoneInfo("Europe/Oslo")
QUICK = "backoff_seconds = 0\npatience_seconds = 0\n"

Standing = dict[str, Lesson]
"""By the id that the LMS gave."""


class Doubled(AssertionError):
    """At some moment one lesson stood there twice."""


@dataclass(frozen=True, slots=True)
class Site:
    """A fresh LMS with a line to it, and the configuration of a calbridge with an empty store."""

    name: str
    calendar: str
    folder: Path
    fate: Fate
    config: Path
    writes: Callable[[], list[Any]]
    replay: Callable[[list[Any]], Counter[Lesson]]
    store: str

    def standing(self) -> Counter[Lesson]:
        """The lessons that stand there. Doubled where one ever stood twice."""
        return self.replay(self.writes())

    def ledger(self) -> Counter[Lesson]:
        """The lessons of which our ledger says that they stand. AssertionError where anything is pending."""
        rows = self._kept(select(tables.entry.c.state, tables.entry.c.event))
        pending = [state for state, _ in rows if state.startswith("pending")]
        assert not pending, f"{len(pending)} entries are pending"
        return Counter(_lesson(event) for state, event in rows if state == "present")

    def runs(self) -> list[int]:
        """The numbers of the imports that changed something, newest first."""
        column = tables.import_change.c.run_id
        return [run for (run,) in self._kept(select(column).distinct().order_by(column.desc()))]

    def _kept(self, query: Select[Any]) -> Sequence[Any]:
        engine = open_engine(self.store)
        try:
            with engine.connect() as connection:
                return connection.execute(query).all()
        finally:
            engine.dispose()


def _lesson(event: dict[str, Any]) -> Lesson:
    start, end = (datetime.fromisoformat(event["when"][name]).astimezone(UTC) for name in ("start", "end"))
    return event["title"], start, end


# What the journals say


def _deeds(rows: list[dict[str, Any]], id: str, title: str, start: str, end: str) -> Counter[Lesson]:
    """The journal of an LMS, line by line."""
    standing: Standing = {}
    for row in rows:
        if row["do"] == "delete":
            standing.pop(row[id], None)
            continue
        lesson = row[title], _moment(row[start]), _moment(row[end])
        if lesson in standing.values() and standing.get(row[id]) != lesson:
            raise Doubled(f"{lesson} stood there twice")
        standing[row[id]] = lesson
    return Counter(standing.values())


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=OSLO)).astimezone(UTC)


def _learn(rows: list[Any]) -> Counter[Lesson]:
    return _deeds(rows, "id", "title", "start", "end")


def _space(rows: list[Any]) -> Counter[Lesson]:
    return _deeds(rows, "CalendarEventId", "Title", "StartDateTime", "EndDateTime")


def _its(rows: list[Any]) -> Counter[Lesson]:
    taken = [row for row in rows if row["type"] == "Info"]
    created = Counter(row["key"] for row in taken if row["do"] == "create")
    assert created.total() == len(created), "a key was used twice"
    return _deeds(taken, "key", "Title", "StartDateTime", "EndDateTime")


def _mail(rows: list[Any]) -> Counter[Lesson]:
    client = Client()
    for row in rows:
        client.take(message_from_string(row["message"], EmailMessage, policy=SMTP))
    shown = [each.event for each in client.found()]
    assert all(isinstance(event.when, Timed) for event in shown)
    found = Counter((event.title, instant(event.when.start), instant(event.when.end)) for event in shown)  # type: ignore[arg-type]
    if doubled := [lesson for lesson, times in found.items() if times > 1]:
        raise Doubled(f"{doubled[0]} is shown twice")
    return found


def _local(rows: list[Any]) -> Counter[Lesson]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    told = [
        {"do": do, "id": id, "title": title}
        | {name: (epoch + timedelta(microseconds=at)).isoformat() for name, at in (("start", start), ("end", end))}
        for do, id, title, start, end in rows
    ]
    return _deeds(told, "id", "title", "start", "end")


# The processes


def _json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@dataclass(frozen=True, slots=True)
class _Kind:
    calendar: str
    replay: Callable[[list[Any]], Counter[Lesson]]
    more: str = ""
    losses: tuple[Loss, ...] = tuple(Loss)


KINDS = {
    "blackboard": _Kind("learn/course/_12594_1", _learn, QUICK),
    "brightspace": _Kind("d2l/course/6700", _space, QUICK),
    "itslearning": _Kind("its/course/CourseSyncKey:bio-9b-2026", _its, f"{QUICK}batch = 5\n"),
    # a relay that answers 4xx or 5xx has not taken the message (RFC 5321 section 4.2.5)
    "imip": _Kind(f"mail/person/{ANN}", _mail, "daily_cap = 1000000\n", (Loss.CLOSED, Loss.RESET, Loss.HALF)),
    "local": _Kind("local/course/bio", _local, losses=()),
}
"""Every sink, by the name of its bridge."""


@contextmanager
def opened(name: str, folder: Path, fate: Fate, store: str = "") -> Iterator[Site]:
    """A fresh LMS in a process of its own, while the block lasts. `store` is the URL of calbridge's, if it is no new
    one."""
    kind = KINDS[name]
    fate.losses = kind.losses
    journal, config = folder / "journal", folder / "config.toml"
    url = store or stores.url(folder / "store.sqlite3")
    with ExitStack() as stack:
        if name == "local":
            connection = _own_calendar(folder)
            writes = lambda: _rows(folder / "lms.sqlite3")  # noqa: E731
        else:
            connection = stack.enter_context(_faked(name, journal, fate))
            writes = lambda: _json_lines(journal)  # noqa: E731
        key = "" if url.startswith("sqlite") else f'store.key = "{"k" * 43}="\n'
        config.write_text(f'store.url = "{url}"\n{key}{connection}{kind.more}')
        yield Site(name, kind.calendar, folder, fate, config, writes, kind.replay, url)


@contextmanager
def _faked(name: str, journal: Path, fate: Fate) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.fakes", name, "--port", "0", "--journal", str(journal)]
    with subprocess.Popen([*command, "--write", f"{journal}.toml"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("# ").strip()
        process.stdout.readline()
        if name == "blackboard":
            requests.post(f"{url}/_fake/settings", json={"limit": 10**9}, timeout=60)
        if name == "brightspace":
            requests.post(f"{url}/_fake/settings", json={"cost": 0}, timeout=60)
        try:
            with line_to(url, fate) as line:
                yield _through(Path(f"{journal}.toml").read_text(), url, line)
        finally:
            process.kill()


def _through(connection: str, url: str, line: str) -> str:
    """The connection over the line."""
    old, new = (each.rpartition(":")[2] for each in (url, line))
    return connection.replace(url, line).replace(f"port = {old}", f"port = {new}")


def _own_calendar(folder: Path) -> str:
    url = f"sqlite:///{folder}/lms.sqlite3"
    tools = Tools(lambda: datetime.now(UTC), requests.Session, PlainMeter(), url)
    bridge = LocalBridge("local", LocalSettings(), tools)
    bridge.add_calendar(CalendarRef.parse(KINDS["local"].calendar), "Biology")
    bridge.close()
    with closing(sqlite3.connect(folder / "lms.sqlite3")) as database:
        database.execute("CREATE TABLE journal (n INTEGER PRIMARY KEY, deed, id, title, starts, ends)")
        for deed, when, row in (("create", "INSERT", "new"), ("update", "UPDATE", "new"), ("delete", "DELETE", "old")):
            database.execute(
                f"CREATE TRIGGER journal_{deed} AFTER {when} ON local_event BEGIN "
                f"INSERT INTO journal (deed, id, title, starts, ends) "
                f"VALUES ('{deed}', {row}.id, {row}.title, {row}.starts, {row}.ends); END"
            )
        database.commit()
    return f'[lms.local]\nbridge = "local"\ndatabase = "{url}"\n'


def _rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT deed, id, title, starts, ends FROM journal ORDER BY n").fetchall()
