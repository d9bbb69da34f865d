"""From bytes to events: what is refused, what is mended, and that one bad part never costs the rest."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ics import Limits, NotACalendar, read_occurrences
from bridges.model import Status
from tests.ics.making import calendar, event, read, starts

PLAIN = calendar(event("SUMMARY:Vorlesung Übung", "DESCRIPTION:a\\nb\\, c\\; d\\\\e"))
SPECIMENS = sorted((Path(__file__).parent / "calendars").glob("*.ics"))


# ---------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b" \r\n\0", "empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "zip"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"hello", "BEGIN:VCALENDAR"),
        (PLAIN[:-20], "cut short"),
        (PLAIN.replace(b"END:VEVENT\r\n", b"").replace(b"END:VCALENDAR\r\n", b""), "cut short"),
        (PLAIN[:-17] + b"\r\n" + PLAIN, "cut short"),
        (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:X\r\n" * 1000, "nests"),
    ],
)
def test_what_is_no_whole_calendar_is_refused_and_the_sentence_says_what_it_is(data: bytes, word: str) -> None:
    with pytest.raises(NotACalendar, match=word):
        read_occurrences(data)


def test_too_many_bytes_or_components_are_refused() -> None:
    with pytest.raises(NotACalendar, match="bytes"):
        read_occurrences(PLAIN, limits=Limits(bytes=10))
    with pytest.raises(NotACalendar, match="components"):
        read_occurrences(calendar(event(), event()), limits=Limits(components=1))


# ------------------------------------------------------------------------------------------------- bytes and lines


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"\r\n", b"\r"),
        PLAIN.replace(b"\r\n", b"\r\r\n"),
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.decode().encode("utf-16"),
        PLAIN.decode().encode("utf-16-le"),
        PLAIN.decode().encode("cp1252"),
        PLAIN.replace("Ü".encode(), b"\xc3\r\n \x9c"),
        PLAIN.replace(b"Vorlesung", b"Vor\r\n\tlesung"),
        PLAIN.replace(b"Vorlesung", b"Vor\0les\x0bung"),
        PLAIN.replace(b"SUMMARY", b"summary").replace(b"BEGIN:VEVENT", b"begin:vevent "),
        PLAIN.replace(b"END:VEVENT", b"END:VEVENT  "),
        b"  " + PLAIN,
        b"\r\n\r\n" + PLAIN + b"\r\n\r\n",
        b"    " + PLAIN.replace(b"\r\n", b"\r\n    ").rstrip(),
    ],
)
def test_every_encoding_and_every_line_end_gives_the_same_event(data: bytes) -> None:
    (found,) = read_occurrences(data).occurrences
    assert found.event.title == "Vorlesung Übung"
    assert found.event.text == "a\nb, c; d\\e"


def test_one_wrong_byte_does_not_change_how_the_rest_is_read() -> None:
    data = calendar(event("SUMMARY:Übung", "LOCATION:Caf\xff")).replace("ÿ".encode(), b"\xe9")
    (found,) = read_occurrences(data).occurrences
    assert (found.event.title, found.event.place) == ("Übung", "Café")


def test_a_declared_charset_is_believed() -> None:
    data = calendar(event("SUMMARY;CHARSET=ISO-8859-2:x")).replace(b":x\r", ":Čeština".encode("iso-8859-2") + b"\r")
    assert read_occurrences(data).occurrences[0].event.title == "Čeština"


def test_next_line_and_other_separators_of_unicode_end_no_line() -> None:
    assert read(event("SUMMARY:a\x85b\u2028c")).occurrences[0].event.title == "a\x85b\u2028c"


def test_a_description_broken_without_folding_is_put_together_and_reported() -> None:
    reading = read(event("DESCRIPTION:first", "and a second line", "", "third", "SUMMARY:s"))
    assert reading.occurrences[0].event.text == "first\nand a second line\nthird"
    assert [(problem.line, problem.lost) for problem in reading.problems] == [(8, False)]


def test_quoted_printable_is_decoded_over_its_soft_breaks() -> None:
    reading = read(event("DESCRIPTION;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:=C3=9Cbung=", "=20zwei"))
    assert reading.occurrences[0].event.text == "Übung zwei"


def test_colons_and_separators_inside_quotes_belong_to_the_parameter() -> None:
    reading = read(event('DTSTART;X-A="a;b:c";TZID="Europe/Berlin":20250310T090000', 'SUMMARY;ALTREP="cid:1;2":s'))
    assert starts(reading) == ["2025-03-10 09:00"]
    assert reading.occurrences[0].event.title == "s"


def test_problems_name_the_raw_line() -> None:
    reading = read(event("DESCRIPTION:a", " b", "  c"), event("DTSTART:never", uid="bad"))
    (problem,) = reading.problems
    assert (problem.line, problem.uid, problem.lost) == (11, "bad", True)
    assert str(problem).startswith("line 11: ")


# ---------------------------------------------------------------------------------------------------- components


def test_other_components_are_counted_and_alarms_do_not_disturb() -> None:
    todo = "BEGIN:VTODO\nUID:t\nSUMMARY:no\nEND:VTODO\n"
    alarm = "BEGIN:VALARM\nTRIGGER:-PT5M\nDESCRIPTION:wake\nDURATION:PT1M\nEND:VALARM"
    reading = read(todo, event("SUMMARY:yes", alarm, "LOCATION:here"), todo)
    assert reading.ignored == {"VTODO": 2}
    (found,) = reading.occurrences
    assert (found.event.title, found.event.text, found.event.place) == ("yes", "", "here")
    assert found.event.when.start == found.event.when.end


def test_several_calendars_in_one_file_and_in_one_another_are_all_read() -> None:
    one, two = calendar(event(uid="1")), calendar(event(uid="2"))
    assert read_occurrences(one + two).events == 2
    assert read_occurrences(b"BEGIN:VCALENDAR\r\n" + one + b"END:VCALENDAR\r\n").events == 1


def test_events_without_a_calendar_around_them_are_read_and_reported() -> None:
    reading = read_occurrences(event().encode())
    assert reading.events == 1
    assert reading.problems


def test_a_missing_end_costs_nothing_but_a_report() -> None:
    reading = read(event(uid="1").replace("END:VEVENT\n", ""), event(uid="2"))
    assert [one.id.uid for one in reading.occurrences] == ["1", "2"]
    assert len(reading.problems) == 1


def test_a_stray_end_is_passed_over() -> None:
    assert read("END:VEVENT\n", event()).events == 1


@pytest.mark.parametrize(
    "bad",
    [
        "DTSTART:never", "DTSTART:20250230T090000", "DTSTART;TZID=Europe/Berlin:20251301T000000",
        "RRULE:FREQ=SOMETIMES", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "RECURRENCE-ID:then",
    ],
)  # fmt: skip
def test_one_bad_event_is_left_out_by_name_and_the_rest_goes_on(bad: str) -> None:
    reading = read(event(uid="good"), event(bad, uid="bad"))
    assert [one.id.uid for one in reading.occurrences] == ["good"]
    assert reading.unread == {"bad"}
    assert not reading.unread_all
    assert reading.events == 1


def test_a_lost_event_whose_name_cannot_be_told_forbids_all_conclusions() -> None:
    assert read(event("DTSTART:never", uid=None)).unread_all


def test_an_event_without_a_start_takes_place_at_no_time_but_is_not_gone() -> None:
    reading = read("BEGIN:VEVENT\nUID:a\nSUMMARY:s\nEND:VEVENT\n", event())
    assert (reading.events, len(reading.occurrences)) == (2, 1)
    assert reading.unread == {"a"}
    assert not reading.problems[0].lost


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE:",
        "RDATE:",
        "EXDATE;VALUE=DATE:",
        "RRULE:",
        "DTEND:",
        "DURATION:",
        "RECURRENCE-ID:",
        "SEQUENCE:x",
        "URL:",
        "GEO:x",
    ],
)
def test_empty_values_cost_nothing(line: str) -> None:
    reading = read(event(line))
    assert len(reading.occurrences) == 1
    assert not any(problem.lost for problem in reading.problems)


@pytest.mark.parametrize(
    "line",
    ["EXDATE:never", "RDATE:never", "RDATE:20250311T080000Z/PX", "DTEND:never", "DURATION:P99999999W", "DURATION:soon"],
)
def test_a_bad_value_beside_the_start_costs_only_itself_and_is_reported_as_lost(line: str) -> None:
    reading = read(event(line))
    assert len(reading.occurrences) == 1
    assert [problem.lost for problem in reading.problems] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-10T09:00:00",
        "20250310t090000",
        "20250310T0900",
        "20250310T090000.000",
        " 20250310T090000 ",
        "2025-03-10 09:00",
    ],
)
def test_times_in_other_shapes_are_read(text: str) -> None:
    assert starts(read(event(f"DTSTART:{text}"))) == ["2025-03-10 09:00"]


def test_a_time_with_an_offset_is_that_instant() -> None:
    assert starts(read(event("DTSTART:2025-03-10T09:00:00+02:00"))) == ["2025-03-10 07:00"]


def test_midnight_may_be_called_twenty_four_hours() -> None:
    assert starts(read(event("DTSTART:20250310T240000"))) == ["2025-03-11 00:00"]


# ---------------------------------------------------------------------------------------------------- what it says


def test_the_properties_of_an_event() -> None:
    reading = read(
        event(
            "SUMMARY:T\\, one 🎓",
            "CATEGORIES:a\\,b, c",
            "CATEGORIES:d",
            "URL:https://lms.example/1",
            "STATUS:tentative",
            "LOCATION:Room\\;1",
        )
    )
    (found,) = reading.occurrences
    assert found.event.title == "T, one 🎓"
    assert found.event.categories == ("a,b", "c", "d")
    assert found.event.url == "https://lms.example/1"
    assert found.event.status is Status.TENTATIVE
    assert found.event.place == "Room;1"


def test_an_address_that_is_no_web_page_is_not_taken() -> None:
    assert read(event("URL:javascript:alert(1)")).occurrences[0].event.url == ""


def test_the_name_and_zone_of_the_calendar() -> None:
    reading = read_occurrences(calendar(event(), head="X-WR-CALNAME:Kurs\\, A\nX-WR-TIMEZONE:Europe/Berlin\n"))
    assert reading.name == "Kurs, A"
    assert str(reading.zone) == "Europe/Berlin"


def test_a_rule_of_the_old_vcalendar_is_understood() -> None:
    assert starts(read(event("RRULE:W1 MO WE #3"))) == ["2025-03-10 09:00", "2025-03-12 09:00", "2025-03-17 09:00"]
    assert starts(read(event("RRULE:D2 20250314T235959Z")))[-1] == "2025-03-14 09:00"
    assert len(read(event("RRULE:MP1 2+ MO #3")).occurrences) == 3


# ---------------------------------------------------------------------------------------------------- specimens


@pytest.mark.parametrize("path", SPECIMENS, ids=lambda path: path.stem)
def test_specimens_are_read_whole(path: Path) -> None:
    data = path.read_bytes()
    reading = read_occurrences(data, date(2020, 1, 1), date(2030, 1, 1))
    assert reading.events == data.replace(b"\0", b"").count(b"BEGIN:VEVENT")
    assert reading.occurrences
    assert not any(problem.lost for problem in reading.problems)


# ---------------------------------------------------------------------------------------------------- hostile input


@pytest.mark.parametrize(
    "data",
    [
        calendar(event("DESCRIPTION:" + "a" * 5_000_000)),
        calendar(event("DESCRIPTION:" + "\n a" * 100_000)),
        calendar(event("DESCRIPTION:x\n" + "no property\n" * 50_000)),
        calendar(event("DESCRIPTION;ENCODING=QUOTED-PRINTABLE:x=\n" + "soft=\n" * 50_000)),
        calendar(event("DTEND" + ";X=1" * 100_000 + ":20250310T100000")),
        calendar(event("SUMMARY:" + "\\" * 1_000_000)),
        calendar(event("A" * 1_000_000 + ":x")),
        calendar(event()) + b"\r" * 2_000_000,
        calendar(event('DTEND;TZID="(UTC+01:00) ' + "a," * 300_000 + '":20250310T100000')),
        calendar(event("DTEND;X=" + '"' * 100_001)),
        calendar(event('DTEND;X="' + "a:" * 100_000)),
        calendar(event("RRULE:FREQ=DAILY;BYMONTHDAY=" + "1," * 300_000)),
        calendar(event("RRULE:FREQ=DAILY", "EXDATE:" + "20250310T080000Z," * 400_000)),
        calendar(event("RRULE:FREQ=DAILY", "EXRULE:FREQ=SECONDLY")),
        calendar(event(*["RRULE:FREQ=MINUTELY"] * 2000)),
        calendar(*[event("RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", uid=str(n)) for n in range(100)]),
        calendar(*[event("RRULE:FREQ=DAILY;INTERVAL=7;BYDAY=TU", uid=str(n)) for n in range(100)]),
        calendar(event("DTSTART:20000101T000000Z", "RRULE:FREQ=SECONDLY;COUNT=1000000000;BYSECOND=1,2,3")),
        calendar(event("DTSTART:19900101T000000Z", "RRULE:FREQ=MINUTELY")),
        calendar(
            *[
                f"BEGIN:VTIMEZONE\nTZID:Z{n}\nBEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0100\n"
                "TZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\n"
                for n in range(5000)
            ],
            event(),
        ),
    ],
    ids=lambda data: f"{data[60:100]!r}",
)
def test_hostile_calendars_are_answered_soon(data: bytes) -> None:
    for bounds in ((None, None), (date(2025, 3, 10), date(2026, 3, 10))):
        begun = process_time()
        read_occurrences(data, *bounds)
        assert process_time() - begun < 4  # half of it on a machine that is not shared


LINES = st.sampled_from(
    [
        "BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "END:VTIMEZONE",
        "BEGIN:STANDARD", "END:STANDARD", "BEGIN:VALARM", "END:VALARM", "TZID:X", "TZOFFSETFROM:+0100",
        "TZOFFSETTO:-2359", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "RRULE:FREQ=DAILY;COUNT=3", "RRULE:FREQ=X",
        "DTSTART:00010101T000000", "DTSTART;TZID=X:20250310T090000", "DTSTART:99991231T235959Z", "DTSTART:16010101",
        "DTEND;TZID=X:20250310T080000", "DURATION:-P1W", "EXDATE;TZID=X:20250310T090000", "RDATE:20250311/P1D",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20250311", "UID:a", "SUMMARY;X=\":", " folded", "junk", "",
        "STATUS:CANCELLED",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES | st.text(max_size=20), max_size=30))
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    check("\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"]).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)
    check(b"BEGIN:VCALENDAR\r\n" + data + b"\r\nEND:VCALENDAR")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_calendars_are_read_or_refused(data: st.DataObject) -> None:
    parts = event("RRULE:FREQ=WEEKLY;COUNT=5;BYDAY=MO", "EXDATE;TZID=Europe/Berlin:20250317T090000", "DURATION:PT1H")
    raw = bytearray(calendar(parts, event("RECURRENCE-ID:20250310T080000Z", "DTSTART;VALUE=DATE:20250310")))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(bytes(raw))


def check(data: bytes) -> None:
    """Nothing but NotACalendar may come out, and what comes out is what it says."""
    for bounds in ((None, None), (datetime(2025, 3, 1), datetime(2025, 4, 1))):  # read as UTC
        try:
            reading = read_occurrences(data, *bounds, limits=Limits(series=50, work=2000))
        except NotACalendar:
            continue
        assert all(str(problem) for problem in reading.problems)
        assert len({one.id for one in reading.occurrences}) == len(reading.occurrences)
