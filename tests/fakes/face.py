"""The face that every fake shares, and how one of them, or all, come to listen on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.blackboard import FakeLearn
from tests.fakes.brightspace import FakeBrightspace
from tests.fakes.itslearning import FakeItslearning
from tests.fakes.learningspace import FakeLearningSpace
from tests.fakes.smtp import FakeRelay
from tests.fakes.wsgi import serving


class Fake(Protocol):
    """An LMS, or a mail relay, that a bridge can be connected to."""

    def connection(self, url: str) -> str:
        """The table of the configuration that connects to it where it listens: lines of TOML."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of fake is made and served. `make` takes the file of its journal, where it keeps one (`journals`).

    `serve` lets it listen on a port (0: any free one) while a block lasts, and yields its URL.
    """

    make: Callable[[Path | None], Fake]
    serve: Callable[[Any, int], AbstractContextManager[str]] = serving
    journals: bool = True


@contextmanager
def relaying(relay: FakeRelay, port: int = 0) -> Iterator[str]:
    """The relay on a loopback port while the block lasts; yields its URL."""
    relay.port = port
    with relay:
        yield f"smtp://127.0.0.1:{relay.port}"


KINDS = {
    "blackboard": Kind(lambda journal: FakeLearn(journal=journal)),
    "brightspace": Kind(lambda journal: FakeBrightspace(journal=journal)),
    "itslearning": Kind(lambda journal: FakeItslearning(journal=journal)),
    "learningspace": Kind(lambda _: FakeLearningSpace.busy(), journals=False),
    "imip": Kind(lambda journal: FakeRelay(journal=journal), relaying),
}
"""By the name of the bridge that connects to it."""
