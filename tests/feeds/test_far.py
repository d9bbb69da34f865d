"""Bodies that processes share through Redis: found, checked, and done without."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.feeds.far import DAY, Far
from app.feeds.feed import Form
from app.feeds.serve import Feeds
from app.redis import Bodies, pool
from bridges.model import CalendarRef, Kind
from tests.feeds.world import World, new_world
from tests.redis import a_redis

MATH = CalendarRef("school", Kind.COURSE, "math")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    yield world
    world.engine.dispose()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with a_redis(tmp_path) as url:
        yield url


def process(world: World, far: Far) -> Feeds:
    """Feeds as another process has them, with nothing in its own memory."""
    feeds = world.feeds()
    feeds._shelf.far = far
    return feeds


def built(world: World, far: Far) -> bytes:
    """A feed that one process has served."""
    feeds = process(world, far)
    feeds.add("math", "Mathematics", MATH, public=True)
    return feeds.snapshot_for_public("math", Form.ICS).body


def test_what_one_process_has_built_another_has_at_hand(world: World, url: str) -> None:
    body = built(world, Bodies(url, DAY))
    other = process(world, Bodies(url, DAY)).at_hand(None, "math", Form.ICS)
    assert other is not None
    assert other.body == body
    assert world.feeds().at_hand(None, "math", Form.ICS) is None


def test_what_lies_there_and_is_no_such_body_is_not_believed(world: World, url: str) -> None:
    from redis import Redis

    body = built(world, Bodies(url, DAY))
    client: Any = Redis(connection_pool=pool(url))
    for key in client.keys("calbridge:body:*"):
        client.set(key, b"BEGIN:VCALENDAR\r\nX-FORGED:1\r\nEND:VCALENDAR\r\n")
    other = process(world, Bodies(url, DAY))
    assert other.at_hand(None, "math", Form.ICS) is None
    assert other.snapshot_for_public("math", Form.ICS).body == body


def test_a_redis_that_forgets_is_built_past(world: World, url: str) -> None:
    from redis import Redis

    body = built(world, Bodies(url, DAY))
    client: Any = Redis(connection_pool=pool(url))
    client.flushall()
    assert process(world, Bodies(url, DAY)).snapshot_for_public("math", Form.ICS).body == body


def test_feeds_are_served_while_redis_is_away_from_the_start_or_dies(world: World, tmp_path: Path) -> None:
    with a_redis(tmp_path) as url:
        body = built(world, Bodies(url, DAY))
        late = Bodies(url, DAY)
        assert process(world, late).at_hand(None, "math", Form.ICS) is not None
    for far in (late, Bodies(url, DAY)):
        assert process(world, far).snapshot_for_public("math", Form.ICS).body == body


def test_a_redis_that_never_answers_costs_one_moment(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        far = Bodies(f"redis://127.0.0.1:{mute.getsockname()[1]}/0", DAY)
        begun = time.monotonic()
        body = built(world, far)
        for _ in range(20):
            assert process(world, far).snapshot_for_public("math", Form.ICS).body == body
        assert time.monotonic() - begun < 3
