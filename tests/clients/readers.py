"""The programs that our feeds are read with: each takes feeds to what it sees in them, all feeds at one go."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

import recurring_ical_events  # type: ignore[import-untyped]
import tzdata  # type: ignore[import-untyped]
from icalendar import Calendar
from icalendar.prop import vCategory

from tests.clients.campus import AHEAD_DAYS, BACK_DAYS, NOW
from tests.clients.published import Published
from tests.clients.seen import Seen, written

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KHAL = ROOT / ".venv-khal" / "bin"
ICAL_JS = HERE / "node_modules" / "ical.js" / "dist" / "ical.js"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

Told = Mapping[str, Sequence[Seen]]
"""What a program sees, by the name of the feed."""


def missing(*needed: str | Path) -> str:
    """A sentence on the first of these programs and files that is not there, empty if all are."""
    for each in needed:
        if not (each.exists() if isinstance(each, Path) else shutil.which(each)):
            return f"{each} is not installed: run .ci/run, which installs what this test reads with."
    return ""


def chromium() -> str:
    """The browser's name; that of the first if there is none."""
    return next(filter(shutil.which, CHROMIUM), CHROMIUM[0])


def run(command: Sequence[str | Path], stdin: bytes = b"", **options: Any) -> bytes:
    """What a program says. AssertionError with its complaint if it fails."""
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        command, input=stdin, capture_output=True, timeout=300, check=False, **options
    )
    assert done.returncode == 0, (done.stderr or done.stdout).decode(errors="replace")[-2000:]
    return done.stdout


def with_icalendar(bodies: Mapping[str, bytes]) -> Told:
    """icalendar, its times found by recurring-ical-events over the whole year and some days more.

    Without X-WR-TIMEZONE: there it turns UTC into that zone and forgets which of two hours it was.
    """
    first, last = NOW - timedelta(days=BACK_DAYS + 30), NOW + timedelta(days=AHEAD_DAYS + 30)
    told = {}
    for name, body in bodies.items():
        calendar = Calendar.from_ical(body)
        del calendar["X-WR-TIMEZONE"]
        told[name] = [_of_icalendar(each) for each in recurring_ical_events.of(calendar).between(first, last)]
    return told


def by_icalendar(body: bytes) -> list[Seen]:
    """icalendar alone, whatever the year."""
    return [_of_icalendar(each) for each in Calendar.from_ical(body).walk("VEVENT")]


def _of_icalendar(event: Any) -> Seen:
    start = event["DTSTART"].dt
    end = event["DTEND"].dt if "DTEND" in event else start
    return Seen(
        str(event["UID"]),
        written(start),
        written(end),
        str(event["SUMMARY"]),
        str(event.get("DESCRIPTION", "")),
        str(event.get("LOCATION", "")),
        tuple(map(str, event.categories)),
        str(event.get("URL", "")),
        str(event["STATUS"]),
    )


def in_node(bodies: Mapping[str, bytes]) -> Mapping[str, Any]:
    """What ical.js in Node.js tells of each calendar: `events`, and `jcal` as it makes that of it."""
    texts = {name: body.decode() for name, body in bodies.items()}
    told: Mapping[str, Any] = json.loads(run(["node", HERE / "read.mjs"], json.dumps(texts).encode()))
    return told


def of_node(told: Mapping[str, Any]) -> Told:
    return {name: [Seen.of(each) for each in one["events"]] for name, one in told.items()}


def in_browser(page: str, folder: Path) -> Told:
    """What the page's script has seen, once Chromium has loaded it all."""
    command = [
        chromium(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder}",
        "--timeout=60000",
        "--virtual-time-budget=100000",
        "--dump-dom",
        page,
    ]
    shown = run(command).decode()
    found = shown.partition("<output>")[2].partition("</output>")[0]
    assert found, f"the page has told nothing: {shown[:2000]}"
    told = json.loads(bytes.fromhex(found))
    assert "error" not in told, told["error"]
    return {name: [Seen.of(each) for each in events] for name, events in told.items()}


