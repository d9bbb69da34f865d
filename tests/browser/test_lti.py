"""Opened within a page of an LMS: a student copies an address that works, a teacher sees what a file would change."""

from __future__ import annotations

from pathlib import Path

from tests.browser.stage import assert_sound, require, served, walk
from tests.campus import calendar
from tests.fakes.lti import STUDENT, TEACHER, platform

FILE = calendar("UID:a\nSUMMARY:Guest lecture\nDTSTART:20961122T100000Z\nDTEND:20961122T110000Z")


def test_within_a_page_of_the_lms(tmp_path: Path) -> None:
    require()
    (tmp_path / "timetable.ics").write_bytes(FILE)
    with platform("") as lms:
        table = f'[lti.school]\nlms = "demo"\nissuer = "{lms.issuer}"\nclient_id = "{lms.client_id}"\n'
        table += f'auth_login_url = "{lms.issuer}/auth"\njwks_url = "{lms.issuer}/keys"\n'
        with served(tmp_path, table) as house:
            lms.tool = house.address
            people = {"student": STUDENT, "teacher": TEACHER}
            told = walk("lti", lms=lms.issuer, file=str(tmp_path / "timetable.ics"), **people)
    assert_sound(told)
    assert told["desktop"]["found"]["elsewhere"] == "_blank"
    for met in told.values():
        found = met["found"]
        assert found["link"].startswith(f"{house.address}/feeds/")
        assert found["again"] == found["link"]
        assert found["calendar"].startswith("BEGIN:VCALENDAR")
        assert found["into"] == "demo/course/anatomy-1"
        assert "Guest lecture" in found["preview"]
