"""What is due is done, once, and told; and the commands that people give their subscriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event, insert
from sqlalchemy.exc import OperationalError

from app import jobs
from app.cli import main
from app.config import ConfigError, parse
from app.imports.pull.wish import Wish
from app.jobs import Job
from app.parts import Parts, fetch_settings, open_parts
from app.refresh import Done
from app.store import tables
from app.store.engine import writing
from app.store.leases import new_holder
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.fakes.web import LECTURE, Web, answer, serving

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")


class Campus:
    """The demo campus with a calendar server beside it that it may pull from, and a clock that is set by hand."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.now = NOW
        self.web = web
        self.file = folder / "config.toml"
        lines = [stores.setting(folder / "campus.sqlite3"), "[fetch]", "http = true"]
        self.file.write_text("\n".join([*lines, f'allow_hosts = ["127.0.0.1:{web.port}"]', ""]))
        self.parts: Parts = open_parts(parse(self.file.read_text(), {}), now=lambda: self.now)

    @property
    def url(self) -> str:
        return self.web.url("/c.ics?key=geheim", host="127.0.0.1")

    def serves(self, *replies: bytes) -> None:
        self.web.replies["/c.ics?key=geheim"] = list(replies)

    def subscribe(self, name: str = "timetable") -> int:
        return self.parts.subscriptions.add(Wish(name, self.url, COURSE, HOUR, 180)).id

    def done(self) -> dict[Job, Done]:
        return dict(self.parts.refreshes.run(self.now))

    def shell(self, *words: str, typed: str | None = None) -> Result:
        environment = {"CALBRIDGE_CONFIG": str(self.file)}
        return CliRunner().invoke(main, words, env=environment, input=typed, catch_exceptions=False)


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with serving() as web:
        web.replies["/c.ics?key=geheim"] = answer(200, LECTURE)
        yield Campus(tmp_path, web)


def test_what_is_due_is_done_once(campus: Campus) -> None:
    pulled, read = jobs.pulling(campus.subscribe()), jobs.reading(COURSE)
    due = campus.parts.refreshes.due(NOW)
    assert {pulled, read} <= {*due}
    done = campus.done()
    assert (done[pulled].how, done[read].how) == ("done", "read")
    assert not campus.parts.refreshes.due(NOW)
    assert campus.done() == {}


def test_what_is_due_again_later(campus: Campus) -> None:
    pulled = jobs.pulling(campus.subscribe())
    campus.done()
    campus.now += HOUR
    assert pulled in campus.parts.refreshes.due(campus.now)
    assert jobs.reading(COURSE) in campus.done()


def test_a_chore_is_done_once_however_many_workers_there_are(campus: Campus) -> None:
    """Both found it due before either began."""
    first, second = campus.parts.refreshes, open_parts(campus.parts.config, now=lambda: campus.now).refreshes
    (chore,) = [job for job in first.due(NOW) if job == jobs.chore("retention")]
    assert chore in second.due(NOW)
    assert [each.do(chore, NOW).how for each in (first, second)] == ["done", "in vain"]
    campus.now += timedelta(days=1)
    assert [chore in each.due(campus.now) for each in (first, second)] == [True, True]


def test_a_chore_is_done_again_after_the_clock_was_put_back(campus: Campus) -> None:
    chore = jobs.chore("feeds")
    campus.parts.refreshes.do(chore, NOW + timedelta(days=30))
    assert campus.parts.refreshes.do(chore, NOW).how == "done"
    assert campus.parts.refreshes.do(chore, NOW).how == "in vain"


