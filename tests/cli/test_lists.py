"""Long lists: parts of them, searched, and in the shapes of the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import create_app
from app.parts import Parts
from app.people import audit
from app.people.audit import Deed
from app.store import tables
from app.store.slices import Part, Slice, part_of_all
from tests.campus import EXAM, LECTURES, browser, calendar
from tests.cli.shell import COURSE, Shell, records

WINDOW = ("--from", "2026-10-20", "--to", "2026-12-31")


@pytest.fixture
def parts(shell: Shell) -> Parts:
    return shell.parts()


def many_feeds(parts: Parts, count: int) -> None:
    now = parts.now()
    row = {"calendar": COURSE, "public": True, "enabled": True, "created_at": now}
    rows = [row | {"slug": f"f{n:04}", "title": f"Feed {n} 100% of_it"} for n in range(count)]
    with parts.engine.begin() as connection:
        connection.execute(tables.feed.insert(), rows)


def test_a_list_says_how_many_more_there_are(shell: Shell, parts: Parts) -> None:
    many_feeds(parts, 1000)
    some = shell("feed", "list", "--search", "f0", "--limit", "3", "--offset", "2")
    assert [line.split("\t")[0] for line in some.stdout.splitlines()] == ["f0002", "f0003", "f0004"]
    assert some.stderr.startswith("… and 995 more: --offset 5")
    assert len(shell("feed", "list").stdout.splitlines()) == 50
    assert len(shell("feed", "list", "--search", "f00", "--all").stdout.splitlines()) == 100


def test_what_is_searched_for_is_no_pattern(shell: Shell, parts: Parts) -> None:
    many_feeds(parts, 3)
    assert len(shell("feed", "list", "--search", "100% OF_").stdout.splitlines()) == 3
    assert shell("feed", "list", "--search", "f%2").stdout == ""
    assert shell("feed", "list", "--search", "f_00").stdout == ""


def test_the_store_cuts_counts_and_searches(shell: Shell, parts: Parts) -> None:
    many_feeds(parts, 200)
    found = parts.feeds.some(Slice(limit=5, offset=190, search="f0"))
    assert (len(found.items), found.of, found.more) == (5, 200, 5)
    assert parts.feeds.some(Slice(limit=5, offset=500)).items == []


def test_a_part_of_what_is_in_hand_is_the_same() -> None:
    found = part_of_all(["Anna", "Berta", "HANNA"], Slice(limit=1, offset=0, search="anna"), str)
    assert (found, found.more) == (Part(["Anna"], 2, 0), 1)


def test_feeds_are_told_of_as_the_api_does(shell: Shell, parts: Parts) -> None:
    shell("refresh")
    asked = browser(parts).get("/api/feeds").get_json()["feeds"]
    told = records(shell("feed", "list", "--json"))
    base = {"http://127.0.0.1:8600": "http://localhost"}
    for one in told:
        one["links"] = {form: link.replace(*next(iter(base.items()))) for form, link in one["links"].items()}
    assert told == asked


@pytest.mark.parametrize(
    ("words", "path", "name"),
    [
        (("run", "list"), "/api/imports", "imports"),
        (("run", "list", "--state", "held"), "/api/imports?state=held", "imports"),
        (("subscription", "list"), "/api/subscriptions", "subscriptions"),
        (("calendars",), "/api/calendars", "calendars"),
        (("audit",), "/api/audit", "audit"),
        (("settings", "--all"), "/api/settings?limit=1000", "settings"),
        (("connections",), "/api/connections", "connections"),
        (("workers",), "/api/workers", "workers"),
        (("drift", "list"), "/api/drift", "drifts"),
    ],
)
def test_lists_have_the_shapes_of_the_api(
    shell: Shell, parts: Parts, words: tuple[str, ...], path: str, name: str
) -> None:
    file = shell.write("timetable.ics", calendar(LECTURES, EXAM))
    shell("import", file, "--into", COURSE, *WINDOW)
    audit.note(parts.engine, Deed(parts.now(), "jane", "POST /api/imports", "calendar=x"))
    told = records(shell(*words, "--json"))
    asked = create_app(parts).test_client().get(path)
    assert told == asked.get_json()[name]


def test_runs_are_listed_with_what_came_of_them(shell: Shell) -> None:
    file = shell.write("timetable.ics", calendar(LECTURES, EXAM))
    shell("import", file, "--into", COURSE, *WINDOW)
    (line,) = shell("run", "list", "--into", COURSE).stdout.splitlines()
    number, started, kind, state, where, source, counts = line.split("\t")
    assert (number, kind, state, where, source, counts[:9]) == ("1", "import", "done", COURSE, "upload", "4 created")
    assert started.endswith((" CET", " CEST"))
    assert shell("run", "list", "--search", "nobody").stdout == ""
    assert len(records(shell("run", "listed", "1", "done", "--limit", "3"))) == 3


def test_the_audit_log_is_searched(shell: Shell, parts: Parts) -> None:
    for who in ("jane", "joe", "jane"):
        audit.note(parts.engine, Deed(parts.now(), who, "POST /api/imports", "calendar=x"))
    assert len(shell("audit", "--search", "JANE").stdout.splitlines()) == 2
    assert len(shell("audit", "--limit", "1").stdout.splitlines()) == 1


def test_a_feed_is_shown_and_previewed(shell: Shell, tmp_path: Path) -> None:
    shell("feed", "add", "mine", "--calendar", COURSE, "--title", "Mine")
    shown = shell("feed", "show", "mine")
    assert "title: Mine" in shown.stdout
    assert "read by first: nobody has looked yet" in shown.stdout
    assert "/feeds/" not in shown.stdout
    assert records(shell("feed", "show", "mine", "--json"))[0]["calendars"] == [COURSE]
    assert "Anatomy I" in shell("feed", "preview", "mine", "--limit", "2").stdout
    assert shell("feed", "preview", "mine", "--as", "ics").stdout.startswith("BEGIN:VCALENDAR")
    titles = {one["title"] for one in records(shell("feed", "preview", "mine", "--search", "exam", "--json"))}
    assert all("exam" in title.lower() for title in titles)
    shell("feed", "disable", "mine")
    assert shell("feed", "preview", "mine").exit_code == 0


def test_what_waits_is_listed_with_what_to_say(shell: Shell, parts: Parts) -> None:
    assert shell("waiting").exit_code == 0
    window = ("--from", "2030-01-01", "--to", "2030-12-31")
    lessons = [f"UID:{n}\nSUMMARY:Lesson {n}\nDTSTART:203004{n + 1:02}T100000Z" for n in range(9)]
    shell("import", shell.write("all.ics", calendar(*lessons)), "--into", COURSE, *window)
    shell("import", shell.write("one.ics", calendar(lessons[0])), "--into", COURSE, *window)
    waiting = shell("waiting")
    what, where, why, say = waiting.stdout.rstrip().split("\t")
    assert (waiting.exit_code, what, where, say) == (3, "plan of run 2", f"{COURSE} upload", "calbridge run approve 2")
    assert "would delete 8 of the 9" in why
    assert records(shell("waiting", "--json")) == [browser(parts).get("/api/waiting").get_json()]


def test_a_feed_keeps_its_title_beside_the_titles_that_it_shows(shell: Shell, parts: Parts) -> None:
    many_feeds(parts, 1)
    shell("feed", "set", "f0000", "title=OSCE*")
    lines = shell("feed", "show", "f0000").stdout.splitlines()
    assert {"title: Feed 0 100% of_it", "only titles: OSCE*"} <= set(lines)
