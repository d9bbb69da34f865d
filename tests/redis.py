"""A Redis for tests: servers of their own, that they may kill, and one beside the stores of this process."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

DATABASES = 64
"""That one server has; a test has two for each of its stores."""
_beside: dict[str, tuple[str, str]] = {}
_shared: dict[str, tuple[str, str]] = {}
_running = ExitStack()
_server: list[str] = []


def beside(store: str) -> tuple[str, str]:
    """The URLs of an empty queue and an empty cache for the store of that URL, until `forget`."""
    if not _server:
        _server.append(_running.enter_context(a_redis(Path(tempfile.gettempdir()))).rpartition("/")[0])
    if store not in _shared | _beside:
        number = 2 * len(_shared | _beside)
        _beside[store] = f"{_server[0]}/{number}", f"{_server[0]}/{number + 1}"
    return (_shared | _beside)[store]


def share() -> None:
    """What was asked for so far is several tests': it is not emptied."""
    _shared.update(_beside)
    _beside.clear()


def forget() -> None:
    """The test is over: what its queues and caches hold is nobody's."""
    from redis import Redis

    for urls in _beside.values():
        for url in urls:
            with Redis.from_url(url) as database:
                database.flushdb()
    _beside.clear()


def stop() -> None:
    """No test follows."""
    _running.close()
    _server.clear()
    _shared.clear()
    _beside.clear()


@contextmanager
def a_redis(folder: Path, port: int = 0) -> Iterator[str]:
    """A Redis of its own on a free port, or on that one; gone with the block."""
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    program = shutil.which("redis-server")
    assert program, "these tests start a redis-server: install one"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    command += ["--databases", str(DATABASES)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
