"""`calbridge serve` in processes of its own, as it is run for others, over a demo campus."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests import stores
from tests.deploy.nginx import PATIENCE

CONFIG = """
{store}
server.public_url = "https://cal.example.edu"
server.proxies = ["127.0.0.1"]
"""


@contextmanager
def calbridge(folder: Path, port: int, *options: str) -> Iterator[Path]:
    """`calbridge serve` over a demo campus, once it is ready; the file of its log."""
    (folder / "config.toml").write_text(CONFIG.format(store=stores.setting(folder / "cal.sqlite3")), "utf-8")
    environment = {**os.environ, "CALBRIDGE_CONFIG": str(folder / "config.toml")}
    command = [sys.executable, "-m", "app.cli", "serve", "--no-worker", "--port", str(port), *options]
    log = folder / "calbridge.err"
    with log.open("wb") as errors, subprocess.Popen(command, env=environment, stderr=errors) as process:
        try:
            _await_ready(port)
            yield log
        finally:
            process.terminate()


def _await_ready(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("calbridge does not answer")
