"""Fetches what the doctor is asked about, through the same fences as a subscription: twice, and robots.txt once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from app.doctor.case import Hop, Visit
from app.doctor.examine import examine
from app.doctor.finding import Diagnosis
from app.imports.pull.dial import Resolver, system_resolver
from app.imports.pull.fetch import (
    Fetched,
    FetchError,
    FetchSettings,
    NotModified,
    Refused,
    Validators,
    fetch_calendar,
    fetch_text,
)

NOBODYS = '"calbridge-doctor"'
"""An ETag that no server has given out: whoever says that it is still true says so to everybody."""


def look(
    url: str,
    settings: FetchSettings,
    now: datetime,
    *,
    once: bool = False,
    resolver: Resolver = system_resolver,
    timer: Callable[[], float] = time.monotonic,
) -> Diagnosis:
    """The feed at the URL, judged. What is wrong with the way there is told as findings, and never raised."""
    hops: list[Hop] = []
    began = timer()
    try:
        body, failed, refused = _fetched(url, settings, now, resolver, hops, Validators()), "", False
    except FetchError as error:
        body, failed, refused = None, str(error), isinstance(error, Refused)
    visit = Visit(url, hops, timer() - began, failed, refused)
    if body is None or once:
        return examine(body, visit)
    again: list[Hop] = []
    second = None
    with suppress(FetchError):
        second = _fetched(url, settings, now, resolver, again, Validators(etag=NOBODYS))
    robots = _robots(hops[-1].url, settings, now, resolver)
    return examine(body, Visit(url, hops, visit.seconds, "", False, robots, again, second))


def _fetched(
    url: str, settings: FetchSettings, now: datetime, resolver: Resolver, hops: list[Hop], validators: Validators
) -> bytes | None:
    def witness(where: str, status: int, headers: Mapping[str, str]) -> None:
        hops.append(Hop(where, status, {name.lower(): value for name, value in headers.items()}))

    got = fetch_calendar(url, settings=settings, now=now, validators=validators, resolver=resolver, witness=witness)
    match got:
        case Fetched():
            return got.body
        case NotModified():
            return None


def _robots(url: str, settings: FetchSettings, now: datetime, resolver: Resolver) -> str:
    """The robots.txt beside the calendar; empty where there is none, as Google takes it."""
    parts = urlsplit(url)
    try:
        return fetch_text(f"{parts.scheme}://{parts.netloc}/robots.txt", settings=settings, now=now, resolver=resolver)
    except FetchError:
        return ""
