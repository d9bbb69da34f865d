"""The same calendar into every LMS, through the whole of calbridge and over real lines; and every fault on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.feeds.feed import Form
from app.imports.deciding.guard import Guard
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Imports
from app.parts import Parts
from bridges.errors import Denied
from bridges.model import CalendarRef, Event, Found, RemoteRef
from tests.bridges.test_imip import opened as mailbox
from tests.campus import calendar, open_campus
from tests.fakes.face import KINDS
from tests.faults import NOW, OSLO, SITES, YEAR, Clock, matrix, memory_store, seminars

TITLES = 'SUMMARY:Übung\\, Ñandú; 1: "Knöpfe" 🎓👩‍🔬'
FULL = f"""
    UID:full
    {TITLES}
    DESCRIPTION:<p>One <b>bold</b> &amp\\; <script>alert(1)</script></p>\\nsecond line: née 🧪\\n\\nlast\\; line
    LOCATION:Höðr Hall\\, room 4\\; desk 🪑
    CATEGORIES:Lab,Größe\\, A\\;B
    URL:https://example.edu/events/1?a=1&b=2
    STATUS:TENTATIVE
    DTSTART;TZID=Europe/Oslo:20261102T101500
    DTEND;TZID=Europe/Oslo:20261102T120000
"""
LONG = f"UID:long\nSUMMARY:{'Länge ' * 50}\nDTSTART:20261103T080000Z\nDURATION:PT1H"
DAYS = "UID:days\nSUMMARY:Exam week\nDTSTART;VALUE=DATE:20261211\nDTEND;VALUE=DATE:20261214"
NIGHT = """
    UID:night
    SUMMARY:Observatory
    DTSTART;TZID=Europe/Oslo:20261105T230000
    DTEND;TZID=Europe/Oslo:20261106T013000
"""
TURN = """
    UID:turn
    SUMMARY:The clocks go back
    DTSTART;TZID=Europe/Oslo:20261025T003000
    DTEND;TZID=Europe/Oslo:20261025T043000
"""
WEEKLY = """
    UID:weekly
    SUMMARY:Lecture
    DTSTART;TZID=Europe/Oslo:20261021T101500
    DTEND;TZID=Europe/Oslo:20261021T120000
    RRULE:FREQ=WEEKLY;COUNT=4
