"""Subscriptions: what a server may do in turn, what the LMS sees of it, and what the history says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import requests
from sqlalchemy import select

from app.imports.deciding.guard import Guard
from app.imports.pull import register
from app.imports.pull.addresses import Fences
from app.imports.pull.fetch import Credential, FetchError, FetchSettings, Refused
from app.imports.pull.register import NoSubscription, Subscription
from app.imports.pull.rhythm import LONGEST_PAUSE, Body, Standing, State, Visit, What, after
from app.imports.pull.secrets import outline
from app.imports.pull.subscriptions import Subscriptions, host_of
from app.imports.pull.wish import Wish
from app.imports.routed import Routed
from app.imports.run import Imports
from app.imports.subscription import Mode
from app.store import tables
from app.store.leases import lease
from bridges.blackboard import BlackboardBridge, BlackboardSettings
from bridges.contract import PlainVault, Sink, Source, Tools
from bridges.errors import Denied
from bridges.local import LocalBridge, LocalSettings
from bridges.model import CalendarRef, Kind, Window
from tests import stores
from tests.fakes.blackboard import FakeLearn
from tests.fakes.web import HOST, Names, Web, answer, onward, serving
from tests.fakes.wsgi import session_to
from tests.imports.bench import HERE
from tests.imports.lms import KINDS, Fault, Faulty, MemoryLms

OSLO = ZoneInfo("Europe/Oslo")
NOW = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
LOGIN = b"<!doctype html><form><input type=password></form>"


def file(*uids: str | int, first: int = 11, title: str = "Seminar") -> bytes:
    """A calendar with one event a day, ten to a day from the eleventh of March 2025 on."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for number, uid in enumerate(uids):
        start = datetime(2025, 3, first, 8, tzinfo=UTC) + timedelta(days=number // 10, hours=number % 10)
        lines += ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20250101T000000Z", f"DTSTART:{start:%Y%m%dT%H%M%SZ}"]
        lines += [f"SUMMARY:{title} {number}", "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


TWENTY = file(*range(20))


@dataclass
class Office:
    """A calbridge with one subscription's server beside it, and a clock that is set by hand."""

    web: Web
    sink: Sink
    now: datetime = NOW
    vault: PlainVault = field(default_factory=PlainVault)

    def __post_init__(self) -> None:
        self.engine = stores.in_memory()
        self.names = Names()
        self.imports = Imports(
            self.engine, lambda lms: self.sink, now=lambda: self.now, zone=OSLO, guard=Guard(), partner="calbridge"
        )
        fences = Fences(allow_hosts=frozenset({f"{HOST}:{self.web.port}"}), http=True)
        self.subscriptions = Subscriptions(
            self.engine,
            self.imports,
            FetchSettings(fences, total=5),
            now=lambda: self.now,
            zone=OSLO,
            vault=self.vault,
            routed=Routed(self.engine, self.imports, CalendarRef.parse, guard=Guard(), now=lambda: self.now),
            resolver=self.names,
            dice=lambda: 0.5,
        )

    def wish(self, **changed: object) -> Wish:
        plain = Wish("timetable", self.web.url("/c.ics?key=geheim"), HERE, HOUR, 180)
        return replace(plain, **changed)  # type: ignore[arg-type]

    def add(self, credential: Credential | None = None, **changed: object) -> int:
        return self.subscriptions.add(self.wish(**changed), [credential] if credential else []).id

    def serves(self, *replies: bytes) -> None:
        self.web.replies["/c.ics?key=geheim"] = list(replies)

    def visit(self, id: int, later: timedelta = HOUR, *, approved: bool = False) -> Visit:
        self.now += later
        return self.subscriptions.run(id, approved=approved)

    def stored_url(self, id: int) -> str:
        with self.engine.connect() as connection:
            table = tables.subscription.c
            return str(connection.execute(select(table.url).where(table.id == id)).scalar_one())

    def state(self, id: int) -> State:
        return self.subscriptions.get(id).state


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def bridge() -> LocalBridge:
    bridge = LocalBridge("lms", LocalSettings(), Tools(now=lambda: NOW, session=requests.Session))
    bridge.add_calendar(HERE, "One")
    return bridge


@pytest.fixture
def office(web: Web, bridge: LocalBridge) -> Office:
    return Office(web, bridge)


def standing(bridge: Source, calendar: CalendarRef = HERE) -> list[tuple[str, object]]:
    window = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC))
    return [(found.ref, found.event) for found in bridge.read(calendar, window)]


