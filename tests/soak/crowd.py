"""Several importers of one file into one calendar at once: one wins the lease, the others say busy, nothing doubles."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.postgresql import schema
from tests.soak import importer
from tests.soak.line import Fate
from tests.soak.sites import KINDS, Site, opened
from tests.soak.story import DONE, ended, importing, plainly, term

SKEW = 0.05
"""Seconds within which all of them start."""
BUSY = "is being worked on right now"
PURGE = ["purge", "--into", KINDS["blackboard"].calendar, "--name", "upload"]


def everywhere(*, rounds: int, events: int, seed: int, say: Callable[[str], None]) -> Iterator[str]:
    """Two and four at once, on SQLite and on PostgreSQL."""
    for database in ("sqlite", "postgresql"):
        for size in (2, 4):
            yield at_once(database, size, rounds=rounds, events=events, seed=seed, say=say)


def at_once(database: str, size: int, *, rounds: int, events: int, seed: int, say: Callable[[str], None]) -> str:
    """AssertionError where anything is doubled or lost, or an importer ends otherwise than done or busy."""
    dice, ends = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, opened("blackboard", Path(folder), Fate(dice)) as site:
        for number in range(rounds):
            with _fresh_store(site, database, number):
                ends += _one_round(site, events, size, dice)
                assert plainly(site, PURGE) == DONE
            say(f"{database}, {size} at once: round {number + 1} of {rounds}, {dict(ends)}")
    return f"{size} at once on {database}, {rounds} rounds: {dict(ends)}, each lesson once"


@contextmanager
def _fresh_store(site: Site, database: str, number: int) -> Iterator[None]:
    """Each round has a store that does not exist yet."""
    with schema() if database == "postgresql" else nullcontext(f"sqlite:///{site.folder}/{number}.sqlite3") as url:
        rest = [line for line in site.config.read_text("utf-8").splitlines() if not line.startswith("store.")]
        lines = [f'store.url = "{url}"', f'store.key = "{"k" * 43}="', *rest]
        site.config.write_text("\n".join(lines), "utf-8")
        yield


def _one_round(site: Site, events: int, size: int, dice: random.Random) -> Counter[str]:
    whole = term(events)
    chapter = importing(site, whole.first, "first", whole)
    outputs = [site.folder / f"output-{number}" for number in range(size)]
    before = len(site.writes())
    crowd = [
        importer.start(site.config, *chapter.commands[0], output=output, delay=dice.uniform(0, SKEW))
        for output in outputs
    ]
    ends = Counter(
        _end(ended(process), output.read_text("utf-8")) for process, output in zip(crowd, outputs, strict=True)
    )
    assert ends["done"] >= 1, f"nobody won: {ends}"
    assert site.standing() == chapter.lessons
    assert len(site.writes()) - before == chapter.lessons.total()
    return ends


def _end(status: int, output: str) -> str:
    if status == DONE:
        return "done"
    assert BUSY in output, f"an importer ended with {status}: {output}"
    return "busy"
