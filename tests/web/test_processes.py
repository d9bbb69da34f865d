"""Several web processes over one store: what one changes the others show within two seconds."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests import stores
from tests.campus import calendar
from tests.servers import answers, calbridge, free_port, until


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[str]]:
    """Two servers of one store, each a process of its own."""
    config = tmp_path / "config.toml"
    config.write_text(stores.setting(tmp_path / "store.sqlite3"))
    with ExitStack() as stack:
        ports = [free_port() for _ in range(2)]
        for port in ports:
            server = calbridge(config, f"web-{port}", "serve", "--no-worker", "--port", str(port)).start()
            stack.callback(server.kill, signal.SIGTERM)
            until(lambda port=port: answers(port), 60, "the start of a server")  # type: ignore[misc]
        yield [f"http://127.0.0.1:{port}" for port in ports]


def test_what_one_process_writes_the_other_shows_within_two_seconds(both: list[str]) -> None:
    one, other = both
    feed = "/public/anatomy-i.ics"
    before = [requests.get(f"{url}{feed}", timeout=30) for url in (one, other, one, other)]
    assert len({answer.headers["ETag"] for answer in before}) == 1
    soon = datetime.now(UTC) + timedelta(days=3)
    sent = requests.post(
        f"{one}/api/imports?calendar=demo/course/anatomy-1",
        data=calendar(f"UID:new\nSUMMARY:Quite new\nDTSTART:{soon:%Y%m%dT%H%M%SZ}"),
        headers={"Content-Type": "text/calendar"},
        timeout=60,
    )
    assert sent.ok, sent.text
    done = time.monotonic()
    until(lambda: "Quite new" in requests.get(f"{other}{feed}", timeout=30).text, 2, "the news in the other process")
    assert time.monotonic() - done < 2
    assert "Quite new" in requests.get(f"{one}{feed}", timeout=30).text
