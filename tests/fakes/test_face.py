"""The fakes as anyone may try them: started by their command, they print a configuration that the real bridges take."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.config import parse
from app.parts import open_parts
from bridges import REGISTRY
from bridges.contract import Sink, Source
from tests.fakes.face import KINDS

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    running = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.fakes", *arguments]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def printed(process: subprocess.Popen[str], tables: int) -> str:
    """What stands on its output once so many tables and the last line of the last one are there."""
    assert process.stdout is not None
    text = ""
    while text.count("\n[lms.") < tables or not text.endswith('"\n') or text.count("\n\n") < tables:
        line = process.stdout.readline()
        assert line, "it ended"
        text += line
    return text


def test_every_bridge_to_the_outside_has_a_fake() -> None:
    assert set(KINDS) == set(REGISTRY) - {"local"}


def test_all_fakes_start_and_every_bridge_lists_its_calendars(start: Start, tmp_path: Path) -> None:
    written = tmp_path / "config.toml"
    text = printed(start("--write", str(written)), len(KINDS))
    assert written.read_text("utf-8").startswith(text)
    store = f'store.url = "sqlite:///{tmp_path}/store.sqlite3"\n'
    parts = open_parts(parse(store + written.read_text("utf-8"), {}))
    opened = {name: parts.bridge(name) for name in parts.config.connections}
    listed = {name: parts.calendars(name) for name, bridge in opened.items() if isinstance(bridge, Source)}
    assert set(listed) == {"learn", "d2l", "its", "sim"}
    assert all(calendars and all(each.name for each in calendars) for calendars in listed.values())
    assert {each.name for each in listed["sim"]} >= {"Sim 1 (Sim Room)", "Exam 2 (Exam Room)"}
    assert isinstance(opened["mail"], Sink)
    parts.engine.dispose()


def test_only_those_that_are_named_start(start: Start) -> None:
    text = printed(start("learningspace", "imip"), 2)
    assert re.findall(r"^\[lms\.(\w+)\]$", text, re.MULTILINE) == ["sim", "mail"]
    assert re.findall(r"^# (\w+)://127\.0\.0\.1:\d+$", text, re.MULTILINE) == ["http", "smtp"]


@pytest.mark.parametrize("arguments", [("moodle",), ("--journal", "x"), ("learningspace", "--journal", "x")])
def test_what_cannot_be_started_is_said(start: Start, arguments: tuple[str, ...]) -> None:
    process = start(*arguments)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "there is no moodle" in errors or "--journal goes with" in errors


def test_it_ends_quietly_when_it_is_stopped(start: Start) -> None:
    process = start("imip")
    printed(process, 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
