"""The LMSs at the command line: what each can, whether it answers, what is left of its calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell, records
from tests.fakes.blackboard import FakeLearn
from tests.fakes.wsgi import serving

NOWHERE = """
[lms.away]
bridge = "blackboard"
url = "http://127.0.0.1:9"
key = "k"
secret = "very secret"
zone = "Europe/Oslo"
"""


def test_each_connection_that_answers_is_told_with_what_it_lists(tmp_path: Path) -> None:
    site = FakeLearn()
    with serving(site) as url:
        shell = Shell(tmp_path, site.connection(url))
        done = shell("check-connections", "--json")
        listed = records(shell("connections", "--json"))
    (learn,) = records(done)
    assert (done.exit_code, learn["lms"], learn["answers"], learn["calendars"] > 0) == (0, "learn", True, True)
    assert [(one["name"], one["reads"], one["writes"]) for one in listed] == [("learn", True, True)]


def test_one_that_is_away_wants_attention_and_hides_no_other(tmp_path: Path) -> None:
    site = FakeLearn()
    with serving(site) as url:
        shell = Shell(tmp_path, site.connection(url), NOWHERE)
        done = shell("check-connections")
    away, learn = (line.split("\t") for line in done.stdout.splitlines())
    assert (done.exit_code, away[:2], learn[:2]) == (1, ["away", "no"], ["learn", "yes"])
    assert "very secret" not in done.output


def test_the_quota_is_told_once_the_lms_has_said_it(tmp_path: Path) -> None:
    site = FakeLearn()
    with serving(site) as url:
        shell = Shell(tmp_path, site.connection(url))
        assert records(shell("quota", "--json"))[0]["left"] is None
        shell("calendars")
        (learn,) = records(shell("quota", "--json"))
    assert learn["left"] < learn["limit"] == site.settings.limit


def test_no_lms_is_called_so(shell: Shell) -> None:
    done = shell("check-connections", "none")
    assert (done.exit_code, "no LMS is called 'none'" in done.stderr) == (2, True)


def test_settings_tell_where_they_come_from_and_no_secret(tmp_path: Path) -> None:
    shell = Shell(tmp_path, NOWHERE)
    told = {one["path"]: one for one in records(shell("settings", "--all", "--json"))}
    assert told["zone"]["value"] == "Europe/Oslo"
    assert told["zone"]["origin"]["where"] == "file"
    assert told["server.port"]["origin"]["where"] == "default"
    assert "very secret" not in shell("settings", "--all").output


@pytest.mark.parametrize("words", [("settings", "--search", "lms.away"), ("connections",)])
def test_lists_of_settings_and_connections_are_read_by_people(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = Shell(tmp_path, NOWHERE)(*words).stdout
    assert "away" in said
    assert "blackboard" in said
