"""What we write, others read: the same strings and times come back, from the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Component

from app.ics.render import Clock, Cover, Published, clean, clean_url, fold, join, one_line, piece, render
from bridges.model import AllDay, Event, Status, Timed, When, instant

BERLIN = ZoneInfo("Europe/Berlin")
STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOON = Timed(datetime(2026, 3, 10, 12, tzinfo=BERLIN), datetime(2026, 3, 10, 13, tzinfo=BERLIN))
NASTY = (
    "a\rb\nc\r\nd\x85e\u2028f\u2029g\x00h\\n;,:\"'\x0b\x0c\x1c\x1d\x1e\x7f\t"
    "BEGIN:VEVENT\r\nEND:VEVENT\r\nBEGIN:VEVENT\nX-EVIL:1 \\\\, \\; " + "\N{PILE OF POO}" * 300
)


def cover(zone: ZoneInfo = BERLIN, name: str = "Kurs") -> Cover:
    return Cover(name, zone, timedelta(hours=1), 2026, 2027)


def published(event: Event, uid: str = "1@calbridge") -> Published:
    return Published(uid, event, STAMP, STAMP, 2)


def read(body: bytes) -> list[Component]:
    return Calendar.from_ical(body).walk("VEVENT")


def back(event: Event, zone: ZoneInfo = BERLIN) -> Any:
    (found,) = read(render(cover(zone), [published(event)]))
    return found


def lines(body: bytes) -> list[bytes]:
    return body.split(b"\r\n")


texts = st.text(st.characters(codec="utf-8"), max_size=200) | st.text("\\;,\n\r aé\N{BEAR FACE}", max_size=300)
moments = st.datetimes(datetime(2025, 6, 1), datetime(2028, 6, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
days = st.dates(date(1, 1, 1), date(9998, 1, 1))
whens: st.SearchStrategy[When] = st.one_of(
    st.builds(
        lambda start, length: Timed(start, start + length),
        moments,
        st.timedeltas(timedelta(0), timedelta(9)).map(lambda span: timedelta(seconds=int(span.total_seconds()))),
    ),
    st.builds(lambda start, length: AllDay(start, start + timedelta(length)), days, st.integers(1, 300)),
)
events = st.builds(
    Event,
    title=texts,
    when=whens,
    text=texts,
    place=texts,
    categories=st.lists(texts.filter(lambda text: bool(clean(text))), max_size=3).map(tuple),
    url=st.just("") | texts.map(lambda text: f"https://lms.example.edu/{text}"),
    status=st.sampled_from(Status),
)
zones = st.sampled_from(
    [
        ZoneInfo(name)
        for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC")
    ]
)


@settings(max_examples=300, deadline=None)
@given(event=events, zone=zones)
def test_strings_and_times_come_back_from_icalendar(event: Event, zone: ZoneInfo) -> None:
    found = back(event, zone)
    assert str(found["SUMMARY"]) == clean(event.title)
    assert str(found.get("DESCRIPTION", "")) == clean(event.text)
    assert str(found.get("LOCATION", "")) == clean(event.place)
    assert list(map(str, found.categories)) == list(map(clean, event.categories))
    assert str(found.get("URL", "")) == clean_url(event.url)
    assert str(found["STATUS"]).lower() == event.status
    start, end = found["DTSTART"].dt, found["DTEND"].dt if "DTEND" in found else found["DTSTART"].dt
    again = AllDay(start, end) if isinstance(event.when, AllDay) else Timed(start, end)
    assert again == event.when


@settings(max_examples=200, deadline=None)
@given(items=st.lists(events, max_size=4), zone=zones, name=texts)
def test_lines_are_short_whole_and_end_in_crlf(items: list[Event], zone: ZoneInfo, name: str) -> None:
    body = render(cover(zone, name), map(published, items))
    assert body.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")
    for line in lines(body):
        assert len(line) <= 75
        line.decode()  # no letter is cut in two
    for one, other in zip(lines(body), lines(body)[1:], strict=False):
        if other.startswith(b" "):
            assert (len(one) - len(one.rstrip(b"\\"))) % 2 == 0, "an escape is cut in two"


@settings(max_examples=100, deadline=None)
@given(items=st.lists(events, max_size=4))
def test_the_same_events_give_the_same_bytes(items: list[Event]) -> None:
    assert render(cover(), map(published, items)) == render(cover(), map(published, items))


@settings(max_examples=100, deadline=None)
@given(items=st.lists(events, max_size=4))
def test_ready_pieces_join_to_the_same_bytes(items: list[Event]) -> None:
    clock = Clock(BERLIN, 2026, 2027)
    assert join(cover(), [piece(published(item), clock) for item in items]) == render(cover(), map(published, items))


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert clean_url(clean_url(f"https://x/{text}")) == clean_url(f"https://x/{text}")


@pytest.mark.parametrize("field", ["title", "text", "place", "categories", "url"])
def test_nothing_in_a_text_becomes_a_property_or_an_event(field: str) -> None:
    value: Any = (NASTY,) if field == "categories" else f"https://x/{NASTY}" if field == "url" else NASTY
    harmless: Any = ("x",) if field == "categories" else "https://x/"
    event = Event("t", NOON)
    assert back(replace(event, **{field: value})).keys() == back(replace(event, **{field: harmless})).keys()


def test_a_nasty_text_comes_back_but_for_what_icalendar_cannot_hold() -> None:
    assert str(back(Event(NASTY, NOON))["SUMMARY"]) == (
        "a\nb\nc\nd\x85e\u2028f\u2029gh\\n;,:\"'\tBEGIN:VEVENT\nEND:VEVENT\nBEGIN:VEVENT\nX-EVIL:1 \\\\, \\; "
        + "\N{PILE OF POO}" * 300
    )


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert str(back(Event("a\ud83db", NOON, text="\udc00"))["SUMMARY"]) == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_cannot_inject_anything_either() -> None:
    calendar = Calendar.from_ical(render(cover(name=NASTY), []))
    assert calendar.keys() == Calendar.from_ical(render(cover(name="plain"), [])).keys()
    assert calendar.walk("VEVENT") == []
    assert one_line(NASTY).startswith("a b c d e f gh\\n;,:\"' BEGIN:VEVENT END:VEVENT")


def test_the_header_is_what_clients_ask_for() -> None:
    head = render(cover(), []).decode().split("BEGIN:VTIMEZONE")[0].split("\r\n")
    assert head == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//calbridge//calbridge//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "NAME:Kurs",
        "X-WR-CALNAME:Kurs",
        "X-WR-TIMEZONE:Europe/Berlin",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
        "",
    ]


def test_times_carry_the_home_zone_which_the_file_defines() -> None:
    start = datetime(2026, 7, 1, 8, tzinfo=UTC)
    body = render(cover(), [published(Event("t", Timed(start, start + timedelta(hours=1))))])
    assert b"DTSTART;TZID=Europe/Berlin:20260701T100000\r\nDTEND;TZID=Europe/Berlin:20260701T110000\r\n" in body
    assert body.count(b"BEGIN:VTIMEZONE") == 1


@pytest.mark.parametrize(
    ("start", "written"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), b";TZID=Europe/Berlin:20260329T015900"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), b";TZID=Europe/Berlin:20260329T030000"),
        (datetime(2026, 10, 24, 23, 59, tzinfo=UTC), b";TZID=Europe/Berlin:20261025T015900"),
        (datetime(2026, 10, 25, 0, 0, tzinfo=UTC), b":20261025T000000Z"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), b":20261025T003000Z"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), b":20261025T013000Z"),
        (datetime(2026, 10, 25, 2, 0, tzinfo=UTC), b";TZID=Europe/Berlin:20261025T030000"),
    ],
)
def test_the_hour_that_happens_twice_is_told_apart_by_readers_of_either_mind(start: datetime, written: bytes) -> None:
    assert b"DTSTART" + written + b"\r\n" in render(cover(), [published(Event("t", Timed(start, start)))])


def test_where_the_zone_has_no_plain_rule_a_time_is_written_in_utc() -> None:
    ramadan = datetime(2026, 2, 15, 12, tzinfo=UTC)
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    body = render(cover(ZoneInfo("Africa/Casablanca")), [published(Event("t", Timed(ramadan, july)))])
    assert b"DTSTART:20260215T120000Z\r\nDTEND;TZID=Africa/Casablanca:20260701T130000\r\n" in body


def test_a_feed_in_utc_needs_no_zone() -> None:
    body = render(cover(ZoneInfo("UTC")), [published(Event("t", NOON))])
    assert b"DTSTART:20260310T110000Z" in body
    assert b"TZID" not in body


def test_outside_the_years_shown_a_time_is_written_in_utc() -> None:
    start = datetime(1601, 1, 1, tzinfo=UTC)
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert b"DTSTART:16010101T000000Z\r\nDTEND:99991231T235959Z" in render(
        cover(), [published(Event("t", Timed(start, end)))]
    )


def test_days_are_dates_with_the_end_not_included_and_keep_nobody_busy() -> None:
    found = back(Event("t", AllDay(date(2026, 3, 10), date(2026, 3, 12))))
    assert (found["DTSTART"].dt, found["DTEND"].dt) == (date(2026, 3, 10), date(2026, 3, 12))
    assert found["TRANSP"] == "TRANSPARENT"


def test_a_deadline_has_no_end_and_keeps_nobody_busy() -> None:
    found = back(Event("t", Timed(NOON.start, NOON.start)))
    assert instant(found["DTSTART"].dt) == instant(NOON.start)
    assert "DTEND" not in found
    assert found["TRANSP"] == "TRANSPARENT"


def test_a_floating_time_is_refused() -> None:
    with pytest.raises(ValueError, match="floating"):
        render(cover(), [published(Event("t", Timed(datetime(2026, 1, 1), datetime(2026, 1, 2))))])


def test_stamps_come_from_the_event_and_not_from_the_clock() -> None:
    found = back(Event("t", NOON))
    assert found["DTSTAMP"].dt == found["LAST-MODIFIED"].dt == STAMP
    assert found["SEQUENCE"] == 2


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "https://[", "plain"])
def test_only_web_addresses_are_links(url: str) -> None:
    assert "URL" not in back(Event("t", NOON, url=url))


def test_a_line_is_folded_before_and_never_inside_an_escape() -> None:
    line = "SUMMARY:" + "x" * 66 + "\\,y"
    assert fold(line) == "SUMMARY:" + "x" * 66 + "\r\n \\,y"


def test_categories_share_a_line_unless_one_of_them_has_an_escape_or_a_quote() -> None:
    def told(*categories: str) -> bytes:
        return render(cover(), [published(Event("t", NOON, categories=categories))])

    assert b"CATEGORIES:a,b c\r\n" in told("a", "b c")
    assert b"CATEGORIES:a\r\nCATEGORIES:b\\,c\r\nCATEGORIES:d\\\\\r\n" in told("a", "b,c", "d\\")
    assert b'CATEGORIES:a"\r\nCATEGORIES:b\r\n' in told('a"', "b")
    assert b"CATEGORIES" not in told("\x00")


@pytest.mark.parametrize("strange", ["\x85", "\u2028", "\u2029"])
def test_what_some_take_for_the_end_of_a_line_begins_none(strange: str) -> None:
    text = f"a{strange}X-EVIL:1{strange}END:VEVENT{strange}" + "b" * 80 + strange
    body = render(cover(), [published(Event(text, NOON))])
    assert str(read(body)[0]["SUMMARY"]) == text
    evil = [line for line in body.decode().splitlines() if line.startswith(("X-EVIL", "END:VEVENT", "b"))]
    assert evil == ["END:VEVENT"]
