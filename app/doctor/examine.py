"""From bytes, and how their server answered, to a diagnosis. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from app.doctor.case import Case, Visit
from app.doctor.finding import Diagnosis, Finding, Rule
from app.doctor.rules import RULES
from app.doctor.sheet import sheet_of

MOST_SPOTS = 5
"""Places of one rule that are shown; a feed makes each mistake a thousand times."""
MOST_COUNTED = 100_000


def examine(body: bytes | None, visit: Visit | None = None) -> Diagnosis:
    """What every rule finds, the worst first. `body` is None where no calendar came, and `visit` says why."""
    sheet = sheet_of(body or b"")
    again = sheet_of(visit.again_body) if visit and visit.again_body is not None else None
    case = Case(sheet, visit, again)
    rules = RULES if body is not None else [rule for rule in RULES if rule.id not in _OF_A_BODY]
    findings = sorted(_found(case, rules), key=lambda one: -one.rule.severity)
    trouble = visit.failed if visit else ""
    return Diagnosis(findings, len(sheet.events), len(body or b""), trouble, _is_seen(visit), body or b"")


_OF_A_BODY = {"empty", "no-calendar"}


def _is_seen(visit: Visit | None) -> bool:
    return visit is None or bool(visit.hops)


def _found(case: Case, rules: tuple[Rule, ...] | list[Rule]) -> Iterator[Finding]:
    for rule in rules:
        spots = list(islice(rule.check(case), MOST_COUNTED))
        if spots:
            yield Finding(rule, spots[:MOST_SPOTS], len(spots))
