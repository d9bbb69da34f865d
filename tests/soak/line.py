"""A line between an importer and an LMS that goes bad: it loses answers after the work was done, or kills the importer.

HTTP and SMTP pass through it on a loopback port; what a request is, and when its answer is half sent, it knows of both.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


class Moment(StrEnum):
    """When something happens to a request."""

    RECEIPT = "on receipt, before the work"
    COMMIT = "after the work, before the answer"
    HALF = "after half of the answer"
    ANSWER = "after the answer"


class Loss(StrEnum):
    """What becomes of an answer whose work was done."""

    CLOSED = "closed without an answer"
    RESET = "reset without an answer"
    HALF = "closed within the answer"
    GATEWAY = "502 in place of the answer"


class Broken(Exception):
    """The line is cut: nothing more passes."""


@dataclass(slots=True)
class Fate:
    """What the line does, changeable at any time.

    share       of the answers to writes, how many get lost, each in one of the ways `losses`
    every       in place of chance: each so-many-th write's answer gets lost (0: none)
    victim_at   the number of the request, from 1, at which `kill` is called, at that `moment` (0: never)
    requests    how many passed
    """

    dice: random.Random
    share: float = 0.0
    every: int = 0
    losses: tuple[Loss, ...] = tuple(Loss)
    victim_at: int = 0
    moment: Moment = Moment.RECEIPT
    kill: Callable[[], None] = lambda: None
    requests: int = 0
    writes: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drawn(self, *, writes: bool) -> tuple[bool, Loss | None]:
        """For the next request: whether the importer dies of it, and how its answer gets lost."""
        with self.lock:
            self.requests += 1
            self.writes += writes
            unlucky = self.dice.random() < self.share or bool(self.every and self.writes % self.every == 0)
            loss = self.dice.choice(self.losses) if writes and unlucky and self.losses else None
            self.lost += loss is not None
            return self.requests == self.victim_at, loss

    def strike(self, victim: bool, moment: Moment) -> None:
        if victim and self.moment is moment:
            self.kill()
            raise Broken


def _answered(fate: Fate, victim: bool, loss: Loss | None, answer: bytes, to: socket.socket) -> None:
    """Hand on the answer, or what is left of it. Broken where nothing more may pass."""
    fate.strike(victim, Moment.COMMIT)
    if loss is Loss.RESET:
        to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if loss in (Loss.CLOSED, Loss.RESET):
        raise Broken
    if loss is Loss.HALF or (victim and fate.moment is Moment.HALF):
        to.sendall(answer[: len(answer) // 2])
        fate.strike(victim, Moment.HALF)
        raise Broken
    to.sendall(answer)
    fate.strike(victim, Moment.ANSWER)


def _http(port: int, fate: Fate) -> type[BaseHTTPRequestHandler]:
    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            victim, loss = fate.drawn(writes=self.command != "GET")
            try:
                fate.strike(victim, Moment.RECEIPT)
                answer = self._asked(body)
                if loss is Loss.GATEWAY:
                    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\n\r\nBad Gateway"
                _answered(fate, victim, loss, answer, self.connection)
            except Broken:
                self.close_connection = True

        def _asked(self, body: bytes) -> bytes:
            there = HTTPConnection("127.0.0.1", port, timeout=60)
            there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                there.putheader(name, value)
            there.endheaders(body or None)
            answer = there.getresponse()
            data = answer.read()
            there.close()
            dropped = {"transfer-encoding", "connection", "content-length"}
            head = [f"HTTP/1.1 {answer.status} {answer.reason}"]
            head += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in dropped]
            return "\r\n".join([*head, f"Content-Length: {len(data)}", "", ""]).encode("latin-1") + data

        def log_message(self, *_: Any) -> None:
            return

    return Passing


def _smtp(port: int, fate: Fate) -> type[StreamRequestHandler]:
    class Passing(StreamRequestHandler):
        """Lock-step, as SMTP is without pipelining. A message counts as a request; its answer is one line."""

        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there, suppress(Broken, OSError):
                answers = there.makefile("rb")
                self.wfile.write(_reply(answers))
                while line := self.rfile.readline():
                    there.sendall(line)
                    said = _reply(answers)
                    self.wfile.write(said)
                    if line.upper().startswith(b"DATA") and said.startswith(b"354"):
                        self._message(there, answers)

        def _message(self, there: socket.socket, answers: Any) -> None:
            message = b""
            while not message.endswith(b"\r\n.\r\n"):
                line = self.rfile.readline()
                if not line:
                    raise Broken
                message += line
            victim, loss = fate.drawn(writes=True)
            fate.strike(victim, Moment.RECEIPT)
            there.sendall(message)
            _answered(fate, victim, loss, _reply(answers), self.connection)

    return Passing


def _reply(answers: Any) -> bytes:
    """All lines of one answer: those but the last have a hyphen after the code."""
    said: list[bytes] = []
    while line := answers.readline():
        said.append(line)
        if line[3:4] != b"-":
            return b"".join(said)
    raise Broken


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """The importer was killed while it was talking; that is what we are for."""


class _HttpServer(_Server, ThreadingHTTPServer):
    pass


@contextmanager
def line_to(url: str, fate: Fate) -> Iterator[str]:
    """A line to the LMS that listens at `url`, on a port of its own, while the block lasts; its URL."""
    scheme, _, rest = url.partition("://")
    port = int(rest.rpartition(":")[2].strip("/"))
    server: _Server
    if scheme == "smtp":
        server = _Server(("127.0.0.1", 0), _smtp(port, fate))
    else:
        server = _HttpServer(("127.0.0.1", 0), _http(port, fate))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
