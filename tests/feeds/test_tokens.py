"""A secret feed has an address for each reader: each ends, is killed and is seen to be used by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event

from app.feeds.clients import FAMILIES, OTHER, family_of, rhythm_of
from app.feeds.feed import Form, Token, Unknown
from app.feeds.serve import Feeds
from tests.feeds.world import COURSE, HOUR, MONDAY, World, lesson

DAY = timedelta(days=1)
GOOGLE = "Google-Calendar-Importer"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def feeds(world: World) -> Feeds:
    world.school.put("a", lesson())
    feeds = world.feeds()
    feeds.add("math", "Maths", COURSE, public=True)
    return feeds


@pytest.fixture
def first(feeds: Feeds) -> str:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    return token


def opens(feeds: Feeds, token: str, agent: str | None = None) -> bool:
    try:
        return bool(feeds.snapshot_for_token(token, "mine", Form.ICS, agent).body)
    except Unknown:
        return feeds.at_hand(token, "mine", Form.ICS) is not None


def test_each_token_is_killed_by_itself(feeds: Feeds, first: str, world: World) -> None:
    phone, desk = feeds.add_token("mine", "phone"), feeds.add_token("mine", "desk")
    assert all(opens(feeds, token) for token in (first, phone, desk))
    assert [token.name for token in feeds.tokens("mine")] == ["first", "phone", "desk"]
    assert feeds.revoke("mine", "phone") == 1
    assert [opens(world.feeds(), token) for token in (first, phone, desk)] == [True, False, True]
    assert feeds.revoke("mine", "phone") == 0
    assert feeds.revoke("mine") == 2
    assert not any(opens(feeds, token) for token in (first, phone, desk))
    assert feeds.tokens("mine") == []


def test_a_name_is_free_again_once_its_token_is_killed(feeds: Feeds, first: str) -> None:
    feeds.add_token("mine", "phone")
    with pytest.raises(ValueError, match="already"):
        feeds.add_token("mine", "phone")
    feeds.revoke("mine", "phone")
    assert opens(feeds, feeds.add_token("mine", "phone"))
    feeds.revoke("mine", "first")
    assert not opens(feeds, first)


def test_a_token_ends_by_itself(feeds: Feeds, first: str, world: World) -> None:
    guest = feeds.add_token("mine", "guest", MONDAY + DAY)
    world.clock.forward(DAY - MINUTE)
    assert opens(feeds, guest)
    world.clock.forward(MINUTE)
    assert not opens(feeds, guest)
    assert opens(feeds, first)
    with pytest.raises(ValueError, match="is past"):
        feeds.add_token("mine", "late", MONDAY)


def test_rotation_kills_them_all(feeds: Feeds, first: str) -> None:
    phone = feeds.add_token("mine", "phone")
    new = feeds.rotate("mine")
    assert [opens(feeds, token) for token in (first, phone, new)] == [False, False, True]


def test_who_looked_last_is_noted_once_in_ten_minutes(feeds: Feeds, first: str, world: World) -> None:
    assert opens(feeds, first, GOOGLE)
    assert feeds.tokens("mine") == [Token("first", MONDAY, None, MONDAY, "Google")]
    written: list[str] = []
    event.listen(world.engine, "before_cursor_execute", lambda *call: written.append(call[2]))
    for _ in range(20):
        assert opens(feeds, first, "Thunderbird/140")
        assert feeds.at_hand(first, "mine", Form.ICS, "Thunderbird/140")
    assert not [statement for statement in written if not statement.lstrip().startswith(("SELECT", "BEGIN"))]
    world.clock.forward(10 * MINUTE)
    assert feeds.at_hand(first, "mine", Form.ICS, "Thunderbird/140")
    assert feeds.tokens("mine") == [Token("first", MONDAY, None, MONDAY + 10 * MINUTE, "Thunderbird")]


def test_a_public_feed_has_no_tokens(feeds: Feeds, first: str) -> None:
    with pytest.raises(ValueError, match="is public"):
        feeds.add_token("math", "phone")
    for name in ("", " \n", "x" * 101):
        with pytest.raises(ValueError, match="needs a name"):
            feeds.add_token("mine", name)
    with pytest.raises(Unknown):
        feeds.tokens("none")
    with pytest.raises(Unknown):
        feeds.revoke("none")


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (GOOGLE, "Google"),
        ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0; Pro)", "Outlook"),
        ("macOS/15.1 (24B83) dataaccessd/1.0", "Apple"),
        ("iOS/18.1 (22B83) dataaccessd/1.0", "Apple"),
        ("Mozilla/5.0 (X11; Linux) Gecko/20100101 Thunderbird/140.0", "Thunderbird"),
        ("Nextcloud Webcal Service", "Nextcloud"),
        ("Mozilla/5.0 (X11; Linux) Firefox/140.0", "a browser"),
        ("", OTHER),
        ("curl/8.5", OTHER),
    ],
)
def test_programs_are_told_apart_by_family(agent: str, family: str) -> None:
    assert family_of(agent) == family


def test_how_often_a_family_looks_is_known_or_not() -> None:
    assert rhythm_of("Google") == 12 * HOUR
    assert rhythm_of(OTHER) is rhythm_of(None) is None
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
