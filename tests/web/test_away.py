"""Feeds never go dark: not while the LMS is away, not while it is read, not when everybody comes at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from werkzeug.test import Client, TestResponse

from app.feeds.behind import Behind
from app.feeds.chores import Chores
from app.feeds.rhythm import Rhythm
from app.feeds.serve import Feeds
from app.web.lane import Lane
from bridges.contract import Quota
from bridges.errors import BridgeError, Denied, Gone, Transient
from bridges.model import CalendarRef, Found, Kind, Window
from tests.feeds.world import COURSE, HOUR, MONDAY, School, World, lesson, new_world
from tests.web.test_feeds import app_of

DAY = timedelta(days=1)
ART = CalendarRef("school", Kind.COURSE, "art")
PATHS = ["/public/math.ics", "/public/math.json", "/public/both.ics"]


class Strict(School):
    """A school that says so where it has no such course."""

    def _found(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        if calendar.id not in self.courses:
            raise Gone("There is no such course.")
        return School._found(self, calendar, window)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = new_world(tmp_path)
    world.school = Strict({"math": {}, "art": {}})
    world.school.put("a", lesson("Algebra"))
    world.school.put("c", lesson("Colours", MONDAY + 30 * DAY), course="art")
    yield world
    world.engine.dispose()


@pytest.fixture
def feeds(world: World) -> Feeds:
    return published(world.feeds())


def published(feeds: Feeds) -> Feeds:
    feeds.add("math", "Mathematik", COURSE, public=True)
    feeds.add("both", "Both", COURSE, ART, public=True)
    return feeds


def client(world: World, feeds: Feeds) -> Client:
    """The lane with the views behind it, as one process has them."""
    app = app_of(feeds)
    app.wsgi_app = Lane(app.wsgi_app, feeds, world.clock)  # type: ignore[method-assign]
    return Client(app)


def facts(answer: TestResponse) -> tuple[int, bytes, str, str]:
    return answer.status_code, answer.data, answer.headers["ETag"], answer.headers["Last-Modified"]


def test_a_day_without_the_lms_darkens_nothing_and_loses_nothing(world: World, feeds: Feeds) -> None:
    visitor = client(world, feeds)
    before = {path: facts(visitor.get(path)) for path in PATHS}
    world.school.down = Transient("The LMS is away.")
    world.clock.forward(HOUR)
    asked: list[int] = []
    for minute in range(5, 24 * 60 + 1, 5):
        world.clock.forward(timedelta(minutes=5))
        reads = world.school.reads
        for calendar in feeds.due():
            feeds.refresh(calendar, unless_fresh=True)
        for path in PATHS:
            answer = visitor.get(path)
            assert facts(answer) == before[path]
            age = int(answer.headers["X-Calbridge-Stale"])
            assert age == 3600 + minute * 60
            no_news = visitor.get(path, headers={"If-None-Match": before[path][2]})
            assert (no_news.status_code, no_news.data) == (304, b"")
        asked += [minute] * (world.school.reads - reads)
    gaps = [later - earlier for earlier, later in zip(asked[::2], asked[2::2], strict=False)]
    assert max(gaps) == gaps[-1] == 360  # the cap: six hours, one request of each calendar in it
    assert gaps == sorted(gaps)
    assert len(asked) == 2 * len(set(asked)) < 30
    world.school.down = None
    world.school.put("b", lesson("Geometry", MONDAY + 3 * DAY))
    world.clock.forward(6 * HOUR)
    for path in PATHS:
        answer = visitor.get(path)
        assert "X-Calbridge-Stale" not in answer.headers
        assert b"Geometry" in answer.data
        assert b"Algebra" in answer.data


@pytest.mark.parametrize("error", [Gone("There is no such course."), Denied("Not for you.")])
def test_a_calendar_that_is_gone_is_shown_for_a_grace_and_comes_back(
    world: World, feeds: Feeds, error: BridgeError
) -> None:
    visitor = client(world, feeds)
    before = {path: facts(visitor.get(path)) for path in PATHS}
    world.school.down = error
    world.clock.forward(HOUR)
    assert facts(visitor.get(PATHS[0])) == before[PATHS[0]]
    told = feeds.absence(feeds.by_slug("math"))
    assert told.startswith("The LMS has not given a calendar of it out since 2026-03-09: ")
    assert told.endswith(". The last copy is shown until 2026-03-23.")
    world.clock.forward(14 * DAY - HOUR)
    assert facts(visitor.get(PATHS[0])) == before[PATHS[0]]
    world.clock.forward(HOUR)
    dark = visitor.get(PATHS[0])
    assert (dark.status_code, dark.headers["Cache-Control"]) == (404, "no-store")
    assert dark.text == (
        "'Mathematik' is shown no more: its learning-management system has not given its calendar out since "
        "2026-03-09. The feed comes back with the calendar.\n"
    )
    assert feeds.absence(feeds.by_slug("math")).endswith("It is shown no more.")
    world.school.down = None
    world.clock.forward(6 * HOUR)
    assert [feeds.refresh(calendar, unless_fresh=True).did for calendar in feeds.due()]
    assert b"Algebra" in visitor.get(PATHS[0]).data
    assert feeds.absence(feeds.by_slug("math")) == ""


def test_of_several_calendars_the_others_stay(world: World, feeds: Feeds) -> None:
    visitor = client(world, feeds)
    visitor.get("/public/both.ics")
    del world.school.courses["math"]
    for _ in range(15 * 4):
        world.clock.forward(6 * HOUR)
        answer = visitor.get("/public/both.ics")
    assert answer.status_code == 200
    assert (b"Colours" in answer.data, b"Algebra" in answer.data) == (True, False)


def test_who_has_a_copy_need_not_wait_for_the_lms(world: World) -> None:
    left: list[Callable[[], object]] = []
    feeds = published(world.feeds(later=lambda name, work: left.append(work)))
    visitor = client(world, feeds)
    before = facts(visitor.get(PATHS[0]))
    world.school.put("a", lesson("Geometry"))
    world.clock.forward(HOUR)
    old = [visitor.get(PATHS[0]) for _ in range(20)]
    assert {facts(answer) for answer in old} == {before}
    assert old[0].headers["X-Calbridge-Stale"] == "3600"
    assert world.school.reads == 1
    for work in left:
        work()
    assert b"Geometry" in visitor.get(PATHS[0]).data
    assert world.school.reads == 2


def test_nobody_waits_while_the_lms_is_read_behind_their_backs(world: World) -> None:
    behind = Behind()
    feeds = published(world.feeds(later=behind))
    visitor = client(world, feeds)
    before = facts(visitor.get(PATHS[0]))
    world.school.put("a", lesson("Geometry"))
    world.clock.forward(HOUR)
    world.school.slowness = 0.5
    world.school.began.clear()
    assert {facts(visitor.get(PATHS[0])) for _ in range(20)} == {before}
    assert world.school.began.wait(5)
    behind.close()
    assert b"Geometry" in visitor.get(PATHS[0]).data
    assert world.school.reads == 2


def test_what_we_changed_ourselves_is_waited_for(world: World) -> None:
    feeds = published(world.feeds(later=lambda name, work: None))
    visitor = client(world, feeds)
    visitor.get(PATHS[0])
    world.school.put("a", lesson("Geometry"))
    feeds.expire(COURSE)
    assert b"Geometry" in visitor.get(PATHS[0]).data


def test_two_hundred_first_requests_are_one_reading_of_each_calendar(world: World, feeds: Feeds) -> None:
    world.school.slowness = 0.3
    visitors = [client(world, feeds), client(world, world.feeds())]
    start = Event()

    def ask(number: int) -> TestResponse:
        start.wait()
        return visitors[number % 2].get(PATHS[number % 3])

    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(ask, number) for number in range(200)]
        start.set()
        seen = {(number % 3, facts(answer.result())) for number, answer in enumerate(answers)}
    assert {each[1][0] for each in seen} == {200}
    assert len(seen) == 3
    assert world.school.reads == 2


PROCESS = """
import sys, pathlib
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from tests import stores
from tests.feeds.world import MONDAY, School, World, lesson
from tests.web.test_away import client, facts, PATHS

