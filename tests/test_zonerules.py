"""Zone rules come from where they are newest, whatever the host has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tzdata  # type: ignore[import-untyped]

from app.zonerules import version_of

SCRIPT = """
import zoneinfo
from app.config import parse
parse("", {})
print("package" if not zoneinfo.TZPATH else "system")
"""


def taken_from(folder: Path) -> str:
    """What a process takes its rules from, where the host has those of `folder`."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONTZPATH": str(folder)},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def rules(folder: Path, version: str | None) -> Path:
    (folder / "Europe").mkdir(parents=True)
    if version is not None:
        (folder / "tzdata.zi").write_text(f"# version {version}\n# ddeps\n")
    return folder


@pytest.mark.parametrize(
    ("version", "source"), [("2019a", "package"), ("2099z", "system"), (None, "package"), ("2025b-dirty", "package")]
)
def test_the_newest_rules_are_taken(tmp_path: Path, version: str | None, source: str) -> None:
    assert taken_from(rules(tmp_path / "zoneinfo", version)) == source


def test_equal_ones_stay_the_systems(tmp_path: Path) -> None:
    assert taken_from(rules(tmp_path / "zoneinfo", tzdata.IANA_VERSION)) == "system"


def test_a_folder_without_zones_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    here = rules(tmp_path / "zoneinfo", "2025b")
    assert version_of((str(tmp_path / "none"), str(tmp_path / "empty"), str(here))) == "2025b"


def test_rules_that_do_not_say_their_release_have_none(tmp_path: Path) -> None:
    assert version_of((str(rules(tmp_path / "zoneinfo", None)),)) is None


def test_where_no_folder_has_zones_ours_are_in_force(tmp_path: Path) -> None:
    assert version_of((str(tmp_path),)) == version_of(()) == tzdata.IANA_VERSION
