"""Serves calbridge to a real browser and has one of `walks/` walked in it; a walk says what it met."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import stores
from tests.servers import answers, free_port, until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHROMIUM = shutil.which("chromium")
Told = dict[str, dict[str, Any]]
"""What a walk met, by the kind of browser: steps, faults (of accessibility), wide (pages), errors, found."""


@dataclass(frozen=True, slots=True)
class Served:
    """A calbridge with its worker, in a folder of its own."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *words: str) -> str:
        """What a command of calbridge prints, run beside the server."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *words],
            cwd=ROOT,
            env=_environment(self.folder),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def require() -> None:
    """Skip, with the reason, where there is no browser; where none may be missing, fail."""
    if reason := _missing():
        assert not os.environ.get("EVERY_READER"), reason
        pytest.skip(reason)


@contextmanager
def served(folder: Path, settings: str = "") -> Iterator[Served]:
    """calbridge, with these lines in its configuration, on a port of its own."""
    house = Served(folder, free_port())
    store = stores.setting(folder / "store.sqlite3")
    (folder / "config.toml").write_text(f'{store}\nserver.public_url = "{house.address}"\n{settings}')
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(house.port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(folder), stdout=log, stderr=log)
        try:
            until(lambda: answers(house.port), 60, "an answer")
            yield house
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def walk(name: str, **given: object) -> Told:
    """Have `walks/NAME.mjs` walked; pages are kept as pictures where SCREENSHOTS names a folder."""
    told = {"browser": CHROMIUM, "shots": os.environ.get("SCREENSHOTS", ""), **given}
    command = ["node", str(HERE / "walks" / f"{name}.mjs"), json.dumps(told)]
    done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    met: Told = json.loads(done.stdout)
    return met


def assert_sound(told: Told) -> None:
    """No page was wider than its window, none ran what a calendar brought, and axe found nothing in any."""
    for way, met in told.items():
        assert (met["wide"], met["errors"], met["faults"]) == ([], [], []), way


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "CALBRIDGE_CONFIG": str(folder / "config.toml")}


def _missing() -> str:
    if CHROMIUM is None or shutil.which("node") is None:
        return "chromium or node is not installed: apt-get install chromium nodejs"
    if not (HERE / "node_modules" / "playwright-core").exists():
        return "playwright-core is not installed: npm ci --prefix tests/browser"
    return ""
