"""A diagnosis as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.doctor.finding import NAMES, Client, Diagnosis, Finding, State, Verdict


def record(diagnosis: Diagnosis, clients: Sequence[Client] = tuple(Client)) -> dict[str, Any]:
    """`events`, `bytes`, `trouble`, `verdicts` by client with the ids of their findings, and the `findings`."""
    mine = [finding for finding in diagnosis.findings if finding.rule.clients & set(clients)]
    return {
        "read": diagnosis.seen,
        "events": diagnosis.events,
        "bytes": diagnosis.size,
        "trouble": diagnosis.trouble or None,
        "verdicts": {one.client.value: _verdict(one) for one in diagnosis.verdicts(clients)},
        "findings": [_finding(finding) for finding in mine],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.state.value, "findings": [finding.rule.id for finding in verdict.findings]}


def _finding(finding: Finding) -> dict[str, Any]:
    rule = finding.rule
    return {
        "rule": rule.id,
        "severity": rule.severity.word,
        "clients": [client.value for client in finding.clients],
        "sentence": rule.sentence,
        "source": rule.source,
        "url": rule.url or None,
        "count": finding.count,
        "places": [{"line": spot.line or None, "what": spot.what} for spot in finding.spots],
    }


def lines(diagnosis: Diagnosis, clients: Sequence[Client] = tuple(Client)) -> Iterator[str]:
    """The verdicts, then each finding with its lines, its meaning and its source."""
    if diagnosis.trouble:
        yield diagnosis.trouble
    if diagnosis.body:
        yield f"{diagnosis.events:,} event{'' if diagnosis.events == 1 else 's'}, {diagnosis.size:,} bytes"
    yield ""
    for verdict in diagnosis.verdicts(clients):
        yield f"{NAMES[verdict.client]:<16} {verdict.state if diagnosis.seen else 'not known: nothing was read'}"
    for finding in diagnosis.findings:
        if finding.rule.clients & set(clients):
            yield ""
            yield from _told(finding)


def _told(finding: Finding) -> Iterator[str]:
    rule = finding.rule
    yield f"{rule.severity.word}: {rule.sentence}"
    for spot in finding.spots:
        yield f"  line {spot.line}: {spot.what}" if spot.line else f"  {spot.what}"
    if finding.count > len(finding.spots):
        yield f"  … and {finding.count - len(finding.spots):,} more"
    yield f"  for {whom(finding)}; {rule.source} [{rule.id}]"


def whom(finding: Finding) -> str:
    """The clients that a finding concerns, as a sentence names them."""
    names = finding.clients
    return "every program" if len(names) == len(Client) else ", ".join(NAMES[client] for client in names)


def worst(diagnosis: Diagnosis, clients: Iterable[Client] = tuple(Client)) -> State | None:
    """The worst verdict; None where nothing was read at all."""
    if not diagnosis.seen:
        return None
    order = [State.WORKS, State.FLAWS, State.REFUSED]
    return max((one.state for one in diagnosis.verdicts(clients)), key=order.index, default=State.WORKS)
