"""A backup holds everything, comes back whole or not at all, and fits either kind of database."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, insert, select, text

from app.config import parse
from app.feeds.feed import Form
from app.parts import Parts, open_parts
from app.store import tables
from app.store.backup import BadBackup, backup, restore
from app.store.engine import open_engine, writing
from app.store.migrate import differences
from bridges import kept_tables
from bridges.model import CalendarRef, Kind, Window
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.postgresql import schema

KEY = "k" * 43 + "="
COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
TERM = Window(datetime(2026, 10, 20, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def lacks(engine: Engine) -> list[object]:
    """How its tables differ from those of the code, the bridges' own aside."""
    kept = {name for metadata in kept_tables() for name in metadata.tables}
    found = [each for each in differences(engine) if isinstance(each, tuple)]
    return [each for each in found if getattr(each[1], "name", "") not in kept and "local_event" not in str(each[1])]


def opened(url: str) -> Parts:
    return open_parts(parse(f'store.url = "{url}"\nstore.key = "{KEY}"', {}), now=lambda: NOW)


def content(engine: Engine) -> dict[str, list[Any]]:
    """Every row of ours, as Python sees it."""
    found: dict[str, list[Any]] = {}
    with engine.connect() as connection:
        for metadata in (tables.metadata, *kept_tables()):
            for table in metadata.sorted_tables:
                rows = connection.execute(select(table).order_by(*table.primary_key.columns))
                found[table.name] = [tuple(row) for row in rows]
    return found


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Parts]:
    """A store in which most tables have something to lose."""
    parts = opened(f"sqlite:///{tmp_path}/campus.sqlite3")
    parts.imports.run(calendar(LECTURES, EXAM), COURSE, TERM)
    parts.imports.run(calendar(LECTURES), COURSE, TERM)
    parts.imports.run(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", COURSE, TERM)  # held, with its file
    parts.feeds.add("secret", "Æøå 🎓", COURSE, public=False)
    parts.feeds.snapshot_for_public("anatomy-i", Form.ICS)
    parts.vault.put("learn/token", "a refresh token")
    yield parts
    parts.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/elsewhere.sqlite3"
        return
    with schema() as url:
        yield url


def test_what_is_restored_is_what_was_backed_up(campus: Parts, elsewhere: str, tmp_path: Path) -> None:
    told = backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
    engine = open_engine(elsewhere)
    assert restore(engine, tmp_path / "store.backup", kept_tables()) == told
    assert lacks(engine) == []
    assert content(engine) == content(campus.engine)
    filled = {name for name, count in told.counts.items() if count}
    assert filled >= {
        "feed",
        "feed_token",
        "entry",
        "import_run",
        "import_change",
        "held_import",
        "secret",
        "feed_body",
    }
    engine.dispose()


def test_it_goes_to_postgresql_and_back(campus: Parts, tmp_path: Path) -> None:
    with schema() as url:
        backup(campus.engine, tmp_path / "one", MOMENT, kept_tables())
        there, back = open_engine(url), open_engine(f"sqlite:///{tmp_path}/back.sqlite3")
        restore(there, tmp_path / "one", kept_tables())
        backup(there, tmp_path / "two", MOMENT, kept_tables())
        restore(back, tmp_path / "two", kept_tables())
        assert content(back) == content(campus.engine)
        there.dispose()
        back.dispose()


def test_the_restored_store_goes_on_where_the_old_one_was(campus: Parts, elsewhere: str, tmp_path: Path) -> None:
    """The ledger knows what it wrote, secrets open, and no number is given twice."""
    newest = campus.imports.latest(1)[0].id
    backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
    engine = open_engine(elsewhere)
    restore(engine, tmp_path / "store.backup", kept_tables())
    engine.dispose()
    again = opened(elsewhere)
    try:
        outcome = again.imports.run(calendar(LECTURES), COURSE, TERM)
        assert outcome.report
        assert (outcome.report.created, outcome.report.updated, outcome.report.deleted) == (0, 0, 0)
        assert outcome.run_id == newest + 1
        assert again.vault.get("learn/token") == "a refresh token"
        assert len(again.feeds.list()) == len(campus.feeds.list())
    finally:
        again.close()


def test_a_deleted_event_of_our_own_calendar_never_lends_its_number(
    campus: Parts, elsewhere: str, tmp_path: Path
) -> None:
    with writing(campus.engine) as connection:
        last = connection.execute(text("SELECT max(id) FROM local_event")).scalar_one()
        connection.execute(text("DELETE FROM local_event WHERE id = :last"), {"last": last})
    backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
    engine = open_engine(elsewhere)
    restore(engine, tmp_path / "store.backup", kept_tables())
    [local] = kept_tables()
    values = {"calendar": "demo/course/anatomy-1", "starts": 0, "ends": 1, "title": "", "text": "", "place": ""}
    values |= {"categories": [], "url": "", "status": "", "modified": 0}
    with writing(engine) as connection:
        made = connection.execute(
            insert(local.tables["local_event"]).values(
                values | {"categories": [], "url": "", "status": "", "modified": 0}
            )
        ).inserted_primary_key
        assert made
        assert made[0] > last
    engine.dispose()


def test_it_is_one_moment_while_others_write(campus: Parts, tmp_path: Path) -> None:
    """Two rows that always change together are equal in every backup."""
    stop = Event()

    def write() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            with writing(campus.engine) as connection:
                for name in ("one", "other"):
                    connection.execute(text("DELETE FROM lease WHERE name = :name"), {"name": name})
                    values = {"name": name, "holder": str(count), "until": MOMENT}
                    connection.execute(insert(tables.lease).values(values))

    writer = Thread(target=write)
    writer.start()
    try:
        for attempt in range(5):
            backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
            engine = open_engine(f"sqlite:///{tmp_path}/copy{attempt}.sqlite3")
            restore(engine, tmp_path / "store.backup", kept_tables())
            holders = {row[1] for row in content(engine)["lease"]}
            assert len(holders) <= 1
            engine.dispose()
    finally:
        stop.set()
        writer.join()


def test_an_older_store_is_brought_up_as_it_is_restored(tmp_path: Path) -> None:
    """From the first revision that was released on."""
    from app.store.migrate import upgrade

    old, new = open_engine(f"sqlite:///{tmp_path}/old.sqlite3"), open_engine(f"sqlite:///{tmp_path}/new.sqlite3")
    with writing(old) as connection:
        upgrade(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO feed (slug, title, calendar, public, enabled, created_at)"
                " VALUES ('a', 'A', 'demo/course/a', 1, 1, '2026-01-01 00:00:00')"
            )
        )
    backup(old, tmp_path / "store.backup", MOMENT)
    restore(new, tmp_path / "store.backup", kept_tables())
    assert lacks(new) == []
    assert [row[1] for row in content(new)["feed"]] == ["a"]


