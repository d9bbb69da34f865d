"""Feeds: building, changing and serving them, beside icalendar and a bare Flask view. `feed [--events N]`."""

from __future__ import annotations

import argparse
import gzip
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import icalendar
from sqlalchemy import Engine

from app import create_app
from app.config import parse
from app.feeds.build import Drawer, Piece, Press, assemble, draw, pack, uid_of, unpack
from app.feeds.feed import Feed, Form, Shown
from app.feeds.stowed import stow, unstow
from app.ics.render import Cover, Published, render
from app.parts import Parts, open_parts
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef, Event, Kind, RemoteRef, Timed, Window, instant

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

OSLO = ZoneInfo("Europe/Oslo")
HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 8, 24, 6, tzinfo=UTC)
WINDOW = Window(datetime(2026, 8, 10, tzinfo=OSLO), datetime(2027, 2, 22, tzinfo=OSLO))
COURSE = CalendarRef("learn", Kind.COURSE, "BIO101")
FEED = Feed(1, "bio", "Marinbiologi", COURSE, True, True, MONDAY)
SMALL = 230
"""Events of a feed of 100 kB."""
ROUNDS = 3
ASKED, CONNECTIONS, AT_ONCE = 6000, 4, 20

Row = tuple[str, str, str, str]
Result = TypeVar("Result")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks feed")
    parser.add_argument("--events", type=int, default=10_000)
    count = parser.parse_args(arguments).events
    rows = [*built(count), *served()]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in [("work", "calbridge", "beside", "ratio"), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths[:3], 8], strict=True)))


def lesson(number: int) -> Shown:
    """About 450 bytes of VEVENT: zoned times, a folded description, letters beyond ASCII."""
    start = MONDAY + timedelta(days=number % 180, minutes=15 * (number % 36))
    text = f"Økologi og marinbiologi, forelesning {number}; les kapittel {number % 30} på forhånd.\nTa med blåbok."
    event = Event(
        f"Forelesning {number}: økologi",
        Timed(start, start + 2 * HOUR),
        text,
        f"Rom {number % 40}, 2. etasje",
        ("BIO101",),
    )
    return Shown(RemoteRef(f"_{number}_1"), event, MONDAY - timedelta(minutes=number), number % 3)


def built(count: int) -> Iterator[Row]:
    """Building from stored events, and again with one of them changed."""
    events = [lesson(number) for number in range(count)]
    packed = pack(events)
    changed = pack([*events[:-1], replace(events[-1], event=replace(events[-1].event, title="Flyttet"), sequence=9)])
    make = Press.of(Form.ICS, FEED, WINDOW, OSLO).maker(COURSE)
    drawer = draw(None, "one", packed, make)
    items = [
        Published(uid_of("learn", each.ref), each.event, each.modified, each.modified, each.sequence) for each in events
    ]
    cover = Cover(FEED.title, OSLO, HOUR, 2026, 2027)
    kept = stow(drawer)
    judge = lambda: by_icalendar(map(unpack, packed.split(b"\n")))  # noqa: E731
    for name, ours, theirs in [
        ("events in hand", lambda: render(cover, items), lambda: by_icalendar(events)),
        ("stored events", lambda: joined(unstow(kept, "one", packed)), judge),
        ("stored events never shown before", lambda: anew(packed, make), judge),
    ]:
        mine, body = timed(ours)
        slow, judged = timed(theirs)
        assert facts(body) == facts(judged)
        rates = f"{count / mine:,.0f}/s", f"{count / slow:,.0f}/s"
        yield (f"build {count:,} {name} (icalendar: build, to_ical)", *rates, f"{slow / mine:.1f}")
    again, second = timed(lambda: joined(draw(drawer, "two", changed, make)), 9)
    assert second == anew(changed, make) != body
    times = f"{again * 1000:,.1f} ms", f"{slow * 1000:,.0f} ms"
    yield (f"one of {count:,} changed (icalendar: all anew)", *times, f"{slow / again:.0f}")


def anew(packed: bytes, make: Callable[[bytes], Piece]) -> bytes:
    return joined(draw(None, "", packed, make))


def joined(drawer: Drawer) -> bytes:
    return assemble(Form.ICS, FEED, WINDOW, OSLO, HOUR, drawer.pieces)


