"""The queues: two words a job, shared between processes where there is a place for that, and never missed when away."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import jobs
from app.jobs import Job, Queues, queues
from bridges.model import CalendarRef
from tests.redis import a_redis

COURSE = CalendarRef.parse("learn/course/courseId:BIO 101")
MANY = [
    jobs.chore("retention"),
    jobs.reading(COURSE),
    jobs.checking(COURSE),
    jobs.pulling(17),
    jobs.importing(4, "its"),
]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/jobs"
        return
    with a_redis(tmp_path) as url:
        yield url


def test_what_one_process_queues_another_takes_once_in_its_order(url: str) -> None:
    one, other, third = (queues(url, "") for _ in range(3))
    for job in MANY:
        one.put(job)
        one.put(Job(job.kind, "later", job.strand))
    of_learn = {job for job in MANY if job.strand == "learn"}
    assert other.waiting("learn") == of_learn | {Job(job.kind, "later", "learn") for job in of_learn}
    assert other.take("learn") == jobs.reading(COURSE)
    assert third.take("import its") == jobs.importing(4, "its")
    assert other.take("import its") == Job(jobs.Kind.IMPORT, "later", "import its")
    assert one.take("import its") is None


def test_what_lies_in_the_queue_is_two_words_that_any_version_can_read(tmp_path: Path) -> None:
    lines = queues("", f"sqlite:///{tmp_path}/store.sqlite3")
    lines.put(jobs.reading(COURSE))
    assert b"read learn/course/courseId:BIO 101" in (tmp_path / "store.sqlite3.jobs-wal").read_bytes()


def test_a_kind_that_a_newer_version_queued_is_left_to_its_sweep(url: str) -> None:
    lines = queues(url, "")
    lines.put(Job("dance", "17", "learn"))  # type: ignore[arg-type]
    lines.put(jobs.reading(COURSE))
    assert lines.waiting("learn") == {jobs.reading(COURSE)}
    assert lines.take("learn") is None
    assert lines.take("learn") == jobs.reading(COURSE)


def test_without_a_place_to_share_each_process_has_its_own() -> None:
    lines = queues("", "postgresql+psycopg://campus@db/calbridge")
    assert not lines.shared
    assert not lines.ask(jobs.pulling(1))
    lines.put(jobs.pulling(2))
    assert lines.take(jobs.PULLS) == jobs.pulling(2)


def by_itself(lines: Queues) -> None:
    """What is put is taken by the same process, and nobody is told of what is asked for."""
    assert not lines.ask(jobs.pulling(1))
    lines.put(jobs.pulling(2))
    assert lines.take(jobs.PULLS) == jobs.pulling(2)
    assert lines.take(jobs.PULLS) is None


def test_a_redis_that_is_away_from_the_start_is_done_without() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    by_itself(queues(f"redis://127.0.0.1:{port}/0", ""))


def test_a_redis_that_never_answers_costs_a_moment_and_then_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lines = queues(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", "")
        begun = time.monotonic()
        for _ in range(20):
            by_itself(lines)
        assert time.monotonic() - begun < 2
    assert len([record for record in caplog.records if "away" in record.getMessage()]) == 1


def test_a_redis_that_dies_and_comes_back_is_used_again(tmp_path: Path) -> None:
    with a_redis(tmp_path) as url:
        lines = queues(url, "")
        lines._breaker._rest = 0.2
        lines.put(jobs.pulling(1))
        assert lines.shared
    by_itself(lines)
    assert not lines.shared
    with a_redis(tmp_path, int(url.rpartition(":")[2].partition("/")[0])):
        time.sleep(0.25)
        assert lines.ask(jobs.pulling(3))
        assert lines.take(jobs.PULLS) == jobs.pulling(3)
