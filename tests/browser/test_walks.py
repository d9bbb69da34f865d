"""People's ways through the pages in a real browser: at a desk, on a phone, and on a phone without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.stage import Served, Told, assert_sound, require, served, walk
from tests.campus import calendar
from tests.fakes.oidc import provider

FILE = calendar(
    "UID:a\nSUMMARY:Lecture\nLOCATION:Room 4\nDTSTART;TZID=W. Europe Standard Time:20961121T101500",
    "UID:b\nSUMMARY:<script>alert(1)</script>\nDTSTART:20961122T100000Z",
    "UID:c\nSUMMARY:محاضرة 🎓\nDTSTART;VALUE=DATE:20961123",
    "UID:d\nSUMMARY:Lost\nDTSTART;TZID=Nowhere/Land:20961124T100000",
)
BROKEN = (
    b"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nSUMMARY:<b>No UID</b>\n"
    b"DTSTART;TZID=Nowhere/Land:20961124T100000\nEND:VEVENT\n"
)
WAYS = ("desktop", "phone", "plain")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    require()
    with served(tmp_path_factory.mktemp("house")) as one:
        yield one


def _steps(told: Told, way: str) -> set[str]:
    return {step.split(": ", 1)[1] for step in told[way]["steps"]}


def test_from_a_file_to_the_report_and_back(house: Served) -> None:
    (house.folder / "timetable.ics").write_bytes(FILE)
    told = walk("import", address=house.address, file=str(house.folder / "timetable.ics"))
    assert_sound(told)
    for way in WAYS:
        assert _steps(told, way) >= {"Preview", "Imported", "Taking back: done"}


def test_links_are_copied_fetched_switched_off_and_on_and_taken_back(house: Served) -> None:
    secrets = {way: _secret(house, way) for way in WAYS}
    told = walk("feeds", address=house.address, secrets=secrets)
    assert_sound(told)
    for way in WAYS:
        met = told[way]["found"]
        assert met["link"].startswith(f"{house.address}/public/")
        assert met["on"]["text"].startswith("BEGIN:VCALENDAR")
        assert (met["disabled"], met["off"]["status"], met["again"]["status"]) == (True, 404, 200)
        assert "switched off" in met["off"]["text"]
        assert met["secret"]["text"].startswith("BEGIN:VCALENDAR")
        assert met["revoked"]["status"] == 404
    assert told["desktop"]["found"]["copied"] == told["desktop"]["found"]["link"]


def test_the_doctor_names_what_is_wrong_with_a_broken_feed(house: Served) -> None:
    (house.folder / "broken.ics").write_bytes(BROKEN)
    told = walk("doctor", address=house.address, file=str(house.folder / "broken.ics"))
    assert_sound(told)
    for met in told.values():
        assert len(met["found"]["verdicts"]) == 4
        assert any("line 3" in finding and "UID" in finding for finding in met["found"]["findings"])


def test_people_sign_in_at_a_provider_and_out_again(tmp_path: Path) -> None:
    require()
    with provider() as oidc:
        oidc.claims |= {"groups": ["it"]}
        settings = (
            f'[signin]\nissuer = "{oidc.issuer}"\nclient_id = "{oidc.client_id}"\n'
            f'client_secret = "{oidc.client_secret}"\nclaim = "groups"\nadmins = ["it"]\n'
        )
        with served(tmp_path, settings) as house:
            told = walk("signin", address=house.address)
    assert_sound(told)
    for met in told.values():
        assert met["found"] == {"who": "ada", "after": "/sign-in"}


def _secret(house: Served, name: str) -> str:
    """The page of a new secret address."""
    printed = house.command("feed", "add", name, "--calendar", "demo/course/anatomy-1", "--title", f"Anatomy {name}")
    link = next(word for word in printed.split() if word.endswith(".ics"))
    return f"{link.removesuffix('.ics')}/"