def test_only_its_owner_may_read_it(campus: Parts, tmp_path: Path) -> None:
    backup(campus.engine, tmp_path / "store.backup", MOMENT)
    assert (tmp_path / "store.backup").stat().st_mode & 0o077 == 0


def test_a_full_database_is_not_restored_into(campus: Parts, tmp_path: Path) -> None:
    backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
    before = content(campus.engine)
    with pytest.raises(BadBackup, match="not empty"):
        restore(campus.engine, tmp_path / "store.backup", kept_tables())
    assert content(campus.engine) == before


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_cut_backup_restores_nothing(campus: Parts, tmp_path: Path, share: float) -> None:
    whole = tmp_path / "store.backup"
    backup(campus.engine, whole, MOMENT, kept_tables())
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    engine = open_engine(f"sqlite:///{tmp_path}/new.sqlite3")
    with pytest.raises(BadBackup, match=r"not a whole backup|cut off"):
        restore(engine, whole, kept_tables())
    with engine.connect() as connection:
        found = MetaData()
        found.reflect(connection)
        assert not found.tables
    engine.dispose()


def test_a_changed_backup_is_refused(campus: Parts, tmp_path: Path) -> None:
    whole = tmp_path / "store.backup"
    backup(campus.engine, whole, MOMENT, kept_tables())
    lines = gzip.decompress(whole.read_bytes()).replace(b"anatomy-1", b"anatomy-2")
    whole.write_bytes(gzip.compress(lines))
    with pytest.raises(BadBackup, match="changed since"):
        restore(open_engine(f"sqlite:///{tmp_path}/new.sqlite3"), whole, kept_tables())


NONE = {
    "nothing": b"",
    "a text": b"hello",
    "an object": gzip.compress(b'{"a": 1}\n'),
    "a list": gzip.compress(b"[1]\n"),
    "nothing within": gzip.compress(b""),
    "no text": gzip.compress(b"\xff\n"),
    "no JSON": gzip.compress(b"a"),
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE.keys())
def test_what_is_no_backup_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(BadBackup):
        restore(open_engine(f"sqlite:///{tmp_path}/new.sqlite3"), tmp_path / "file", kept_tables())


def test_tables_of_others_in_the_same_database_are_left_alone(campus: Parts, tmp_path: Path) -> None:
    told = backup(campus.engine, tmp_path / "store.backup", MOMENT, kept_tables())
    engine = open_engine(f"sqlite:///{tmp_path}/shared.sqlite3")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE moodle (id INTEGER)"))
        connection.execute(text("INSERT INTO moodle VALUES (7)"))
    restore(engine, tmp_path / "store.backup", kept_tables())
    assert "moodle" not in backup(engine, tmp_path / "again.backup", MOMENT, kept_tables()).counts
    assert told.counts["feed"]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM moodle")).scalar() == 7
    engine.dispose()


def test_a_backup_that_fails_leaves_the_older_one(tmp_path: Path) -> None:
    (tmp_path / "store.backup").write_bytes(b"yesterday's")
    with pytest.raises(BadBackup, match="no store"):
        backup(open_engine("sqlite://"), tmp_path / "store.backup", MOMENT)
    assert (tmp_path / "store.backup").read_bytes() == b"yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["store.backup"]
