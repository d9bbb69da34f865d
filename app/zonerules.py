"""Takes zone rules from where they are newest: the system's, or those of the tzdata package that came with us.

Python asks the system first, however old it is. A campus on a long-lived host would get last year's rules, and its
readers this year's.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import tzdata  # type: ignore[import-untyped]


def prefer_newest() -> None:
    """Have zones read from now on come from the newest rules; those that were read already stay as they are."""
    system = version_of(zoneinfo.TZPATH)
    if zoneinfo.TZPATH and system < tzdata.IANA_VERSION:
        zoneinfo.reset_tzpath(())


def version_of(folders: tuple[str, ...]) -> str:
    """The release, such as "2025b", of the rules in the first folder that has zones; empty where it does not say."""
    for folder in map(Path, folders):
        if (folder / "Europe").is_dir():
            for name in ("tzdata.zi", "+VERSION"):
                if (folder / name).is_file():
                    with (folder / name).open(encoding="ascii", errors="replace") as file:
                        return file.readline().strip().removeprefix("# version ")
            return ""
    return ""
