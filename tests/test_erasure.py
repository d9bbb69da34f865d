"""What is kept of one person goes, everywhere, and what is kept of others stays."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import Engine, select

from app.cli import main
from app.feeds.feed import Form
from app.imports.pull import register
from app.imports.pull.secrets import Secrets
from app.imports.pull.wish import Wish
from app.parts import Parts
from app.people import audit, tokens
from app.store import tables
from app.store.leases import Busy, lease
from bridges.model import CalendarRef, Window
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, browser, calendar
from tests.web.test_linking import ANN, Campus, campus, client, link, parts

__all__ = ["campus", "client", "parts"]  # fixtures
COURSE = CalendarRef.parse("learn/course/_12594_1")
TERM = Window(NOW, NOW + timedelta(days=90))


def mentions(engine: Engine, word: str) -> dict[str, list[str]]:
    """Every row that holds the word, in whatever column."""
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            rows = [repr(tuple(row)) for row in connection.execute(select(table))]
            if hits := [row for row in rows if word in row]:
                found[table.name] = hits
    return found


@pytest.fixture
def known(campus: Campus, parts: Parts, client: FlaskClient) -> Parts:
    """Ann, who left traces everywhere; and her course, which is everybody's."""
    assert link(client).status_code == 200
    query = {"from": "2026-10-20", "to": "2026-12-31", "calendar": str(ANN)}
    body = calendar(LECTURES, EXAM)
    answer = client.post("/api/imports", query_string=query, data=body, content_type="text/calendar")
    assert answer.get_json()["report"]["created"] == 4
    parts.imports.run(calendar(EXAM), COURSE, TERM)
    parts.imports.run(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", ANN, TERM)  # held, with its file
    _, token = parts.feeds.add("ann", "Ann", ANN, public=False)
    parts.feeds.add("both", "Both", COURSE, ANN, public=True)
    assert token
    parts.feeds.snapshot_for_token(token, "ann", Form.ICS)
    parts.feeds.snapshot_for_public("both", Form.ICS)
    tokens.add(parts.engine, "ann", NOW)
    tokens.add(parts.engine, "office", NOW)
    parts.drifts.wrote(ANN)
    wish = Wish("hers", "https://example.org/…", ANN, timedelta(hours=1), 180)
    Secrets(parts.vault).keep_address(register.add(parts.engine, wish, (), NOW), "https://example.org/c.ics?key=hers")
    audit.note(parts.engine, audit.Deed(NOW, "ann", "POST /api/imports", f"calendar={ANN}"))
    audit.note(parts.engine, audit.Deed(NOW, "joanna", "POST /api/imports", "calendar=learn/person/_5_12"))
    assert set(mentions(parts.engine, "_5_1")) >= {"entry", "import_run", "feed", "calendar_reading", "audit", "secret"}
    return parts


def erase(parts: Parts, **how: bool) -> dict[str, int]:
    return dict(parts.erasure.erase(ANN, names=["ann", "hers"], **how).removed)


def test_nothing_of_the_person_is_found_afterwards(known: Parts) -> None:
    removed = erase(known)
    assert removed["entry"] == 4
    assert {*removed} >= {"feed", "import_run", "calendar_reading", "links", "api_token", "audit", "subscription"}
    assert removed["imprint"] == 1
    assert known.vault.get("subscription/1/address") is None
    found = mentions(known.engine, "_5_1")
    assert [row for rows in found.values() for row in rows if "_5_12" not in row] == []
    assert known.erasure.erase(ANN).left == {"audit": 1}, "somebody whose id begins alike"


@pytest.mark.skipif(stores.ON != "sqlite", reason="looks into the file of SQLite; a server's files are its own affair")
def test_neither_is_it_in_the_file(known: Parts, tmp_path: Path) -> None:
    erase(known)
    data = b"".join(file.read_bytes() for file in tmp_path.glob("campus.sqlite3*"))
    assert b"learn/person/_5_1" not in data.replace(b"learn/person/_5_12", b"")


def test_what_is_of_others_stays(known: Parts) -> None:
    erase(known)
    assert [feed.slug for feed in known.feeds.list()] == ["both"]
    assert known.feeds.snapshot_for_public("both", Form.ICS).body
    assert [token.name for token in tokens.every_one(known.engine)] == ["office"]
    outcome = known.imports.run(calendar(EXAM), COURSE, TERM)
    assert outcome.report
    assert outcome.report.unchanged == 1
    assert {deed.who for _, deed in audit.latest(known.engine)} >= {"(erased)", "joanna"}


def test_the_lms_keeps_what_was_written_unless_told(known: Parts, campus: Campus) -> None:
    erase(known)
    assert len([item for item in campus.learn.items.values() if item["createdByUserId"] == "_5_1"]) == 4


def test_purged_first_the_lms_holds_nothing_of_ours(known: Parts, campus: Campus) -> None:
    erased = known.erasure.erase(ANN, purge=True)
    assert erased.purged == 4
    assert [item for item in campus.learn.items.values() if item["createdByUserId"] == "_5_1"] == []


def test_while_an_import_writes_nothing_is_erased(known: Parts) -> None:
    with lease(known.engine, f"import {ANN}", known.now), pytest.raises(Busy):
        erase(known)
    assert "entry" in mentions(known.engine, "_5_1")


def test_a_course_is_nobodys_to_erase(known: Parts) -> None:
    with pytest.raises(ValueError, match="no person"):
        known.erasure.erase(COURSE)


def test_over_http_it_is_said_what_went(known: Parts) -> None:
    web = browser(known)
    said = web.delete("/api/people", query_string={"person": str(ANN), "purge": "true"})
    assert said.status_code == 401, "there are tokens: nobody does this without one"
    admin = tokens.add(known.engine, "admin", NOW)
    headers = {"Authorization": f"Bearer {admin}"}
    said = web.delete("/api/people", query_string={"person": str(ANN), "purge": "true"}, headers=headers)
    assert (said.status_code, said.get_json()["purged"]) == (200, 4)
    last = audit.latest(known.engine, 1)[0][1]
    assert (last.what, "_5_1" in last.subject) == ("DELETE /api/people", False)
    refused = web.delete("/api/people", query_string={"person": str(COURSE)}, headers=headers)
    assert (refused.status_code, refused.content_type) == (400, "application/problem+json")


@pytest.fixture
def config(known: Parts, campus: Campus, tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(campus.settings())
    return tmp_path / "config.toml"


def test_the_command_asks_first_and_tells_by_table(known: Parts, config: Path) -> None:
    words = ["--config", str(config), "erase-person", str(ANN), "--name", "ann"]
    kept = CliRunner().invoke(main, words, input="n\n")
    assert (kept.exit_code, "entry" in mentions(known.engine, "_5_1")) == (130, True)
    said = CliRunner().invoke(main, [*words, "--yes"], catch_exceptions=False)
    assert said.exit_code == 0
    counts = dict(line.split("\t") for line in said.stdout.splitlines())
    assert (counts["entry"], counts["api_token"]) == ("4", "1")
    assert json.dumps(counts)
