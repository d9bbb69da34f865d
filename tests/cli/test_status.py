"""The one screen: all is well, or what is not and what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from app.care.status import Line, status
from app.imports.pull import register
from app.imports.pull.wish import Wish
from app.imports.run import Mode
from app.parts import Parts
from app.store import tables, workers
from bridges.model import CalendarRef, Window
from tests.campus import EXAM, LECTURES, NOW, calendar, open_campus
from tests.cli.shell import COURSE, Shell, records


def alarms(parts: Parts) -> dict[str, Line]:
    return {line.about: line for line in status(parts) if line.alarm}


def well(tmp_path: Path) -> Parts:
    """A campus that was read, with a worker."""
    parts = open_campus(tmp_path)
    workers.begin(parts.engine, "w", parts.now())
    for feed in parts.feeds.list():
        parts.feeds.refresh(feed.slug)
    return parts


def test_where_all_is_well_nothing_wants_attention(tmp_path: Path) -> None:
    lines = {line.about: line for line in status(well(tmp_path))}
    assert not [line for line in lines.values() if line.alarm]
    assert lines["feeds"].says == "4 on, 0 off"
    assert lines["readings of demo"].says == "4 calendars, the newest 0 min old"
    assert lines["workers"].says == "1 live, 0 jobs in hand"


def test_the_feeds_of_an_lms_that_is_configured_no_more_want_attention(tmp_path: Path) -> None:
    parts = well(tmp_path)
    of_another = parts.feeds.list()[0].slug
    gone = {"calendar": "elsewhere/course/1"}
    with parts.engine.begin() as connection:
        connection.execute(update(tables.feed).where(tables.feed.c.slug == of_another).values(gone))
    assert alarms(parts) == {
        f"feed {of_another}": Line(
            f"feed {of_another}",
            "shows calendars of elsewhere, which the configuration does not name",
            f"calbridge feed remove {of_another}",
        )
    }


def test_no_worker_wants_attention(tmp_path: Path) -> None:
    parts = well(tmp_path)
    workers.end(parts.engine, "w")
    assert alarms(parts)["workers"].alarm == "calbridge work"


def test_a_calendar_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    parts = well(tmp_path)
    failing = {"failures": 3, "problem": "It is away."}
    reading = tables.calendar_reading
    with parts.engine.begin() as connection:
        connection.execute(update(reading).where(reading.c.calendar == COURSE).values(failing))
    line = alarms(parts)["readings of demo"]
    assert line.says == "4 calendars, the newest 0 min old, 1 fail: It is away."


def test_a_reading_that_is_late_wants_attention(tmp_path: Path) -> None:
    parts, before = well(tmp_path), NOW - timedelta(hours=2)
    with parts.engine.begin() as connection:
        connection.execute(update(tables.calendar_reading).values(next_check=before, read_at=before))
    assert "4 calendars should have been read" in alarms(parts)["due"].says


def test_what_an_import_wrote_to_is_not_late_at_once(tmp_path: Path) -> None:
    parts = well(tmp_path)
    parts.feeds.expire(CalendarRef.parse(COURSE))
    assert "due" not in alarms(parts)


def test_a_held_plan_and_a_parked_subscription_want_attention(tmp_path: Path) -> None:
    parts = well(tmp_path)
    course, window = CalendarRef.parse(COURSE), Window(NOW, NOW + timedelta(days=90))
    for file in (calendar(LECTURES, EXAM), calendar("UID:o\nSUMMARY:o\nDTSTART:20261102T100000Z")):
        parts.imports.run(file, course, window)
    wish = Wish("s", "https://x.example/a.ics", course, timedelta(hours=1), 30, Mode.REPLACE, "")
    register.add(parts.engine, wish, (), NOW)
    with parts.engine.begin() as connection:
        connection.execute(update(tables.subscription).values(standing="parked"))
    found = alarms(parts)
    assert (found["imports"].says, found["imports"].alarm) == ("1 plan waiting for a yes", "calbridge holds")
    assert found["subscriptions"].says == "1 parked"


def test_the_command_ends_with_1_and_says_what_to_do(shell: Shell) -> None:
    done = shell("status")
    assert done.exit_code == 1
    assert "→ calbridge work" in done.stdout
    assert done.stdout.endswith("something wants attention\n")
    told = records(shell("status", "--json"))[0]
    assert told["attention"] is True
    assert {line["about"] for line in told["lines"]} >= {"feeds", "readings of demo", "imports", "workers"}


def test_the_command_ends_with_0_where_all_is_well(shell: Shell) -> None:
    parts = shell.parts()
    workers.begin(parts.engine, "w", parts.now())
    shell("refresh")
    done = shell("status")
    assert (done.exit_code, done.stdout.endswith("all is well\n")) == (0, True), done.stdout
