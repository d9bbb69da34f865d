"""Routed imports at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests import stores
from tests.imports.test_run import calendar, vevent


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(f"{stores.setting(tmp_path / 'x.sqlite3')}\n", "utf-8")
    return tmp_path


def called(desk: Path, *args: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(desk / "config.toml"), *args])


def imported(desk: Path, *titles: str, args: tuple[str, ...]) -> Result:
    lessons = [vevent(title, ":20300401T100000Z", "DURATION:PT1H", title=title) for title in titles]
    (desk / "t.ics").write_bytes(calendar(*lessons))
    return called(desk, "import", str(desk / "t.ics"), "--from", "2030-01-01", "--name", "timetable", *args)


ROUTE = ("--route", "title:* of *=>demo/course/{2}")


def test_a_timetable_is_routed_and_taken_back(desk: Path) -> None:
    first = imported(desk, "Talk of anatomy-1", "Party", args=ROUTE)
    assert first.exit_code == 0, first.output
    assert "1 calendar: 1 created" in first.output
    assert "1 × Party" in first.output
    assert "calbridge batch undo 1" in first.output
    shown = json.loads(called(desk, "batch", "show", "1", "--json").output)
    assert (shown["state"], len(shown["runs"])) == ("done", 1)
    undone = called(desk, "batch", "undo", "1")
    assert (undone.exit_code, "1 deleted" in undone.output) == (0, True)
    assert called(desk, "batch", "undo", "1").exit_code == 2


def test_routes_come_from_a_file_and_a_calendar_that_is_not_there_is_told(desk: Path) -> None:
    (desk / "routes.toml").write_text('routes = ["title:* of *=>demo/course/{2}"]', "utf-8")
    done = imported(desk, "Talk of nowhere", args=("--routes", str(desk / "routes.toml")))
    assert done.exit_code == 5
    assert "not written: 1 event for demo/course/nowhere" in done.output


def test_what_is_held_is_approved_or_cancelled_as_one(desk: Path) -> None:
    titles = [f"{n} of anatomy-1" for n in range(9)]
    imported(desk, *titles, args=ROUTE)
    held = imported(desk, titles[0], args=ROUTE)
    assert held.exit_code == 3
    assert "calbridge batch approve 2" in held.output
    cancelled = called(desk, "batch", "cancel", "2")
    assert cancelled.exit_code == 0, cancelled.output
    assert imported(desk, titles[0], args=ROUTE).exit_code == 3
    approved = called(desk, "batch", "approve", "3")
    assert (approved.exit_code, "8 deleted" in approved.output) == (0, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--into", "demo/institution", *ROUTE), "either --into"),
        ((), "either --into"),
        ((*ROUTE, "--name", "upload"), "a name of its own"),
        (("--route", "nonsense"), "is no route"),
    ],
)
def test_what_is_no_routed_import_is_said(desk: Path, args: tuple[str, ...], said: str) -> None:
    answer = imported(desk, "Talk", args=args)
    assert answer.exit_code == 2
    assert said in answer.output


def test_a_file_of_new_uids_is_known_by_content(desk: Path) -> None:
    into = ("--into", "demo/institution")
    imported(desk, "One", "Two", args=into)
    lessons = [vevent(f"new {title}", ":20300401T100000Z", "DURATION:PT1H", title=title) for title in ("One", "Two")]
    (desk / "t.ics").write_bytes(calendar(*lessons))
    again = ("import", str(desk / "t.ics"), "--from", "2030-01-01", "--name", "timetable", *into)
    held = called(desk, *again)
    assert (held.exit_code, "--match content" in held.output) == (3, True)
    known = called(desk, *again, "--match", "content")
    assert (known.exit_code, "2 unchanged" in known.output) == (0, True)
