"""calbridge's command line in a process of its own, started fast and killed at will.

A fork server has the modules loaded, so that a start costs a twentieth of a second; what runs is the whole command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.soak.importer", "tests.soak.loaded"])

Process = ForkServerProcess


def start(config: Path, *words: str, output: Path, die_at: int = 0, delay: float = 0) -> Process:
    """Run `calbridge *words`, its output to a file. It kills itself at the `die_at`th commit (0: never)."""
    process = _forks.Process(target=_run, args=(str(config), words, str(output), die_at, delay))
    process.start()
    return process


def kill(process: Process) -> None:
    """SIGKILL, and wait until the process is gone."""
    process.kill()
    process.join()


def _run(config: str, words: Sequence[str], output: str, die_at: int, delay: float) -> None:
    time.sleep(delay)
    os.environ["CALBRIDGE_CONFIG"] = config
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if die_at:
        _doom(die_at)
    from app.cli import main

    main(args=list(words), prog_name="calbridge")


def _doom(at: int) -> None:
    from sqlalchemy import Connection, Engine, event

    passed = 0

    @event.listens_for(Engine, "commit")
    def count(connection: Connection) -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
