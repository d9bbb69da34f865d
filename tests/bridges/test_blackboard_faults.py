"""A fault at any call of an import into Blackboard loses nothing, doubles nothing and is told truly."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from bridges.blackboard import BlackboardBridge, BlackboardSettings
from bridges.contract import PlainVault, Tools
from bridges.errors import Transient
from bridges.model import CalendarRef, Kind
from tests.bridges.test_blackboard import SITE
from tests.bridges.test_blackboard_people import ANN, COURSE, HOURS, link
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import session_to
from tests.imports.bench import NOW, SCOPE, Bench, term

EVERY = 8
"""Of a long import each so-many-th call fails, from another one on for each fault: `tests.soak faults` tries all."""
FAULTS = [
    *(Fault(kind) for kind in ("status", "lost", "unheard", "half", "short", "cut", "html", "expire")),
    *(Fault("quota", status=status) for status in (429, 402, 403)),
    Fault("status", status=500),
    Fault("status", status=429, retry_after="5"),
]
TARGETS = [COURSE, CalendarRef("learn", Kind.INSTITUTION), replace(HOURS, id="_12594_1"), ANN, HOURS]


def opened(vault: PlainVault) -> tuple[FakeLearn, BlackboardBridge]:
    """A Learn where Ann has linked her account, and our bridge to it."""
    learn = FakeLearn()
    learn.settings.now = NOW.isoformat()
    learn.add_user("_5_1", "ann", {"_12594_1": "Instructor"})
    given = {"url": SITE, "key": "app-key", "secret": "app-secret", "zone": "UTC", "linking": True}
    settings = BlackboardSettings.model_validate(given | {"backoff_seconds": 0.0, "patience_seconds": 0.0})
    tools = Tools(now=lambda: learn.now, session=session_to({SITE: learn}), vault=vault)
    bridge = BlackboardBridge("learn", settings, tools)
    link(learn, bridge)
    learn.calls.clear()
    return learn, bridge


def import_to_the_end(bench: Bench, bridge: BlackboardBridge, learn: FakeLearn) -> int:
    """Import anew, hours later, while something is left; how many imports it took. Each tells what it did."""
    for tries in range(1, 5):
        with suppress(Transient):
            report = bench.run(bridge)
            written = {entry["id"] for entry in learn.journal}
            assert {str(done.ref).partition("/")[2] for done in bench.entries().values() if done.ref} <= written
            if not report.left and not report.stopped:
                assert not report.refused
                return tries
        learn.settings.now = (learn.now + timedelta(hours=7)).isoformat()
    raise AssertionError("the import does not come to an end")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.status}")
@pytest.mark.parametrize(
    ("target", "events"),
    [*((target, 4) for target in TARGETS), *(pytest.param(each, 50, marks=pytest.mark.slow) for each in (COURSE, ANN))],
    ids=str,
)
def test_a_fault_at_any_call_of_an_import(fault: Fault, target: CalendarRef, events: int) -> None:
    calls = range(events + 3) if events < 10 else range(FAULTS.index(fault) % EVERY, events + 3, EVERY)
    for after in calls:
        learn, bridge = opened(PlainVault())
        learn.faults.append(replace(fault, after=after))
        bench = Bench(calendar=target, wanted=term(events))
        assert import_to_the_end(bench, bridge, learn) <= 2
        learn.faults.clear()  # the reading below is ours, and no call of the import
        standing = Counter(each.event for each in bridge.read(target, SCOPE))
        assert standing == Counter(desired.event for desired in bench.fitted(bridge).values())
        assert [entry["do"] for entry in learn.journal] == ["create"] * events


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_an_import_costs_one_call_for_each_event(target: CalendarRef) -> None:
    learn, bridge = opened(PlainVault())
    bench = Bench(calendar=target, wanted=term(20))
    bench.run(bridge)
    assert learn.calls == {"token": 1, "create": 20}
    bench.run(bridge)
    assert learn.calls == {"token": 1, "create": 20}
