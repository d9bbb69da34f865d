"""People's changes at the command line: compared, listed, accepted, written again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridges.model import CalendarRef, Window
from tests.campus import calendar
from tests.cli.shell import Shell, records

COURSE = CalendarRef.parse("demo/course/statistics")
WINDOW = Window(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 12, 31, tzinfo=UTC))


@pytest.fixture
def desk(tmp_path: Path) -> Shell:
    """Of nine lessons somebody has renamed one in the LMS."""
    shell = Shell(tmp_path)
    lessons = [f"UID:{n}\nSUMMARY:Lesson {n}\nDTSTART:203004{n + 1:02}T100000Z" for n in range(9)]
    file = shell.write("all.ics", calendar(*lessons))
    shell("import", file, "--into", str(COURSE), "--name", "t", "--from", "2030-01-01", "--to", "2030-12-31")
    sink = shell.parts().sink("demo")
    first = next(
        one for one in shell.parts().source("demo").read(COURSE, WINDOW) if one.event.title.startswith("Lesson")
    )
    sink.update(COURSE, first.ref, sink.fit(replace(first.event, title="Mine \x1b[31m")))
    return shell


def test_what_people_changed_is_found_listed_and_accepted(desk: Shell) -> None:
    found = desk("drift", "--into", str(COURSE))
    assert found.exit_code == 3
    listed = desk("drift", "list").stdout.splitlines()
    number, kind, where, source, when, title = listed[0].split("\t")
    assert (kind, where, source, title) == ("edited", str(COURSE), "t", "Lesson 0")
    assert when.endswith("CEST")
    assert listed[1] == "\ttitle: 'Lesson 0' → 'Mine �[31m'"
    assert desk("drift", "accept", number).stdout.splitlines()[0].endswith("\taccepted")
    assert records(desk("drift", "list", "--json"))[0]["accepted"] is True
    assert desk("drift", "--into", str(COURSE)).exit_code == 0


def test_a_terminal_gets_it_as_a_table(desk: Shell) -> None:
    desk("drift", "--into", str(COURSE))
    status, said = desk.on_a_terminal("drift", "list", columns=120)
    assert status == 0
    assert "differs" in said.splitlines()[0]
    assert "\x1b[31m" not in said


def test_what_people_changed_is_written_again(desk: Shell) -> None:
    desk("drift", "--into", str(COURSE))
    (one,) = records(desk("drift", "list", "--json"))
    assert desk("drift", "restore", str(one["id"])).exit_code == 0
    assert desk("drift", "list").stdout == ""
    assert desk("drift", "--into", str(COURSE)).exit_code == 0
