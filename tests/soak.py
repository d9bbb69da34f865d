"""Long proofs, with a command of their own: `python -m tests.soak killed --series 200 --weeks 30 --kills 20`.

`killed` imports a timetable into a fake Blackboard over HTTP with the real command line, kills the importer with
SIGKILL again and again, lets it finish, and counts what stands in the LMS.

`faults` imports 50 events into each LMS, with each of its faults at each of its calls (`--stride 1`), in process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from tests.faults import SITES, matrix
from tests.timetable import Lesson, timetable

COURSE = "learn/course/courseId:BIO101"
WINDOW = ("--from", "2026-08-01", "--to", "2027-08-01")


class Learn:
    """A fake Blackboard in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.fakes", "blackboard", "--port", "0", "--journal", f"{folder}/journal"]
        self.journal = folder / "journal"
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        self.url = next(lines).removeprefix("# ").strip()
        connection = [next(lines) for _ in range(7)]
        self.config = folder / "config.toml"
        self.config.write_text(f'store.url = "sqlite:///{folder}/store.sqlite3"\n' + "".join(connection))

    def state(self) -> Any:
        return requests.get(f"{self.url}/_fake/state", timeout=60).json()

    def settings(self, **values: Any) -> None:
        requests.post(f"{self.url}/_fake/settings", json=values, timeout=60)

    def fault(self, **values: Any) -> None:
        requests.post(f"{self.url}/_fake/faults", json=values, timeout=60)

    def written(self) -> int:
        return self.journal.read_bytes().count(b"\n") if self.journal.exists() else 0

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def importer(learn: Learn, file: Path, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """The command that a person would type; nobody reads `output` before it ends, so a long one must not be a pipe."""
    command = [sys.executable, "-m", "app.cli", "import", str(file), "--into", COURSE, *WINDOW, "--json"]
    environment = os.environ | {"CALBRIDGE_CONFIG": str(learn.config)}
    return subprocess.Popen(command, stdout=output, text=True, env=environment)


def kill_after(learn: Learn, process: subprocess.Popen[str], writes: int, delay: float) -> bool:
    """Kill the importer once so many more writes have landed, and a moment later; whether it was still running."""
    goal = learn.written() + writes
    while process.poll() is None and learn.written() < goal:
        time.sleep(0.002)
    time.sleep(delay)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def lessons(items: list[dict[str, Any]]) -> Counter[Lesson]:
    """What stands in the LMS, as the timetable says it."""
    return Counter(
        (item["title"], datetime.fromisoformat(item["start"]), datetime.fromisoformat(item["end"])) for item in items
    )


def killed(series: int, weeks: int, kills: int, seed: int, lost: float) -> str:
    """Run the proof. AssertionError where something was lost or doubled; else what happened, as a sentence."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, expected = timetable(series, weeks)
        (folder / "timetable.ics").write_bytes(data)
        learn = Learn(folder)
        try:
            learn.settings(limit=10**9)
            if lost:
                learn.fault(kind="lost", on="create", times=-1, share=lost)
            step = max(1, len(expected) // (kills + 1))
            hit = 0
            for _ in range(kills):
                process = importer(learn, folder / "timetable.ics", subprocess.DEVNULL)
                hit += kill_after(learn, process, dice.randint(1, step), dice.uniform(0, 0.02))
            runs = finish(learn, folder / "timetable.ics")
            found = lessons(learn.state()["items"])
            assert found == Counter(expected), f"{sum((found - Counter(expected)).values())} too many, "
            creates = sum(entry["do"] == "create" for entry in learn.state()["journal"])
            assert creates == len(expected), f"{creates} creates for {len(expected)} lessons"
            writes = learn.written()
            last = importer(learn, folder / "timetable.ics")
            report = json.loads(last.communicate()[0])["report"]
            assert (report["unchanged"], learn.written()) == (len(expected), writes), "the same file wrote again"
        finally:
            learn.close()
    return f"{len(expected)} lessons, {hit} kills that hit, {runs} runs to finish: each there once, and none again"


def finish(learn: Learn, file: Path) -> int:
    """Run the importer until it says that it is done; how often that was."""
    for run in range(1, 500):
        process = importer(learn, file)
        output, _ = process.communicate(timeout=1200)
        if process.returncode == 0:
            return run
        assert process.returncode == 4, output
    raise AssertionError("the import never came to its end")


def faults(names: list[str], stride: int) -> str:
    """Run the proof. AssertionError where an import did not end with each event once; else what happened."""
    runs = Counter(runs for _, _, _, runs in matrix(names, stride=stride))
    told = ", ".join(f"{count} took {runs} runs" for runs, count in sorted(runs.items()))
    return f"{runs.total()} imports over a bad line, each event there once: {told}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("proof", choices=["killed", "faults"])
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--weeks", type=int, default=30)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lost", type=float, default=0.0, help="share of creates whose answer is lost")
    parser.add_argument("--stride", type=int, default=1, help="of the calls every so many-th gets its faults")
    parser.add_argument("--lms", choices=list(SITES), nargs="*", default=list(SITES))
    given = parser.parse_args()
    if given.proof == "faults":
        print(faults(given.lms, given.stride))
        return
    print(killed(given.series, given.weeks, given.kills, given.seed, given.lost))


if __name__ == "__main__":
    main()
