"""A Redis that is away, stalls, is full, or forgets everything: calbridge goes on without, and loses no work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis as Client

from app import jobs
from app.config import parse
from app.imports.record.runs import Ending
from app.imports.subscription import Import
from app.jobs import Kind
from app.parts import Parts, open_parts
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, browser, calendar
from tests.servers import Redis
from tests.store.test_backup import COURSE, TERM


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    redis = Redis(tmp_path)
    yield redis
    redis.kill()


@contextmanager
def campus(folder: Path, redis: Redis) -> Iterator[Parts]:
    """A campus beside that Redis, whether it runs or not."""
    store = stores.setting(folder / "campus.sqlite3").splitlines()
    lines = [line for line in store if line.startswith("store.")]
    urls = [f'jobs.url = "{redis.url}/0"', f'cache.url = "{redis.url}/1"']
    parts = open_parts(parse("\n".join([*lines, *urls]), {}), now=lambda: NOW)
    yield parts
    parts.close()


def shown(web: FlaskClient) -> bytes:
    answer = web.get("/public/anatomy-i.ics")
    assert answer.status_code == 200
    return bytes(answer.data)


def queued(parts: Parts) -> int:
    return parts.told_a_worker(parts.imports.queue(Import(calendar(LECTURES, EXAM), COURSE, TERM))).id


def is_done(parts: Parts, run: int) -> bool:
    """By a sweep, as workers make one: of what is due by the store alone."""
    due = [job for job in parts.refreshes.due(NOW) if job.kind is Kind.IMPORT]
    assert due == [jobs.importing(run, "demo")]
    parts.refreshes.do(due[0], NOW)
    return parts.imports.standing(run)[0] is Ending.DONE


def test_one_that_is_away_from_the_start_hinders_neither_feeds_nor_imports(redis: Redis, tmp_path: Path) -> None:
    with campus(tmp_path, redis) as parts:
        assert shown(browser(parts)).count(b"BEGIN:VEVENT") > 0
        assert is_done(parts, queued(parts))


def test_one_that_dies_takes_no_work_with_it(redis: Redis, tmp_path: Path) -> None:
    redis.start()
    with campus(tmp_path, redis) as parts:
        before, run = shown(browser(parts)), queued(parts)
        assert parts.queues.waiting(jobs.imports_into("demo"))
        redis.kill()
        assert is_done(parts, run)
        assert shown(browser(parts)) != before


def test_one_that_stalls_costs_each_process_a_moment_and_then_nothing(redis: Redis, tmp_path: Path) -> None:
    redis.start()
    with campus(tmp_path, redis) as parts:
        os.kill(redis.process.pid, signal.SIGSTOP)
        began = time.monotonic()
        web = browser(parts)
        bodies = {shown(web) for _ in range(5)}
        run = queued(parts)
        assert (len(bodies), time.monotonic() - began < 4) == (1, True)
        assert is_done(parts, run)
        os.kill(redis.process.pid, signal.SIGCONT)


def test_one_that_is_full_is_done_without(redis: Redis, tmp_path: Path) -> None:
    redis.start()
    with campus(tmp_path, redis) as parts:
        with Client.from_url(redis.url) as client:
            client.config_set("maxmemory", 1)
        assert shown(browser(parts))
        assert is_done(parts, queued(parts))


def test_one_that_forgets_everything_is_filled_again(redis: Redis, tmp_path: Path) -> None:
    redis.start()
    with campus(tmp_path, redis) as parts:
        before, run = shown(browser(parts)), queued(parts)
        with Client.from_url(f"{redis.url}/1") as cache:
            assert cache.dbsize()
            cache.flushall()
            assert shown(browser(parts)) == before
            assert is_done(parts, run)
            shown(browser(parts))
            assert cache.dbsize()
