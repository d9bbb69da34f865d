"""Slows down whoever guesses at secret addresses. Only wrong ones count: no reader of a feed is ever hindered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from threading import Lock

from cachetools import LRUCache

MOST, SPAN = 20, 60.0
"""Wrong addresses in so many seconds that are answered as usual."""
REMEMBERED = 100_000
"""Guessers; beyond that the one forgotten first is the one that has been quiet longest."""

MANY, HOUR = 10_000, 3600.0
"""Wrong addresses in an hour, from wherever they came, that are an attack and not a mistake."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Spell:
    began: float
    count: int = 0


@dataclass(slots=True)
class Guesses:
    """The wrong guesses of this process's visitors. `timer` gives seconds that only grow. Safe between threads."""

    timer: Callable[[], float] = time.monotonic
    _spells: LRUCache[str, _Spell] = field(default_factory=lambda: LRUCache(REMEMBERED), repr=False)
    _all: _Spell = field(default_factory=lambda: _Spell(float("-inf")), repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def wrong(self, address: str | None) -> int | None:
        """Count a wrong guess from there: None, or after how many seconds the next one is answered."""
        now, who = self.timer(), neighbourhood(address or "")
        with self._lock:
            spell = self._spells.get(who)
            if spell is None or now - spell.began >= SPAN:
                spell = self._spells[who] = _Spell(now)
            spell.count += 1
            alarm = self._alarming(now)
        if spell.count == MOST + 1:
            log.warning("%d wrong feed addresses in a minute from %s: more are refused", MOST, who)
        if alarm:
            log.error("%d wrong feed addresses in an hour: somebody is guessing at them, the latest from %s", MANY, who)
        return None if spell.count <= MOST else ceil(spell.began + SPAN - now)

    def _alarming(self, now: float) -> bool:
        """Whether this one makes it too many in an hour, which is told once in that hour."""
        if now - self._all.began >= HOUR:
            self._all = _Spell(now)
        self._all.count += 1
        return self._all.count == MANY


def neighbourhood(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one address of that has them all."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address) or found.ipv4_mapped:
        return str(found if isinstance(found, IPv4Address) else found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"
