"""Ways to reach a fake LMS, a plain WSGI app: in process through requests, or on a loopback port in a thread.

A fake that wants to lose its answer calls `hang_up(environ)`; it works the same both ways.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class HungUp(Exception):
    """The fake closed the line without an answer."""


def hang_up(environ: WSGIEnvironment) -> None:
    """Close the line now: no (further) byte of an answer arrives."""
    line = environ.get("werkzeug.socket")
    if line is None:
        raise HungUp
    line.shutdown(socket.SHUT_RDWR)


class WsgiAdapter(BaseAdapter):
    """Hands requests to a WSGI app in this process; the body streams as the app yields it."""

    def __init__(self, app: WSGIApplication) -> None:
        super().__init__()
        self._app = app
        self._builder = HTTPAdapter()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        status: list[str] = []
        headers = HTTPHeaderDict()

        def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            status[:] = [line]
            headers.clear()
            for name, value in fields:
                headers.add(name, value)
            return lambda data: None

        try:
            body = io.BufferedReader(_Pieces(self._app(_environ(request), start_response)))
        except HungUp as error:
            raise requests.ConnectionError("closed without an answer", request=request) from error
        code, _, reason = status[0].partition(" ")
        raw = HTTPResponse(
            body,
            headers,
            int(code),
            reason=reason,
            preload_content=False,
            decode_content=False,
            request_method=request.method,
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        self._builder.close()


class _Pieces(io.RawIOBase):
    """What a WSGI app yields, as a file to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._rest: Iterator[bytes] = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = next(self._rest)
            except StopIteration:
                return 0
            except HungUp as error:
                raise ConnectionResetError("closed within the answer") from error
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def close(self) -> None:
        finish = getattr(self._pieces, "close", None)
        if finish is not None and not self.closed:
            finish()
        super().close()


def _environ(request: requests.PreparedRequest) -> WSGIEnvironment:
    url = urlsplit(request.url or "")
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname or "",
        "SERVER_PORT": str(url.port or {"http": 80, "https": 443}[url.scheme]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body if isinstance(body, bytes) else b"".join(body)),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        field = name.upper().replace("-", "_")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        environ[field if field in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{field}"] = text
    return environ


def session_to(hosts: Mapping[str, WSGIApplication]) -> Callable[[], requests.Session]:
    """A session factory that knows these hosts (`{"https://learn.example.edu": app}`) and no others."""

    def session() -> requests.Session:
        made = requests.Session()
        made.adapters.clear()
        for prefix, app in hosts.items():
            made.mount(prefix, WsgiAdapter(app))
        return made

    return session


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        return


def server(app: WSGIApplication, port: int = 0) -> BaseWSGIServer:
    """A server on a loopback port (0: any free one), not yet serving; its `port` says which."""
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)


@contextmanager
def serving(app: WSGIApplication, port: int = 0) -> Iterator[str]:
    """The app on a loopback port (0: any free one) while the block lasts; yields its URL."""
    with closing(_Closing(server(app, port))) as running:
        yield running.url


class _Closing:
    def __init__(self, listening: BaseWSGIServer) -> None:
        self._server = listening
        self._thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{listening.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