@pytest.mark.parametrize("jump", [5 * HOUR, timedelta(days=30), timedelta(days=4000)])
def test_what_was_booked_by_a_wrong_clock_is_due_when_it_is_right_again(
    campus: Campus, jump: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    reading, pulling = jobs.reading(COURSE), jobs.pulling(campus.subscribe())
    for campus.now in (NOW, NOW + jump / 2, NOW + jump):
        campus.done()
    campus.now = NOW + timedelta(minutes=10)
    done = campus.done()
    assert (done[reading].how, done[pulling].how in {"done", "unchanged"}) == ("read", True)
    assert "the clock was put back by" in caplog.text
    assert not {reading, pulling} & {*campus.parts.refreshes.due(campus.now)}
    campus.now += HOUR
    assert {reading, pulling} <= {*campus.parts.refreshes.due(campus.now)}, "and on as ever"


def test_what_was_cut_off_is_due_at_once(campus: Campus) -> None:
    cut = [jobs.pulling(campus.subscribe()), jobs.reading(COURSE)]
    campus.done()
    for job in cut:
        campus.parts.refreshes.put_back(job)
    assert [*campus.parts.refreshes.due(NOW)] == cut


def test_a_reading_that_the_store_cut_off_is_due_at_once(campus: Campus) -> None:
    """In whatever process, for there are those that nobody asks again: a web process, while no one looks."""
    campus.done()
    campus.now += HOUR
    engine, feeds = campus.parts.engine, campus.parts.feeds

    @event.listens_for(engine, "before_cursor_execute")
    def away(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE calendar_reading") and "found=" in statement:
            raise OperationalError(statement, {}, OSError("server closed the connection"))

    with pytest.raises(OperationalError):
        feeds.refresh(COURSE)
    event.remove(engine, "before_cursor_execute", away)
    assert jobs.reading(COURSE) in campus.parts.refreshes.due(campus.now)
    assert campus.done()[jobs.reading(COURSE)].how == "read"


def test_what_a_killed_worker_was_at_is_due_at_once(campus: Campus) -> None:
    """Its next time was booked before it began; the leases that it leaves behind tell what it was at."""
    cut = [jobs.pulling(campus.subscribe()), jobs.reading(COURSE)]
    campus.done()
    engine = campus.parts.engine
    dead = new_holder().replace("@", "@0")
    with writing(engine) as connection:
        for name in ("subscription 1", f"read {COURSE}"):
            row = {"name": name, "holder": dead, "until": NOW + HOUR}
            connection.execute(insert(tables.lease).values(row))
    assert [*campus.parts.refreshes.due(NOW)] == cut
    campus.done()
    assert not campus.parts.refreshes.due(NOW)


def test_a_failure_keeps_nobody_else_from_a_turn(campus: Campus) -> None:
    campus.serves(answer(500), answer(200, LECTURE))
    first, second = campus.subscribe("a"), campus.subscribe("b")
    done = campus.done()
    assert [done[jobs.pulling(id)].how for id in (first, second)] == ["failed", "done"]
    assert jobs.reading(COURSE) in done


def test_one_that_is_removed_meanwhile_is_passed_over(campus: Campus) -> None:
    id = campus.subscribe()
    campus.parts.subscriptions.remove(id)
    assert campus.parts.refreshes.do(jobs.pulling(id), NOW).how == "in vain"


def test_the_settings_close_ourselves_and_the_lms() -> None:
    config = parse(
        """
        server.host = "203.0.113.7"
        server.public_url = "https://Cal.example.edu/"
        fetch.allow_hosts = ["Timetable.intern:8080"]
        fetch.ports = ["443", "9000-9001"]
        [lms.learn]
        bridge = "blackboard"
        url = "https://learn.example.edu"
        key = "k"
        secret = "https://not.a.url.to.anyone"
        zone = "Europe/Oslo"
        """,
        {},
    )
    settings = fetch_settings(config)
    assert {"cal.example.edu", "learn.example.edu", "203.0.113.7"} <= settings.fences.own_hosts
    assert settings.fences.allow_hosts == {"timetable.intern:8080"}
    assert settings.fences.ports == (range(443, 444), range(9000, 9002))
    assert settings.agent.endswith("(+https://Cal.example.edu/)")
    assert settings.agent.startswith("calbridge/")


@pytest.mark.parametrize("line", ['ports = ["http"]', 'ports = ["a-b"]', 'ca_file = "/no/such.pem"', 'contact = "a b"'])
def test_settings_that_cannot_be_are_told(line: str) -> None:
    with pytest.raises(ConfigError, match=r"fetch\."):
        parse(f"[fetch]\n{line}", {})


def test_a_subscription_by_command(campus: Campus) -> None:
    shell = campus.shell
    campus.serves(answer(200, LECTURE.replace(b"20261021", f"{datetime.now(UTC) + timedelta(days=2):%Y%m%d}".encode())))
    added = shell("subscription", "add", campus.url, "--into", str(COURSE), "--name", "timetable", "--every", "90")
    assert (added.exit_code, added.stdout) == (0, "1\n")
    ran = shell("subscription", "run", "1")
    assert (ran.exit_code, ran.stdout) == (0, "done\t1 created, 0 updated, 0 deleted\n")
    (listed,) = [json.loads(line) for line in shell("subscription", "list", "--json").stdout.splitlines()]
    assert listed | {"name": "timetable", "host": "127.0.0.1", "standing": "fine", "every_minutes": 90} == listed
    shown = json.loads(shell("subscription", "show", "1", "--json").stdout)
    assert [visit["created"] for visit in shown["history"]] == [1]
    campus.serves(answer(500))
    failed = shell("subscription", "run", "1")
    assert (failed.exit_code, failed.stdout) == (2, "failed\t127.0.0.1 is out of order (500).\n")
    text = shell("subscription", "show", "1").stdout + shell("subscription", "list").stdout
    assert "failing" in text
    assert "out of order" in text
    assert "geheim" not in text + json.dumps(shown) + json.dumps(listed)
    assert shell("subscription", "disable", "1").exit_code == 0
    assert "\toff\t" in shell("subscription", "list").stdout
    assert shell("subscription", "enable", "1").exit_code == 0
    assert shell("subscription", "remove", "1").exit_code == 0
    assert shell("subscription", "list").stdout == ""


@pytest.mark.parametrize("way", [("--user", "ada"), ("--header", "X-Key")])
def test_a_password_is_asked_for_and_kept_encrypted(campus: Campus, way: tuple[str, str], tmp_path: Path) -> None:
    words = ("subscription", "add", campus.url, "--into", str(COURSE), "--name", "locked", *way)
    added = campus.shell(*words, typed="opensesame\n")
    assert added.exit_code == 0
    assert "opensesame" not in added.output
    assert campus.shell("subscription", "run", "1").exit_code == 0
    sent = campus.web.asked[0].headers
    assert "authorization" in sent or sent["x-key"] == "opensesame"
    for file in tmp_path.glob("campus.sqlite3*"):
        assert b"opensesame" not in file.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["add", "http://169.254.169.254/", "--into", "demo/course/anatomy-1", "--name", "x"],
        ["add", "file:///etc/passwd", "--into", "demo/course/anatomy-1", "--name", "x"],
        ["add", "https://cal.example.edu/", "--into", "nonsense", "--name", "x"],
        ["add", "https://cal.example.edu/", "--into", "learn/course/1", "--name", "x"],
        ["add", "https://cal.example.edu/", "--into", "demo/institution", "--name", "", "--every", "60"],
        ["add", "https://cal.example.edu/", "--into", "demo/institution", "--name", "x", "--every", "1"],
        [
            "add",
            "https://cal.example.edu/",
            "--into",
            "demo/institution",
            "--name",
            "x",
            "mode=delete",
        ],
        ["show", "7"],
        ["run", "7"],
        ["remove", "7"],
        ["enable", "7"],
        ["disable", "7"],
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_exit_2(campus: Campus, words: list[str]) -> None:
    result = campus.shell("subscription", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("calbridge: ")
    assert campus.shell("subscription", "list").stdout == ""


def test_settings_are_changed_by_their_names(campus: Campus) -> None:
    words = ("subscription", "add", campus.url, "rename=Marine*=Sea", "--into", str(COURSE), "--name", "timetable")
    assert campus.shell(*words, "--header", "X-Key", typed="mellon\n").exit_code == 0
    campus.shell("subscription", "run", "1")
    assert campus.web.asked[-1].headers["x-key"] == "mellon"
    changed = campus.shell("subscription", "set", "1", "floating=hold", "include=title:Sea|title:Marine*", "grace=3")
    assert changed.exit_code == 0
    text = campus.shell("subscription", "show", "1").stdout.splitlines()
    assert {"floating: hold", "include: title:Sea | title:Marine*", "rename: Marine*=Sea", "headers: X-Key"} <= set(
        text
    )
    assert campus.shell("subscription", "set", "1", "--no-header", "x-key").exit_code == 0
    campus.shell("subscription", "run", "1")
    assert "x-key" not in campus.web.asked[-1].headers
    for pairs, said in (([], "nothing to change"), (["grace"], "KEY=VALUE"), (["colour=red"], "no setting 'colour'")):
        refused = campus.shell("subscription", "set", "1", *pairs)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_one_timetable_is_routed_without_a_calendar_of_its_own(campus: Campus) -> None:
    add = ("subscription", "add", campus.url, "--name", "timetable")
    refused = campus.shell(*add)
    assert (refused.exit_code, "cannot do without routes" in refused.stderr) == (2, True)
    assert campus.shell(*add, f"routes=title:Marine*=>{COURSE}", "from=2026-10-01").exit_code == 0
    ran = campus.shell("subscription", "run", "1")
    assert (ran.exit_code, ran.stdout) == (0, "done\t1 created, 0 updated, 0 deleted\n")
    assert f"routes: title:Marine*=>{COURSE}" in campus.shell("subscription", "show", "1").stdout
    assert str(COURSE) not in campus.shell("subscription", "list").stdout
