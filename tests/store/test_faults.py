"""What the surroundings do to a store: each ends in a sentence, and the store goes on when it is over."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from app.cli import main
from app.config import parse
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.store.check import faults
from bridges.model import CalendarRef, Kind, Window
from tests.campus import EXAM, LECTURES, NOW, browser, calendar

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
TERM = Window(datetime(2026, 10, 20, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
UPLOAD = {"calendar": str(COURSE), "from": "2026-10-20", "to": "2026-12-31"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/s.db"


@pytest.fixture
def campus(url: str) -> Iterator[Parts]:
    parts = open_parts(parse(f'store.url = "{url}"', {}), now=lambda: NOW)
    yield parts
    parts.close()


def shell(folder: Path, *words: str) -> Result:
    (folder / "config.toml").write_text(f'store.url = "sqlite:///{folder}/s.db"\n')
    (folder / "x.ics").write_bytes(calendar(LECTURES, EXAM))
    return CliRunner().invoke(main, ["--config", str(folder / "config.toml"), *words], catch_exceptions=False)


def full(parts: Parts) -> None:
    """Not one page more: what SQLite says is what it says of a full disk (SQLITE_FULL)."""

    @event.listens_for(parts.engine, "begin")
    def no_more(connection: object) -> None:
        raw = connection.connection.driver_connection  # type: ignore[attr-defined]
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {pages}")

    parts.engine.dispose()


class TestDisk:
    """Full, or read-only."""

    def test_a_full_disk_stops_an_import_with_a_sentence_and_feeds_go_on(self, url: str, campus: Parts) -> None:
        before = campus.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
        full(campus)
        web = browser(campus)
        big = calendar(*(f"UID:{n}\nSUMMARY:{'x' * 400}\nDTSTART:20261021T{n % 24:02}0000Z" for n in range(300)))
        answer = web.post("/api/imports", query_string=UPLOAD, data=big, content_type="text/calendar")
        assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
        assert "disk of the database is full" in answer.get_json()["detail"]
        assert web.get("/public/anatomy-i.ics").data == before
        assert list(faults(campus.engine)) == []

    def test_with_room_again_the_same_file_is_imported_whole(self, url: str, campus: Parts) -> None:
        full(campus)
        body = calendar(*(f"UID:{n}\nSUMMARY:{'x' * 400}\nDTSTART:20261021T{n % 24:02}0000Z" for n in range(300)))
        with pytest.raises(OperationalError):
            campus.imports.run(body, COURSE, TERM)
        again = open_parts(parse(f'store.url = "{url}"', {}), now=lambda: NOW)
        outcome = again.imports.run(body, COURSE, TERM)
        assert outcome.state is Ending.DONE
        titles = [found.event.title for found in again.source("demo").read(COURSE, TERM)]
        assert titles.count("x" * 400) == 300, "each once"
        assert list(faults(again.engine)) == []
        again.close()

    @pytest.mark.parametrize("words", [("feed", "add", "x", "--calendar", str(COURSE)), ("token", "add", "x")])
    def test_a_read_only_store_is_a_sentence_at_the_command_line(
        self, campus: Parts, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        """As root writes to any file, SQLite itself is told: `mode=ro` is what a read-only disk comes to."""
        (tmp_path / "ro.toml").write_text(f'store.url = "sqlite:///file:{tmp_path}/s.db?mode=ro&uri=true"\n')
        said = CliRunner().invoke(main, ["--config", str(tmp_path / "ro.toml"), *words])
        assert (said.exit_code, "Traceback" in said.output) == (2, False)
        assert "can be read and not written" in said.stderr

    def test_a_backup_onto_a_full_disk_leaves_the_one_before(self, campus: Parts, tmp_path: Path) -> None:
        """By the limit that the kernel sets to a file's length: what a write then says is as ENOSPC to us."""
        assert shell(tmp_path, "backup", str(tmp_path / "b")).exit_code == 0
        before = (tmp_path / "b").read_bytes()
        code = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); from app.cli import main; main()"
        )
        words = ["--config", str(tmp_path / "config.toml"), "backup", str(tmp_path / "b")]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert (tmp_path / "b").read_bytes() == before
        assert not [file for file in tmp_path.iterdir() if file.name.startswith(".b.")]


class TestLocked:
    """Another process keeps the database for longer than we wait."""

    def test_writing_says_so_reading_goes_on_and_afterwards_all_is_well(self, campus: Parts, tmp_path: Path) -> None:
        @event.listens_for(campus.engine, "connect")
        def hurry(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA busy_timeout=200")  # in place of five seconds

        campus.engine.dispose()
        body = campus.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
        web = browser(campus)
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = web.post("/api/imports", query_string=UPLOAD, data=calendar(EXAM), content_type="text/calendar")
            assert (answer.status_code, "locked" in answer.get_json()["detail"]) == (503, True)
            assert answer.headers["Retry-After"] == "30"
            assert web.get("/public/anatomy-i.ics").data == body
            other.execute("ROLLBACK")
        answer = web.post("/api/imports", query_string=UPLOAD, data=calendar(EXAM), content_type="text/calendar")
        assert answer.get_json()["report"]["created"] == 1


class TestDamaged:
    """A file that is none, or not whole, any more."""

    def test_a_file_that_is_no_database_stops_the_start_and_names_the_way_back(self, tmp_path: Path) -> None:
        (tmp_path / "s.db").write_bytes(b"SQLite format 4\0" + b"\x7f" * 8000)
        for words in (("feed", "list"), ("check-store",), ("migrate",)):
            said = shell(tmp_path, *words)
            assert (said.exit_code, "Traceback" in said.output) == (2, False)
            assert "calbridge restore" in said.stderr
        assert (tmp_path / "s.db").read_bytes().startswith(b"SQLite format 4"), "it is left as it is"

    def test_damage_inside_is_found(self, campus: Parts, tmp_path: Path) -> None:
        campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
        campus.close()
        data = bytearray((tmp_path / "s.db").read_bytes())
        data[40960:61440] = os.urandom(20480)
        (tmp_path / "s.db").write_bytes(data)
        said = shell(tmp_path, "check-store")
        assert (said.exit_code, "damaged" in said.output) in {(1, True), (2, True)}

    def test_a_ledger_that_makes_no_sense_is_told(self, campus: Parts, tmp_path: Path) -> None:
        campus.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
        assert shell(tmp_path, "check-store").exit_code == 0
        with campus.engine.begin() as connection:
            connection.execute(text("UPDATE entry SET ref = 'same', state = 'present' WHERE id IN (1, 2)"))
            connection.execute(text("UPDATE entry SET event = '{}' WHERE id = 3"))
        said = shell(tmp_path, "check-store")
        assert said.exit_code == 1
        assert "two entries of the ledger name the same event: same" in said.stdout
        assert "entry 3 of the ledger" in said.stdout
