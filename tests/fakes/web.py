"""A web server that calendars are fetched from, as friendly or as hostile as its replies: raw bytes, or a function."""

from __future__ import annotations

import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Reply = bytes | Callable[[socket.socket], None]
"""What goes over the line, byte for byte; a function writes it itself."""

HOST = "calendars.test"
"""The name that the certificate is for."""

LECTURE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//calbridge//tests//EN
BEGIN:VEVENT
UID:lecture
DTSTAMP:20260101T000000Z
DTSTART:20261021T101500Z
SUMMARY:Marine biology: økologi
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n").encode()
"""A small calendar, whole."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names in small letters."""

    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class Web:
    """`replies` by path; of several the next one each time, the last one for ever. 404 for all other paths."""

    port: int
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The names that TLS was asked for."""

    def url(self, path: str = "/", host: str = HOST, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def reply(self, path: str) -> Reply:
        reply = self.replies.get(path, answer(404))
        if isinstance(reply, list):
            return reply.pop(0) if len(reply) > 1 else reply[0]
        return reply


def answer(status: int, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A whole answer; `length` is a Content-Length that lies, -1 for none."""
    lines = [f"HTTP/1.1 {status} Said", "Connection: close", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def onward(to: str, status: int = 302, body: bytes = b"", *headers: str) -> bytes:
    """A redirect."""
    return answer(status, body, f"Location: {to}", *headers)


@contextmanager
def serving(*, tls: bool = False, pem: str = "") -> Iterator[Web]:
    """A server on a loopback port while the block lasts; `pem` is a key and a certificate of its own."""
    web = Web(0)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) if tls else self.request as line,
            ):
                _serve(line, web)

    context = _context(web, pem or _KEY + CERTIFICATE)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        web.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()


def _serve(line: socket.socket, web: Web) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = line.recv(65536)
        if not piece:
            return
        head += piece
    first, *fields = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
    asked = Asked(first.split(" ")[1], headers)
    web.asked.append(asked)
    reply = web.reply(asked.path)
    if isinstance(reply, bytes):
        line.sendall(reply)
    else:
        reply(line)


def _context(web: Web, pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_text(pem)
        context.load_cert_chain(file)

    def note(_: object, name: str | None, __: object) -> None:
        web.names.append(name)

    context.sni_callback = note
    return context


@dataclass(slots=True)
class Canary:
    """A port on this machine that nobody may ever connect to. `visits` counts those who did."""

    port: int
    visits: int = 0


@contextmanager
def canary() -> Iterator[Canary]:
    """Listens on loopback while the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        watched = Canary(listening.getsockname()[1])

        def watch() -> None:
            with suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    watched.visits += 1

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield watched
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@dataclass(slots=True)
class Names:
    """A resolver of ours: each name has its answers, the next one each time, the last one for ever."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=lambda: {HOST: [["127.0.0.1"]]})
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(f"{host} is unknown")
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBvTCCAWOgAwIBAgIUFKYVeqomk+jnKM0GIdakfILnUiYwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOY2FsZW5kYXJzLnRlc3QwIBcNMjYxMTIxMDQxMTEzWhgPMjEy
NjEwMjgwNDExMTNaMBkxFzAVBgNVBAMMDmNhbGVuZGFycy50ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEHyruZnnBu3I2bxm4umHOkJUMBaLaMN8YYU97ywLr
f5p8O01wEjbqpuLQW4NB/sdBYfu8fYfSd5Q4RW8dgaRtJqOBhjCBgzAdBgNVHQ4E
FgQUNlTKwq4QWTaRfZ7B9UyDWlvhc9EwHwYDVR0jBBgwFoAUNlTKwq4QWTaRfZ7B
9UyDWlvhc9EwDwYDVR0TAQH/BAUwAwEB/zAwBgNVHREEKTAngg5jYWxlbmRhcnMu
dGVzdIIVb3V0bG9vay5vZmZpY2UzNjUuY29tMAoGCCqGSM49BAMCA0gAMEUCIQDX
3JCLwmMtdbrBQzWeM8FBoDuBlhqTzOhEfXRTRJKWtQIgH6hrhX3O95CDvKCnLbuk
9BpvzxPSCdetvOZQuaAkh5M=
-----END CERTIFICATE-----
"""
"""Signed by itself, for HOST and outlook.office365.com, until 2126."""

_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQge7RQo/1hSrVPEw7F
Velx0MaCc7RLZ0O+TPs5QB18ucShRANCAAQfKu5mecG7cjZvGbi6Yc6QlQwFotow
3xhhT3vLAut/mnw7TXASNuqm4tBbg0H+x0Fh+7x9h9J3lDhFbx2BpG0m
-----END PRIVATE KEY-----
"""
"""Opens nothing but this server."""
