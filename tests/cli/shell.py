"""A person at a shell, in a folder with a configuration and a store of its own."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from app.cli import main
from app.config import load
from app.parts import Parts, open_parts
from tests import stores

COURSE = "demo/course/anatomy-1"


class Shell:
    """Runs commands in this process, and on a terminal of its own in another one."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        store = stores.setting(folder / "campus.sqlite3")
        self.config.write_text("\n".join(['zone = "Europe/Oslo"', store, *settings, ""]), "utf-8")

    def __call__(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *words], input=input)

    def parts(self) -> Parts:
        return open_parts(load(str(self.config), {}))

    def write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", "--config", str(self.config), *words]

    def on_a_terminal(self, *words: str, columns: int = 80, until: str = "", **environment: str) -> tuple[int, str]:
        """The exit status, and all that came to a terminal of so many columns. Once `until` is seen, it is stopped as
        by Ctrl-C."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        told = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "CI"}}
        with subprocess.Popen(
            self.command(*words), stdout=theirs, stderr=theirs, env={**told, "TERM": "xterm-256color", **environment}
        ) as process:
            os.close(theirs)
            said = ""
            for some in _read(ours):
                said += some
                if until and until in said:
                    process.send_signal(signal.SIGINT)
                    until = ""
        os.close(ours)
        return process.returncode, said


def _read(terminal: int) -> Iterator[str]:
    """What comes to it until nobody writes there any more."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with suppress(OSError):
        while some := os.read(terminal, 65536):
            yield decoder.decode(some)


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]
