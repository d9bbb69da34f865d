"""The command line: what its users type, what they get, and exit statuses that mean something."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.config import example
from tests import stores
from tests.campus import EXAM, LECTURES, calendar
from tests.fakes.itslearning import FakeItslearning
from tests.fakes.wsgi import serving

WINDOW = ["--from", "2026-10-20", "--to", "2026-12-31"]


class Shell:
    """A person at a shell, in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config.toml").write_text(f"{stores.setting(folder / 'campus.sqlite3')}\n")
        self.write("timetable.ics", calendar(LECTURES, EXAM))

    def write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def __call__(self, *words: str) -> Result:
        environment = {"CALBRIDGE_CONFIG": str(self.folder / "config.toml")}
        return CliRunner().invoke(main, words, env=environment, catch_exceptions=False)

    def course(self) -> str:
        return next(line.split("\t")[0] for line in self("calendars").stdout.splitlines() if "/course/" in line)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_expand_prints_one_object_a_line_sorted_by_start(shell: Shell) -> None:
    result = shell("expand", str(shell.folder / "timetable.ics"), *WINDOW, "--json")
    assert result.exit_code == 0
    assert records(result)[0] == {
        "uid": "lectures",
        "slot": "2026-10-21T08:15:00+00:00",
        "start": "2026-10-21T10:15:00+02:00",
        "end": "2026-10-21T12:00:00+02:00",
        "all_day": False,
        "summary": "Marine biology",
        "location": "Room 4",
        "status": "confirmed",
    }
    assert [record["start"] for record in records(result)] == [
        "2026-10-21T10:15:00+02:00",
        "2026-10-28T10:15:00+01:00",
        "2026-11-11T10:15:00+01:00",
        "2026-12-11",
    ]
    assert records(result)[3] | {"all_day": True, "slot": None, "end": "2026-12-12"} == records(result)[3]


def test_expands_window_is_half_open(shell: Shell) -> None:
    file = str(shell.folder / "timetable.ics")
    assert len(records(shell("expand", file, "--from", "2026-12-11", "--to", "2026-12-12", "--json"))) == 1
    assert not records(shell("expand", file, "--from", "2026-12-12", "--to", "2026-12-13", "--json"))
    assert not records(shell("expand", file, "--from", "2026-12-10", "--to", "2026-12-11", "--json"))


def test_expand_reads_floating_times_in_the_zone_given(shell: Shell) -> None:
    file = shell.write("floating.ics", calendar("UID:f\nSUMMARY:f\nDTSTART:20261102T100000"))
    (record,) = records(shell("expand", file, *WINDOW, "--zone", "America/New_York", "--json"))
    assert record["start"] == "2026-11-02T10:00:00-05:00"


def test_a_zone_that_nobody_knows_is_not_guessed_at(shell: Shell) -> None:
    file = shell.write("mars.ics", calendar("UID:m\nSUMMARY:m\nDTSTART;TZID=Mars/Base:20261102T100000", EXAM))
    held = shell("expand", file, *WINDOW, "--json")
    assert [record["uid"] for record in records(held)] == ["exam"]
    assert "Mars/Base" in held.stderr
    placed = shell("expand", file, *WINDOW, "--zone", "Asia/Tokyo", "--json")
    assert records(placed)[0]["start"] == "2026-11-02T10:00:00+09:00"
    words = ["import", file, "--into", shell.course(), *WINDOW, "--json"]
    assert json.loads(shell(*words).stdout)["report"]["created"] == 1
    assert json.loads(shell(*words, "--zone", "Asia/Tokyo").stdout)["report"]["created"] == 1


