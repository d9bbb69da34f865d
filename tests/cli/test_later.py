"""Imports that are kept: for a yes, or for a worker."""

from __future__ import annotations

from tests.campus import calendar
from tests.cli.shell import COURSE, Shell, records

WINDOW = ("--from", "2030-01-01", "--to", "2030-12-31")
LESSONS = [f"UID:{n}\nSUMMARY:Lesson {n}\nDTSTART:203004{n + 1:02}T100000Z" for n in range(3)]


def words(shell: Shell) -> tuple[str, ...]:
    return ("import", shell.write("a.ics", calendar(*LESSONS)), "--into", COURSE, *WINDOW)


def test_a_preview_is_kept_and_carried_out_by_a_yes(shell: Shell) -> None:
    said = shell(*words(shell), "--preview")
    assert said.stdout == "planned, and kept for a yes: calbridge run show 1, calbridge run approve 1\n"
    assert "3 created" not in shell("run", "list").stdout
    assert len(records(shell("run", "listed", "1", "changes"))) == 3
    assert shell("run", "approve", "1").exit_code == 0
    assert shell("run", "list").stdout.split("\t")[-1].startswith("3 created")


def test_a_worker_does_it_in_the_background(shell: Shell) -> None:
    (queued,) = records(shell(*words(shell), "--background", "--json"))
    assert (queued["run"], queued["state"], queued["background"]) == (1, "queued", True)
    parts = shell.parts()
    assert parts.imports.due() == [(1, parts.imports.get(1).calendar)]
    parts.imports.take_up(1)
    watched = shell("run", "watch", "1")
    assert (watched.exit_code, "3 created" in watched.stdout) == (0, True)


def test_a_routed_file_is_left_to_a_worker_too(shell: Shell) -> None:
    file = shell.write("a.ics", calendar(*LESSONS))
    route = ("--route", f"title:*=>{COURSE}", "--name", "t", *WINDOW)
    assert shell("import", file, *route, "--background").stdout == "left to a worker: calbridge batch show 1\n"
    assert records(shell("batch", "show", "1", "--json"))[0]["state"] == "queued"


def test_one_way_at_a_time(shell: Shell) -> None:
    done = shell(*words(shell), "--preview", "--background")
    assert (done.exit_code, "say one of them" in done.stderr) == (2, True)
