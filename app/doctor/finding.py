"""The values of a diagnosis: rules as data, what they found, and what that means for each calendar program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from app.doctor.case import Case


class Client(StrEnum):
    """The programs that are judged for; Outlook stands for Exchange and outlook.com too, who share its reader."""

    OUTLOOK = "outlook"
    GOOGLE = "google"
    APPLE = "apple"
    THUNDERBIRD = "thunderbird"


NAMES = {
    Client.OUTLOOK: "Outlook",
    Client.GOOGLE: "Google Calendar",
    Client.APPLE: "Apple Calendar",
    Client.THUNDERBIRD: "Thunderbird",
}
EVERYONE = frozenset(Client)


class Severity(IntEnum):
    """What a finding means to a client that it concerns."""

    NOTE = 0
    """Worth knowing; nothing is wrong on anybody's screen."""
    WARNING = 1
    """Something is shown wrongly, late or twice."""
    ERROR = 2
    """The client refuses the feed, or loses events."""

    @property
    def word(self) -> str:
        return self.name.lower()


class State(StrEnum):
    """What a client makes of the feed."""

    WORKS = "works"
    FLAWS = "works with flaws"
    REFUSED = "refused"


class Spot(NamedTuple):
    """Where a rule is broken: the line, from 1 (0: the feed as a whole), and what stands there."""

    line: int
    what: str


Check = Callable[[Case], Iterable[Spot]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `sentence` says what its breach does and what to do, `source` who says so, and `url` where."""

    id: str
    severity: Severity
    clients: frozenset[Client]
    check: Check
    sentence: str
    source: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule with the first places where it is broken, of `count`."""

    rule: Rule
    spots: Sequence[Spot]
    count: int

    @property
    def clients(self) -> Sequence[Client]:
        return [client for client in Client if client in self.rule.clients]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one client makes of the feed, and the findings that concern it, the worst first."""

    client: Client
    state: State
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found. `seen` is whether there was an answer or a file to look at; `trouble` why not, or what came
    instead of a calendar; `body` is empty then."""

    findings: Sequence[Finding]
    events: int = 0
    size: int = 0
    trouble: str = ""
    seen: bool = True
    body: bytes = b""

    def verdict(self, client: Client) -> Verdict:
        mine = [finding for finding in self.findings if client in finding.rule.clients]
        worst = max((finding.rule.severity for finding in mine), default=Severity.NOTE)
        return Verdict(client, _STATES[worst], mine)

    def verdicts(self, clients: Iterable[Client] = Client) -> Iterator[Verdict]:
        return (self.verdict(client) for client in clients)


_STATES = {Severity.NOTE: State.WORKS, Severity.WARNING: State.FLAWS, Severity.ERROR: State.REFUSED}
