"""The campus published as every kind of feed by a real server on loopback, and what each feed is to show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from app import create_app
from app.config import parse
from app.feeds.build import uid_of
from app.feeds.narrow import Narrow
from app.feeds.policies import Privacy
from app.parts import Parts, open_parts
from bridges import REGISTRY
from bridges.model import CalendarRef, Event, Status
from tests import stores
from tests.clients.campus import (
    ADA,
    ADAS,
    AHEAD_DAYS,
    ALL_OF_IT,
    BACK_DAYS,
    CALENDARS,
    CLOCKS,
    LINKS,
    NOW,
    PLAN,
    ROOM,
    WORDS,
    ZONES,
    ref_of,
)
from tests.clients.seen import Seen, written
from tests.fakes.wsgi import serving

REGISTRY_LINE = "tests.clients.campus:SchoolBridge"
CALLED_OFF = "Cancelled: "


@dataclass(frozen=True, slots=True)
class Promise:
    """What a feed promises to show: these calendars, so much of each event, cancelled ones like this."""

    calendars: tuple[CalendarRef, ...]
    privacy: str = "full"
    cancelled: str = "omit"
    link_in_text: bool = True

    def events(self) -> list[Seen]:
        """All events of it, none of which is computed by what is tested, but for the UID."""
        return [
            seen
            for calendar in self.calendars
            for number, event in enumerate(CALENDARS[calendar])
            if (seen := self._seen(uid_of("school", ref_of(calendar, number)), event))
        ]

    def _seen(self, uid: str, event: Event) -> Seen | None:
        title, status = sayable(event.title), event.status.upper()
        if event.status is Status.CANCELLED:
            if self.cancelled == "omit":
                return None
            title = title if self.cancelled == "show" else CALLED_OFF + title
            status = "CONFIRMED" if self.cancelled == "mark" else status
        when = event.when
        seen = Seen(uid, written(when.start), written(when.end), title, status=status)
        if self.privacy == "busy-only":
            called_off = CALLED_OFF if title.startswith(CALLED_OFF) else ""
            return replace(seen, title=f"{called_off}Busy")
        text = "" if self.privacy == "no-description" else sayable(event.text)
        url = LINKS.get(event.url, event.url)
        if url and self.link_in_text and url not in text:
            text = f"{text}\n\n{url}" if text else url
        return replace(
            seen, text=text, place=sayable(event.place), categories=tuple(map(sayable, event.categories)), url=url
        )


@dataclass(frozen=True, slots=True)
class Published:
    """A feed under its address; `jcal` is where it is jCal, empty where it is not."""

    name: str
    url: str
    promise: Promise
    jcal: str = ""

    def body(self) -> bytes:
        answer = requests.get(self.url, timeout=30)
        answer.raise_for_status()
        return answer.content


def sayable(text: str) -> str:
    """A text as an iCalendar stream can hold it (RFC 5545 section 3.1): the test's own reading of it."""
    text = re.sub("\r\n|\r", "\n", text)
    text = "".join(letter for letter in text if letter in "\n\t" or (ord(letter) > 31 and ord(letter) != 127))
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@contextmanager
def every_kind(folder: Path) -> Iterator[Sequence[Published]]:
    """The feeds of a campus in Oslo, of every kind, and the one that is all times once for each other home zone."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        url, parts = stack.enter_context(campus(folder, ZONES[0]))
        feeds = _of_every_kind(url, parts)
        for number, zone in enumerate(ZONES[1:]):
            url, parts = stack.enter_context(campus(folder / str(number), zone))
            parts.feeds.add("clocks", "Clocks", CLOCKS, public=True, settings=["cors=on"])
            feeds.append(Published(f"at-home-in-{zone}", f"{url}/public/clocks.ics", Promise((CLOCKS,))))
        yield feeds


@contextmanager
def campus(folder: Path, zone: str) -> Iterator[tuple[str, Parts]]:
    """A calbridge at home in that zone, before the campus as its LMS; its URL and its parts."""
    folder.mkdir(exist_ok=True)
    text = f"""
        zone = "{zone}"
        {stores.setting(folder / "campus.sqlite3")}
        feeds.back_days = {BACK_DAYS}
        feeds.ahead_days = {AHEAD_DAYS}
        [lms.school]
        bridge = "school"
    """
    REGISTRY["school"] = REGISTRY_LINE  # for as long as it takes to open it: other tests ask what LMSs there are
    try:
        parts = open_parts(parse(text, {}), now=lambda: NOW)
        parts.bridge("school")
    finally:
        del REGISTRY["school"]
    try:
        with serving(create_app(parts)) as url:
            yield url, parts
    finally:
        parts.close()


def _of_every_kind(url: str, parts: Parts) -> list[Published]:
    def add(slug: str, *calendars: CalendarRef, policies: str = "", public: bool = True) -> str:
        _, token = parts.feeds.add(slug, slug, *calendars, public=public, settings=[*policies.split(), "cors=on"])
        return f"{url}/feeds/{token}/{slug}" if token else f"{url}/public/{slug}"

    def feed(name: str, stem: str, promise: Promise) -> Published:
        return Published(name, f"{stem}.ics", promise, f"{stem}.jcal")

    everything = (CLOCKS, WORDS, PLAN, ROOM, ALL_OF_IT)
    own = add("own", PLAN, WORDS, public=False)
    shown = add("shown", PLAN, policies="cancelled=show alarm=15 colour=navy")
    window = f"back={BACK_DAYS} ahead={AHEAD_DAYS}"
    add("bookings", ROOM, policies=f"learningspace=on {window}")
    narrow = Narrow((PLAN,), Privacy.NO_DESCRIPTION)
    child = parts.feeds.add_child(own.split("/")[-2], "own", "room display", None, narrow)
    return [
        feed("one-calendar", add("one", CLOCKS), Promise((CLOCKS,))),
        feed("joined", add("joined", *everything), Promise(everything)),
        feed("person", add("ada", ADA), Promise(ADAS)),
        feed("room", add("lab", ROOM), Promise((ROOM,))),
        feed("institution", add("campus", ALL_OF_IT), Promise((ALL_OF_IT,))),
        Published("learningspace", f"{url}/w/api/v2/public_calendar.ics", Promise((ROOM,))),
        feed("secret", own, Promise((PLAN, WORDS))),
        feed("narrower", f"{url}/feeds/{child}/own", Promise((PLAN,), "no-description")),
        feed("cancelled-shown-alarm-colour", shown, Promise((PLAN,), cancelled="show")),
        feed("cancelled-marked", add("marked", PLAN, policies="cancelled=mark"), Promise((PLAN,), cancelled="mark")),
        feed("cancelled-both", add("both", PLAN, policies="cancelled=both"), Promise((PLAN,), cancelled="both")),
        feed(
            "no-description", add("bare", PLAN, policies="privacy=no-description"), Promise((PLAN,), "no-description")
        ),
        feed("busy-only", add("busy", PLAN, WORDS, policies="privacy=busy-only"), Promise((PLAN, WORDS), "busy-only")),
        Published("for-outlook", f"{shown}.ics?for=outlook", Promise((PLAN,), cancelled="both")),
        Published("for-google", f"{shown}.ics?for=google", Promise((PLAN,), cancelled="mark")),
        Published("for-apple", f"{shown}.ics?for=apple", Promise((PLAN,), cancelled="show", link_in_text=False)),
    ]
