"""Where a reader of a feed stands: which readings it has seen, over which window, under which policies. Pure.

Written as URL-safe base64 of bytes with a sum: opaque to whoever holds it. It names readings by their content, so that
no count has to be kept anywhere, and a body and its cursor cannot disagree.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from struct import pack, unpack
from typing import Self
from zoneinfo import ZoneInfo

from app.feeds.feed import Feed
from bridges.model import CalendarRef, Window, instant

SHORT = 6
"""Bytes of a hash that tell the readings of one calendar apart, and the calendars of one feed."""
LONGEST = 12_000


class TooOld(Exception):
    """What has changed since this cursor cannot be told: the reader has to fetch the whole feed."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`rules` is a hash of the feed's policies; `readings` are the short hashes of readings, by short hashes of
    their calendars' names."""

    rules: bytes
    window: Window
    readings: Mapping[bytes, bytes]

    @classmethod
    def of(cls, feed: Feed, zone: ZoneInfo, window: Window, readings: Mapping[CalendarRef, str]) -> Self:
        """The cursor of a feed that shows these readings, by their hex hashes."""
        named = {short(calendar): bytes.fromhex(hash)[:SHORT] for calendar, hash in readings.items()}
        return cls(rules_of(feed, zone), window, dict(sorted(named.items())))

    def __str__(self) -> str:
        start, end = (int(instant(moment).timestamp()) for moment in (self.window.start, self.window.end))
        bare = self.rules + pack(">qq", start, end) + b"".join(key + hash for key, hash in self.readings.items())
        return urlsafe_b64encode(_sum(bare) + bare).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Self:
        """The inverse of str(); the window in that zone. ValueError for what no feed gave."""
        try:
            if len(text) > LONGEST:
                raise ValueError
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            given, bare = raw[:4], raw[4:]
            if given != _sum(bare) or len(bare) < 24 or (len(bare) - 24) % (2 * SHORT):
                raise ValueError
            start, end = (datetime.fromtimestamp(moment, UTC).astimezone(zone) for moment in unpack(">qq", bare[8:24]))
            pairs = (bare[at : at + 2 * SHORT] for at in range(24, len(bare), 2 * SHORT))
            return cls(bare[:8], Window(start, end), {pair[:SHORT]: pair[SHORT:] for pair in pairs})
        except (ValueError, OverflowError, OSError, Error):
            raise ValueError(f"since: '{text[:30]}' is no cursor of a feed: take one from an answer") from None


def rules_of(feed: Feed, zone: ZoneInfo) -> bytes:
    """What has to be equal for two states of a feed to be told apart event by event."""
    shown = replace(feed.policies, alarm=None, colour="", learningspace=False, cors=False, gzip=True, utc=False)
    told = [feed.id, feed.view, zone.key, shown.to_json()]
    return sha256(json.dumps(told, sort_keys=True).encode()).digest()[:8]


def short(calendar: CalendarRef) -> bytes:
    """What a calendar is called in a cursor."""
    return sha256(str(calendar).encode("utf-8", "surrogatepass")).digest()[:SHORT]


def _sum(bare: bytes) -> bytes:
    """Tells a cursor that was cut or mistyped from a whole one; it keeps no secret."""
    return sha256(b"cursor 1" + bare).digest()[:4]
