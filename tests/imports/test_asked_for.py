"""Approval, undo and purge as people and programs ask for them: by command, over the API, on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.campus import EXAM, LECTURES, browser, calendar, open_campus
from tests.test_cli import Shell

WINDOW = ("--from", "2096-10-20", "--to", "2096-12-31")
"""Commands know no clock but the real one: what they are to delete must not be over."""

TALK = "UID:talk\nSUMMARY:Talk\nDTSTART:20261102T100000Z"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write("timetable.ics", late(LECTURES, EXAM))
    return shell


def late(*events: str) -> bytes:
    return calendar(*events).replace(b":2026", b":2096")


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return browser(open_campus(tmp_path))


def send(client: FlaskClient, data: bytes, **fields: str) -> Any:
    query = {"calendar": "demo/course/statistics", "from": "2026-10-20", "to": "2026-12-31", **fields}
    return client.post("/api/imports", query_string=query, data=data, content_type="text/calendar")


class TestCommands:
    def held(self, shell: Shell) -> str:
        course = shell.course()
        shell("import", str(shell.folder / "timetable.ics"), "--into", course, *WINDOW)
        held = shell("import", shell.write("other.ics", late(TALK)), "--into", course, *WINDOW, "--json")
        return str(json.loads(held.stdout)["run"])

    def test_a_held_run_is_listed_shown_and_approved(self, shell: Shell) -> None:
        run = self.held(shell)
        assert [line.split("\t")[3] for line in shell("run", "list").stdout.splitlines()] == ["held", "done"]
        shown = shell("run", "show", run).stdout
        assert "held: " in shown
        assert f"calbridge run approve {run}" in shown
        assert "delete\t2096-12-11\tExam" in shown
        assert json.loads(shell("run", "show", run, "--json").stdout)["plan"]["delete"] == 4
        approved = shell("run", "approve", run)
        assert approved.exit_code == 0
        assert "1 created, 0 updated, 4 deleted" in approved.stdout
        again = shell("run", "approve", run)
        assert (again.exit_code, "it is done" in again.stderr) == (2, True)

    def test_a_held_run_is_cancelled(self, shell: Shell) -> None:
        run = self.held(shell)
        assert "cancelled" in shell("run", "cancel", run).stdout
        assert shell("run", "cancel", run).exit_code == 2
        assert shell("run", "show", "99").exit_code == 2

    def test_a_run_is_undone(self, shell: Shell) -> None:
        shell("import", str(shell.folder / "timetable.ics"), "--into", shell.course(), *WINDOW)
        assert "4 to delete" in shell("undo", "1", "--dry-run").stdout
        undone = shell("undo", "1")
        assert (undone.exit_code, "4 deleted" in undone.stdout) == (0, True)

    def test_an_import_is_purged(self, shell: Shell) -> None:
        course = shell.course()
        for name in ("one", "two"):
            shell("import", str(shell.folder / "timetable.ics"), "--into", course, "--name", name, *WINDOW)
        assert json.loads(shell("purge", "--into", course, "--name", "one", "--json").stdout)["report"]["deleted"] == 0
        assert "4 deleted" in shell("purge", "--into", course, "--name", "two").stdout

    def test_an_import_adds_chooses_and_renames(self, shell: Shell) -> None:
        into = ["--into", shell.course(), *WINDOW]
        shell("import", str(shell.folder / "timetable.ics"), *into)
        rules = ["--exclude", "title:Exam*", "--rename", "Talk=A {}"]
        other = shell.write("other.ics", late(TALK, EXAM))
        added = shell("import", other, *into, "--mode", "add", *rules, "--json")
        changes = json.loads(added.stdout)["plan"]["changes"]
        assert [(change["deed"], change["event"]["title"]) for change in changes] == [("create", "A Talk")]
        wrong = shell("import", other, *into, "--rename", "Talk")
        assert (wrong.exit_code, "is no rename" in wrong.stderr) == (2, True)


class TestApi:
    def held(self, client: FlaskClient) -> int:
        send(client, calendar(LECTURES, EXAM))
        return int(send(client, calendar(TALK)).json["run"])

    def test_a_held_run_is_shown_and_approved(self, client: FlaskClient) -> None:
        run = self.held(client)
        shown: Any = client.get(f"/api/imports/{run}").json
        assert (shown["state"], shown["plan"]["delete"], len(shown["held"])) == ("held", 4, 1)
        assert shown["expires"] == "2026-10-21T09:30:00+00:00"
        listed: Any = client.get("/api/imports?count=1").json
        assert [one["run"] for one in listed["imports"]] == [run]
        approved: Any = client.post(f"/api/imports/{run}/approve")
        assert (approved.status_code, approved.json["run"], approved.json["state"]) == (200, run, "done")
        assert client.post(f"/api/imports/{run}/approve").status_code == 409

    def test_a_held_run_is_cancelled(self, client: FlaskClient) -> None:
        run = self.held(client)
        cancelled: Any = client.post(f"/api/imports/{run}/cancel").json
        assert cancelled["state"] == "cancelled"
        assert client.post(f"/api/imports/{run}/cancel").status_code == 409

    def test_runs_that_are_none(self, client: FlaskClient) -> None:
        assert client.get("/api/imports/9").status_code == 404
        for verb in ("approve", "cancel", "undo"):
            answer = client.post(f"/api/imports/9/{verb}")
            assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")

    def test_a_run_is_undone(self, client: FlaskClient) -> None:
        run = send(client, calendar(LECTURES, EXAM)).json["run"]
        dry: Any = client.post(f"/api/imports/{run}/undo?dry_run=true").json
        assert (dry["state"], dry["plan"]["delete"]) == ("dry", 4)
        undone: Any = client.post(f"/api/imports/{run}/undo").json
        assert (undone["kind"], undone["report"]["deleted"]) == ("undo", 4)

    def test_an_import_is_purged(self, client: FlaskClient) -> None:
        send(client, calendar(LECTURES), source="one")
        send(client, calendar(EXAM), source="two")
        query = {"calendar": "demo/course/statistics", "source": "one"}
        purged: Any = client.post("/api/imports/purge", query_string=query).json
        assert (purged["kind"], purged["report"]["deleted"]) == ("purge", 3)
        assert client.post("/api/imports/purge", query_string={"source": "one"}).status_code == 400

    def test_modes_and_rules(self, client: FlaskClient) -> None:
        send(client, calendar(LECTURES, EXAM))
        outcome = send(client, calendar(TALK), mode="add", include="talk*", rename="talk=A {}").json
        assert [change["event"]["title"] for change in outcome["plan"]["changes"]] == ["A Talk"]
        refused = send(client, calendar(TALK), mode="subtract")
        assert (refused.status_code, "replace, add" in refused.json["detail"]) == (400, True)
        assert send(client, calendar(TALK), include="title:").status_code == 400


def test_the_page_asks_for_a_yes_and_not_for_the_file_again(client: FlaskClient) -> None:
    send(client, calendar(LECTURES, EXAM))
    run = send(client, calendar(TALK)).json["run"]
    page = client.get(f"/imports/{run}").text
    assert f'action="/imports/{run}/approve"' in page
    assert "Why it waits" in page
    assert 'type="file"' not in page
