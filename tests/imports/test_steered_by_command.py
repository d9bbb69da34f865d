"""Runs as people steer them from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campus import EXAM, LECTURES, calendar
from tests.test_cli import WINDOW, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell("import", shell.write("timetable.ics", calendar(LECTURES, EXAM)), "--into", "demo/institution", *WINDOW)
    return shell


def test_what_is_over_says_so_to_each_wish(shell: Shell) -> None:
    for verb in ("pause", "resume", "cancel"):
        result = shell("run", verb, "1")
        assert (result.exit_code, result.stderr.startswith("calbridge: run 1 does not ")) == (2, True)
    assert "nothing refused" in shell("run", "retry", "1").stderr or "not kept" in shell("run", "retry", "1").stderr
    assert shell("run", "refused").stdout == ""


def test_a_preview_says_what_it_will_cost_and_the_same_file_nothing(shell: Shell) -> None:
    words = ["--into", "demo/course/statistics", *WINDOW]
    file = str(shell.folder / "timetable.ics")
    assert "forecast: 4 writes, done about " in shell("import", file, *words, "--dry-run").stdout
    assert "unchanged: it is the file of run 1" in shell("import", file, "--into", "demo/institution", *WINDOW).stdout


def test_a_run_is_taken_back_once_and_only_what_was_written_is_purged(shell: Shell) -> None:
    assert shell("undo", "1").stdout.startswith("undo of run 1: ")
    assert "run 1 was taken back already, by run 2" in shell("undo", "1").stderr
    assert "no import called 'x' has ever written" in shell("purge", "--into", "demo/institution", "--name", "x").stderr


def test_times_are_those_of_the_home_zone(shell: Shell) -> None:
    shown = shell("run", "show", "1").stdout
    assert "create\t2026-10-21 10:15 CEST\tMarine biology" in shown
    assert "create\t2026-12-11\tExam, part 1; oral" in shown
