"""The feed commands: what an operator types to decide what is shown, and to whom."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from app.cli import main
from app.config import load
from app.parts import Parts, open_parts
from app.store import tables
from app.store.engine import writing
from tests import stores
from tests.campus import browser

COURSE, CAMPUS = "demo/course/anatomy-1", "demo/institution"


class Shell:
    """A person at a shell, in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.toml"
        self.config.write_text(f"{stores.setting(folder / 'campus.sqlite3')}\n")

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *words], catch_exceptions=False)

    def parts(self) -> Parts:
        return open_parts(load(str(self.config), {}))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_feed_of_two_calendars_with_policies(shell: Shell) -> None:
    made = shell("feed", "add", "mine", "--calendar", COURSE, "--calendar", CAMPUS, "--set", "title=!x*", "--public")
    assert (made.exit_code, "/public/mine.ics" in made.stdout) == (0, True)
    listed = [json.loads(line) for line in shell("feed", "list", "--json").stdout.splitlines()]
    mine = next(one for one in listed if one["slug"] == "mine")
    assert (mine["calendars"], mine["policies"]) == ([COURSE, CAMPUS], {"title": ["!x*"]})


def test_set_prints_what_is_not_as_usual(shell: Shell) -> None:
    shell("feed", "add", "mine", "--calendar", COURSE, "--public")
    assert shell("feed", "set", "mine").stdout == ""
    said = shell("feed", "set", "mine", "back=1", "title=a*|b*", "learningspace=on").stdout
    assert said == "back=1\ntitle=a*|b*\nlearningspace=on\n"
    assert shell("feed", "set", "mine", "title=", "learningspace=off").stdout == "back=1\n"
    refused = shell("feed", "set", "mine", "ahead=999")
    assert (refused.exit_code, "feeds.ahead_days" in refused.stderr) == (2, True)
    assert shell("feed", "set", "none", "back=1").exit_code == 2


def test_a_token_for_each_device(shell: Shell) -> None:
    shell("feed", "add", "mine", "--calendar", COURSE)
    added = shell("feed", "token", "add", "mine", "--name", "phone", "--until", "2999-12-31")
    path = added.stdout.splitlines()[0].partition("8600")[2]
    client = browser(shell.parts())
    assert client.get(path, headers={"User-Agent": "Google-Calendar-Importer"}).status_code == 200
    first, phone = shell("feed", "token", "list", "mine").stdout.splitlines()
    assert first == "first\tno end\tnobody has looked yet"
    assert phone.startswith("phone\tthrough 2999-12-31\tGoogle last looked 0 min ago; expect a change to be seen by ")
    assert "Google last looked 0 min ago; expect a change to be seen by" in client.get("/admin/feeds/mine").text
    assert re.search(r"Google, \d+ seconds? ago", client.get("/").text)
    assert shell("feed", "token", "revoke", "mine", "--name", "phone").exit_code == 0
    assert client.get(path).status_code in (200, 404)  # within a second
    assert browser(shell.parts()).get(path).status_code == 404
    assert shell("feed", "token", "revoke", "mine", "--name", "phone").exit_code == 2
    assert shell("feed", "token", "revoke-all", "mine").stdout == "1 revoked\n"


def test_a_narrower_token_for_somebody_else(shell: Shell) -> None:
    shell("feed", "add", "mine", "--calendar", COURSE, "--calendar", CAMPUS)
    made = shell(
        *("feed", "token", "add", "mine", "--name", "guest", "--under", "first"),
        *("--calendar", CAMPUS, "--privacy", "busy-only"),
    )
    assert made.exit_code == 0, made.stderr
    (_, guest) = shell("feed", "token", "list", "mine").stdout.splitlines()
    assert guest == f"guest\tno end\tnobody has looked yet\tmade from first\tshows {CAMPUS} busy-only"
    assert shell("feed", "token", "revoke", "mine", "--name", "first").exit_code == 0
    assert shell("feed", "token", "list", "mine").stdout == ""


def test_every_token_of_every_feed_is_killed_at_once(shell: Shell) -> None:
    for slug in ("one", "two"):
        shell("feed", "add", slug, "--calendar", COURSE)
    assert shell("feed", "token", "revoke-all").exit_code == 2
    assert shell("feed", "token", "revoke-all", "one", "--everywhere").exit_code == 2
    assert shell("feed", "token", "revoke-all", "--everywhere").stdout == "2 revoked\n"


def test_a_feed_that_grows_too_large_is_told_of(shell: Shell) -> None:
    shell("feed", "add", "mine", "--calendar", COURSE, "--public")
    parts = shell.parts()
    row = {"feed_id": parts.feeds.by_slug("mine").id, "form": "ics", "size": 900_000, "etag": "e", "basis": "b"}
    with writing(parts.engine) as connection:
        connection.execute(insert(tables.feed_body).values(row | {"changed_at": parts.now()}))
    listed = shell("feed", "list")
    assert "'mine' has 0.9 MB" in listed.stderr
    assert "ahead=90" in listed.stderr
    assert "This feed has 0.9 MB" in browser(parts).get("/").text
