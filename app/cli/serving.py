"""`serve`, `work` and `workers`: the processes.

The server is granian: of our kind of answer, a thin lane before Flask, it served 28,400 a second in one process where
gunicorn's threads served 5,100, and of a whole Flask view 5,700 where those served 2,500 (100 kB bodies, two cores).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from app.cli.checking import warn
from app.cli.common import config_file, json_option, parts
from app.cli.tables import Column, tell
from app.cli.terminal import moment, say

if TYPE_CHECKING:
    from app.parts import Parts


THREADS = 16
"""Requests under way at a time: one that waits for an LMS must not keep cached feeds from being served."""


@click.command()
@click.option("--workers", "processes", type=click.IntRange(1, 64), default=1, help="Web processes (default: 1).")
@click.option("--host", help="The address to listen on (server.host).")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on (server.port).")
@click.option(
    "--worker/--no-worker", default=True, help="Also do what is due, as 'calbridge work' does (default: yes)."
)
def serve(processes: int, host: str | None, port: int | None, worker: bool) -> None:
    """Serve feeds, pages and the API, and read what is due in the background.

    Example: calbridge serve --host 0.0.0.0 --port 8600
    """
    with _counting_together() if processes > 1 else nullcontext():
        joined = parts()
        server = joined.config.server
        _listen(joined, host or server.host, port or server.port, worker, processes)


def _listen(joined: Parts, host: str, port: int, worker: bool, processes: int) -> None:
    from app.people import tokens
    from app.web.door.access import is_loopback

    if not is_loopback(f"[{host}]" if ":" in host else host) and not tokens.any_made(joined.engine):
        raise ValueError(
            f"on {host} others can reach this server, and whatever writes needs a token then: "
            "make one first with 'calbridge token add NAME'"
        )
    warn(joined.config)
    path = config_file()
    if path:  # for the processes that are started now
        os.environ["CALBRIDGE_CONFIG"] = os.path.abspath(path)
    _require_free(host, port)
    os.environ["CALBRIDGE_TIED"] = str(os.getpid())
    joined.engine.dispose()  # the worker is another process: no connection is carried over
    say(f"calbridge serves http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops it)")
    with _worker() if worker else nullcontext():
        _serve(host, port, processes)


def _require_free(host: str, port: int) -> None:
    """The server shares a port with whoever listens there already, and requests would go to either: ask first."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ValueError(f"cannot listen on {host}, port {port}: {reason}; is another calbridge running?") from None


@contextmanager
def _worker() -> Iterator[None]:
    """A worker in a process of its own, so that a long reading never holds up a request."""
    command = [sys.executable, "-P", "-m", "app.cli", "work", "--tied", str(os.getpid())]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own words alone
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def _counting_together() -> Iterator[None]:
    """A folder for the figures of several web processes: whoever asks for them reaches any one. It has to be named
    before prometheus_client is loaded."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="calbridge-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _serve(host: str, port: int, processes: int) -> None:
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "wsgi:app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=processes,
        blocking_threads=THREADS,
        log_level=LogLevels.error,
    ).serve()


@click.command("work")
@click.option("--tied", type=int, hidden=True, help="Be quiet, and end with the process of this number.")
def work_command(tied: int | None) -> None:
    """Do what is due: read calendars, pull subscriptions, take up imports. Any number may run, on any host.

    Example: calbridge work

    Stopped with SIGTERM or Ctrl-C it finishes what it does, or puts it back, within jobs.stop_seconds.
    """
    import signal
    from threading import Event

    from app.config import secrets_of
    from app.jobs import strands
    from app.tied import end_with
    from app.watch.logs import configure
    from app.watch.traces import begin
    from app.work import Worker

    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if tied:
        end_with(tied)
    joined = parts()
    config = joined.config
    configure(config.log.level, config.log.form, secrets_of(config))
    if not tied:
        warn(config)
        say("calbridge works (Ctrl-C stops it)")
    begin(os.environ, secrets_of(config), joined.engine)
    worker = Worker(
        joined.engine,
        joined.refreshes,
        joined.queues,
        strands(config.connections),
        joined.now,
        hands=config.jobs.threads,
        stop_seconds=config.jobs.stop_seconds,
        stop=stop,
    )
    if not worker.run():
        os._exit(0)  # what was cut off is put back; its threads would hold the process up
    joined.close()


@click.command("workers")
@json_option
def workers_command(as_json: bool) -> None:
    """List the worker processes: where each runs, when it was last heard, and what it does.

    Example: calbridge workers
    """
    from app.store import workers

    joined = parts()
    now, zone = joined.now(), joined.config.zone
    columns: Sequence[Column[workers.Seen]] = [
        Column("host", lambda each: each.host),
        Column("process", lambda each: each.pid),
        Column("since", lambda each: f"since {moment(each.started_at, zone)}"),
        Column(
            "heard", lambda each: f"{'silent since' if each.is_silent(now) else 'heard'} {moment(each.seen_at, zone)}"
        ),
        Column("does", lambda each: ", ".join(each.doing) or "idle", folds=True),
    ]
    tell(workers.known(joined.engine), columns, lambda each: workers.to_json(each, now), as_json)
    joined.close()