def blackboard() -> BlackboardBridge:
    learn = FakeLearn()
    learn.settings.now = NOW.isoformat()
    given = {"url": LEARN, "key": "app-key", "secret": "app-secret", "zone": "Europe/Oslo", "backoff_seconds": 0.0}
    tools = Tools(now=lambda: learn.now, session=session_to({LEARN: learn}))
    return BlackboardBridge("lms", BlackboardSettings.model_validate(given), tools)


LEARN = "https://learn.example.edu"
COURSE = CalendarRef("lms", Kind.COURSE, "_12594_1")


@pytest.mark.parametrize("at", ["an LMS of our own", "Blackboard"])
def test_whatever_a_server_serves_in_turn_the_lms_is_unchanged(web: Web, bridge: LocalBridge, at: str) -> None:
    lms: LocalBridge | BlackboardBridge = bridge if at != "Blackboard" else blackboard()
    into = HERE if at != "Blackboard" else COURSE
    office = Office(web, lms)
    office.serves(
        answer(200, TWENTY),
        answer(500),
        answer(200),
        answer(200, LOGIN),
        answer(200, TWENTY[: len(TWENTY) // 2]),
        answer(200, file(*(f"new-{number}" for number in range(20)))),
        answer(200, TWENTY),
    )
    id = office.add(calendar=into)
    office.visit(id)
    before = standing(lms, into)
    assert len(before) == 20
    for _ in range(6):
        office.visit(id)
        assert standing(lms, into) == before
    told = [(visit.what, visit.problem) for visit in reversed(office.subscriptions.history(id))]
    assert [what for what, _ in told] == ["done", "failed", "failed", "failed", "failed", "held", "done"]
    for (_, problem), words in zip(
        told,
        ["", "out of order (500)", "empty body", "a login page", "cut short", "match=content", ""],
        strict=True,
    ):
        assert words in problem
        assert bool(problem) is bool(words)
    assert office.state(id).standing is Standing.FINE
    assert office.state(id).problem == ""


def test_a_visit_tells_what_was_done(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(21), title="Lecture")))
    id = office.add()
    first, second = office.visit(id), office.visit(id)
    assert (first.what, first.events, first.created, first.run) == (What.DONE, 20, 20, 1)
    assert (second.what, second.events, second.created, second.updated) == (What.DONE, 21, 1, 20)
    assert office.state(id).ok_at == NOW + 2 * HOUR
    assert office.state(id).next_check == NOW + 3 * HOUR


# S7: what did not change


def test_a_304_reads_nothing_of_the_lms(office: Office) -> None:
    lms = MemoryLms(KINDS["keys are spent"])
    office.sink = lms
    office.serves(*[answer(200, TWENTY, 'ETag: "1"', "Last-Modified: x")] * 2, answer(304))
    id = office.add()
    assert [office.visit(id).what for _ in range(4)] == ["done", "done", "unchanged", "unchanged"]
    assert "if-none-match" not in office.web.asked[1].headers
    assert office.web.asked[2].headers["if-none-match"] == '"1"'
    assert office.web.asked[2].headers["if-modified-since"] == "x"
    office.sink = Faulty(lms, [Fault.KILLED] * 9)
    assert office.visit(id).what is What.UNCHANGED


def test_a_server_without_validators_is_judged_by_the_bytes(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add()
    assert [office.visit(id).what for _ in range(4)] == ["done", "done", "unchanged", "unchanged"]


def test_an_etag_that_changes_over_the_same_bytes_means_nothing(office: Office) -> None:
    office.serves(*[answer(200, TWENTY, f'ETag: "{number}"') for number in range(5)])
    id = office.add()
    assert [office.visit(id).what for _ in range(4)] == ["done", "done", "unchanged", "unchanged"]
    assert office.state(id).body.validators.etag == '"3"'


def test_a_window_that_rolls_on_reads_the_same_bytes_again(office: Office, bridge: LocalBridge) -> None:
    far = file("a", "b").replace(b"20250311T09", b"20250415T09")
    office.serves(answer(200, far, 'ETag: "1"'))
    id = office.add(ahead_days=30)
    assert [office.visit(id).created for _ in range(3)] == [1, 0, 0]
    later = office.visit(id, timedelta(days=7))
    assert (later.what, later.created) == (What.DONE, 1)
    assert "if-none-match" not in office.web.asked[-1].headers


def test_an_unfinished_import_is_taken_up_though_nothing_changed(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, file("a", "b", "c"), 'ETag: "1"'))
    office.sink = Faulty(bridge, [Fault.NONE, Fault.REFUSED])
    id = office.add()
    left = office.visit(id)
    assert (left.what, left.problem) == (What.LEFT, "busy")
    assert office.state(id).standing is Standing.LEFT
    assert office.visit(id).what is What.DONE
    assert len(standing(bridge)) == 3


