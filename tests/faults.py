"""Imports over bad lines: one fault of an LMS at the n-th call, and runs until the import says that it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.imports.deciding.guard import Guard
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Imports
from bridges.blackboard import BlackboardBridge, BlackboardSettings
from bridges.brightspace import BrightspaceBridge, BrightspaceSettings
from bridges.contract import PlainMeter, PlainVault, Sink, Tools
from bridges.imip import ImipBridge, ImipSettings
from bridges.itslearning import ItslearningBridge, ItslearningSettings
from bridges.model import CalendarRef, Window
from tests import stores
from tests.campus import calendar
from tests.fakes import blackboard, brightspace, itslearning
from tests.fakes.smtp import FakeRelay
from tests.fakes.wsgi import session_to

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
YEAR = Window(datetime(2026, 10, 1, tzinfo=OSLO), datetime(2027, 10, 1, tzinfo=OSLO))
PATIENCE = timedelta(hours=7)
"""Time between two runs: longer than any quota of a fake lasts."""
MOST_RUNS = 6
HOST = "https://lms.example.edu"

Fault = dict[str, Any]
CALLS_FAIL: list[Fault] = [
    *({"kind": kind} for kind in ("status", "unheard", "lost", "half", "short", "cut", "html")),
    {"kind": "html", "page": "login"},
    {"kind": "html", "status": 404},
    {"kind": "status", "status": 500},
    *({"kind": "status", "status": 429, "retry_after": told} for told in ("1", "99999", "soon", "")),
]


@dataclass
class Site:
    """An LMS and the bridge to it. `standing` counts the events there, `at_once` those that one call may hold."""

    sink: Sink
    calendar: CalendarRef
    spoil: Callable[[Fault, int], object]
    standing: Callable[[], int]
    calls: Callable[[], int]
    at_once: int = 1


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


def _tools(app: Any, clock: Clock) -> Tools:
    return Tools(clock, session_to({HOST: app}), PlainMeter(), vault=PlainVault())


QUICK = {"backoff_seconds": 0, "patience_seconds": 0}


@contextmanager
def learn(clock: Clock) -> Iterator[Site]:
    site = blackboard.FakeLearn()
    given = {"url": HOST, "key": site.key, "secret": site.secret, "zone": "America/New_York"}
    bridge = BlackboardBridge(
        "learn", BlackboardSettings.model_validate(given | QUICK), _tools(_timed(site, clock), clock)
    )

    def spoil(fault: Fault, after: int) -> None:
        site.faults.append(blackboard.Fault(**fault, after=after))

    there = CalendarRef.parse("learn/course/_12594_1")
    yield Site(bridge, there, spoil, lambda: len(site.items), lambda: site.calls.total())


@contextmanager
def space(clock: Clock) -> Iterator[Site]:
    site = brightspace.FakeBrightspace()
    given = {"url": HOST, "zone": "America/New_York", "token_url": f"{HOST}/core/connect/token", "concurrency": 1}
    given |= {"client_id": brightspace.CLIENT[0], "client_secret": brightspace.CLIENT[1]}
    given |= {"refresh_token": brightspace.FIRST_REFRESH}
    settings = BrightspaceSettings.model_validate(given | QUICK)
    bridge = BrightspaceBridge("d2l", settings, _tools(_timed(site, clock), clock))

    def spoil(fault: Fault, after: int) -> None:
        # the answer with a one-time token is the one that nobody can get again: a person has to sign in
        site.faults.append(brightspace.Fault(**fault, after=max(2, after)))

    there = CalendarRef.parse("d2l/course/6700")
    yield Site(bridge, there, spoil, lambda: len(site.events), lambda: site.calls.total())


@contextmanager
def its(clock: Clock, batch: int = 5) -> Iterator[Site]:
    site = itslearning.FakeItslearning()
    given = {"write_url": HOST + itslearning.WRITE, "read_url": HOST + itslearning.READ, "calls_per_second": 0}
    given |= {"username": site.username, "password": site.password, "zone": "Europe/Oslo"}
    given |= {"owner": "UserSyncKey:timetable", "batch": batch}
    settings = ItslearningSettings.model_validate(given | QUICK)
    bridge = ItslearningBridge("its", settings, _tools(site, clock), sleep=lambda seconds: None)

    def spoil(fault: Fault, after: int) -> None:
        site.faults.append(itslearning.Fault(**fault, after=after))

    there = CalendarRef.parse("its/course/CourseSyncKey:bio-9b-2026")
    yield Site(bridge, there, spoil, lambda: len(site.events), lambda: site.calls.total(), 50)


@contextmanager
def mail(clock: Clock) -> Iterator[Site]:
    with FakeRelay() as relay:
        given = {"host": "127.0.0.1", "port": relay.port, "security": "none", "sender": "calendar@example.edu"}
        settings = ImipSettings.model_validate(given | {"series_from": 0})
        bridge = ImipBridge("mail", settings, Tools(clock, _no_session, PlainMeter(), vault=PlainVault()))
        ann = "ann@example.edu"

        def spoil(fault: Fault, after: int) -> None:
            setattr(relay, fault["kind"], 1)
            relay.after = after

        def names() -> int:
            return len({str(each["Message-ID"]) for each in relay.mail_to(ann)})

        yield Site(bridge, CalendarRef.parse(f"mail/person/{ann}"), spoil, names, lambda: len(relay.mail_to(ann)))


def _no_session() -> Any:
    raise AssertionError("mail needs no HTTP")


def _timed(site: Any, clock: Clock) -> Any:
    """The site by the clock of the test."""

    def app(environ: Any, start_response: Any) -> Any:
        site.settings.now = clock.now.isoformat()
        return site(environ, start_response)

    return app


Opened = Callable[[Clock], AbstractContextManager[Site]]
SITES: dict[str, tuple[Opened, list[Fault]]] = {
    "blackboard": (
        learn,
        [*CALLS_FAIL, {"kind": "expire"}, *({"kind": "quota", "status": status} for status in (429, 402, 403))],
    ),
    "brightspace": (
        space,
        [*CALLS_FAIL, {"kind": "expire"}, {"kind": "silent", "status": 500}, {"kind": "silent", "status": 504}],
    ),
    "itslearning": (
        its,
        [
            *CALLS_FAIL,
            *({"kind": kind} for kind in ("fault", "renumber", "swap", "late", "bomb")),
            {"kind": "late", "code": "a:InternalServiceFault"},
        ],
    ),
    "imip": (mail, [{"kind": "lost"}, {"kind": "unheard"}]),
}
"""By bridge: how it is opened on a fresh fake, and what may go wrong there."""


def seminars(count: int) -> bytes:
    """A file of so many events, one an hour in the days to come."""
    starts = (NOW + timedelta(days=1, hours=number) for number in range(count))
    return calendar(
        *(
            f"UID:{number}\nSUMMARY:Seminar {number}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDURATION:PT45M"
            for number, start in enumerate(starts)
        )
    )


@contextmanager
def memory_store() -> Iterator[Engine]:
    """An empty store, while the block lasts."""
    engine = stores.in_memory()
    yield engine
    engine.dispose()


def survives(opened: Opened, fault: Fault, after: int, count: int = 50) -> int:
    """Import `count` events with the fault at the call after so many; how many runs that took.

    AssertionError where a report says more or less than what stands, or where it does not end with each event once.
    """
    clock = Clock()
    with opened(clock) as site, memory_store() as engine:
        guard = Guard(share=0.5, count=5)
        imports = Imports(engine, lambda _: site.sink, now=clock, zone=OSLO, guard=guard, partner="calbridge")
        run = partial(imports.run, seminars(count), site.calendar, YEAR)
        site.spoil(fault, after)
        outcomes: list[Outcome] = []
        while len(outcomes) < MOST_RUNS and not (outcomes and outcomes[-1].state is Ending.DONE):
            outcomes.append(run())
            _check(outcomes[-1], site, count)
            clock.now += PATIENCE
        end = outcomes[-1]
        assert (end.state, site.standing()) == (Ending.DONE, count), f"{fault} after {after}: {end.report}"
        calls = site.calls()
        assert run().plan.unchanged == count
        assert site.calls() == calls, "the same file wrote again"
    return len(outcomes)


def _check(outcome: Outcome, site: Site, count: int) -> None:
    """Every event is in the report once, and what it calls written stands; of what it left some may stand, too."""
    report = outcome.report
    assert report is not None
    written = report.created + report.unchanged
    assert (written + len(report.left), report.refused) == (count, ()), str(report)
    assert written <= site.standing() <= written + min(len(report.left), site.at_once), str(report)


def matrix(names: list[str], count: int = 50, stride: int = 1, begin: int = 0) -> Iterator[tuple[str, Fault, int, int]]:
    """Every fault of these sinks at every `stride`-th call from `begin` on: the sink, the fault, the call, the runs."""
    for name in names:
        opened, faults = SITES[name]
        last = 14 if name == "itslearning" else count + 2
        for number, fault in enumerate(faults):
            for after in range((begin + number) % stride, last, stride):
                yield name, fault, after, survives(opened, fault, after, count)
