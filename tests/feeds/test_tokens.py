"""A secret feed has an address for each reader: each ends, is killed and is seen to be used by itself."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from app.feeds.clients import FAMILIES, OTHER, family_of, last_day, rhythm_of, said
from app.feeds.cursor import TooOld
from app.feeds.feed import Form, Token, Unknown
from app.feeds.narrow import ALL, Narrow
from app.feeds.policies import Privacy
from app.feeds.serve import Feeds
from bridges.model import CalendarRef, Kind
from tests.feeds.world import BERLIN, COURSE, HOUR, MONDAY, World, lesson

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


# Tokens made from others

PHYSICS = CalendarRef("school", Kind.COURSE, "physics")


@pytest.fixture
def both(world: World) -> tuple[Feeds, str]:
    """A secret feed of two courses, and its token."""
    world.school.put("a", lesson("Algebra", text="Chapter 2"))
    world.school.courses["physics"] = {}
    world.school.put("p", lesson("Optics", text="Prisms"), course="physics")
    feeds = world.feeds()
    _, token = feeds.add("mine", "Mine", COURSE, PHYSICS, public=False)
    assert token
    return feeds, token


def shown(feeds: Feeds, token: str) -> list[tuple[str, str]]:
    body = json.loads(feeds.snapshot_for_token(token, "mine", Form.JSON).body)
    at_hand = feeds.at_hand(token, "mine", Form.JSON)
    assert at_hand
    assert json.loads(at_hand.body) == body
    return [(event["title"], event["text"]) for event in body["events"]]


def test_a_narrower_token_shows_less_whatever_the_form(both: tuple[Feeds, str]) -> None:
    feeds, token = both
    less = feeds.add_child(token, "mine", "guest", None, Narrow((PHYSICS,), Privacy.NO_DESCRIPTION))
    busy = feeds.add_child(token, "mine", "display", None, Narrow((), Privacy.BUSY_ONLY))
    for _ in range(2):  # none of them may get another one's copy
        assert sorted(shown(feeds, token)) == [("Algebra", "Chapter 2"), ("Optics", "Prisms")]
        assert shown(feeds, less) == [("Optics", "")]
        assert shown(feeds, busy) == [("Busy", ""), ("Busy", "")]
        for form in Form:
            body = feeds.snapshot_for_token(less, "mine", form).body
            assert not any(word in body for word in (b"Algebra", b"Prisms", b"Chapter"))
            assert b"Optics" not in feeds.snapshot_for_token(busy, "mine", form).body


def test_what_tells_of_changes_tells_no_more(both: tuple[Feeds, str], world: World) -> None:
    feeds, token = both
    less = feeds.add_child(token, "mine", "guest", None, Narrow((PHYSICS,), Privacy.BUSY_ONLY))
    whole = json.loads(feeds.snapshot_for_token(token, "mine", Form.JSON).body)["cursor"]
    mine = feeds.snapshot_for_token(less, "mine", Form.JSON)
    world.school.put("a", lesson("Secret algebra"))
    world.school.put("p", lesson("Secret optics"), course="physics")
    for calendar in (COURSE, PHYSICS):
        feeds.refresh(calendar)
    now = feeds.snapshot_for_token(less, "mine", Form.JSON)
    told = feeds.history.since(now, json.loads(mine.body)["cursor"])
    assert b"Secret" not in told + feeds.snapshot_for_token(less, "mine", Form.ATOM).body
    with pytest.raises(TooOld):
        feeds.history.since(now, whole)


def test_a_narrower_token_dies_with_its_parent_and_not_before(both: tuple[Feeds, str]) -> None:
    feeds, first = both
    phone = feeds.add_token("mine", "phone")
    child, other = (feeds.add_child(each, "mine", f"of {each[:3]}", None, ALL) for each in (phone, first))
    assert all(opens(feeds, token) for token in (child, other))
    assert feeds.revoke("mine", "phone") == 2
    assert [opens(feeds, token) for token in (first, phone, child, other)] == [True, False, False, True]
    feeds.rotate("mine")
    assert not opens(feeds, other)


def test_a_narrower_token_shows_no_more_and_no_longer_than_its_parent(both: tuple[Feeds, str], world: World) -> None:
    feeds, _ = both
    guest = feeds.add_token("mine", "guest", MONDAY + DAY, Narrow((COURSE,), Privacy.NO_DESCRIPTION))
    child = feeds.add_child(guest, "mine", "child", MONDAY + 9 * DAY, ALL)
    assert shown(feeds, child) == [("Algebra", "")]
    with pytest.raises(ValueError, match="not among the calendars that its parent shows"):
        feeds.add_child(guest, "mine", "sly", None, Narrow((PHYSICS,)))
    with pytest.raises(ValueError, match="is no calendar of 'mine'"):
        feeds.add_child(guest, "mine", "sly", None, Narrow((CalendarRef("school", Kind.COURSE, "art"),)))
    with pytest.raises(ValueError, match="makes no further ones"):
        feeds.add_child(child, "mine", "sly", None, ALL)
    world.clock.forward(DAY)
    assert not opens(feeds, child)
    with pytest.raises(Unknown):
        feeds.add_child(guest, "mine", "late", None, ALL)
    with pytest.raises(ValueError, match="no token called 'nobody'"):
        feeds.add_token("mine", "x", under="nobody")


def test_a_feed_that_turns_more_private_takes_its_tokens_along(both: tuple[Feeds, str]) -> None:
    feeds, token = both
    less = feeds.add_child(token, "mine", "guest", None, Narrow((), Privacy.NO_DESCRIPTION))
    feeds.set("mine", ["privacy=busy-only"])
    assert shown(feeds, less) == [("Busy", ""), ("Busy", "")]
    feeds.set("mine", ["privacy="])
    assert sorted(shown(feeds, less)) == [("Algebra", ""), ("Optics", "")]


@pytest.mark.parametrize(
    ("client", "ago", "sentence"),
    [
        ("Google", 5 * HOUR, "Google last looked 5 h ago; expect a change to be seen by about 17:00"),
        ("Google", 11 * HOUR + 59 * MINUTE, "Google last looked 11 h ago; expect a change to be seen by about 10:01"),
        ("Google", 13 * HOUR, "Google last looked 13 h ago; it should have looked again by now"),
        ("Outlook", MINUTE, "Outlook last looked 1 min ago; expect a change to be seen by about 09:59 on 2026-03-10"),
        ("Apple", 3 * DAY, "Apple last looked 3 days ago"),
        (None, HOUR, "another program last looked 1 h ago"),
    ],
)
def test_who_looked_last_is_a_sentence(client: str | None, ago: timedelta, sentence: str) -> None:
    assert said(client, MONDAY - ago, MONDAY, BERLIN) == sentence
    assert said(None, None, MONDAY, BERLIN) == "nobody has looked yet"


def test_the_last_day_is_the_last_on_which_it_opens() -> None:
    assert last_day(datetime(2027, 7, 1, tzinfo=BERLIN), BERLIN) == "through 2027-06-30"
    assert last_day(datetime(2027, 7, 1, 12, tzinfo=BERLIN), BERLIN) == "until 2027-07-01 12:00"
    assert last_day(None, BERLIN) == "no end"
