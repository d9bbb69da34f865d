"""A Redis for tests: a server of their own, that they may kill."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_redis(folder: Path, port: int = 0) -> Iterator[str]:
    """A Redis of its own on a free port, or on that one; gone with the block."""
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    program = shutil.which("redis-server")
    assert program, "these tests start a redis-server: install one"
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
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
