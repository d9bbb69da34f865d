"""An administrator's way through the pages in a real browser, over plain http and under a name of the server's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.stage import assert_sound, require, served, walk
from tests.browser.test_walks import FILE, WAYS

PASSWORD = "correct horse battery"


def test_an_administrator_does_it_all_without_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require()
    monkeypatch.setenv("CALBRIDGE_PASSWORD", PASSWORD)
    (tmp_path / "timetable.ics").write_bytes(FILE)
    with served(tmp_path) as house:
        house.command("admin", "set", "ann")
        given = {"password": PASSWORD, "file": str(tmp_path / "timetable.ics")}
        told = walk("admin", address=f"http://calendar.test:{house.port}", here=house.address, **given)
    assert_sound(told)
    for way in WAYS:
        found = told[way]["found"]
        assert "It answers." in found["trial"]
        assert found["given"] == [200, 200]
        assert found["taken"] == [200, 404]
        assert found["kept"].startswith("Kept.")
        assert found["token"] == [200, 401]
        assert [plan.partition(":")[0] for plan in found["plans"]] == [
            "demo/course/anatomy-1",
            "demo/course/statistics",
        ]
        assert "POST /admin/tokens/revoke" in found["deeds"]
        assert found["after"] == "/sign-in"