class Noted(School):
    def read(self, calendar, window):
        with open(sys.argv[1] + "/reads", "a") as file:
            file.write(f"{calendar}\\n")
        return School.read(self, calendar, window)

school = Noted({"math": {}, "art": {}}, slowness=0.3)
school.put("a", lesson("Algebra")); school.put("c", lesson("Colours", MONDAY), course="art")
world = World(stores.at(pathlib.Path(sys.argv[1]) / "store.db"), school)
visitor = client(world, world.feeds())
with ThreadPoolExecutor(30) as pool:
    answers = list(pool.map(lambda number: visitor.get(PATHS[number % 3]), range(30)))
print(sorted({facts(answer)[::2] for answer in answers}))
"""


def test_processes_that_start_at_once_read_once_and_say_the_same(world: World, feeds: Feeds, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    root = Path(__file__).parents[2]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    visitor = client(world, feeds)
    mine = {facts(visitor.get(path))[::2] for path in PATHS}
    assert said == [f"{sorted(mine)}\n"] * 2
    assert world.school.reads == 0  # who starts later finds it all
    assert sorted((tmp_path / "reads").read_text().split()) == ["school/course/art", "school/course/math"]


@pytest.mark.parametrize("what", ["rename", "deletion", "window", "policy"])
def test_each_change_has_validators_of_its_own(world: World, feeds: Feeds, what: str) -> None:
    visitor = client(world, feeds)
    before = {path: visitor.get(path).headers for path in PATHS}
    again = client(world, world.feeds())
    for path in PATHS:
        assert again.get(path).headers["ETag"] == before[path]["ETag"]
        assert again.get(path).headers["Last-Modified"] == before[path]["Last-Modified"]
    match what:
        case "rename":
            world.school.put("a", lesson("Geometry"))
        case "deletion":
            world.school.drop("a")
        case "window":
            world.clock.forward(20 * DAY)
        case "policy":
            feeds.set("math", ["privacy=busy-only"])
            feeds.set("both", ["privacy=busy-only"])
    feeds.refresh(COURSE)
    for path in PATHS:
        after = visitor.get(path, headers={"If-None-Match": before[path]["ETag"]})
        assert after.status_code == 200
        assert after.headers["ETag"] != before[path]["ETag"]
        assert after.headers["Last-Modified"] != before[path]["Last-Modified"]


def test_caches_may_serve_an_old_copy_while_we_are_away_but_no_shared_one_a_secret(world: World, feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    visitor = client(world, feeds)
    while_away = "max-age=300, stale-while-revalidate=600, stale-if-error=86400"
    for path, scope in [(PATHS[0], "public"), (f"/feeds/{token}/mine.ics", "private")]:
        etag = visitor.get(path).headers["ETag"]
        for answer in (visitor.get(path), visitor.get(path, headers={"If-None-Match": etag})):
            assert answer.headers["Cache-Control"] == f"{scope}, {while_away}"
            assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_quota_that_is_too_small_is_warned_of_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    left = Quota(20, 20, world.clock() + DAY)
    feeds = published(world.feeds(rhythm=Rhythm(HOUR, adaptive=False)))
    feeds._quota = lambda lms: left
    chores = Chores(feeds)
    for _ in range(3):
        assert [*chores.run()] == []
        world.clock.forward(2 * HOUR)
    assert [record.getMessage().partition(" 20:")[0] for record in caplog.records] == [
        "school: 2 calendars need about 48 calls a day, and it permits"
    ]