"""
EVERYTHING = (FULL, LONG, DAYS, NIGHT, TURN, WEEKLY)
OCCURRENCES = len(EVERYTHING) + 3

TARGETS = {
    "blackboard": "learn/course/_12594_1",
    "brightspace": "d2l/course/6700",
    "itslearning": "its/course/CourseSyncKey:bio-9b-2026",
    "imip": "mail/person/ann@example.edu",
    "local": "local/course/bio",
}


@dataclass
class Site:
    """One LMS, and calbridge connected to it over a real line."""

    parts: Parts
    calendar: CalendarRef
    fake: Any
    read: Callable[[], list[Found]]

    def write(self, *events: str, approved: bool = False) -> Outcome:
        outcome = self.parts.imports.run(calendar(*events), self.calendar, YEAR, approved=approved)
        assert outcome.state is Ending.DONE, outcome.to_text()
        return outcome

    def fitted(self, outcome: Outcome) -> list[Event]:
        return in_order([change.event for change in outcome.plan.creates])

    def standing(self) -> dict[RemoteRef, Event]:
        return {each.ref: each.event for each in self.read()}

    def calls(self) -> dict[str, int]:
        """What was asked of the fake so far; messages, for mail."""
        if hasattr(self.fake, "received"):
            return {"messages": len(self.fake.received)}
        return dict(self.fake.calls) if self.fake else {}


def in_order(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (YEAR.span(event.when)[0], event.title))


@pytest.fixture(params=TARGETS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    there = CalendarRef.parse(TARGETS[request.param])
    with ExitStack() as stack:
        fake: Any = None
        settings = '[lms.local]\nbridge = "local"\n'
        if request.param in KINDS:
            kind = KINDS[request.param]
            fake = kind.make(None)
            if hasattr(fake, "settings") and hasattr(fake.settings, "now"):
                fake.settings.now = NOW.isoformat()
            settings = fake.connection(stack.enter_context(kind.serve(fake, 0)))
        parts = open_campus(tmp_path, settings, now=NOW)
        stack.callback(parts.engine.dispose)
        if fake is None:
            parts.bridge("local").add_calendar(there, "Biology")

        def read() -> list[Found]:
            source: Any = mailbox(fake) if request.param == "imip" else parts.source(there.lms)
            return list(source.read(there, YEAR))

        yield Site(parts, there, fake, read)


def test_what_is_written_stands_there_as_it_fits(site: Site) -> None:
    outcome = site.write(*EVERYTHING)
    assert len(outcome.plan.creates) == OCCURRENCES
    assert outcome.report is not None
    assert (outcome.report.created, outcome.report.refused, outcome.problems) == (OCCURRENCES, (), ())
    found = in_order([each.event for each in site.read()])
    assert found == site.fitted(outcome)
    (full,) = [event for event in found if "Ñandú" in event.title]
    assert full.title == 'Übung, Ñandú; 1: "Knöpfe" 🎓👩‍🔬'
    assert "<script>alert(1)</script>" in full.text
    assert "second line: née 🧪" in full.text
    assert "https://example.edu/events/1?a=1&b=2" in f"{full.text} {full.url}"
    assert "Höðr Hall, room 4; desk 🪑" in f"{full.text} {full.place}"


def test_the_same_file_again_writes_nothing_and_asks_nothing(site: Site) -> None:
    site.write(*EVERYTHING)
    calls = site.calls()
    again = site.write(*EVERYTHING)
    assert (again.plan.changes, again.plan.unchanged) == ((), OCCURRENCES)
    assert site.calls() == calls


def test_what_changes_is_updated_in_place_and_what_is_dropped_goes(site: Site) -> None:
    site.write(*EVERYTHING)
    before = site.standing()
    changed = [event.replace("SUMMARY:", "SUMMARY:New: ") if event in (NIGHT, DAYS) else event for event in EVERYTHING]
    outcome = site.write(*changed)
    assert [len(each) for each in (outcome.plan.creates, outcome.plan.updates, outcome.plan.deletes)] == [0, 2, 0]
    after = site.standing()
    assert len(after) == OCCURRENCES
    if site.calendar.lms != "mail":  # a ref of mail tells the sequence, which has risen
        assert set(after) == set(before)
    assert sum(event.title.startswith("New: ") for event in after.values()) == 2
    outcome = site.write(*(event for event in changed if event not in (changed[0], changed[3])))
    assert len(outcome.plan.deletes) == 2
    left = list(site.standing().values())
    assert len(left) == OCCURRENCES - 2
    assert not any("Ñandú" in event.title or "Observatory" in event.title for event in left)


def test_each_job_costs_the_least_that_the_api_allows(site: Site) -> None:
    site.write(*EVERYTHING)
    made = site.calls()
    assert made == {
        "learn": {"token": 1, "create": OCCURRENCES},
        "d2l": {"versions": 1, "create": OCCURRENCES},
        "its": {"GetMessageTypes": 1, "AddMessage": 1},
        "mail": {"messages": 7},  # five, and the lectures on either side of the change of the clocks
        "local": {},
    }.get(site.calendar.lms)
    site.write(*(event.replace("SUMMARY:", "SUMMARY:New: ") for event in EVERYTHING))
    changed = {name: count - made.get(name, 0) for name, count in site.calls().items()}
    assert {name: count for name, count in changed.items() if count} == {
        # one look at what is to be written over, for people may have changed it
        "learn": {"items": 1, "update": OCCURRENCES},
        "d2l": {"orgunits": 1, "occurrences": 1, "update": OCCURRENCES},
        "its": {"ReadCalendarEvent": 1, "AddMessage": 1},
        "mail": {"messages": 7},
        "local": {},
    }.get(site.calendar.lms)


@pytest.mark.parametrize("site", ["blackboard"], indirect=True)
def test_a_reading_of_blackboard_costs_a_call_per_16_weeks(site: Site) -> None:
    site.read()
    weeks = (YEAR.end - YEAR.start) / timedelta(weeks=1)
    assert site.calls()["items"] == -(-weeks // 16)


def test_days_come_back_as_days_in_a_feed(site: Site) -> None:
    site.write(*EVERYTHING)
    if site.calendar.lms == "mail":
        with pytest.raises(Denied, match="can only be written to"):
            site.parts.source("mail")
        return
    site.parts.feeds.add("biology", "Biology", site.calendar, public=True)
    site.parts.feeds.refresh("biology")
    body = site.parts.feeds.snapshot_for_public("biology", Form.ICS).body.decode()
    assert "DTSTART;VALUE=DATE:20261211\r\n" in body
    assert "DTEND;VALUE=DATE:20261214\r\n" in body
    assert body.count("BEGIN:VEVENT") == OCCURRENCES


@pytest.mark.parametrize("site", ["itslearning"], indirect=True)
def test_what_comes_back_has_a_new_generation_and_no_key_is_sent_twice(site: Site) -> None:
    site.write(*EVERYTHING)
    (spent,) = [ref for ref, event in site.standing().items() if event.title == "Observatory"]
    for _ in range(3):
        site.write(*(event for event in EVERYTHING if event is not NIGHT))
        assert spent not in site.standing()
        site.write(*EVERYTHING)
        (ref,) = [ref for ref, event in site.standing().items() if event.title == "Observatory"]
        assert ref != spent
        spent = ref
    assert set(site.fake.created.values()) == {1}
    assert len(site.fake.used) == OCCURRENCES + 3


@pytest.mark.parametrize(
    ("name", "stride"), [("blackboard", 25), ("brightspace", 25), ("itslearning", 7), ("imip", 13)]
)
def test_no_fault_at_any_call_loses_or_doubles_an_event(name: str, stride: int) -> None:
    """A sample; `python -m tests.soak faults` tries them all."""
    tried = [(fault["kind"], runs) for _, fault, _, runs in matrix([name], stride=stride)]
    assert {kind for kind, _ in tried} == {fault["kind"] for fault in SITES[name][1]}
    assert max(runs for _, runs in tried) > 1


def test_what_never_left_is_not_looked_for() -> None:
    clock = Clock()
    opened, _ = SITES["blackboard"]
    with opened(clock) as site, memory_store() as engine:
        guard = Guard(share=0.5, count=5)
        imports = Imports(engine, lambda _: site.sink, now=clock, zone=OSLO, guard=guard, partner="calbridge")
        site.spoil({"kind": "status", "on": "token"}, 0)
        left = imports.run(seminars(3), site.calendar, YEAR)
        assert left.state is Ending.LEFT
        assert imports.run(seminars(3), site.calendar, YEAR).state is Ending.DONE
        assert site.calls() == 2 + 3  # two tries for a token, and no listing