# S8: shrinking


@pytest.mark.parametrize(("left", "what"), [(0, What.HELD), (99, What.HELD), (101, What.DONE)])
def test_a_feed_that_shrinks_is_held_below_half(office: Office, bridge: LocalBridge, left: int, what: What) -> None:
    office.serves(*[answer(200, file(*range(200)))], *[answer(200, file(*range(left)))])
    id = office.add()
    office.visit(id)
    assert [office.visit(id).what for _ in range(2)] == [what, What.UNCHANGED if what is What.HELD else what]
    assert len(standing(bridge)) == (101 if what is What.DONE else 200)


def test_a_held_plan_runs_at_a_persons_yes(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(5)), 'ETag: "1"'))
    id = office.add()
    office.visit(id)
    assert [office.visit(id).what for _ in range(3)] == ["held", "unchanged", "unchanged"]
    assert office.state(id).standing is Standing.HELD
    assert "would delete 15" in office.state(id).problem
    assert office.visit(id, approved=True).what is What.DONE
    assert len(standing(bridge)) == 5
    assert office.state(id).standing is Standing.FINE


def test_a_yes_is_to_the_body_that_is_held(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(5))), answer(200, file()))
    id = office.add()
    office.visit(id)
    assert office.visit(id).what is What.HELD
    assert office.visit(id, approved=True).what is What.HELD
    assert len(standing(bridge)) == 20


def test_a_plan_that_was_approved_elsewhere_is_noticed(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(5))))
    id = office.add()
    office.visit(id)
    held = office.visit(id).run
    assert held is not None
    office.imports.approve(held)
    assert len(standing(bridge)) == 5
    assert office.visit(id).what is What.DONE
    assert office.state(id).standing is Standing.FINE


def test_a_held_plan_is_made_anew_each_day(office: Office) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(5))))
    id = office.add()
    office.visit(id)
    assert office.visit(id).what is What.HELD
    assert office.visit(id, timedelta(hours=23)).what is What.HELD


def test_an_event_goes_only_after_two_whole_readings(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(18)), 'ETag: "1"'), answer(200, TWENTY))
    id = office.add()
    assert [office.visit(id).deleted for _ in range(3)] == [0, 0, 0]
    assert len(standing(bridge)) == 20
    office.serves(answer(200, file(*range(18)), 'ETag: "1"'))
    assert [office.visit(id).deleted for _ in range(3)] == [0, 2, 0]
    assert len(standing(bridge)) == 18


def test_a_subscription_that_adds_never_deletes(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(18))))
    id = office.add(mode=Mode.ADD)
    assert [office.visit(id).what for _ in range(4)] == ["done", "done", "done", "unchanged"]
    assert len(standing(bridge)) == 20


# S6, S10: failures


