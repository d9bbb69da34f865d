"""Who has an old copy of a feed and its cursor is told exactly what makes the new feed of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.feeds import history
from app.feeds.cursor import Cursor, TooOld
from app.feeds.feed import Form
from app.feeds.history import by_ref, undo_of
from app.feeds.schema import SINCE
from app.feeds.serve import Feeds
from app.feeds.since import head_of
from app.store import tables
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status
from tests.feeds.world import BERLIN, COURSE, HOUR, MONDAY, World, complaints, lesson, new_world

DAY = timedelta(days=1)
ART = CalendarRef("school", Kind.COURSE, "art")
ATOM = "{http://www.w3.org/2005/Atom}"


def copy_of(feeds: Feeds, slug: str = "all") -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(feeds.snapshot_for_public(slug, Form.JSON).body)
    return copy


def asked(feeds: Feeds, cursor: str, slug: str = "all") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(feeds.history.since(feeds.snapshot_for_public(slug, Form.JSON), cursor))
    assert complaints(answer, SINCE) == []
    return answer


def caught_up(old: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """What a reader makes of its copy, by the word of the schema."""
    events = {event["uid"]: event for event in old["events"]}
    for event in answer["changed"]:
        assert event["uid"] in events
    for event in answer["added"]:
        assert event["uid"] not in events
    events |= {event["uid"]: event for event in (*answer["added"], *answer["changed"])}
    for uid in answer["removed"]:
        del events[uid]
    head = {name: value for name, value in answer.items() if name not in ("added", "changed", "removed")}
    return {**head, "events": sorted(events.values(), key=lambda event: event["uid"])}


def by_uid(feed: dict[str, Any]) -> dict[str, Any]:
    return {**feed, "events": sorted(feed["events"], key=lambda event: event["uid"])}


@pytest.fixture
def feeds(world: World) -> Feeds:
    world.school.courses["art"] = {}
    feeds = world.feeds()
    feeds.add("all", "All", COURSE, ART, public=True)
    return feeds


def refresh(feeds: Feeds) -> None:
    for calendar in (COURSE, ART):
        feeds.refresh(calendar)


moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.sampled_from(["math", "art"]),
            st.integers(0, 5),
            st.sampled_from(["Algebra", "OSCE", "Exam"]),
            st.integers(-20, 200),
            st.booleans(),
        ),
        st.tuples(st.just("drop"), st.sampled_from(["math", "art"]), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("read"), st.sampled_from(["math", "art"])),
        st.tuples(st.just("look")),
    ),
    max_size=16,
)
rules = st.sampled_from(
    [[], ["title=!osce"], ["back=1", "ahead=30"], ["privacy=busy-only"], ["cancelled=mark", "rename=exam=>Test"]]
)


def named(course: str, number: int) -> str:
    """Number 4 is one event, that may stand in both courses."""
    return "both" if number == 4 else f"{course}{number}"


def play(world: World, feeds: Feeds, move: tuple[Any, ...]) -> None:
    match move:
        case ("put", course, number, title, days, cancelled):
            start = MONDAY + days * DAY
            status = Status.CANCELLED if cancelled else Status.CONFIRMED
            event = lesson(title, start, status=status)
            if number == 5:
                event = Event(title, AllDay(start.date(), start.date() + DAY * 2))
            world.school.put(named(course, number), event, course=course)
        case ("drop", course, number):
            world.school.courses[course].pop(RemoteRef(named(course, number)), None)
        case ("wait", days):
            world.clock.forward(days * DAY)
        case ("read", course):
            feeds.refresh(CalendarRef("school", Kind.COURSE, course))


@settings(max_examples=25, deadline=None)
@given(story=moves, policies=rules)
def test_an_old_copy_and_what_changed_are_the_new_feed(story: list[tuple[Any, ...]], policies: list[str]) -> None:
    with TemporaryDirectory() as folder:
        world = new_world(Path(folder))
        world.school.courses["art"] = {}
        feeds = world.feeds()
        feeds.add("all", "All", COURSE, ART, public=True, settings=policies)
        copies = [(world.clock(), copy_of(feeds))]
        for move in story:
            play(world, feeds, move)
            if move[0] == "look":
                copies.append((world.clock(), copy_of(feeds)))
        refresh(feeds)
        new = copy_of(feeds)
        remembered = [old for at, old in copies if world.clock() - at < history.KEPT]
        for old in [*remembered, new]:
            assert caught_up(old, asked(feeds, old["cursor"])) == by_uid(new)
        world.engine.dispose()


def test_each_change_is_told_as_what_it_is(feeds: Feeds, world: World) -> None:
    for ref in ("stays", "moves", "goes"):
        world.school.put(ref, lesson(ref))
    refresh(feeds)
    old = copy_of(feeds)
    assert asked(feeds, old["cursor"]) | {"events": old["events"]} == old | {"added": [], "changed": [], "removed": []}
    world.school.put("moves", lesson("moves", MONDAY + HOUR))
    world.school.put("comes", lesson("comes"), course="art")
    world.school.drop("goes")
    refresh(feeds)
    answer = asked(feeds, old["cursor"])
    assert [event["title"] for event in answer["added"]] == ["comes"]
    assert [event["title"] for event in answer["changed"]] == ["moves"]
    assert answer["removed"] == [event["uid"] for event in old["events"] if event["title"] == "goes"]
    assert answer["cursor"] == copy_of(feeds)["cursor"] != old["cursor"]


def test_a_change_that_the_feed_does_not_show_is_none(feeds: Feeds, world: World) -> None:
    feeds.set("all", ["title=!secret*"])
    old = copy_of(feeds)
    world.school.put("s", lesson("Secret plan"))
    refresh(feeds)
    answer = asked(feeds, old["cursor"])
    assert (answer["added"], answer["changed"], answer["removed"]) == ([], [], [])


def test_a_cursor_from_before_a_policy_changed_is_too_old(feeds: Feeds) -> None:
    old = copy_of(feeds)
    feeds.set("all", ["privacy=busy-only"])
    with pytest.raises(TooOld):
        asked(feeds, old["cursor"])
    assert asked(feeds, copy_of(feeds)["cursor"])["added"] == []


def test_a_cursor_of_another_feed_is_too_old(feeds: Feeds) -> None:
    feeds.add("art", "Art", ART, public=True)
    with pytest.raises(TooOld):
        asked(feeds, copy_of(feeds)["cursor"], "art")


def test_a_cursor_is_followed_for_a_month(feeds: Feeds, world: World) -> None:
    old = copy_of(feeds)
    for day in range(32):
        world.school.put("a", lesson(f"Day {day}", world.clock()))
        world.clock.forward(DAY)
        refresh(feeds)
        if day == 28:
            assert caught_up(old, asked(feeds, old["cursor"])) == by_uid(copy_of(feeds))
    with pytest.raises(TooOld):
        asked(feeds, old["cursor"])


def test_what_is_remembered_does_not_grow_for_ever(feeds: Feeds, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 20)
    for number in range(30):
        world.school.put("a", lesson(f"Version {number}"))
        feeds.refresh(COURSE)
    with world.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.calendar_history)).scalar() == 20


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 20_000, "AAAA" * 10, "%00"])
def test_what_is_no_cursor_says_so(feeds: Feeds, text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        asked(feeds, text)


def test_a_cursor_reads_as_it_was_written(feeds: Feeds) -> None:
    text = copy_of(feeds)["cursor"]
    assert str(Cursor.parse(text, BERLIN)) == text
    for at in range(0, len(text), 7):
        other = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(ValueError, match="no cursor"):
            Cursor.parse(other, BERLIN)


def test_a_title_cannot_end_the_head(feeds: Feeds, world: World) -> None:
    feeds.add("evil", ',"events":[]}', COURSE, public=True)
    world.school.put("a", lesson('"},"events":['))
    feeds.refresh(COURSE)
    body = feeds.snapshot_for_public("evil", Form.JSON).body
    assert head_of(body)["title"] == ',"events":[]}'
    assert set(head_of(body)) == set(json.loads(body)) - {"events"}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
)
def test_what_was_undone_is_what_was(old: dict[str, int], new: dict[str, int]) -> None:
    def packed(reading: dict[str, int]) -> bytes:
        return b"\n".join(json.dumps([ref, version]).encode() for ref, version in reading.items())

    undo = undo_of(packed(old), packed(new))
    undone = {**by_ref(packed(new)), **undo}
    assert {ref: line for ref, line in undone.items() if line} == by_ref(packed(old))
    assert undo.keys() == {ref for ref in {*old, *new} if old.get(ref) != new.get(ref)}


# Atom


def entries(feeds: Feeds, slug: str = "all") -> Iterator[tuple[str, str, str]]:
    root = ElementTree.fromstring(feeds.snapshot_for_public(slug, Form.ATOM).body)
    for entry in root.iter(f"{ATOM}entry"):
        yield tuple(entry.findtext(f"{ATOM}{name}") or "" for name in ("title", "updated", "content"))  # type: ignore[misc]


def test_the_atom_feed_tells_the_last_change_of_each_event(feeds: Feeds, world: World) -> None:
    world.school.put("a", lesson("Algebra", url="https://lms.example.edu/a?b=1&c=<2>", categories=("Maths",)))
    world.school.put("b", lesson("Geometry"))
    refresh(feeds)
    assert [*entries(feeds)] == []  # the first reading is no news
    world.clock.forward(HOUR)
    world.school.put("a", lesson("Algebra", MONDAY + DAY, place="Room 2"))
    world.school.put("c", Event("Open <day> & night", AllDay(date(2026, 3, 11), date(2026, 3, 13))), course="art")
    refresh(feeds)
    world.clock.forward(HOUR)
    world.school.drop("b")
    world.school.put("a", lesson("Algebra", MONDAY + DAY, place="Room 3", status=Status.CANCELLED))
    refresh(feeds)
    told = sorted(entries(feeds))
    assert [(title, updated) for title, updated, _ in told] == [
        ("New: Open <day> & night", "2026-03-09T10:00:00Z"),
        ("Removed: Algebra", "2026-03-09T11:00:00Z"),
        ("Removed: Geometry", "2026-03-09T11:00:00Z"),
    ]
    assert told[0][2] == "2026-03-11 to 2026-03-12"
    feeds.set("all", ["cancelled=show"])
    assert sorted(entries(feeds))[0] == (
        "Cancelled: Algebra",
        "2026-03-09T11:00:00Z",
        "2026-03-10 10:00 to 11:00 (+01:00)\nRoom 3",
    )


def test_what_comes_with_the_days_is_no_news(feeds: Feeds, world: World) -> None:
    world.school.put("far", lesson("Far away", MONDAY + 190 * DAY))
    world.school.put("old", lesson("Long ago", MONDAY - 10 * DAY))
    refresh(feeds)
    world.clock.forward(20 * DAY)
    refresh(feeds)
    assert [event["title"] for event in copy_of(feeds)["events"]] == ["Far away"]
    assert [*entries(feeds)] == []


def test_an_atom_feed_is_whole_and_stable(feeds: Feeds, world: World) -> None:
    refresh(feeds)
    nasty = "a\x00b\x0b<c>&\"'\ud83d\uffff]]>\u2028"
    world.school.put("a", lesson(nasty, text=nasty, url="https://x.example/?a=1&b=2", categories=(nasty,)))
    refresh(feeds)
    first, again = (each.snapshot_for_public("all", Form.ATOM) for each in (feeds, world.feeds()))
    assert (first.body, first.etag) == (again.body, again.etag)
    root = ElementTree.fromstring(first.body)
    for name in ("id", "title", "updated"):
        (found,) = root.findall(f"{ATOM}{name}")
        assert found.text
    (entry,) = root.iter(f"{ATOM}entry")
    assert [child.tag.removeprefix(ATOM) for child in entry] == [
        "id",
        "title",
        "updated",
        "link",
        "category",
        "content",
    ]
    name = entry.findtext(f"{ATOM}id") or ""
    assert name.startswith("urn:uuid:")
    world.clock.forward(HOUR)
    world.school.put("a", lesson("plain"))
    refresh(feeds)
    (entry,) = ElementTree.fromstring(feeds.snapshot_for_public("all", Form.ATOM).body).iter(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == name
