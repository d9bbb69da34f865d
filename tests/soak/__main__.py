"""Long proofs, with a command of their own: `python -m tests.soak killed --kills 100 --lost 0.05 --seed 1`.

killed     kill -9 at random moments of an import, a changed import, an undo and a purge, with answers lost meanwhile
struck     the LMS kills the importer itself: on receipt, after the work, within the answer, after it
commits    kill -9 at the n-th commit, for every n
ambiguous  each 2nd, 3rd, 7th answer to a write is lost, in each of the ways
crowd      two and four importers of one file at once
campus     two web and three worker processes on PostgreSQL and Redis, each killed in turn (`--calendars 500`)
timing     refusals of nearly right and of random feed addresses take equally long (`--requests 20000`)
statements the store fails at the n-th statement or commit of an import, for every n (`--stride 1`), in process
faults     50 events into each LMS, with each of its faults at each of its calls (`--stride 1`), in process
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests import stores
from tests.campus import open_campus
from tests.faults import SITES, matrix
from tests.nth import imports_survive
from tests.soak import campus, crowd, killed, timing
from tests.soak.sites import KINDS


def say(text: str) -> None:
    """Progress, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def faults(names: list[str], stride: int) -> str:
    """Run the proof. AssertionError where an import did not end with each event once; else what happened."""
    runs = Counter(runs for _, _, _, runs in matrix(names, stride=stride))
    told = ", ".join(f"{count} took {runs} runs" for runs, count in sorted(runs.items()))
    return f"{runs.total()} imports over a bad line, each event there once: {told}"


def statements(stride: int) -> str:
    """On the engine that CALBRIDGE_TEST_STORE names. AssertionError where one did not end with each event once."""
    with tempfile.TemporaryDirectory() as folder:
        parts = open_campus(Path(folder))
        try:
            tried = imports_survive(parts, stride)
        finally:
            parts.close()
            stores.take_back()
            stores.drop()
    return f"{tried} imports on {stores.ON}, each cut off at another statement or commit, each event there once"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "proof",
        choices=["killed", "struck", "commits", "ambiguous", "crowd", "campus", "statements", "faults", "timing"],
    )
    parser.add_argument("--lms", choices=list(KINDS), nargs="*", default=list(KINDS))
    parser.add_argument("--events", type=int, help="lessons of the term (usually 300, or as few as the proof allows)")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lost", type=float, default=0.03, help="share of the answers to writes that are lost")
    parser.add_argument("--requests", type=int, help="the last at which the LMS kills (50), all of timing (20000)")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calendars", type=int, default=500)
    parser.add_argument("--stride", type=int, default=1, help="only each so-many-th request, commit or call")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the fakes end with us
    print(f"seed {given.seed}", flush=True)
    if given.proof == "faults":
        print(faults([name for name in given.lms if name in SITES], given.stride))
        return
    if given.proof == "statements":
        print(statements(given.stride))
        return
    if given.proof == "timing":
        print(timing.measured(given.requests or 20_000))
        return
    if given.proof == "campus":
        print(campus.killed_in_turn(events=given.events or 10_000, calendars=given.calendars, say=say), flush=True)
        return
    if given.proof == "crowd":
        for text in crowd.everywhere(rounds=given.rounds, events=given.events or 10, seed=given.seed, say=say):
            print(text, flush=True)
        return
    for sink in given.lms:
        print(killed.timed(lambda sink=sink: _proof(sink, given)), flush=True)  # type: ignore[misc]


def _proof(sink: str, given: argparse.Namespace) -> str:
    few = given.events or 20
    match given.proof:
        case "struck":
            numbers = list(range(1, (given.requests or 50) + 1, given.stride))
            return killed.by_the_lms(sink, events=few, requests=numbers, say=say)
        case "commits":
            return killed.at_commits(sink, events=few, stride=given.stride, say=say)
        case "ambiguous":
            return killed.ambiguous(sink, events=given.events or 40, every=[2, 3, 7], say=say)
    events = given.events or 300
    return killed.at_random(sink, kills=given.kills, events=events, seed=given.seed, lost=given.lost, say=say)


if __name__ == "__main__":
    main()