def test_failures_back_off_and_log_one_line_a_change(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """A week without the server, always asked at the very moment that was booked."""
    office.serves(answer(200, TWENTY))
    id = office.add()
    office.visit(id)
    office.serves(answer(500))
    caplog.set_level(logging.INFO, "app.imports.pull.subscriptions")
    pauses, end = [], NOW + timedelta(days=7)
    while office.now < end:
        office.now = office.state(id).next_check
        assert office.subscriptions.due(office.now) == [id]
        office.subscriptions.run(id)
        pauses.append((office.state(id).next_check - office.now) / HOUR)
    assert pauses[:7] == pytest.approx([hours * 1.05 for hours in (1, 2, 4, 8, 16, 24, 24)])
    assert len(pauses) < 14
    office.serves(answer(200, TWENTY))
    office.visit(id)
    assert [record.getMessage() for record in caplog.records] == [
        f"subscription {id} (timetable): fine → failing. {HOST} is out of order (500).",
        f"subscription {id} (timetable): failing → fine. ",
    ]
    assert office.state(id).failures == 0


def test_retry_after_is_obeyed(office: Office) -> None:
    office.serves(answer(503, b"", "Retry-After: 18000"), answer(429, b"", "Retry-After: 5"))
    id = office.add()
    office.visit(id)
    assert office.state(id).next_check == office.now + 5 * HOUR
    office.visit(id)
    assert office.state(id).next_check == office.now + 2.1 * HOUR


def test_a_410_parks_and_a_404_after_three_days(office: Office) -> None:
    office.serves(answer(410))
    gone = office.add()
    assert office.visit(gone).what is What.MISSING
    assert office.state(gone).standing is Standing.PARKED
    office.web.replies["/d.ics"] = answer(404)
    lost = office.add(source="lost", url=office.web.url("/d.ics"))
    for _ in range(3):
        office.visit(lost, timedelta(days=1))
        assert office.state(lost).standing is Standing.FAILING
    office.visit(lost, timedelta(days=1))
    assert office.state(lost).standing is Standing.PARKED
    assert office.subscriptions.due(office.now + timedelta(days=99)) == []
    office.subscriptions.enable(lost)
    assert office.subscriptions.due(office.now) == [lost]
    assert "is not there (404)" in office.state(lost).problem


def test_a_404_between_other_failures_parks_nothing() -> None:
    state = State(NOW)
    for day, what in enumerate([What.MISSING, What.FAILED, What.FAILED, What.FAILED, What.MISSING]):
        state = after(state, Visit(what, NOW + timedelta(days=day)), HOUR, 0)
    assert state.standing is Standing.FAILING


@pytest.mark.parametrize("asked", [1e12, float("inf"), 0.0])
def test_no_server_sends_us_away_for_longer_than_a_day(asked: float) -> None:
    state = after(State(NOW, failures=10**6), Visit(What.FAILED, NOW, retry_after=asked), HOUR, 1)
    assert LONGEST_PAUSE <= state.next_check - NOW <= 1.1 * LONGEST_PAUSE


def test_a_forbidden_redirect_is_refused_and_changes_nothing(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), onward("http://169.254.169.254/latest"))
    id = office.add()
    office.visit(id)
    refused = office.visit(id)
    assert refused.what is What.REFUSED
    assert "sends us elsewhere" in refused.problem
    assert len(standing(bridge)) == 20


