"""Every kind of feed, read by Outlook's own rules: nothing in it is refused, and every time is the LMS's."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
import requests

from tests.clients.campus import ZONES
from tests.clients.outlook import FOR_OUTLOOK, RULES, Component, Rule, parsed, times
from tests.clients.published import Published


@pytest.fixture
def calendars(feeds: Sequence[Published], bodies: dict[str, bytes]) -> dict[str, Component]:
    found = {each.name: parsed(bodies[each.name]) for each in feeds}
    assert {name: len(several) for name, several in found.items() if len(several) != 1} == {}, "2.1.3.1.1: one each"
    return {name: one for name, (one,) in found.items()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.what)
def test_no_kind_of_feed_breaks_a_rule(calendars: dict[str, Component], rule: Rule) -> None:
    held = {name: one for name, one in calendars.items() if not rule.special or name == rule.special}
    assert held
    assert {name: lines for name, one in held.items() if (lines := list(rule.broken(one)))} == {}, rule.section


def test_times_reckoned_as_outlook_reckons_them_are_those_of_the_lms(
    feeds: Sequence[Published], calendars: dict[str, Component]
) -> None:
    for each in feeds:
        promised = sorted((seen.uid, seen.start, seen.end) for seen in each.promise.events())
        assert sorted(times(calendars[each.name])) == promised, each.name


def test_what_outlook_would_be_told_wrong_is_not_left_to_its_rules(calendars: dict[str, Component]) -> None:
    """A check of the check: the year has times which two offsets and two moments cannot say."""
    in_utc = {
        zone: [
            event for event in calendars[f"at-home-in-{zone}"].inside("VEVENT") if event.value("DTSTART").endswith("Z")
        ]
        for zone in ZONES[1:]
    }
    assert in_utc.pop("Asia/Kolkata") == []
    assert all(in_utc.values())


def test_outlook_gets_it_over_http_as_it_needs_it(feeds: Sequence[Published]) -> None:
    """Of Outlook: no redirect, no challenge for the header that it tries, gzip only where asked for."""
    for each in feeds:
        probe = {"Authorization": "Bearer", "User-Agent": "Microsoft Office/16.0", "Accept-Encoding": "identity"}
        answer = requests.get(each.url, headers=probe, allow_redirects=False, timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
        assert "Content-Encoding" not in answer.headers
        assert re.search(r"\.ics(\?for=outlook|\?for=google|\?for=apple)?$", each.url)
        assert max(map(len, answer.content.split(b"\r\n"))) <= 75
        assert not answer.content.startswith(b"\xef\xbb\xbf")
        assert len(answer.content) < 1_000_000
    assert any(each.name == FOR_OUTLOOK for each in feeds)
