"""Both forms of a feed say the same, and say it of each event as it was meant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from app.feeds.build import Press, assemble, basis, draw, pack, settled, uid_of, unpack, version_of
from app.feeds.feed import USUAL_HORIZON, Feed, Form, Shown, Version
from app.feeds.policies import USUAL, Cancelled, Policies
from app.feeds.schema import SCHEMA
from bridges.model import AllDay, CalendarRef, Event, Found, Kind, RemoteRef, Status, Timed, When
from tests.feeds.world import BERLIN, HOUR, MONDAY, complaints, lesson

COURSE = CalendarRef("school", Kind.COURSE, "math")
FEED = Feed(1, "math", "Mathematik; I, \n II", COURSE, True, True, MONDAY)
WINDOW = USUAL_HORIZON.at(MONDAY.astimezone(BERLIN))


def shown(*events: Event) -> list[Shown]:
    return [Shown(RemoteRef(f"r{number}"), event, MONDAY, number) for number, event in enumerate(events)]


def body(form: Form, *events: Event, zone: ZoneInfo = BERLIN, policies: Policies = USUAL) -> bytes:
    feed = replace(FEED, policies=policies)
    drawer = draw(None, "hash", pack(shown(*events)), Press.of(form, feed, WINDOW, zone).maker(COURSE))
    return assemble(form, feed, WINDOW, zone, HOUR, drawer.pieces)


def forms(*events: Event, zone: ZoneInfo = BERLIN, policies: Policies = USUAL) -> tuple[Any, Any]:
    """The parsed VEVENTs and the parsed JSON of one reading."""
    ics, plain = (body(form, *events, zone=zone, policies=policies) for form in (Form.ICS, Form.JSON))
    told = json.loads(plain)
    assert complaints(told, SCHEMA) == []
    return Calendar.from_ical(ics).walk("VEVENT"), told


texts = st.text(max_size=60)
moments = st.datetimes(datetime(2025, 12, 1), datetime(2027, 12, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
whens: st.SearchStrategy[When] = st.builds(
    lambda start, minutes: Timed(start, start + timedelta(minutes=minutes)), moments, st.integers(0, 5000)
) | st.builds(
    lambda start, length: AllDay(start, start + timedelta(length)),
    st.dates(date(1, 1, 1), date(9990, 1, 1)),
    st.integers(1, 30),
)
events = st.builds(
    Event,
    title=texts,
    when=whens,
    text=texts,
    place=texts,
    categories=st.lists(texts, max_size=3).map(tuple),
    url=texts | texts.map(lambda text: f"https://x.example/{text}"),
    status=st.sampled_from(Status),
)


@settings(max_examples=150, deadline=None)
@given(
    items=st.lists(events, max_size=5),
    zone=st.sampled_from([BERLIN, ZoneInfo("Africa/Casablanca"), ZoneInfo("UTC"), ZoneInfo("America/New_York")]),
)
def test_both_forms_say_the_same(items: list[Event], zone: ZoneInfo) -> None:
    found, body = forms(*items, zone=zone, policies=Policies(Cancelled.SHOW))
    assert len(found) == len(body["events"]) == len(items)
    for one, other in zip(found, body["events"], strict=True):
        assert str(one["UID"]) == other["uid"]
        assert str(one["SUMMARY"]) == other["title"]
        assert str(one.get("DESCRIPTION", "")) == with_link(other["text"], other["url"])
        assert str(one.get("LOCATION", "")) == other["place"]
        assert list(map(str, one.categories)) == other["categories"]
        assert str(one.get("URL", "")) == other["url"]
        assert str(one["STATUS"]).lower() == other["status"]
        assert one["LAST-MODIFIED"].dt == datetime.fromisoformat(other["modified"])
        assert one["SEQUENCE"] == other["sequence"]
        same_times(one, other)


def with_link(text: str, url: str) -> str:
    return text if url in text else f"{text}\n\n{url}" if text else url


def same_times(one: Any, other: Any) -> None:
    start = one["DTSTART"].dt
    end = one["DTEND"].dt if "DTEND" in one else start
    kind = date if other["all_day"] else datetime
    assert isinstance(start, datetime) is not other["all_day"]
    assert (start, end) == (kind.fromisoformat(other["start"]), kind.fromisoformat(other["end"]))


def test_times_are_shown_with_the_offset_of_the_home_zone() -> None:
    _, body = forms(lesson(start=datetime(2026, 7, 1, 8, tzinfo=UTC)))
    assert body["events"][0]["start"] == "2026-07-01T10:00:00+02:00"
    assert body["window"] == {"start": "2026-02-23T00:00:00+01:00", "end": "2026-09-08T00:00:00+02:00"}


def test_order_is_by_start_and_then_by_uid_whatever_the_lms_says() -> None:
    late, early = lesson("late", MONDAY + HOUR), lesson("early", MONDAY)
    _, body = forms(late, early)
    assert [event["title"] for event in body["events"]] == ["early", "late"]


def test_cancelled_events_are_left_out_unless_wanted() -> None:
    gone = lesson(status=Status.CANCELLED)
    found, body = forms(gone)
    assert (found, body["events"]) == ([], [])
    found, body = forms(gone, policies=Policies(Cancelled.SHOW))
    assert (found[0]["STATUS"], body["events"][0]["status"]) == ("CANCELLED", "cancelled")


def test_a_uid_depends_on_the_lms_and_the_ref_alone_and_never_changes() -> None:
    assert uid_of("school", RemoteRef("r1")) == "c1b0e07012e07de1045115e770083dd0a1b1e1e2@calbridge"
    assert (
        len({uid_of(*names) for names in [("a", RemoteRef("bc")), ("ab", RemoteRef("c")), ("a", RemoteRef("b"))]}) == 3
    )
    assert uid_of("school", RemoteRef("\ud800"))


def test_new_content_has_a_new_time_and_the_next_sequence_and_old_content_keeps_both() -> None:
    first = version_of(lesson(), None, MONDAY)
    same = version_of(lesson(), first, MONDAY + HOUR)
    other = version_of(lesson("Geometry"), same, MONDAY + 2 * HOUR)
    assert first == same == Version(first.hash, MONDAY, 0)
    assert (other.seen_at, other.sequence) == (MONDAY + 2 * HOUR, 1)


def test_instants_that_we_wrote_for_days_are_shown_as_days() -> None:
    midnight = datetime(2026, 3, 10, tzinfo=BERLIN)
    instants, days = Timed(midnight, midnight + timedelta(1)), AllDay(date(2026, 3, 10), date(2026, 3, 11))
    memory = {RemoteRef("ours"): (instants, days), RemoteRef("moved"): (instants, days)}
    found = [
        Found(RemoteRef("ours"), Event("t", Timed(midnight.astimezone(UTC), midnight.astimezone(UTC) + timedelta(1)))),
        Found(RemoteRef("moved"), lesson()),
        Found(RemoteRef("theirs"), Event("t", instants)),
    ]
    assert [item.event.when for item in settled(found, memory, BERLIN)] == [days, lesson().when, instants]


def test_a_floating_time_is_one_of_the_home_zone() -> None:
    floating = Timed(datetime(2026, 7, 1, 10), datetime(2026, 7, 1, 11))
    (item,) = settled([Found(RemoteRef("r"), Event("t", floating))], {}, BERLIN)
    start = datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert item.event.when == Timed(start, start + HOUR)


@settings(max_examples=100, deadline=None)
@given(items=st.lists(events, max_size=4))
def test_a_reading_comes_out_of_the_store_as_it_went_in(items: list[Event]) -> None:
    lines = [line for line in pack(shown(*items)).split(b"\n") if line]
    assert [unpack(line) for line in lines] == shown(*items)


def test_the_basis_names_everything_that_a_body_depends_on() -> None:
    later = USUAL_HORIZON.at(MONDAY.astimezone(BERLIN) + timedelta(days=300))
    renamed, showing = replace(FEED, title="Maths"), replace(FEED, policies=Policies(Cancelled.SHOW))
    bases = [
        basis(FEED, "hash", WINDOW, BERLIN, HOUR),
        basis(renamed, "hash", WINDOW, BERLIN, HOUR),
        basis(FEED, "other", WINDOW, BERLIN, HOUR),
        basis(FEED, "hash", WINDOW, ZoneInfo("Europe/Dublin"), HOUR),
        basis(FEED, "hash", WINDOW, BERLIN, 2 * HOUR),
        basis(showing, "hash", WINDOW, BERLIN, HOUR),
        basis(FEED, "hash", later, BERLIN, HOUR),
        basis(FEED, "hash", later, ZoneInfo("Africa/Casablanca"), HOUR),
    ]
    assert len(set(bases)) == len(bases)
