"""Importers that die: at random moments, at a chosen request of the LMS, at the n-th commit; and answers that get lost.

Each proof takes the name of a sink and says in a sentence what it saw; AssertionError where something was lost,
doubled or written again.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.soak import importer
from tests.soak.line import Fate, Moment
from tests.soak.sites import KINDS, Site, opened
from tests.soak.story import KILLED, begun, ended, plainly, term, told

Progress = Callable[[str], None]


def at_random(sink: str, *, kills: int, events: int, seed: int, lost: float, say: Progress, pace: float = 0.5) -> str:
    """Kill -9 at random moments, at most `pace` seconds after the start, until so many have hit; answers get lost."""
    dice = random.Random(f"{seed} {sink}")
    hit = runs = stories = answers = 0

    def run(site: Site, command: list[str]) -> int:
        nonlocal hit, runs
        runs += 1
        process = begun(site, command)
        process.join(dice.uniform(0, pace) if hit < kills else 300)
        if process.exitcode is None:
            importer.kill(process)
        hit += process.exitcode == KILLED
        say(f"{sink}: {hit} of {kills} kills, {runs} runs, {len(site.writes())} writes stand in the journal")
        return ended(process)

    while hit < kills:
        with tempfile.TemporaryDirectory() as folder:
            fate = Fate(dice, share=lost)
            with opened(sink, Path(folder), fate) as site:
                told(site, lambda command, site=site: run(site, command), term(events))  # type: ignore[misc]
            stories, answers = stories + 1, answers + fate.lost
    return f"{sink}: {hit} kills that hit, {answers} answers lost, {runs} runs, {stories} stories: each lesson once"


def by_the_lms(
    sink: str, *, events: int, requests: Sequence[int], say: Progress, moments: Sequence[Moment] = tuple(Moment)
) -> str:
    """The line kills the importer at a chosen request of each command of the story, at each of the moments."""
    hit = 0
    for moment in moments if KINDS[sink].losses else ():
        for number in requests:
            with tempfile.TemporaryDirectory() as folder:
                fate = Fate(random.Random(0), moment=moment)
                with opened(sink, Path(folder), fate) as site:
                    hit += _struck(site, events, number)
            say(f"{sink}: killed {moment} at request {number}")
    return f"{sink}: {hit} kills by the LMS itself, at requests up to {max(requests)}: each lesson once"


def _struck(site: Site, events: int, number: int) -> int:
    """Each command of the story once under a kill at its `number`th request, then to its end; how many kills hit."""
    struck: set[str] = set()
    hit = 0

    def run(command: list[str]) -> int:
        nonlocal hit
        name = " ".join(command)
        site.fate.victim_at = 0
        if name not in struck:
            struck.add(name)
            site.fate.victim_at = site.fate.requests + number
        process = begun(site, command)
        site.fate.kill = process.kill
        status = ended(process)
        hit += status == KILLED
        return status

    told(site, run, term(events))
    return hit


def at_commits(sink: str, *, events: int, say: Progress, stride: int = 1) -> str:
    """Kill each command of the story at its n-th commit, n = 1, 2, 3 … until it comes to its end without."""
    number, hits, total = 1, 1, 0
    while hits:
        with tempfile.TemporaryDirectory() as folder, opened(sink, Path(folder), Fate(random.Random(0))) as site:
            hits = _dying(site, events, number)
        say(f"{sink}: killed at commit {number}: {hits} commands of the story died of it")
        number, total = number + stride, total + hits
    return f"{sink}: {total} kills at commits up to {number - stride}: each lesson once"


def _dying(site: Site, events: int, number: int) -> int:
    doomed: set[str] = set()
    hits = 0

    def run(command: list[str]) -> int:
        nonlocal hits
        name = " ".join(command)
        first = name not in doomed
        doomed.add(name)
        status = ended(begun(site, command, die_at=number if first else 0))
        hits += status == KILLED
        return status

    told(site, run, term(events))
    return hits


def ambiguous(sink: str, *, events: int, every: Sequence[int], say: Progress) -> str:
    """Each so-many-th answer to a write is lost, in each of the ways."""
    lost = 0
    for step in every:
        for loss in KINDS[sink].losses:
            with tempfile.TemporaryDirectory() as folder:
                fate = Fate(random.Random(0), every=step)
                with opened(sink, Path(folder), fate) as site:
                    fate.losses = (loss,)
                    told(site, lambda command, site=site: plainly(site, command), term(events))  # type: ignore[misc]
                lost += fate.lost
            say(f"{sink}: every {step}. answer {loss}")
    return f"{sink}: {lost} answers lost: each lesson once"


def timed(proof: Callable[[], str]) -> str:
    begun_at = time.monotonic()
    text = proof()
    return f"{text} ({time.monotonic() - begun_at:.0f} s)"
