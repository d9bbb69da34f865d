"""What every test lives under: no network but loopback, and stores that are taken back."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests import stores


class Unreachable(OSError):
    """A test tried to leave this machine."""


def _here(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a local socket's path
    try:
        return address[0] in ("", "localhost") or ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection and every name look-up that would leave the machine fails at once, and says where to."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if not _here(address):
            raise Unreachable(f"a test tried to reach {address}")
        connect(self, address)

    def guarded_look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if host is not None and not _here((host.decode() if isinstance(host, bytes) else host,)):
            raise Unreachable(f"a test tried to look up {host}")
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(autouse=True)
def stores_are_taken_back() -> Iterator[None]:
    yield
    stores.take_back()


def pytest_configure() -> None:
    stores.require()


def pytest_unconfigure() -> None:
    stores.drop()
