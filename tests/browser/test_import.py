"""A person's way through an import in a real browser: at a desk, on a phone, and on a phone without JavaScript."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.campus import calendar
from tests.servers import answers, free_port, until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHROMIUM = shutil.which("chromium")
STEPS = {"Preview", "Imported", "Taking back: done"}
FILE = calendar(
    "UID:a\nSUMMARY:Lecture\nLOCATION:Room 4\nDTSTART;TZID=W. Europe Standard Time:20961121T101500",
    "UID:b\nSUMMARY:<script>alert(1)</script>\nDTSTART:20961122T100000Z",
    "UID:c\nSUMMARY:محاضرة 🎓\nDTSTART;VALUE=DATE:20961123",
    "UID:d\nSUMMARY:Lost\nDTSTART;TZID=Nowhere/Land:20961124T100000",
)


def missing() -> str:
    if CHROMIUM is None or shutil.which("node") is None:
        return "chromium or node is not installed: apt-get install chromium nodejs"
    if not (HERE / "node_modules" / "playwright-core").exists():
        return "playwright-core is not installed: npm ci --prefix tests/browser"
    return ""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A calbridge with its worker, on a port of its own."""
    port = free_port()
    (folder / "config.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"\n')
    environment = {**os.environ, "CALBRIDGE_CONFIG": str(folder / "config.toml")}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: answers(port), 60, "an answer")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the walks met, by the kind of browser."""
    if reason := missing():
        assert not os.environ.get("EVERY_READER"), reason
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("walk")
    (folder / "timetable.ics").write_bytes(FILE)
    with served(folder) as address:
        command = ["node", str(HERE / "walk.mjs"), address, str(folder / "timetable.ics"), str(CHROMIUM)]
        done = subprocess.run(
            [*command, os.environ.get("SCREENSHOTS", "")], capture_output=True, timeout=240, check=False
        )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("way", ["desktop", "phone", "plain"])
class TestTheWay:
    def test_it_leads_from_the_file_to_the_report_and_back(self, told: dict[str, Any], way: str) -> None:
        assert {step.split(": ", 1)[1] for step in told[way]["steps"]} >= STEPS

    def test_no_page_is_wider_than_its_window(self, told: dict[str, Any], way: str) -> None:
        assert told[way]["wide"] == []

    def test_no_page_runs_what_a_calendar_brought(self, told: dict[str, Any], way: str) -> None:
        assert told[way]["errors"] == []

    def test_axe_finds_nothing(self, told: dict[str, Any], way: str) -> None:
        assert told[way]["faults"] == []
