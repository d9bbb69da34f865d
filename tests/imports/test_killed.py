"""kill -9, for real: a process dies, the next takes over its lease at once, and nothing is lost or twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests import stores
from tests.imports.bench import HERE, SCOPE, Bench, term
from tests.imports.killed import bridge

EVENTS = 120


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.imports.killed", str(path), str(EVENTS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_process_killed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = stores.at(path)
    bridge(path).add_calendar(HERE, "One")
    chance = random.Random(7)
    for _ in range(5):
        with start(path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            time.sleep(chance.uniform(0.01, 0.15))
            process.kill()
    with start(path) as process:
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, f"running\n{HERE} done\n")
    found = [each.event for each in bridge(path).read(HERE, SCOPE)]
    assert Counter(found) == Counter(term(EVENTS).values())
    entries = Bench(engine).entries()
    assert len([entry for entry in entries.values() if entry.live]) == EVENTS
    engine.dispose()