def test_expand_tells_problems_with_their_line_beside_what_it_read(shell: Shell) -> None:
    file = shell.write("crooked.ics", calendar("UID:x\nSUMMARY:no start", EXAM))
    result = shell("expand", file, *WINDOW, "--json")
    assert (result.exit_code, len(records(result))) == (0, 1)
    assert re.search(r"line \d+", result.stderr)


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"%PDF-1.4", calendar(EXAM)[:-20]])
def test_expand_exits_with_2_where_nothing_could_be_read(shell: Shell, data: bytes) -> None:
    result = shell("expand", shell.write("bad.ics", data), *WINDOW, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("calbridge: ")


def test_expand_of_a_calendar_without_events_is_no_failure(shell: Shell) -> None:
    assert shell("expand", shell.write("empty.ics", calendar()), *WINDOW, "--json").exit_code == 0


@pytest.mark.parametrize("words", [["--from", "soon", "--to", "2026-01-01"], [*WINDOW, "--zone", "Mars"]])
def test_expand_says_what_is_wrong_with_its_words(shell: Shell, words: list[str]) -> None:
    result = shell("expand", str(shell.folder / "timetable.ics"), *words)
    assert result.exit_code == 2
    assert "write it as" in result.stderr or "IANA" in result.stderr


def test_an_import_is_previewed_done_and_then_nothing(shell: Shell) -> None:
    words = ["import", str(shell.folder / "timetable.ics"), "--into", shell.course(), *WINDOW, "--json"]
    dry, wet, again = (json.loads(shell(*words, *more).stdout) for more in (["--dry-run"], [], []))
    assert (dry["state"], dry["plan"]["create"]) == ("dry", 4)
    assert (wet["state"], wet["report"]["created"]) == ("done", 4)
    assert (again["report"]["created"], again["report"]["unchanged"]) == (0, 4)


def test_a_held_import_exits_with_3(shell: Shell) -> None:
    course = shell.course()
    shell("import", str(shell.folder / "timetable.ics"), "--into", course, *WINDOW)
    other = shell.write("other.ics", calendar("UID:o\nSUMMARY:o\nDTSTART:20261102T100000Z"))
    held = shell("import", other, "--into", course, *WINDOW)
    assert held.exit_code == 3
    assert "held" in held.stdout
    assert shell("import", other, "--into", course, *WINDOW, "--approve").exit_code == 0


@pytest.mark.parametrize("target", ["nonsense", "learn/course/1", "demo/course/none"])
def test_an_import_into_nowhere_exits_with_2_and_a_sentence(shell: Shell, target: str) -> None:
    result = shell("import", str(shell.folder / "timetable.ics"), "--into", target)
    assert result.exit_code == 2
    assert result.stderr.startswith("calbridge: ")


def test_a_feed_is_added_rotated_switched_and_listed(shell: Shell) -> None:
    added = shell("feed", "add", "mine", "--calendar", "demo/institution", "--title", "Mine")
    first = re.findall(r"/feeds/([^/]{43,})/mine\.(ics|json)", added.stdout)
    assert [form for _, form in first] == ["ics", "json"]
    assert shell("feed", "rotate", "mine").stdout != added.stdout
    assert shell("feed", "disable", "mine").exit_code == 0
    assert "mine\tdemo/institution\tsecret, off\tMine" in shell("feed", "list").stdout
    assert shell("feed", "enable", "mine").exit_code == 0
    listed = [json.loads(line) for line in shell("feed", "list", "--json").stdout.splitlines()]
    told = {"slug": "mine", "title": "Mine", "calendar": "demo/institution", "public": False, "enabled": True}
    assert any(told.items() <= feed.items() for feed in listed)


def test_a_public_feed_has_no_secret(shell: Shell) -> None:
    added = shell("feed", "add", "open", "--calendar", "demo/institution", "--public")
    assert added.stdout.splitlines()[0].endswith("/public/open.ics")


@pytest.mark.parametrize(
    "words",
    [
        ["feed", "rotate", "none"],
        ["feed", "remove", "none"],
        ["run", "show", "99999999999999999999999"],
        ["serve", "--port", "{taken}"],
        ["feed", "disable", "none"],
        ["feed", "add", "Not A Slug", "--calendar", "demo/institution"],
        ["feed", "add", "x", "--calendar", "learn/institution"],
        ["refresh", "none"],
        ["token", "revoke", "none"],
        ["calendars", "none"],
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_exit_2(shell: Shell, words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = str(listening.getsockname()[1])
        result = shell(*(taken if word == "{taken}" else word for word in words))
    assert result.exit_code == 2
    assert result.stderr.startswith("calbridge: ")
    assert "Traceback" not in result.stderr


def test_refresh_reads_every_calendar(shell: Shell) -> None:
    result = shell("refresh")
    assert result.exit_code == 0
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == ["read"] * 4


def test_check_config_tells_all_faults(shell: Shell) -> None:
    (shell.folder / "config.toml").write_text('zone = "Mars"\n[lms.a]\nbridge = "x"\n')
    result = shell("check-config")
    assert result.exit_code == 2
    assert "zone:" in result.stderr
    assert "lms.a.bridge:" in result.stderr


def test_check_config_prints_the_example(shell: Shell) -> None:
    assert shell("check-config", "--example").stdout == example()


def test_serving_others_without_a_token_is_refused(shell: Shell) -> None:
    result = shell("serve", "--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "calbridge token add" in result.stderr


def test_a_token_is_shown_once_and_listed_by_name(shell: Shell) -> None:
    token = shell("token", "add", "office").stdout.strip()
    assert token.startswith("cb_")
    listed = shell("token", "list").stdout
    assert listed.startswith("office\t")
    assert token not in listed
    assert shell("token", "revoke", "office").exit_code == 0
    assert not shell("token", "list").stdout


def test_a_store_that_cannot_be_opened_names_the_setting(shell: Shell) -> None:
    (shell.folder / "config.toml").write_text('store.url = "sqlite:////nowhere/at/all.sqlite3"\n')
    result = shell("feed", "list")
    assert result.exit_code == 2
    assert "store.url" in result.stderr


def test_the_schema_of_an_itslearning_site_is_stored_and_compared(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    site = FakeItslearning()
    site.settings.schemas = True
    with serving(site) as url:
        (tmp_path / "config.toml").write_text(f"{stores.setting(tmp_path / 'x.sqlite3')}\n\n{site.connection(url)}")
        result = shell("itslearning", "schema", "--write", str(tmp_path / "schema"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads((tmp_path / "schema" / "types.json").read_text()) == site.types


def test_no_schema_without_itslearning(shell: Shell) -> None:
    assert shell("itslearning", "schema").exit_code == 2


def test_a_feed_of_nothing_is_told_at_once_and_can_be_removed(shell: Shell) -> None:
    added = shell("feed", "add", "nothing", "--calendar", "demo/course/none")
    assert "cannot be read yet" in added.stderr
    assert shell("feed", "remove", "nothing").exit_code == 0
    assert "nothing" not in shell("feed", "list").stdout


def test_a_window_that_ends_before_it_begins_is_refused(shell: Shell) -> None:
    words = ["expand", str(shell.folder / "timetable.ics"), "--from", "2027-01-01", "--to", "2026-12-31"]
    assert shell(*words).exit_code == 2
