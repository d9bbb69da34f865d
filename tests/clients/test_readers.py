"""What other programs see in our feeds is what the LMS has: every kind of feed, every event, a whole year of clocks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import requests

from tests.clients import libical
from tests.clients.page import page_for
from tests.clients.published import Published
from tests.clients.readers import (
    ICAL_JS,
    KHAL,
    Khal,
    Told,
    as_khal_shows,
    chromium,
    in_browser,
    in_node,
    missing,
    of_node,
    with_icalendar,
)
from tests.clients.seen import Seen, differences
from tests.fakes.wsgi import serving

EASY = ("Europe/Dublin", "America/New_York", "Asia/Kolkata")


def needs(*programs: str | Path) -> None:
    """Skip without one of them; where EVERY_READER is set, as in .ci/run, that is a failure."""
    if sentence := missing(*programs):
        (pytest.fail if os.environ.get("EVERY_READER") else pytest.skip)(sentence)


def hold(feeds: Sequence[Published], told: Told, shows: Callable[[Seen], Seen] = lambda seen: seen) -> None:
    """Every feed shows what it promises, as far as the program can show it."""
    found = {each.name: differences(map(shows, each.promise.events()), told[each.name]) for each in feeds}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert sum(map(len, told.values())) > 700


def test_icalendar_and_recurring_ical_events(feeds: Sequence[Published], bodies: Mapping[str, bytes]) -> None:
    hold(feeds, with_icalendar(bodies))


def test_libical(feeds: Sequence[Published], bodies: Mapping[str, bytes]) -> None:
    needs(*([] if libical.library() else ["libical3"]))
    hold(feeds, {name: libical.read(body) for name, body in bodies.items()})


def test_ical_js_in_node_whose_jcal_is_ours(feeds: Sequence[Published], bodies: Mapping[str, bytes]) -> None:
    needs("node", ICAL_JS)
    told = in_node(bodies)
    hold(feeds, of_node(told))
    for each in feeds:
        if each.jcal:
            ours = json.loads(requests.get(each.jcal, timeout=30).content)
            for line in ours[1]:
                if line[0] in ("name", "color"):
                    line[2] = "unknown"  # of RFC 7986, which ical.js does not know
            assert ours == told[each.name]["jcal"], each.name


def test_ical_js_in_a_page_of_another_origin(feeds: Sequence[Published], tmp_path: Path) -> None:
    needs(chromium(), ICAL_JS)
    with serving(page_for({each.name: each.url for each in feeds})) as page:
        hold(feeds, in_browser(page, tmp_path))


def test_vdirsyncer_and_khal_in_two_zones(feeds: Sequence[Published], tmp_path: Path) -> None:
    """The slowest: of the other homes only the two hardest, so that it takes seconds."""
    needs(KHAL / "vdirsyncer", KHAL / "khal")
    chosen = [each for each in feeds if each.name not in {f"at-home-in-{zone}" for zone in EASY}]
    khal = Khal(tmp_path, chosen)
    khal.sync()
    for zone in ("UTC", "America/New_York"):
        hold(chosen, khal.list(zone), as_khal_shows)
