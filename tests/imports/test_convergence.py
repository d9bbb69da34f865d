"""However imports are interrupted, and whatever people do meanwhile: in the end exactly the wanted set stands."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import requests
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridges.contract import Tools
from bridges.errors import Transient
from bridges.local import LocalBridge, LocalSettings
from bridges.model import Event, OccurrenceId
from tests import stores
from tests.imports.bench import HERE, NOW, SCOPE, Bench, at, day, single, slot
from tests.imports.lms import KINDS, SHAPES, Crash, Fault, Faulty, faulty, lms_of

ids = st.sampled_from([single("a"), single("b"), *(slot("s", n) for n in range(3))])
happenings = st.builds(at, st.integers(1, 3), st.sampled_from("xy")) | st.builds(day, st.integers(1, 2))
faults = st.lists(st.sampled_from(Fault), max_size=8)
OTHERS = at(2, "Somebody's own")


class Imports(RuleBasedStateMachine):
    """Files change, imports run over bad lines and die, people delete in the LMS. Twins (equal events) are common."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.hour = 3
        self.deleted = False

    @initialize(kind=st.sampled_from(list(KINDS)), shape=st.sampled_from(SHAPES))
    def open(self, kind: str, shape: str) -> None:
        self.bench = Bench(lms=lms_of(kind, shape))
        self.theirs = self.bench.lms.entered(HERE, OTHERS)

    @rule(id=ids, event=happenings)
    def the_file_says(self, id: OccurrenceId, event: Event) -> None:
        self.bench.wanted[id] = event

    @rule(id=ids)
    def the_file_drops(self, id: OccurrenceId) -> None:
        self.bench.wanted.pop(id, None)

    @rule(faults=faults)
    def an_import_over_a_bad_line(self, faults: list[Fault]) -> None:
        with suppress(Crash, Transient):
            self.bench.run(faulty(self.bench.lms, faults))

    @rule()
    def an_import(self) -> None:
        """We do not read what we wrote: only a change in the file makes us see what somebody deleted."""
        if self.deleted:
            self.hour += 1
            self.bench.wanted = {id: at(self.hour, event.title) for id, event in self.bench.wanted.items()}
            self.deleted = False
        self.bench.run()
        self.converged()

    @rule(data=st.data())
    def somebody_deletes_one(self, data: st.DataObject) -> None:
        ours = sorted(set(self.bench.lms.events) - {self.theirs})
        if ours:
            del self.bench.lms.events[data.draw(st.sampled_from(ours))]
            self.deleted = True

    @invariant()
    def nobody_elses_event_is_touched(self) -> None:
        if hasattr(self, "theirs"):
            assert self.bench.lms.events[self.theirs][2] == OTHERS

    def converged(self) -> None:
        assert self.bench.standing() == self.bench.expected() + Counter([OTHERS])
        writes, reads = len(self.bench.lms.journal), self.bench.lms.reads
        assert self.bench.run().done == ()
        assert (len(self.bench.lms.journal), self.bench.lms.reads) == (writes, reads)

    def teardown(self) -> None:
        self.an_import()


class LocalImports(RuleBasedStateMachine):
    """The same, into a calendar of our own."""

    def __init__(self) -> None:
        super().__init__()
        tools = Tools(now=lambda: NOW, session=requests.Session)
        self.bridge = LocalBridge("lms", LocalSettings(), tools)
        self.bridge.add_calendar(HERE, "One")
        self.bench = Bench()

    @rule(id=ids, event=happenings)
    def the_file_says(self, id: OccurrenceId, event: Event) -> None:
        self.bench.wanted[id] = event

    @rule(id=ids)
    def the_file_drops(self, id: OccurrenceId) -> None:
        self.bench.wanted.pop(id, None)

    @rule(faults=faults)
    def an_import_over_a_bad_line(self, faults: list[Fault]) -> None:
        with suppress(Crash, Transient):
            self.bench.run(Faulty(self.bridge, faults))

    @rule()
    def an_import(self) -> None:
        self.bench.run(self.bridge)
        found = Counter(each.event for each in self.bridge.read(HERE, SCOPE))
        assert found == Counter(self.bench.wanted.values())

    def teardown(self) -> None:
        self.an_import()


TestImports = Imports.TestCase
TestImports.settings = settings(max_examples=stores.few(150), stateful_step_count=15, deadline=None)
TestLocalImports = LocalImports.TestCase
TestLocalImports.settings = settings(max_examples=stores.few(60), stateful_step_count=15, deadline=None)
