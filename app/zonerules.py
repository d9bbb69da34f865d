"""Takes zone rules from where they are newest: the system's, or those of the tzdata package that came with us.

Python asks the system first, however old it is. A campus on a long-lived host would get last year's rules, and its
readers this year's.
"""

from __future__ import annotations

import zoneinfo
from functools import cache
from pathlib import Path

import tzdata  # type: ignore[import-untyped]


def prefer_newest() -> None:
    """Have zones read from now on come from the newest rules; those that were read already stay as they are."""
    if (version_of(zoneinfo.TZPATH) or "") < tzdata.IANA_VERSION:
        zoneinfo.reset_tzpath(())


def in_force() -> str | None:
    """The release of the rules that zones are read from; None where the system does not say which it has."""
    return version_of(zoneinfo.TZPATH)


@cache
def version_of(folders: tuple[str, ...]) -> str | None:
    """The release, such as "2025b", of the rules in the first folder that has zones, else of those that came with us.

    None where that folder does not say.
    """
    for folder in map(Path, folders):
        if (folder / "Europe").is_dir():
            said = [folder / name for name in ("tzdata.zi", "+VERSION") if (folder / name).is_file()]
            return _first_line(said[0]).removeprefix("# version ") or None if said else None
    return str(tzdata.IANA_VERSION)


def _first_line(path: Path) -> str:
    with path.open(encoding="ascii", errors="replace") as file:
        return file.readline().strip()
