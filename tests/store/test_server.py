"""A PostgreSQL that dies, is full of connections, or takes no writes: a sentence, and all goes on when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, NullPool, create_engine, event, text
from werkzeug.test import TestResponse

from app.config import parse
from app.feeds.feed import Form
from app.parts import Parts, open_parts
from app.store.check import faults
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.campus import NOW, browser, calendar
from tests.servers import Postgres, postgres, until
from tests.store.test_backup import TERM

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")
UPLOAD = {"calendar": str(COURSE), "from": "2026-10-20", "to": "2026-12-31"}
FILE = calendar(*(f"UID:{n}\nSUMMARY:Lab {n}\nDTSTART:20261021T{n % 24:02}0000Z" for n in range(60)))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def admin(server: Postgres) -> Iterator[Engine]:
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def parts(server: Postgres, admin: Engine) -> Iterator[Parts]:
    """A campus as a role that is no superuser, as it should be."""
    did(admin, "CREATE ROLE campus LOGIN", "CREATE DATABASE campus OWNER campus")
    url = server.url.replace("postgres@", "campus@").removesuffix("postgres") + "campus"
    parts = open_parts(parse(f'store.url = "{url}"\nstore.key = "{stores.KEY}"', {}), now=lambda: NOW)
    yield parts
    parts.close()
    did(admin, "DROP DATABASE campus WITH (FORCE)", "DROP ROLE campus")


@pytest.fixture
def web(parts: Parts) -> FlaskClient:
    return browser(parts)


def did(admin: Engine, *statements: str) -> None:
    with admin.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def shown(web: FlaskClient) -> bytes:
    """A feed that was asked for before."""
    assert web.get("/public/anatomy-i.ics").status_code == 200
    body: bytes = web.get("/public/anatomy-i.ics").data
    return body


def sent(web: FlaskClient) -> TestResponse:
    return web.post("/api/imports", query_string=UPLOAD, data=FILE, content_type="text/calendar")


def each_once(parts: Parts) -> bool:
    titles = [found.event.title for found in parts.source("demo").read(COURSE, TERM)]
    labs = sorted(title for title in titles if title.startswith("Lab "))
    return labs == sorted(f"Lab {n}" for n in range(60)) and list(faults(parts.engine)) == []


def test_one_that_dies_within_an_import_and_comes_back_loses_and_doubles_nothing(
    server: Postgres, parts: Parts, web: FlaskClient
) -> None:
    body = shown(web)
    seen: list[int] = []

    @event.listens_for(parts.engine, "commit")
    def count(_: object) -> None:
        seen.append(1)
        if len(seen) == 12:
            server.kill()

    try:
        answer = sent(web)
        event.remove(parts.engine, "commit", count)
        again = web.get("/public/anatomy-i.ics").data
    finally:
        server.start()
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "cannot be reached" in answer.get_json()["detail"]
    assert again == body, "as it was last"
    until(lambda: sent(web).status_code == 200, 10, "the first import after the restart")
    assert each_once(parts)


def test_one_that_takes_no_writes_says_so_and_feeds_go_on(admin: Engine, parts: Parts, web: FlaskClient) -> None:
    """As a standby does after a failover, until it is promoted."""
    body = shown(web)
    read_only = "ALTER DATABASE campus {} default_transaction_read_only"
    gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'campus'"
    did(admin, f"{read_only.format('SET')} = on", gone)
    answer = sent(web)
    assert (answer.status_code, "can be read and not written" in answer.get_json()["detail"]) == (503, True)
    assert web.get("/public/anatomy-i.ics").data == body
    did(admin, read_only.format("RESET"), gone)
    assert sent(web).status_code == 200
    assert each_once(parts)


def test_one_that_is_full_of_connections_says_so_and_goes_on(admin: Engine, parts: Parts, web: FlaskClient) -> None:
    body = shown(web)
    parts.engine.dispose()
    did(admin, "ALTER ROLE campus CONNECTION LIMIT 0")
    answer = sent(web)
    assert (answer.status_code, "no more connections" in answer.get_json()["detail"]) == (503, True)
    assert web.get("/public/anatomy-i.ics").data == body
    did(admin, "ALTER ROLE campus CONNECTION LIMIT -1")
    assert sent(web).status_code == 200
    assert each_once(parts)


def test_connections_that_are_all_in_use_are_waited_for(parts: Parts, web: FlaskClient) -> None:
    """One web process has so many; whoever waits longer than `pool_timeout` is told."""
    parts.engine.dispose()
    with ExitStack() as held:
        for _ in range(35):
            held.enter_context(parts.engine.connect())
        waiting = Thread(target=lambda: answers.append(sent(web)))
        answers: list[TestResponse] = []
        waiting.start()
        waiting.join(1)
        assert answers == []
    waiting.join(20)
    assert [answer.status_code for answer in answers] == [200]
    assert each_once(parts)
    assert parts.feeds.snapshot_for_public("anatomy-i", Form.ICS).body