def timed(work: Callable[[], Result], rounds: int = ROUNDS) -> tuple[float, Result]:
    """Seconds of processor time, the median of several rounds, and the result."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        result = work()
        spent.append(time.process_time() - began)
    return median(spent), result


def by_icalendar(events: Iterable[Shown]) -> bytes:
    """The same events as the library builds and writes them."""
    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//icalendar//beside//EN")
    for item in events:
        calendar.add_component(_component(item))
    return bytes(calendar.to_ical())


def _component(item: Shown) -> icalendar.Event:
    event, when = icalendar.Event(), item.event.when
    assert isinstance(when, Timed)
    event.add("uid", uid_of("learn", item.ref))
    event.add("dtstamp", item.modified)
    event.add("last-modified", item.modified)
    event.add("sequence", item.sequence)
    event.add("dtstart", when.start.astimezone(OSLO))
    event.add("dtend", when.end.astimezone(OSLO))
    event.add("summary", item.event.title)
    event.add("description", item.event.text)
    event.add("location", item.event.place)
    event.add("categories", list(item.event.categories))
    event.add("status", item.event.status.upper())
    return event


def facts(body: bytes) -> Mapping[str, tuple[Any, ...]]:
    """What a calendar says, by UID, whoever wrote it."""
    vevents: Iterable[Any] = icalendar.Calendar.from_ical(body).walk("VEVENT")
    return {
        str(event["UID"]): (
            *(str(event[name]) for name in ("SUMMARY", "DESCRIPTION", "LOCATION", "STATUS", "SEQUENCE")),
            *(instant(event[name].dt) for name in ("DTSTART", "DTEND", "DTSTAMP", "LAST-MODIFIED")),
            tuple(map(str, event["CATEGORIES"].cats)),
        )
        for event in vevents
    }


def served() -> Iterator[Row]:
    """A cached 200 and a 304, beside a Flask view that has the same bytes in its hand, under the same server."""
    with tempfile.TemporaryDirectory() as folder:
        parts = _parts(folder)
        _fill(parts.engine, parts.now())
        answer = create_app(parts).test_client().get("/public/bio.ics")
        assert answer.status_code == 200
        Path(folder, "body").write_bytes(answer.data)
        parts.engine.dispose()
        with server("lane", folder) as lane, server("bare", folder) as bare:
            zipped = gzip.compress(answer.data, 6, mtime=0)
            for name, asked, body in [
                (f"{len(answer.data) // 1000} kB (200", "", answer.data),
                (f"the same as {len(zipped) // 1000} kB of gzip (200", "Accept-Encoding: gzip\r\n", zipped),
                ("unchanged (304", f"If-None-Match: {answer.headers['ETag']}\r\n", b""),
            ]:
                request = f"GET /public/bio.ics HTTP/1.1\r\nHost: localhost\r\n{asked}\r\n".encode()
                for port in (lane, bare):
                    whole(port, request)  # the first one builds
                bodies = {whole(port, request).partition(b"\r\n\r\n")[2] for port in (lane, bare)}
                assert bodies == {body}
                ours, theirs = best(lane, bare, request)
                yield (
                    f"serve {name}; a bare Flask view)",
                    f"{ours:,.0f}/s",
                    f"{theirs:,.0f}/s",
                    f"{ours / theirs:.1f}",
                )


def best(lane: int, bare: int, request: bytes) -> tuple[float, float]:
    """Requests a second of both, the median of rounds that take turns."""
    rounds = [(rate(lane, request), rate(bare, request)) for _ in range(ROUNDS)]
    return median(one for one, _ in rounds), median(other for _, other in rounds)


def rate(port: int, request: bytes) -> float:
    """Requests a second, with several connections that each have some under way."""
    size = len(whole(port, request))
    clients = [Thread(target=_ask, args=(port, request, size)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return ASKED / (time.perf_counter() - began)


def _ask(port: int, request: bytes, size: int) -> None:
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for _ in range(ASKED // CONNECTIONS // AT_ONCE):
            connection.sendall(request * AT_ONCE)
            missing = size * AT_ONCE
            while missing:
                missing -= connection.recv_into(buffer)


def whole(port: int, request: bytes) -> bytes:
    """One answer, head and body."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1 << 16)
        head = answer.partition(b"\r\n\r\n")[0]
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(answer) < len(head) + 4 + (lengths or [0])[0]:
            answer += connection.recv(1 << 16)
        return answer


@contextmanager
def server(factory: str, folder: str) -> Iterator[int]:
    """One granian worker with an application of this module; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    program = (
        "from granian.server import Server\nfrom granian.constants import Interfaces\n"
        f"Server('tests.benchmarks.feed:{factory}', factory=True, port={port}, interface=Interfaces.WSGI, workers=1,"
        " blocking_threads=4, websockets=False, log_enabled=False).serve()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "FOLDER": folder})
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server did not come up")


def lane() -> WSGIApplication:
    """calbridge itself."""
    return create_app(_parts(os.environ["FOLDER"]))


def bare() -> WSGIApplication:
    """The plainest Flask view there is that knows one validator."""
    from flask import Flask, Response, request

    app, body = Flask("bare"), Path(os.environ["FOLDER"], "body").read_bytes()
    zipped = gzip.compress(body, 6, mtime=0)
    headers = {"ETag": f'"{sha256(body).hexdigest()}"', "Cache-Control": "public, max-age=300"}

    @app.get("/public/bio.ics")
    def feed() -> Response:
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            more = headers | {"Content-Encoding": "gzip"}
            return Response(zipped, headers=more, content_type="text/calendar; charset=utf-8")
        return Response(body, headers=headers, content_type="text/calendar; charset=utf-8")

    return app


def _parts(folder: str) -> Parts:
    return open_parts(parse(f'store.url = "sqlite:///{folder}/store.sqlite3"', {}))


def _fill(engine: Engine, now: datetime) -> None:
    """A feed whose calendar has been read and is not due."""
    reading = {
        "calendar": str(COURSE),
        "found": pack(map(lesson, range(SMALL))),
        "hash": "one",
        "window_start": WINDOW.start,
        "window_end": WINDOW.end,
        "read_at": now,
        "next_check": now + timedelta(days=1),
        "failures": 0,
        "problem": "",
    }
    row = {"slug": "bio", "title": "Bio", "calendar": str(COURSE), "public": True, "enabled": True, "created_at": now}
    with writing(engine) as connection:
        connection.execute(tables.feed.insert().values(row))
        connection.execute(tables.calendar_reading.insert().values(reading))
