"""What the settings of several bridges share: how a zone and an address are checked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def zone_name(name: str) -> str:
    """The name, if it is that of an IANA time zone; else a ValueError says so."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no IANA time zone; write one like America/New_York") from None
    return name


ZoneName = Annotated[str, AfterValidator(zone_name)]


def secured(url: str) -> SplitResult:
    """The parts of an address that is encrypted or on this machine; else a ValueError says so."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("has to begin with https://")
    return parts
