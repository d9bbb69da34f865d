"""Who really asks: what our own proxies tell of the client is believed, and of nobody else's.

A request keeps the headers that say it was forwarded, so that one through a proxy never looks as if it came from this
machine itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SECURE = ("Strict-Transport-Security", "max-age=31536000")
"""A browser that came over https once comes over nothing else for a year (RFC 6797)."""


class Proxied:
    """A WSGI application before another. `proxies` are addresses and networks, as server.proxies names them."""

    def __init__(self, app: WSGIApplication, proxies: Sequence[str]) -> None:
        self._app = app
        networks = [ip_network(each) for each in proxies]
        self._is_ours = lru_cache(4096)(lambda address: _is_within(address, networks))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._is_ours(environ.get("REMOTE_ADDR", "")):
            return self._app(environ, start_response)
        environ["REMOTE_ADDR"] = self._client(environ)
        scheme = _hops(environ.get("HTTP_X_FORWARDED_PROTO", ""))[-1].lower()
        if scheme not in {"http", "https"}:
            return self._app(environ, start_response)
        environ["wsgi.url_scheme"] = scheme
        return self._app(environ, start_response if scheme == "http" else _saying_so(start_response))

    def _client(self, environ: WSGIEnvironment) -> str:
        """Each proxy adds on the right whom it saw: the last one that is none of ours. What stands left of it may
        be anybody's invention."""
        nearest = str(environ["REMOTE_ADDR"])
        for address in _addresses(environ.get("HTTP_X_FORWARDED_FOR", "")):
            nearest = address
            if not self._is_ours(address):
                break
        return nearest


def _saying_so(start_response: StartResponse) -> StartResponse:
    def started(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
        return start_response(status, [*headers, SECURE], *rest)  # type: ignore[arg-type]

    return started  # type: ignore[return-value]


def _hops(value: str) -> list[str]:
    return [hop.strip() for hop in value.split(",")]


def _addresses(forwarded_for: str) -> Iterator[str]:
    """From the right, until something is no address; some proxies add the port."""
    for hop in reversed(_hops(forwarded_for)):
        bare = hop[1:].partition("]")[0] if hop.startswith("[") else hop
        bare = bare.partition(":")[0] if bare.count(":") == 1 else bare
        try:
            yield str(ip_address(bare))
        except ValueError:
            return


def _is_within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in networks)