def test_an_lms_that_will_not_have_it_is_told(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add(calendar=CalendarRef("lms", HERE.kind, "nowhere"))
    denied = office.visit(id)
    assert denied.what is What.DENIED
    assert denied.problem
    assert office.state(id).standing is Standing.FAILING


# submission, credentials, the store


def test_the_guard_stands_at_submission(office: Office) -> None:
    for url in ("http://169.254.169.254/", "file:///etc/passwd", "https://user:pass@calendars.test/"):
        with pytest.raises(Refused):
            office.add(url=url)
    with pytest.raises(FetchError, match="could not be found"):
        office.add(url="http://nowhere.test/")
    assert office.subscriptions.list() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"source": ""},
        {"source": " x"},
        {"source": "a\nb"},
        {"every": timedelta(minutes=1)},
        {"every": timedelta(days=99)},
        {"ahead_days": 0},
        {"agent": "a\r\nHost: b"},
        {"agent": "ø"},
    ],
)
def test_what_no_subscription_can_be_is_said(office: Office, changed: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        office.add(None, **changed)


def test_two_cannot_have_one_name(office: Office) -> None:
    office.add()
    with pytest.raises(ValueError, match="already"):
        office.add()


def test_credentials_are_sent_and_live_in_the_vault_alone(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.serves(answer(401))
    id = office.add(Credential.basic("ada", "opensesame"))
    caplog.set_level(logging.DEBUG)
    visit = office.visit(id)
    assert office.web.asked[0].headers["authorization"].startswith("Basic ")
    assert sorted(office.vault.secrets) == [f"subscription/{id}", f"subscription/{id}/address"]
    shown = repr((office.subscriptions.get(id), visit, office.subscriptions.history(id)))
    own = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("app"))
    for secret in ("opensesame", "geheim", "Basic"):
        assert secret not in shown + own
    office.subscriptions.remove(id)
    assert not any(office.vault.secrets.values())


def test_a_vault_that_denies_leaves_no_half_of_a_subscription(office: Office) -> None:
    class Shut(PlainVault):
        def put(self, name: str, secret: str) -> None:
            raise Denied("there is no key")

    office.vault = Shut()
    office.__post_init__()
    with pytest.raises(Denied):
        office.add(Credential("X-Key", "x"))
    assert office.subscriptions.list() == []


def test_the_store_has_no_address_but_in_the_vault(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add()
    assert office.stored_url(id) == f"http://{HOST}:{office.web.port}/…"
    assert office.visit(id).what is What.DONE
    assert office.subscriptions.change(id, {"url": office.web.url("/d.ics?key=sesam")}).wish.url.endswith("/…")
    assert office.vault.secrets[f"subscription/{id}/address"].endswith("/d.ics?key=sesam")
    office.vault.secrets.clear()
    assert office.visit(id).problem == "The address of this subscription is lost: set it again."


def test_addresses_of_the_first_releases_go_into_the_vault_at_their_next_visit(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add()
    url = office.vault.secrets.pop(f"subscription/{id}/address")
    register.outlined(office.engine, id, url)
    assert office.visit(id).what is What.DONE
    assert office.stored_url(id) == f"http://{HOST}:{office.web.port}/…"
    assert office.vault.secrets[f"subscription/{id}/address"] == url


def test_a_lost_credential_is_told(office: Office) -> None:
    id = office.add(Credential("X-Key", "x"))
    office.vault.secrets.clear()
    assert "is lost" in office.visit(id).problem


def test_one_run_at_a_time(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add()
    with lease(office.engine, f"subscription {id}", lambda: office.now):
        assert office.visit(id, timedelta(0)).what is What.BUSY
    with lease(office.engine, f"import {HERE}", lambda: office.now):
        assert office.visit(id, timedelta(0)).what is What.BUSY
    assert office.state(id).next_check == office.now + timedelta(minutes=10)
    assert office.subscriptions.history(id) == []
    assert office.visit(id).what is What.DONE


def test_the_next_check_is_booked_before_the_work(office: Office) -> None:
    booked: list[datetime] = []
    id = office.add()
    office.web.replies["/c.ics?key=geheim"] = lambda line: booked.append(office.state(id).next_check)
    assert office.visit(id).what is What.FAILED
    assert booked == [NOW + 2 * HOUR]


def test_those_that_are_due(office: Office) -> None:
    first, second = office.add(source="a"), office.add(source="b")
    assert office.subscriptions.due(NOW) == [first, second]
    office.subscriptions.disable(first)
    assert office.subscriptions.due(NOW) == [second]
    assert office.subscriptions.run(first, unless_early=True).what is What.BUSY
    office.subscriptions.enable(first)
    assert office.subscriptions.due(NOW) == [first, second]
    assert office.subscriptions.due(NOW - HOUR) == []


def test_the_history_has_an_end(office: Office) -> None:
    id, other = office.add(), office.add(source="other")
    state = office.state(id)
    register.keep(office.engine, other, state, Visit(What.DONE, NOW))
    for number in range(register.HISTORY + 20):
        register.keep(office.engine, id, state, Visit(What.UNCHANGED, NOW, events=number))
    kept = office.subscriptions.history(id, 10_000)
    assert (len(kept), kept[0].events, kept[-1].events) == (register.HISTORY, register.HISTORY + 19, 20)
    assert len(office.subscriptions.history(other)) == 1


def test_what_is_not_there_is_said(office: Office) -> None:
    asks: list[Callable[[int], object]] = [
        office.subscriptions.get,
        office.subscriptions.run,
        office.subscriptions.history,
        office.subscriptions.remove,
        office.subscriptions.enable,
        office.subscriptions.disable,
    ]
    for ask in asks:
        with pytest.raises(NoSubscription):
            ask(7)


def test_a_visit_to_one_that_was_removed_meanwhile_leaves_nothing(office: Office) -> None:
    id = office.add()
    state = office.state(id)
    office.subscriptions.remove(id)
    register.keep(office.engine, id, state, Visit(What.DONE, NOW))
    assert office.subscriptions.list() == []


def test_subscriptions_keep_all_that_they_were_given(office: Office) -> None:
    wish = office.wish(every=timedelta(minutes=90), mode=Mode.ADD, agent="microsoft")
    made = office.subscriptions.add(wish)
    assert office.subscriptions.list() == [made]
    assert made == Subscription(1, replace(wish, url=outline(wish.url)), False, True, State(NOW))
    assert host_of(wish.url) == HOST


def test_a_body_is_settled_after_as_many_readings_as_the_grace() -> None:
    body = Body()
    assert not body.is_settled(NOW, 2)
    for settled in (False, True, True):
        body = body.read_again("a", body.validators, NOW)
        assert body.is_settled(NOW, 2) is settled
    assert not body.is_settled(NOW + HOUR, 2)
    assert not body.read_again("b", body.validators, NOW).is_settled(NOW, 2)
