"""A PostgreSQL cluster and calbridge's processes, on ports of their own, that tests may kill and start again.

`python -m tests.servers COMMAND …` runs a command beside a PostgreSQL: the one that tests expect, or one of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

USUAL = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name.zfill(4), default=Path())
PROGRAMS = Path(os.environ.get("CALBRIDGE_TEST_POSTGRESQL_BIN", USUAL))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(happened: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for it. AssertionError where it does not happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} seconds"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass(slots=True)
class Postgres:
    """A cluster of its own, as user postgres where we are root: it refuses root."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")

    def start(self) -> None:
        """What a crash of the machine would lose is not what is tested; one of the server loses nothing."""
        options = f"-c fsync=off -p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-o", options, "start")

    def kill(self) -> None:
        """SIGQUIT to all of it: nothing is finished, the log is replayed at the start."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        command = shlex.join([str(PROGRAMS / program), *words])
        user = ["su", "postgres", "-c", command] if os.geteuid() == 0 else ["sh", "-c", command]
        subprocess.run(user, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running cluster, empty, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="calbridge-pg-") as folder:
        server = Postgres(Path(folder))
        server.make()
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.kill()


@dataclass(slots=True)
class Process:
    """A command that can be killed and started again; what it says goes to a file."""

    command: list[str]
    output: Path
    environment: dict[str, str] = field(default_factory=dict)
    _running: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        with self.output.open("ab") as output:
            self._running = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=output,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._running
        return self._running.pid

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """It, and what it has started; returns when it is gone."""
        if self._running and self._running.poll() is None:
            os.killpg(self._running.pid, how)
        if self._running:
            self._running.wait(60)


@dataclass(slots=True)
class Redis:
    """A Redis that keeps nothing."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = Process(["redis-server", *words], self.folder / "redis.log")

    def start(self) -> None:
        self.process.start()
        until(lambda: answers(self.port), 20, "the start of Redis")

    def kill(self) -> None:
        self.process.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"


def calbridge(config: Path, name: str, *words: str) -> Process:
    """`calbridge *words`, not yet started."""
    command = [sys.executable, "-m", "app.cli", "--config", str(config), *words]
    return Process(command, config.parent / f"{name}.log")


def main() -> None:
    from tests.postgresql import answers

    with ExitStack() as stack:
        there = {} if answers() else {"CALBRIDGE_TEST_POSTGRESQL": stack.enter_context(postgres()).url}
        sys.exit(subprocess.run(sys.argv[1:], env=os.environ | there, check=False).returncode)


if __name__ == "__main__":
    main()