class Khal:
    """vdirsyncer's copies of the feeds, and khal's view of them."""

    def __init__(self, folder: Path, feeds: Sequence[Published]) -> None:
        self._folder = folder
        self._feeds = feeds
        self._names = {f"feed{number}": each.name for number, each in enumerate(feeds)}

    def sync(self) -> None:
        """Fetch every feed over HTTP, as vdirsyncer does from cron."""
        lines = ["[general]", f'status_path = "{self._folder}/status"']
        for name, each in zip(self._names, self._feeds, strict=True):
            self._at(name).mkdir(parents=True)
            lines += [
                f'[pair {name}]\na = "{name}_there"\nb = "{name}_here"\ncollections = null',
                f'[storage {name}_there]\ntype = "http"\nurl = "{each.url}"',
                f'[storage {name}_here]\ntype = "filesystem"\nfileext = ".ics"\npath = "{self._at(name)}"',
            ]
        config = self._folder / "vdirsyncer"
        config.write_text("\n".join(lines) + "\n")
        run([KHAL / "vdirsyncer", "-c", config, "discover"], b"y\n" * len(self._feeds))
        run([KHAL / "vdirsyncer", "-c", config, "sync"])

    def list(self, zone: str) -> Told:
        """What khal lists of each feed to somebody in that zone; an event of several days once."""
        config = self._folder / f"khal-{zone.replace('/', '-')}"
        config.write_text(self._config(zone))
        asked = [part for field in LISTED for part in ("--json", field)]
        first, last = NOW - timedelta(days=BACK_DAYS), NOW + timedelta(days=AHEAD_DAYS)
        command: list[str | Path] = [
            KHAL / "khal",
            "-c",
            config,
            "list",
            *asked,
            f"{first:%Y-%m-%d}",
            f"{last:%Y-%m-%d}",
        ]
        said = run(command, env={**os.environ, "PYTZ_TZDATADIR": str(_zones_in_use())})
        told: dict[str, dict[Seen, None]] = {each.name: {} for each in self._feeds}
        for line in said.decode().split("\n"):
            for each in json.loads(line or "[]"):
                told[self._names[each["calendar"]]][_of_khal(each)] = None
        return {name: list(seen) for name, seen in told.items()}

    def _config(self, zone: str) -> str:
        moment = "%Y-%m-%dT%H:%M:%S%z"
        return "\n".join(
            [
                "[calendars]",
                *(f"[[{name}]]\npath = {self._at(name)}\nreadonly = True" for name in self._names),
                f"[sqlite]\npath = {self._folder}/khal.db",
                f"[locale]\nlocal_timezone = {zone}\ndefault_timezone = {zone}",
                "dateformat = %Y-%m-%d\nlongdateformat = %Y-%m-%d\ntimeformat = %H:%M",
                f"datetimeformat = {moment}\nlongdatetimeformat = {moment}",
                "",
            ]
        )

    def _at(self, name: str) -> Path:
        return self._folder / "feeds" / name


def _zones_in_use() -> Path:
    """Where the rules of our own zones are: how khal reads is what we look at, and not how old its copy of them is."""
    inside = Path(tzdata.__file__).parent / "zoneinfo"
    return next((Path(each) for each in TZPATH if Path(each, "Africa", "Casablanca").exists()), inside)


LISTED = (
    "calendar",
    "start-long-full",
    "end-long-full",
    "all-day",
    "title",
    "description",
    "location",
    "categories",
    "url",
    "status",
)
"""The fields of khal's JSON that we look at."""


def _of_khal(told: Mapping[str, str]) -> Seen:
    days = told["all-day"] == "True"
    start, end = (datetime.fromisoformat(told[f"{side}-long-full"]) for side in ("start", "end"))
    return _named_by_what_it_shows(
        Seen(
            "",
            written(start.date() if days else start),
            written(end.date() if days else end),
            told["title"],
            told["description"],
            told["location"],
            (told["categories"],),
            told["url"],
            told["status"],
        )
    )


def as_khal_shows(seen: Seen) -> Seen:
    """The event as vdirsyncer and khal are known to show it.

    vdirsyncer gives events of the web UIDs of its own, and loses the marks at which it ends lines. khal has an event
    without an end last an hour, counts the last of several days in, strips texts, and shows categories as written,
    none where they are written in several lines.
    """
    if "T" not in seen.start:
        end = written(date.fromisoformat(seen.end) - timedelta(days=1))
    elif seen.start == seen.end:
        end = written(datetime.fromisoformat(seen.start) + timedelta(hours=1))
    else:
        end = seen.end
    several = len(seen.categories) > 1 and re.search(r"[\\;,\n\"]", "".join(seen.categories))
    categories = "" if several else vCategory(list(seen.categories)).to_ical().decode()
    lost = str.maketrans("", "", "\x85\u2028\u2029")
    return _named_by_what_it_shows(
        replace(
            seen,
            end=end,
            title=seen.title.translate(lost),
            text=seen.text.translate(lost).strip(),
            place=seen.place.translate(lost).strip(),
            categories=(categories.translate(lost),),
        )
    )


def _named_by_what_it_shows(seen: Seen) -> Seen:
    return replace(seen, uid=f"{seen.start} {seen.title}")
