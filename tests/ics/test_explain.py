"""Time, explained: each step of the zone ladder, what clocks do, what UNTIL means, what an LMS is sent; both faces."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner, Result

from app.cli import main
from app.ics.explain import Explained, explain
from app.ics.floating import Floating
from app.imports.there import there
from bridges import bridge_class
from bridges.contract import Sink, Tools
from tests import stores
from tests.campus import browser, open_campus

OSLO = ZoneInfo("Europe/Oslo")
CUSTOM = """BEGIN:VTIMEZONE
TZID:{0}
{1}
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0330
TZOFFSETTO:+0330
TZNAME:OURS
END:STANDARD
END:VTIMEZONE"""
BROKEN = "BEGIN:VTIMEZONE\nTZID:Odd\nX-LIC-LOCATION:America/New_York\nEND:VTIMEZONE"


def calendar(start: str, *more: str, head: str = "") -> bytes:
    event = ["BEGIN:VEVENT", "UID:a", "SUMMARY:Seminar", start, *more, "END:VEVENT"]
    lines = ["BEGIN:VCALENDAR", *head.splitlines(), *event, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def zoned(tzid: str, *more: str, head: str = "") -> bytes:
    return calendar(f"DTSTART;TZID={tzid}:20260310T090000", *more, head=head)


FLOATING = "DTSTART:20260310T090000"
LADDER: list[tuple[bytes, tuple[str, ...], str, str, str | None]] = [
    (zoned("Europe/Helsinki"), (), "iana", "is the IANA zone Europe/Helsinki", "07:00"),
    (zoned("/citadel.org/20190914_1/Europe/Paris"), (), "iana", "Europe/Paris", "08:00"),
    (zoned("Ours", head=CUSTOM.format("Ours", "")), (), "vtimezone", "in the file itself says what 'Ours' is", "05:30"),
    (zoned("Europe/Oslo", head=CUSTOM.format("Europe/Oslo", "")), (), "iana", "Europe/Oslo", "08:00"),
    (zoned("W. Europe Standard Time"), (), "windows", "Windows' name for Europe/Berlin", "08:00"),
    (zoned('"Eastern Standard Time 1"'), (), "windows", "America/New_York", "13:00"),
    (zoned('"(UTC+01:00) Amsterdam, Berlin"'), (), "windows", "Europe/Amsterdam", "08:00"),
    (zoned("Odd", head=BROKEN), (), "x-lic-location", "X-LIC-LOCATION says America/New_York", "13:00"),
    (zoned("US-Pacific"), (), "alias", "another", None),
    (zoned("GMT+2"), (), "alias", "known other name", "07:00"),
    (zoned("Odd", head="X-WR-TIMEZONE:Asia/Tokyo"), (), "calendar", "X-WR-TIMEZONE", "00:00"),
    (zoned("Odd"), ("--zone", "Europe/London"), "source", "somebody said of this source", "09:00"),
    (zoned("Odd"), (), "held", "nobody knows 'Odd'", None),
    (calendar(FLOATING), (), "home", "home zone was taken, Europe/Oslo", "08:00"),
    (calendar(FLOATING), ("--zone", "Europe/London"), "source", "no zone is named", "09:00"),
    (calendar(FLOATING, head="X-WR-TIMEZONE:Asia/Tokyo"), (), "calendar", "no zone is named", "00:00"),
    (calendar(FLOATING), ("--floating", "Asia/Tokyo"), "floating", "for such times was taken, Asia/Tokyo", "00:00"),
    (calendar(FLOATING), ("--floating", "hold", "--zone", "Europe/London"), "held", "not guessed at", None),
    (calendar("DTSTART:20260310T090000Z"), (), "utc", "written in UTC", "09:00"),
    (calendar("DTSTART;VALUE=DATE:20260310"), (), "day", "a whole day has no zone", "23:00"),
]


def shell(folder: Path, data: bytes, *words: str) -> Result:
    (folder / "file.ics").write_bytes(data)
    environment = {"CALBRIDGE_CONFIG": str(folder / "config.toml")}
    (folder / "config.toml").write_text(stores.setting(folder / "campus.sqlite3"))
    return CliRunner().invoke(main, ["explain", str(folder / "file.ics"), *words], env=environment)


@pytest.mark.parametrize(("data", "words", "step", "why", "utc"), LADDER)
def test_each_step_of_the_ladder_is_told(
    tmp_path: Path, data: bytes, words: tuple[str, ...], step: str, why: str, utc: str | None
) -> None:
    text = shell(tmp_path, data, *words)
    assert text.exit_code == 0
    assert f"[{step}]" in text.stdout
    facts = json.loads(shell(tmp_path, data, *words, "--json").stdout)
    assert facts["step"] == step
    if why != "another":
        assert why in facts["why"]
    if step == "held":
        assert (facts["start"], facts["utc"], facts["there"]) == (None, None, None)
        assert "nothing is written of it" in text.stdout
    elif utc:
        assert facts["utc"][11:16] == utc
        assert facts["home"] == datetime.fromisoformat(facts["utc"]).astimezone(OSLO).isoformat()


def explained(data: bytes, **how: Any) -> list[Explained]:
    return list(explain(data, zone=OSLO, **how))


def remarks(data: bytes, at: str | date) -> str:
    (one,) = explained(data, at=datetime.fromisoformat(at).replace(tzinfo=OSLO) if isinstance(at, str) else at)
    return " ".join(one.remarks)


DAILY = calendar("DTSTART;TZID=Europe/Oslo:20260327T023000", "DURATION:PT1H", "RRULE:FREQ=DAILY;UNTIL=20261030")


def test_what_the_clocks_do_is_told() -> None:
    assert "02:30 does not exist on 2026-03-29" in remarks(DAILY, date(2026, 3, 29))
    assert "comes twice on 2026-10-25 in Europe/Oslo, where clocks go back: the first" in remarks(
        DAILY, "2026-10-25T02:30"
    )
    assert "comes twice" not in remarks(DAILY, date(2026, 10, 24))
    second = calendar("DTSTART:20261025T013000Z")
    assert "the second is meant" in remarks(second, date(2026, 10, 25))


@pytest.mark.parametrize(
    ("until", "words", "last"),
    [
        ("20260330", "is the day 2026-03-30 without a time: all of that day in Europe/Oslo counts", 30),
        ("20260330T070000Z", "2026-03-30 07:00 UTC, which is 2026-03-30 09:00 in Europe/Oslo", 30),
        ("20260330T090000", "without a zone: it was read in that of the series, Europe/Oslo", 30),
    ],
)
def test_what_until_means_is_told_and_so(until: str, words: str, last: int) -> None:
    data = calendar("DTSTART;TZID=Europe/Oslo:20260327T090000", f"RRULE:FREQ=DAILY;UNTIL={until}")
    assert words in remarks(data, date(2026, 3, last))
    assert explained(data, at=date(2026, 3, last + 1)) == []


def test_a_member_that_was_moved_is_explained_by_its_own_words() -> None:
    moved = calendar(
        "DTSTART;TZID=Europe/Oslo:20260301T090000",
        "RRULE:FREQ=DAILY",
        "END:VEVENT",
        "BEGIN:VEVENT",
        "UID:a",
        "RECURRENCE-ID;TZID=Europe/Oslo:20260310T090000",
        "DTSTART;TZID=Tokyo Standard Time:20260310T200000",
        "DTEND;TZID=Europe/London:20260310T130000",
        "SUMMARY:Moved",
    )
    first, one = explained(moved)
    assert (first.step, one.step, one.title) == ("iana", "windows", "Moved")
    assert one.when is not None
    assert one.when.id.slot == datetime(2026, 3, 10, 8, tzinfo=UTC)
    assert one.remarks == ("its end has a zone of its own: 'Europe/London' is the IANA zone Europe/London",)
    assert [each.title for each in explained(moved, at=date(2026, 3, 10))] == ["Moved"]
    assert explained(moved, uid="b") == []


def test_an_endless_rule_takes_no_time_and_a_broken_event_is_told() -> None:
    endless = calendar("DTSTART:20260301T090000Z", "RRULE:FREQ=DAILY", "BEGIN:VALARM", "END:VALARM")
    assert len(explained(endless)) == 1
    (broken,) = explained(calendar("DTSTART:20260301T090000Z", "RRULE:FREQ=NEVER"))
    assert broken.when is None
    assert "cannot be read otherwise" in broken.why


KEYS = dict.fromkeys(("app_id", "app_key", "user_id", "user_key"), "k")


@pytest.mark.parametrize(
    ("bridge", "more", "start", "day"),
    [
        ("blackboard", {"key": "k", "secret": "s"}, "2026-03-29T08:00:00.000Z", "2026-03-28T23:00:00.000Z"),
        (
            "brightspace",
            KEYS,
            "2026-03-29T08:00:00.000Z",
            "2026-03-29T00:00:00.000",
        ),
    ],
)
def test_what_an_lms_is_sent_and_shows(bridge: str, more: dict[str, str], start: str, day: str) -> None:
    kind = bridge_class(bridge)
    settings = kind.Settings.model_validate({"url": "https://lms.example.edu", "zone": "Europe/Oslo"} | more)
    sink: Sink = kind("lms", settings, Tools(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), session=requests.Session))
    (timed,) = explained(calendar("DTSTART;TZID=Europe/Helsinki:20260329T110000", "DURATION:PT1H"))
    (whole,) = explained(calendar("DTSTART;VALUE=DATE:20260329"))
    assert timed.when is not None
    assert whole.when is not None
    sent = there(sink, OSLO, timed.when)
    assert (sent.start, sent.shown) == (start, "Sun 2026-03-29 10:00 Europe/Oslo")
    assert there(sink, OSLO, whole.when).start == day


def test_a_floating_time_that_stays_so_can_be_held_by_no_lms() -> None:
    (one,) = explained(calendar(FLOATING), floating=Floating("hold"))
    assert (one.step, one.when) == ("held", None)


def test_the_command_tells_of_the_lms_and_of_what_is_not_there(tmp_path: Path) -> None:
    told = shell(tmp_path, DAILY, "--at", "2026-03-29T03:45", "--into", "demo/course/anatomy-1")
    assert "demo/course/anatomy-1: sent as 2026-03-29T03:30:00+02:00" in told.stdout
    assert "does not exist" in told.stdout
    none = shell(tmp_path, DAILY, "--at", "2026-03-29T12:00")
    assert (none.exit_code, none.stderr) == (2, "calbridge: there is no such occurrence\n")
    assert shell(tmp_path, b"nonsense").exit_code == 2


def test_the_api_explains_as_the_command_does(tmp_path: Path) -> None:
    client: Any = browser(open_campus(tmp_path))

    def ask(query: str, data: bytes = DAILY) -> Any:
        return client.post(f"/api/explain?{query}", data=data, content_type="text/calendar")

    (one,) = ask("at=2026-03-29&calendar=demo/course/anatomy-1").json["explained"]
    assert one["there"]["start"] == "2026-03-29T03:30:00+02:00"
    assert one["written"] == "DTSTART;TZID=Europe/Oslo:20260327T023000"
    assert ask("uid=b").json == {"explained": []}
    assert ask("floating=hold", calendar(FLOATING)).json["explained"][0]["step"] == "held"
    for query, status in (
        ("at=soon", 400),
        ("zone=Mars", 400),
        ("count=x", 400),
        ("when=now", 400),
        ("floating=x", 400),
    ):
        refused = ask(query)
        assert (refused.status_code, refused.content_type) == (status, "application/problem+json")
    assert ask("calendar=nowhere/course/1").status_code == 422
    assert ask("", b"nonsense").status_code == 422
