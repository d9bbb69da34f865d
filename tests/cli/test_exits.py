"""Every exit status, met by a command that ends with it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app.cli.exits import Exit, of_check, of_run, of_visit
from app.cli.faults import interruption
from app.imports.drift.drifts import Look
from app.imports.pull.subscriptions import What
from app.imports.record.runs import Ending
from app.store.leases import lease
from tests.campus import LECTURES, calendar
from tests.cli.shell import COURSE, Shell
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import serving

WINDOW = ("--from", "2026-10-20", "--to", "2026-12-31")
README = (Path(__file__).parent.parent.parent / "README.md").read_text("utf-8")


def lectures(shell: Shell) -> str:
    return shell.write("timetable.ics", calendar(LECTURES))


def test_done(shell: Shell) -> None:
    assert shell("import", lectures(shell), "--into", COURSE, *WINDOW).exit_code == 0 == int(Exit.DONE)


def test_attention(shell: Shell) -> None:
    assert shell("status").exit_code == 1 == int(Exit.ATTENTION)  # no worker lives


def test_nothing(shell: Shell) -> None:
    done = shell("run", "show", "7")
    assert (done.exit_code, done.stderr) == (Exit.NOTHING, "calbridge: there is no run 7\n")
    assert shell("run", "show", "seven").exit_code == 2 == int(Exit.NOTHING)


def test_a_backup_into_a_folder_that_is_not_there_says_so(shell: Shell) -> None:
    nowhere = shell("backup", str(shell.folder / "nowhere" / "calbridge.backup"))
    assert nowhere.exit_code == Exit.NOTHING
    assert f"there is no folder '{shell.folder / 'nowhere'}': make it first." in nowhere.stderr


def test_decide(shell: Shell) -> None:
    window = ("--from", "2030-01-01", "--to", "2030-12-31")
    lessons = [f"UID:{n}\nSUMMARY:Lesson {n}\nDTSTART:203004{n + 1:02}T100000Z" for n in range(9)]
    shell("import", shell.write("all.ics", calendar(*lessons)), "--into", COURSE, *window)
    one = shell.write("one.ics", calendar(lessons[0]))
    assert shell("import", one, "--into", COURSE, *window).exit_code == 3 == int(Exit.DECIDE)
    held = shell("holds")
    assert held.exit_code == 0
    assert held.stdout.startswith(f"2\t{COURSE}\tupload\t")


def test_unfinished(shell: Shell) -> None:
    parts = shell.parts()
    with lease(parts.engine, f"import {COURSE}", parts.now):
        done = shell("import", lectures(shell), "--into", COURSE, *WINDOW)
    assert done.exit_code == 4 == int(Exit.UNFINISHED)
    assert "run it again" in done.stderr


def test_refused(tmp_path: Path) -> None:
    site = FakeLearn()
    with serving(site) as url:
        shell = Shell(tmp_path, site.connection(url))
        site.faults.append(Fault("status", on="create", times=1, status=400))
        done = shell("import", lectures(shell), "--into", "learn/course/_12594_1", *WINDOW)
    assert done.exit_code == 5 == int(Exit.REFUSED), done.output


def test_fault_is_said_without_a_traceback_and_with_one_where_that_is_wanted(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell("migrate")
    with shell.parts().engine.begin() as connection:  # as nobody but a fault of ours writes it
        connection.exec_driver_sql("UPDATE feed SET policies = '[1]'")
    done = shell("feed", "list")
    assert done.exit_code == 70 == int(Exit.FAULT)
    assert "a fault of calbridge itself" in done.stderr
    assert "Traceback" not in done.stderr
    debugged = shell("--debug", "feed", "list")
    assert debugged.exit_code == 70
    assert "Traceback" in debugged.stderr


def test_stopped(shell: Shell) -> None:
    done = shell("erase-person", "demo/person/ann", input="n\n")
    assert (done.exit_code, done.stderr.strip().splitlines()[-1]) == (Exit.STOPPED, "calbridge: stopped.")
    assert int(Exit.STOPPED) == 130


def test_what_a_driver_says_when_it_is_stopped_is_a_stop_too() -> None:
    with pytest.raises(RuntimeError) as caught:  # noqa: PT012 - as a driver does it
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("another command is already in progress")
    assert isinstance(interruption(caught.value), KeyboardInterrupt)
    assert interruption(RuntimeError()) is None


def test_a_reader_who_has_seen_enough_is_no_fault(shell: Shell) -> None:
    shell("migrate")
    words = " ".join(shell.command("settings", "--all"))
    done = subprocess.run(f"{words} | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("state", Ending)
def test_each_end_of_a_run_has_a_status(state: Ending) -> None:
    status = of_run(state, refused=False)
    assert (status is Exit.DONE) == (state in {Ending.DONE, Ending.DRY})
    assert of_run(state, refused=True) is (Exit.REFUSED if state is Ending.DONE else status)


def test_each_visit_and_each_check_has_a_status() -> None:
    assert {what for what in What if of_visit(what) is Exit.DONE} == {What.DONE, What.UNCHANGED}
    assert {look for look in Look if of_check(look) is Exit.DONE} == {Look.SAME}
    assert {of_visit(What.HELD), of_check(Look.DRIFTED), of_check(Look.DOUBTFUL)} == {Exit.DECIDE}
    assert {of_visit(What.BUSY), of_check(Look.LEFT)} == {Exit.UNFINISHED}


def test_readme_has_the_table() -> None:
    told = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", README, re.MULTILINE))
    assert told == {str(int(status)): status.meaning for status in Exit}
