"""Whether the time of a refusal tells a nearly right address from a wrong one: thousands of requests, in turns."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import erfc, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from flask.testing import FlaskClient

from tests.feeds.world import COURSE, lesson, new_world
from tests.web.test_feeds import app_of

LEAST = 0.01
"""Below that probability equals would hardly differ so much."""


def measured(requests: int) -> str:
    """Half of the requests with all but the last letter of a token that opens a feed, and with one that was revoked;
    the other half with a random one. AssertionError where their times differ.

    One random address is asked for again and again as well: an address that never came before costs Python and its
    libraries some microseconds more, whatever it is.
    """
    with TemporaryDirectory() as folder:
        world = new_world(Path(folder))
        world.school.put("a", lesson())
        feeds = world.feeds()
        _, token = feeds.add("mine", "Mine", COURSE, public=False)
        assert token
        revoked = feeds.add_token("mine", "gone")
        feeds.revoke("mine", "gone")
        client = app_of(feeds).test_client()
        told = []
        wrong = secrets.token_urlsafe(32)
        for name, near in {"all letters but one right": _other(token), "revoked": revoked}.items():
            took: tuple[list[float], list[float]] = [], []
            for number, address in zip(range(requests // 2), _addresses(), strict=False):
                which = number % 2
                took[which].append(_asked(client, (near, wrong)[which], address))
            chance = probability(*took)
            told.append(f"{name}: {len(took[0]) + len(took[1]):,} requests, p = {chance:.3f}")
            assert chance > LEAST, told[-1]
        world.engine.dispose()
    return "; ".join(told)


def _other(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "E")


def _asked(client: FlaskClient, token: str, address: str) -> float:
    begun = perf_counter()
    status = client.get(f"/feeds/{token}/mine.ics", environ_base={"REMOTE_ADDR": address}).status_code
    took = perf_counter() - begun
    assert status == 404
    return took


def _addresses() -> Iterator[str]:
    """So many that none of them is told to wait."""
    for number in range(1 << 24):
        yield f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def probability(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """That equals differ at least so much (Mann and Whitney, two-sided, by the normal distribution)."""
    n, m = len(ours), len(theirs)
    ranked = sorted([(value, 0) for value in ours] + [(value, 1) for value in theirs])
    rank, sum_of_ours, ties = 1, 0.0, 0
    for _, same in groupby(ranked, key=lambda one: one[0]):
        equal = list(same)
        sum_of_ours += sum(1 - which for _, which in equal) * (rank + (len(equal) - 1) / 2)
        ties += len(equal) ** 3 - len(equal)
        rank += len(equal)
    total = n + m
    spread = sqrt(n * m / 12 * ((total + 1) - ties / (total * (total - 1))))
    return erfc(abs(sum_of_ours - n * (n + 1) / 2 - n * m / 2) / spread / sqrt(2)) if spread else 1.0
