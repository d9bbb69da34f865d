"""The settings of a subscription: each kept as it was written, each obeyed, and a change has the body planned anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.imports.pull.fetch import Credential
from app.imports.pull.rhythm import Standing, What
from app.imports.pull.subscriptions import to_json
from app.imports.pull.wish import SETTINGS, Wish, changed, shown, unusual
from app.imports.record.batch import NOWHERE
from app.store.leases import Busy, lease
from bridges.local import LocalBridge
from tests.fakes.web import HOST, Web, answer, serving
from tests.imports.bench import HERE
from tests.imports.pull.test_subscriptions import HOUR, NOW, TWENTY, Office, bridge, file, standing

__all__ = ["bridge"]

PLAIN = Wish("timetable", "https://cal.example.edu/geheim.ics", HERE, HOUR, 180)
OTHERS: dict[str, object] = {
    "every_minutes": 90,
    "ahead_days": "30",
    "mode": "add",
    "agent": "microsoft",
    "zone": "Europe/London",
    "floating": "hold",
    "include": "title:Lecture* | place:Room 1",
    "exclude": ["*cancelled*"],
    "rename": ["BIO101*=Biology: {}"],
    "from": "2025-08-01",
    "to": "2025-12-24",
    "grace": 3,
    "match": "content",
    "routes": ["category:COURSE *=>lms/course/{1}"],
    "max_bytes": "100000",
    "max_events": 50,
}


@pytest.fixture
def office(bridge: LocalBridge) -> Iterator[Office]:
    with serving() as web:
        yield Office(web, bridge)


def test_every_setting_is_read_shown_and_kept(office: Office) -> None:
    assert set(OTHERS) == set(SETTINGS) - {"url"}
    id = office.add()
    told = office.subscriptions.change(id, OTHERS)
    assert office.subscriptions.get(id) == told
    facts = to_json(told)
    assert {name: facts[name] for name in OTHERS} == OTHERS | {
        "ahead_days": 30,
        "include": ["title:Lecture*", "place:Room 1"],
        "max_bytes": 100_000,
    }
    assert changed(PLAIN, shown(told.wish)) == replace(told.wish, url=PLAIN.url)
    back = office.subscriptions.change(id, dict.fromkeys(set(OTHERS) - {"every_minutes", "ahead_days"}, ""))
    assert unusual(back.wish) == {}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("name", "x", "no setting 'name'"),
        ("calendar", "x/y", "no setting"),
        ("url", "", "cannot be empty"),
        ("url", "ftp://x/", "not fetched by"),
        ("url", "http://169.254.169.254/", "closed network"),
        ("url", ["x"], "has to be a text"),
        ("every_minutes", 1, "whole number from 5"),
        ("every_minutes", True, "whole number"),
        ("every_minutes", "", "cannot be empty"),
        ("ahead_days", "a week", "whole number"),
        ("mode", "delete", "one of replace, add"),
        ("agent", "a\r\nb", "no header can carry"),
        ("zone", "Mars", "no time zone"),
        ("zone", 7, "has to be a text"),
        ("floating", "guess", "'hold'"),
        ("include", ["title:"], "empty pattern"),
        ("include", [1], "list of patterns"),
        ("include", {"a": 1}, "list of patterns"),
        ("rename", "BIO", "no rename"),
        ("from", "tomorrow", "2026-09-01"),
        ("to", "9999-01-01", "too far"),
        ("grace", 0, "from 1"),
        ("max_bytes", 2**30, "fetch.max_bytes"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(office: Office, name: str, value: object, words: str) -> None:
    id = office.add()
    before = office.subscriptions.get(id)
    with pytest.raises(ValueError, match=words):
        office.subscriptions.change(id, {name: value})
    assert office.subscriptions.get(id) == before


def test_a_window_has_to_have_room(office: Office) -> None:
    id = office.add()
    with pytest.raises(ValueError, match="window is empty"):
        office.subscriptions.change(id, {"from": "2025-09-01", "to": "2025-09-01"})
    later = office.subscriptions.change(id, {"from": "2025-09-01", "to": "2025-09-02"})
    assert office.subscriptions.change(id, {"to": "2026-09-02", "from": "2026-09-01"}).wish.since != later.wish.since


def test_a_changed_setting_has_the_same_bytes_planned_anew(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY, 'ETag: "1"'))
    id = office.add()
    assert [office.visit(id).what for _ in range(3)] == ["done", "done", "unchanged"]
    office.subscriptions.change(id, {"rename": "Seminar*=Lab {}"})
    assert office.subscriptions.due(office.now) == [id]
    assert office.visit(id).updated == 20
    assert "if-none-match" not in office.web.asked[-1].headers
    office.subscriptions.change(id, {"exclude": "Seminar 1?", "rename": ""})
    assert [office.visit(id).deleted for _ in range(2)] == [0, 10]
    assert len(standing(bridge)) == 10


def test_the_zone_and_the_floating_policy_are_obeyed(office: Office, bridge: LocalBridge) -> None:
    def told(at: str) -> bytes:
        return file("a").replace(b"DTSTART:20250311T080000Z", at.encode())

    def hours() -> list[int]:
        return [event.when.start.astimezone(UTC).hour for _, event in standing(bridge)]  # type: ignore[attr-defined]

    office.serves(answer(200, told("DTSTART:20250311T080000")))
    id = office.add(grace=1)
    office.visit(id)
    assert hours() == [7]
    office.subscriptions.change(id, {"floating": "Europe/London"})
    office.visit(id)
    assert hours() == [8]
    office.subscriptions.change(id, {"floating": "hold"})
    held = office.visit(id)
    assert (held.what, hours()) == (What.DONE, [8])  # held: neither moved nor deleted
    assert "1 part of the file could not be read; line 4: its start names no time zone" in held.problem
    office.serves(answer(200, told("DTSTART;TZID=Our Own:20250311T080000")))
    office.subscriptions.change(id, {"zone": "America/New_York"})
    office.visit(id)
    assert hours() == [12]


def test_grace_and_window_are_obeyed(office: Office, bridge: LocalBridge) -> None:
    office.serves(answer(200, TWENTY), answer(200, file(*range(19))))
    id = office.add(grace=3, until=date(2025, 3, 13))
    assert [office.visit(id).deleted for _ in range(5)] == [0, 0, 0, 1, 0]
    office.subscriptions.change(id, {"from": "2025-03-12"})
    assert office.visit(id).deleted == 0
    over = office.visit(id, timedelta(days=5))
    assert (over.what, "ended on 2025-03-13" in over.problem) == (What.REFUSED, True)


@pytest.mark.parametrize(("cap", "words"), [("max_bytes", "more than 1,100 bytes"), ("max_events", "sends 20 events")])
def test_a_source_that_sends_more_than_it_may_is_refused(office: Office, cap: str, words: str) -> None:
    office.serves(answer(200, file(*range(5))), answer(200, TWENTY), answer(200, file(*range(5))))
    id = office.add(None, **{cap: {"max_bytes": 1100, "max_events": 19}[cap]})
    assert office.visit(id).what is What.DONE
    refused = office.visit(id)
    assert (refused.what, words in refused.problem) == (What.FAILED, True)
    assert office.visit(id).what is What.DONE


# headers


def test_headers_are_sent_and_named_and_never_shown(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add(Credential.basic("ada", "opensesame"))
    told = office.subscriptions.change(id, {}, [Credential("X-Key", "mellon"), Credential("Accept", "text/calendar")])
    assert told.headers == ("Authorization", "X-Key", "Accept")
    office.visit(id)
    sent = office.web.asked[-1].headers
    assert (sent["x-key"], sent["accept"], sent["authorization"][:6]) == ("mellon", "text/calendar", "Basic ")
    told = office.subscriptions.change(id, {}, [Credential("x-key", "friend")], ["AUTHORIZATION"])
    assert told.headers == ("Accept", "x-key")
    office.visit(id)
    assert office.web.asked[-1].headers["x-key"] == "friend"
    assert "authorization" not in office.web.asked[-1].headers
    shown_anywhere = repr(told) + str(to_json(told)) + repr(office.subscriptions.history(id))
    for secret in ("mellon", "friend", "opensesame", "geheim"):
        assert secret not in shown_anywhere
    assert office.subscriptions.change(id, {}, [], ["Accept", "X-Key"]).opened is False
    assert office.vault.secrets[f"subscription/{id}"] == ""


@pytest.mark.parametrize("name", ["Host", "Content-Length", "content-type", "Connection", "TE", "Proxy-Authorization"])
def test_no_header_bends_the_line(name: str) -> None:
    with pytest.raises(ValueError, match="no header that a calendar server may want"):
        Credential(name, "x")


@pytest.mark.parametrize("many", [[Credential("X-A", "1"), Credential("x-a", "2")], [Credential("X-A", "1")] * 11])
def test_each_header_once_and_not_many(office: Office, many: list[Credential]) -> None:
    id = office.add()
    with pytest.raises(ValueError, match="each once"):
        office.subscriptions.change(id, {}, many)


def test_an_address_at_another_server_gets_no_header_of_the_old_one(office: Office) -> None:
    id = office.add(Credential("X-Key", "mellon"))
    same = office.subscriptions.change(id, {"url": office.web.url("/d.ics")})
    assert same.headers == ("X-Key",)
    with serving() as other:
        elsewhere = Web(other.port)
        office.subscriptions._settings = replace(
            office.subscriptions._settings,
            fences=replace(office.subscriptions._settings.fences, allow_hosts=frozenset({HOST}), ports=(range(65536),)),
        )
        other.replies["/d.ics"] = answer(200, TWENTY)
        moved = office.subscriptions.change(id, {"url": elsewhere.url("/d.ics")})
        assert (moved.headers, moved.opened) == ((), False)
        assert office.visit(id).what is What.DONE
        assert "x-key" not in other.asked[0].headers
    assert office.vault.secrets[f"subscription/{id}"] == ""


def test_a_single_header_of_the_first_release_is_still_sent(office: Office) -> None:
    office.serves(answer(200, TWENTY))
    id = office.add(Credential("X-Key", "new"))
    office.vault.put(f"subscription/{id}", '["X-Key", "old"]')
    office.visit(id)
    assert office.web.asked[-1].headers["x-key"] == "old"


def test_nothing_is_changed_while_it_is_run(office: Office) -> None:
    id = office.add()
    with lease(office.engine, f"subscription {id}", lambda: office.now), pytest.raises(Busy):
        office.subscriptions.change(id, {"grace": 3})


def test_a_parked_one_is_looked_at_again_once_it_was_changed(office: Office) -> None:
    office.serves(answer(410))
    id = office.add()
    office.visit(id)
    assert office.state(id).standing is Standing.PARKED
    office.subscriptions.change(id, {"url": office.web.url("/new.ics")})
    assert office.subscriptions.due(office.now) == [id]
    assert datetime.fromisoformat(to_json(office.subscriptions.get(id))["next_check"]) == office.now
    assert office.now == NOW + HOUR


# routes


def test_one_timetable_goes_into_many_calendars(office: Office, bridge: LocalBridge) -> None:
    there = replace(HERE, id="two")
    bridge.add_calendar(there, "Two")
    routes = [f"title:Seminar 1*=>{there}", f"title:Seminar ?=>{HERE}", f"title:Seminar 2*=>{replace(HERE, id='no')}"]
    office.serves(answer(200, file(*range(21))), answer(200, file(*range(20))))

    def told() -> list[int]:
        return [len(standing(bridge, each)) for each in (HERE, there)]

    id = office.subscriptions.add(changed(office.wish(calendar=NOWHERE), {"routes": routes})).id
    first = office.visit(id)
    assert (first.what, first.created, first.run, first.batch) == (What.DONE, 20, None, 1)
    assert f"{replace(HERE, id='no')} cannot be written" in first.problem
    assert told() == [9, 11]
    office.subscriptions.change(id, {"routes": routes[:1]})
    assert "No route takes 9 of its events" in office.visit(id).problem
    assert told() == [9, 11]  # a grace for what has lost its place, as for what is missing
    office.subscriptions.change(id, {"routes": [f"title:Seminar 10=>{HERE}", *routes]})
    moved = [office.visit(id) for _ in range(2)]
    assert (moved[0].what, told()) == (What.DONE, [10, 10])
    office.serves(answer(200, file()))
    assert (office.visit(id).what, office.visit(id).what, told()) == (What.HELD, What.UNCHANGED, [10, 10])
    assert office.visit(id, approved=True).deleted == 20
    assert told() == [0, 0]


def test_one_without_a_calendar_cannot_do_without_routes(office: Office) -> None:
    with pytest.raises(ValueError, match="cannot do without routes"):
        office.add(calendar=NOWHERE)
    id = office.add()
    with pytest.raises(ValueError, match="PATTERN=>CALENDAR"):
        office.subscriptions.change(id, {"routes": ["x"]})
