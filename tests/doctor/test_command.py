"""`calbridge doctor`: a table and an exit status that CI can go by, also for feeds that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.doctor.test_rules import CLEAN, FAULTS, raw


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def doctor(*words: str, body: bytes = b"") -> Result:
    Path("c.ics").write_bytes(body)
    return CliRunner().invoke(main, ["doctor", *words])


def test_a_good_feed_is_0() -> None:
    told = doctor("c.ics", body=raw(CLEAN))
    assert told.exit_code == 0
    assert "Outlook          works" in told.output


def test_flaws_are_1_and_told_with_line_and_source() -> None:
    told = doctor("c.ics", body=FAULTS["floating"])
    assert told.exit_code == 1
    assert "line 27: DTSTART:20261021T101500 (Marine biology)" in told.output
    assert "ulsklyc/yuvomi#818 [floating]" in told.output


def test_what_cannot_be_read_is_2() -> None:
    assert doctor("nowhere.ics").exit_code == 2
    assert doctor("https://127.0.0.1/c.ics").exit_code == 2


def test_a_refusal_is_3_for_whom_it_concerns() -> None:
    assert doctor("c.ics", body=FAULTS["zone-bare"]).exit_code == 3
    assert doctor("c.ics", "--client", "google", body=FAULTS["zone-bare"]).exit_code == 0


def test_programs_get_json_with_verdicts_findings_and_times() -> None:
    told = json.loads(doctor("c.ics", "--json", "--explain", "a@school", body=FAULTS["endless"]).stdout)
    assert told["verdicts"]["outlook"] == {"verdict": "works with flaws", "findings": ["endless"]}
    assert told["findings"][0]["places"][0]["line"] == 24
    assert "Europe/Oslo" in told["explained"][0]
