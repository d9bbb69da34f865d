"""What a plan stands on, as one hash: where it is the same as last time, and so is the ledger, nothing is to be done.

A plan follows from the file's bytes, the terms of the import, the program that reads them, the zones of this machine,
what the LMS can hold, and the ledger. All but the ledger are in the hash; the ledger counts its own changes. Time
alone adds nothing: it moves the window, whose bounds are among the terms, and takes deletions of what is over out of
a plan, never into it. A run is a basis only if nothing was left to say or do after it: nothing refused, missing,
pending or spared, no problem in the file. The LMS itself is not asked, as it is not by any other run.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from sqlalchemy import Row

from app import zonerules
from app.ics import Limits
from app.imports.body import hashed
from app.imports.deciding.plan import Plan
from app.imports.record.outcome import Outcome
from app.imports.record.report import Report
from app.imports.record.runs import Ending
from app.imports.subscription import Import
from bridges.contract import Sink
from bridges.errors import Rejected
from bridges.model import AllDay, Event, Status, Timed

_ROW = 'Specimen, ÆØÅ; "one" <b>two</b> 🎓\n' * 60
_SPECIMENS = (
    Event("Timed" + _ROW, Timed(datetime(2025, 3, 10, 8, tzinfo=UTC), datetime(2025, 3, 10, 9, tzinfo=UTC))),
    Event("Floating", Timed(datetime(2025, 3, 10, 8), datetime(2025, 3, 10, 9))),  # noqa: DTZ001 - as it has to be
    Event("Days", AllDay(date(2025, 3, 29), date(2025, 3, 31)), text=_ROW, place=_ROW, url="https://example.edu/" * 30),
    Event("Tentative", AllDay(date(2025, 3, 29), date(2025, 3, 30)), status=Status.TENTATIVE, categories=(_ROW, "b")),
)
"""What a connection's settings make of these tells two sets of settings apart as far as imports go."""


def basis_of(job: Import, sink: Sink, limits: Limits, partner: str) -> str | None:
    """The hash, hex. None where this machine does not say which zones it has: then there is no telling."""
    terms = terms_of(job, sink, limits, partner)
    return hashlib.sha256(terms + b"\0" + hashed(job.data)).hexdigest() if terms else None


def terms_of(job: Import, sink: Sink, limits: Limits, partner: str) -> bytes | None:
    """All that is in it but the file. None as above."""
    zones = zonerules.in_force()
    if zones is None:
        return None
    terms = replace(job, data=b"", dry_run=False, approved=False)
    program = (_version(), sys.version_info[:3], zones, limits, partner)
    return repr((terms, program, sink.rules, [_fitted(sink, one) for one in _SPECIMENS])).encode()


def same_again(job: Import, last: Row[Any], report: Mapping[str, Any]) -> Outcome:
    """What the file came to last time, with nothing to do."""
    unchanged = sum(report.get(name, 0) for name in ("created", "updated", "unchanged"))
    plan = Plan(job.calendar, job.source, job.window, unchanged=unchanged)
    if job.dry_run:
        return Outcome(Ending.DRY, plan, events=last.read_count, same_as=last.id)
    return Outcome(Ending.DONE, plan, report=Report(unchanged=unchanged), events=last.read_count, same_as=last.id)


def _fitted(sink: Sink, event: Event) -> Event | str:
    try:
        return sink.fit(event)
    except Rejected as refusal:
        return str(refusal)


@cache
def _version() -> str:
    """Which calbridge this is: to look it up takes a millisecond."""
    return version("calbridge")
