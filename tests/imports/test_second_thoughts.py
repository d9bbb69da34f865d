"""Uploads, undos and purges in any order, over bad lines and through crashes: the LMS is as a plain model says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Imports, Mode, NoRun
from bridges.model import Event
from tests import stores
from tests.imports.bench import HERE, at
from tests.imports.lms import KINDS, SHAPES, Crash, Fault, MemoryLms, faulty, lms_of
from tests.imports.test_run import TERM, Desk, calendar, vevent

uids = st.sampled_from("abcd")
sources = st.sampled_from(["one", "two"])
faults = st.lists(st.sampled_from(Fault), max_size=4)
contents = st.tuples(st.integers(1, 3), st.sampled_from("xy"))
OTHERS = at(2, "Somebody's own")

Content = tuple[int, str]
Standing = dict[str, tuple[Content, str]]
"""By UID: what stands there, and which import answers for it."""


class SecondThoughts(RuleBasedStateMachine):
    """The model keeps what stands, which run changed it last, and what each run found before it."""

    @initialize(kind=st.sampled_from(list(KINDS)), shape=st.sampled_from(SHAPES))
    def open(self, kind: str, shape: str) -> None:
        self.lms: MemoryLms = lms_of(kind, shape)
        self.desk = Desk(self.lms)
        self.theirs = self.lms.entered(HERE, OTHERS)
        self.files: dict[str, dict[str, Content]] = {"one": {}, "two": {}}
        self.standing: Standing = {}
        self.changer: dict[str, int] = {}
        self.found: dict[int, dict[str, tuple[Content, str] | None]] = {}

    @rule(source=sources, uid=uids, content=contents)
    def a_file_says(self, source: str, uid: str, content: Content) -> None:
        self.files[source][uid] = content

    @rule(source=sources, uid=uids)
    def a_file_drops(self, source: str, uid: str) -> None:
        self.files[source].pop(uid, None)

    @rule(source=sources, mode=st.sampled_from(Mode), faults=faults)
    def an_upload(self, source: str, mode: Mode, faults: list[Fault]) -> None:
        file = self.files[source]
        data = calendar(*(vevent(uid, f":20250310T{8 + hour:02}0000Z", "DURATION:PT1H", title=title)
                          for uid, (hour, title) in file.items()))  # fmt: skip
        kept = {
            uid: stands
            for uid, stands in self.standing.items()
            if uid in file or mode is Mode.ADD or stands[1] != source
        }
        wanted = kept | {uid: (content, source) for uid, content in file.items()}

        def upload(imports: Imports) -> Outcome:
            return imports.run(data, HERE, TERM, source=source, mode=mode, approved=True)

        self.do(upload, wanted, faults)

    @precondition(lambda self: self.found)
    @rule(data=st.data(), faults=faults)
    def an_undo(self, data: st.DataObject, faults: list[Fault]) -> None:
        run = data.draw(st.sampled_from(sorted(self.found)))
        wanted = dict(self.standing)
        for uid, before in self.found[run].items():
            if self.changer[uid] == run:
                wanted.pop(uid, None)
                wanted |= {uid: before} if before else {}
        self.do(lambda imports: imports.undo(run), wanted, faults)

    @rule(source=sources, faults=faults)
    def a_purge(self, source: str, faults: list[Fault]) -> None:
        wanted = {uid: stands for uid, stands in self.standing.items() if stands[1] != source}
        self.do(lambda imports: imports.purge(HERE, source), wanted, faults)

    def do(self, verb: Callable[[Imports], Outcome], wanted: Standing, faults: list[Fault]) -> None:
        """Try once over a bad line; what was interrupted is asked for again, and is not taken back here."""
        self.desk.sink = faulty(self.lms, faults)
        outcome = None
        try:
            outcome = verb(self.desk.imports())
        except Crash:
            pass
        except NoRun:  # taken back already, or nothing was ever written
            assert wanted == self.standing
            return
        whole = outcome is not None and outcome.state is Ending.DONE
        if not whole or outcome is None:
            self.desk.sink = self.lms
            outcome = verb(self.desk.imports())
            assert outcome.state is Ending.DONE
        self.changed(outcome.run_id, wanted, whole=whole)
        self.check()

    def changed(self, run: int | None, wanted: Standing, *, whole: bool) -> None:
        """No run is told where the same file came again."""
        before = {uid: self.standing.get(uid) for uid in "abcd" if self.standing.get(uid) != wanted.get(uid)}
        self.standing = wanted
        if run is None:
            assert not before
            return
        self.changer |= dict.fromkeys(before, run)
        if whole:
            self.found[run] = before

    def check(self) -> None:
        expected = Counter([OTHERS, *(event(content) for content, _ in self.standing.values())])
        assert Counter(self.lms.standing(HERE)) == expected
        assert self.lms.events[self.theirs][2] == OTHERS
        entries = self.desk.entries()
        assert not any(entry.state.pending for entry in entries.values())
        live = {id.uid: (entry.event, entry.source) for id, entry in entries.items() if entry.live}
        assert live == {uid: (event(content), source) for uid, (content, source) in self.standing.items()}


def event(content: Content) -> Event:
    return at(*content)


TestSecondThoughts = SecondThoughts.TestCase
TestSecondThoughts.settings = settings(max_examples=stores.few(80), stateful_step_count=15, deadline=None)
