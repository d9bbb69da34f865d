"""What is imported in every proof, and what must stand in the LMS after each of its chapters.

A term is imported, the changed term after it, then the changes are undone and the whole is purged. A chapter is run
again and again until its command says that it is done, however often it is killed meanwhile.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.soak import importer
from tests.soak.importer import Process
from tests.soak.sites import Site
from tests.soak.term import File, Lesson, Term, make_term

DONE, UNFINISHED, DONE_BUT_FOR_SOME = 0, 4, 5
REFUSED, UNDONE = 2, "was taken back already"
"""An undo that was killed after it had told the store that it is done is refused when it comes again."""
KILLED = -9
MOST_RUNS = 2000

Run = Callable[[list[str]], int]
"""Runs the command in whatever way the proof is about, and tells its exit status."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Commands that have to be done one after the other, and what stands afterwards."""

    name: str
    commands: list[list[str]]
    lessons: Counter[Lesson]


def term(count: int) -> Term:
    return make_term(count, datetime.now(UTC))


def importing(site: Site, file: File, name: str, term: Term) -> Chapter:
    path = site.folder / f"{name}.ics"
    path.write_bytes(file.data)
    window = ["--from", f"{term.begins:%Y-%m-%d}", "--to", f"{term.ends:%Y-%m-%d}"]
    return Chapter(name, [["import", str(path), "--into", site.calendar, *window]], file.lessons)


def chapters(site: Site, term: Term) -> Iterator[Chapter]:
    """One after the other: what is to be undone is known only when it was done."""
    first = importing(site, term.first, "first", term)
    yield first
    before = set(site.runs())
    yield importing(site, term.changed, "changed", term)
    undone = [["undo", str(run)] for run in site.runs() if run not in before]
    yield Chapter("undone", undone, term.first.lessons)
    yield Chapter("purged", [["purge", "--into", site.calendar, "--name", "upload"]], Counter())


def told(site: Site, run: Run, term: Term) -> None:
    """Tell the whole story in the proof's way. AssertionError where anything is lost, doubled, or written again."""
    for chapter in chapters(site, term):
        for command in chapter.commands:
            _until_done(site, run, command)
        holds(site, chapter.lessons, chapter.name)
        if chapter.name in ("first", "changed"):
            writes_nothing_more(site, chapter)


def _until_done(site: Site, run: Run, command: list[str]) -> None:
    for _ in range(MOST_RUNS):
        status = run(command)
        if status == DONE or (status == REFUSED and UNDONE in said(site)):
            return
        assert status in (UNFINISHED, KILLED), f"{' '.join(command)} ended with {status}: {said(site)}"
    raise AssertionError(f"{' '.join(command)} never came to its end")


def holds(site: Site, lessons: Counter[Lesson], chapter: str) -> None:
    """What stands is what should, each once, and the ledger says the same."""
    for name, found in (("the LMS", site.standing()), ("the ledger", site.ledger())):
        missing, more = lessons - found, found - lessons
        assert not missing + more, (
            f"{site.name}, {chapter}: {name} lacks {missing.total()} and has {more.total()} too many: "
            f"{list(missing)[:3]} {list(more)[:3]}"
        )


def writes_nothing_more(site: Site, chapter: Chapter) -> None:
    """The same once more, over a good line."""
    written = len(site.writes())
    share, every, site.fate.share, site.fate.every = site.fate.share, site.fate.every, 0.0, 0
    status = plainly(site, [*chapter.commands[-1], "--json"])
    site.fate.share, site.fate.every = share, every
    assert (status, len(site.writes())) == (DONE, written), f"the same file wrote again: {said(site)}"
    assert json.loads(said(site))["report"]["unchanged"] == chapter.lessons.total()


def plainly(site: Site, command: list[str]) -> int:
    """Run the command to its end, undisturbed."""
    return ended(begun(site, command))


def begun(site: Site, command: list[str], die_at: int = 0) -> Process:
    return importer.start(site.config, *command, output=site.folder / "output", die_at=die_at)


def ended(process: Process) -> int:
    process.join(300)
    assert process.exitcode is not None, "the importer never came to its end"
    return process.exitcode


def said(site: Site) -> str:
    """The output of the latest command."""
    return (site.folder / "output").read_text("utf-8")
