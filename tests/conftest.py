"""What every test lives under: no network but loopback, and stores that are taken back.

Each run notes which tests passed without asking `tests.stores` for a store, by themselves or by a fixture of theirs;
`--stores-only` leaves those out. So a second run, on the other engine, is of whatever keeps something, by what the
first one saw and by no list. A test that the first one did not see pass is run.
"""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests import stores

KEEPS = "keeps something"
IDLE = "calbridge/tests-without-a-store"
_shared: set[str] = set()
"""Fixtures of several tests that asked for a store."""


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
def stores_are_taken_back(request: pytest.FixtureRequest) -> Iterator[None]:
    before = stores.asked()
    yield
    if stores.asked() > before or _shared & set(request.fixturenames):
        request.node.user_properties.append((KEEPS, True))
    stores.take_back()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    before = stores.asked()
    made = yield
    if stores.asked() > before and fixturedef.scope != "function":
        _shared.add(fixturedef.argname)
        stores.share()
    return made


class Notes:
    """Keeps, from run to run, which tests passed and asked for no store."""

    def __init__(self, cache: pytest.Cache) -> None:
        self._cache = cache
        self._idle: set[str] = set(cache.get(IDLE, []))
        self._else: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed or KEEPS in dict(report.user_properties):
            self._else.add(report.nodeid)
        elif report.when == "teardown":
            self._idle.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._cache.set(IDLE, sorted(self._idle - self._else))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stores-only", action="store_true", help="only tests that asked for a store when they passed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--stores-only"):
        idle = set(config.cache.get(IDLE, [])) if config.cache else set()
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in idle])
        items[:] = [item for item in items if item.nodeid not in idle]


def pytest_configure(config: pytest.Config) -> None:
    # what a shell starts in the background ignores Ctrl+C, and so would every process that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stores.require()
    if getattr(config, "cache", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(config.cache))


def pytest_unconfigure() -> None:
    stores.drop()
