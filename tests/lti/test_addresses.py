"""However many launches come at once: a course has one feed, and a person one address of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.lti.addresses import Addresses, slug_of, token_name
from bridges.model import CalendarRef
from tests.campus import open_campus

COURSE = CalendarRef.parse("demo/course/anatomy-1")


def test_launches_at_once_make_one_feed_and_one_address_each(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    addresses = Addresses(parts.engine, parts.feeds, parts.vault, parts.now)
    people = ["ann", "bo", "ann", "bo", "ann", "bo"]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda person: addresses.of("school", person, COURSE, "Anatomy", True), people))
    assert len({one.slug for one in found}) == 1
    assert len({one.token for one in found}) == 2
    assert [token.name for token in sorted(parts.feeds.tokens(found[0].slug), key=lambda token: token.name)] == [
        "school ann",
        "school bo",
    ]
    for one in found:
        assert one.token
        parts.feeds.require(one.token, one.slug)
    parts.close()


def test_two_platforms_may_call_two_people_by_one_id(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    addresses = Addresses(parts.engine, parts.feeds, parts.vault, parts.now)
    one, other = (addresses.of(platform, "7", COURSE, "Anatomy", True) for platform in ("school", "college"))
    assert one.slug == other.slug
    assert one.token != other.token
    parts.close()


def test_an_address_that_the_administrator_revoked_opens_nothing_and_another_is_made(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    addresses = Addresses(parts.engine, parts.feeds, parts.vault, parts.now)
    first = addresses.of("school", "ann", COURSE, "Anatomy", True)
    parts.feeds.revoke(first.slug, token_name("school", "ann"))
    second = addresses.of("school", "ann", COURSE, "Anatomy", True)
    assert second.token not in (None, first.token)
    parts.close()


def test_what_the_vault_has_of_feeds_that_are_gone_goes_too(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    addresses = Addresses(parts.engine, parts.feeds, parts.vault, parts.now)
    addresses.of("school", "ann", COURSE, "Anatomy", True)
    bo = addresses.of("school", "bo", COURSE, "Anatomy", True)
    assert parts.vault.get("lti-address/2") == bo.token
    parts.feeds.remove(bo.slug)
    addresses.of("school", "ann", COURSE, "Anatomy", True)
    assert parts.vault.get("lti-address/2") is None
    parts.close()


def test_names_are_short_readable_and_each_courses_own() -> None:
    one, other = (
        slug_of(COURSE, "Økologi & Anatomy I"),
        slug_of(CalendarRef.parse("demo/course/x"), "Økologi & Anatomy I"),
    )
    assert one.startswith("kologi-anatomy-i-")
    assert one != other
    assert len(slug_of(COURSE, "x" * 500)) <= 100
    assert slug_of(COURSE, "解剖学").startswith("course-")
    assert len(token_name("school", "x" * 255)) <= 100
