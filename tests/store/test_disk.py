"""A disk that is full for real, or read-only: a sentence, feeds that go on, a whole store, and no restart needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from app.cli import main
from app.config import ConfigError, parse
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.store.check import faults
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.campus import NOW, browser, calendar
from tests.disks import Disk, a_disk
from tests.servers import postgres
from tests.store.test_backup import TERM

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
UPLOAD = {"calendar": str(COURSE), "from": "2026-10-20", "to": "2026-12-31"}
BIG = calendar(*(f"UID:{n}\nSUMMARY:{'x' * 400} {n}\nDTSTART:20261021T{n % 24:02}0000Z" for n in range(300)))
FREE = 150_000


@dataclass(frozen=True, slots=True)
class Campus:
    disk: Disk
    parts: Parts


def opened(url: str) -> Parts:
    return open_parts(parse(f'store.url = "{url}"\nstore.key = "{stores.KEY}"', {}), now=lambda: NOW)


def _on_sqlite(disk: Disk, stack: ExitStack) -> str:
    return f"sqlite:///{disk.folder}/s.db"


def _on_postgresql(disk: Disk, stack: ExitStack) -> str:
    """The tables are on that disk; the server's log of changes is not, for without that it stops."""
    server = stack.enter_context(postgres())
    shutil.chown(disk.folder, "postgres")
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE TABLESPACE small LOCATION '{disk.folder}'"))
        connection.execute(text("CREATE DATABASE campus TABLESPACE small"))
    engine.dispose()
    return server.url.removesuffix("/postgres") + "/campus"


@pytest.fixture(params=[(_on_sqlite, "24m"), (_on_postgresql, "64m")], ids=["sqlite", "postgresql"])
def campus(request: pytest.FixtureRequest) -> Iterator[Campus]:
    made, size = request.param
    with ExitStack() as stack:
        disk = stack.enter_context(a_disk(size))
        parts = opened(made(disk, stack))
        stack.callback(parts.close)
        yield Campus(disk, parts)


def test_a_full_disk_stops_an_import_with_a_sentence_and_all_goes_on_when_there_is_room(campus: Campus) -> None:
    parts, web = campus.parts, browser(campus.parts)
    before = parts.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
    campus.disk.fill(FREE)
    answer = web.post("/api/imports", query_string=UPLOAD, data=BIG, content_type="text/calendar")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "disk of the database is full" in answer.get_json()["detail"]
    assert web.get("/public/anatomy-i.ics").data == before

    campus.disk.empty()
    assert list(faults(parts.engine)) == []
    outcome = parts.imports.run(BIG, COURSE, TERM)
    assert outcome.state is Ending.DONE
    titles = [found.event.title for found in parts.source("demo").read(COURSE, TERM)]
    assert sorted(title for title in titles if title.startswith("xxx")) == sorted(
        f"{'x' * 400} {n}" for n in range(300)
    )
    assert list(faults(parts.engine)) == []


@pytest.mark.parametrize("campus", [(_on_sqlite, "24m")], ids=["sqlite"], indirect=True)
def test_a_read_only_disk_is_told_at_the_start_and_changes_nothing(campus: Campus, tmp_path: Path) -> None:
    url = f"sqlite:///{campus.disk.folder}/s.db"
    campus.parts.imports.run(BIG, COURSE, TERM)
    campus.parts.close()
    before = (campus.disk.folder / "s.db").read_bytes()
    campus.disk.mount("ro")
    with pytest.raises(ConfigError, match=r"cannot be (written to|read and written)"):
        opened(url)
    (tmp_path / "config.toml").write_text(f'store.url = "{url}"\n')
    for words in (("feed", "list"), ("migrate",), ("backup", str(tmp_path / "b"))):
        said = CliRunner().invoke(main, ["--config", str(tmp_path / "config.toml"), *words], catch_exceptions=False)
        assert (said.exit_code, "Traceback" in said.output) == (2, False)
        assert str(campus.disk.folder) in said.stderr
    assert (campus.disk.folder / "s.db").read_bytes() == before
    campus.disk.mount("rw")
    again = opened(url)
    assert again.imports.run(BIG, COURSE, TERM).plan.unchanged == 300
    assert list(faults(again.engine)) == []
    again.close()
