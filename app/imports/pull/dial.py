"""Opens connections for one fetch: to addresses that were checked and to no others, and within one deadline.

A name is looked up once for each connection; every answer is checked, and the socket is opened to one of exactly these
addresses. Nobody looks the name up again in between, so a resolver that changes its mind gains nothing. TLS still
proves the name: SNI, certificate and Host header are those of the URL.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from app.imports.pull.addresses import Fences, FetchError, is_address

Resolver = Callable[[str, int], Sequence[str]]
"""A host name and a port → its addresses, as text. OSError where there are none."""

MOST_ADDRESSES = 4
"""How many addresses of one host are tried: one is enough for a host that is there."""


def system_resolver(host: str, port: int) -> Sequence[str]:
    """What this machine thinks of the name; every address once."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in answers))


class Dial:
    """The sockets of one fetch, one after the other. At the deadline the line is cut, also in the midst of a silence:
    a socket's own timeout is renewed with every byte, so a drip would never meet it. Times in seconds.
    """

    def __init__(self, fences: Fences, resolver: Resolver, total: float) -> None:
        self._fences = fences
        self._resolver = resolver
        self._ends = time.monotonic() + total
        self._line: socket.socket | None = None
        self._watch = threading.Timer(total, self._cut)
        self._watch.daemon = True

    def __enter__(self) -> Dial:
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._watch.cancel()
        self._hang_up()

    @property
    def late(self) -> bool:
        """Whether the deadline is over: what was read until then may be cut anywhere."""
        return self.left <= 0

    @property
    def left(self) -> float:
        return self._ends - time.monotonic()

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Where the host may be reached, each address checked. Refused if one of them is closed."""
        found = [host] if is_address(host) else self._looked_up(host, port)
        self._fences.check_answers(host, port, found)
        return found[:MOST_ADDRESSES]

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """A socket to one of the host's addresses. Refused, FetchError, or an OSError of the last one tried."""
        failure = OSError("no address was tried")
        for address in self.addresses(host, port):
            try:
                return self._connected(address, port, timeout)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError) and not self.late:
            raise FetchError(f"{host} did not take our call within {timeout:g} seconds.")
        raise failure

    def _connected(self, address: str, port: int, timeout: float) -> socket.socket:
        line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            line.settimeout(max(0.001, min(timeout, self.left)))
            line.connect((address, port))
            self._hang_up()
            self._line = line.dup()  # TLS takes the first one over
        except BaseException:
            line.close()
            raise
        return line

    def _looked_up(self, host: str, port: int) -> Sequence[str]:
        """The resolver's answer; it knows no time limit of its own."""
        answers: list[Sequence[str]] = []

        def ask() -> None:
            with suppress(OSError, UnicodeError):
                answers.append(self._resolver(host, port))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(max(0, self.left))
        if asking.is_alive():
            raise FetchError(f"{host} could not be looked up in time: no name server answered.")
        if not answers or not answers[0]:
            raise FetchError(f"{host} could not be found: is the address right, and does its name still exist?")
        return answers[0]

    def _cut(self) -> None:
        line = self._line
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return self._dial.connect(self.host, self.port, float(self.timeout or 0))


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class DialAdapter(HTTPAdapter):
    """Requests' adapter over these sockets. Sent to directly, without a session: no cookie, proxy, .netrc or redirect
    ever comes into play."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self._dial = dial

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        assert isinstance(pool, HTTPConnectionPool)  # as mounted above
        pool.conn_kw["dial"] = self._dial
        return pool
