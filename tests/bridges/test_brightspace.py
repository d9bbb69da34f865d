"""Brightspace against a site that is as stubborn as the real one: the contract, and what only Brightspace does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from bridges.brightspace import BrightspaceBridge, BrightspaceSettings, html_of, text_of
from bridges.contract import Directory, PlainMeter, PlainVault, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status, Timed, Window, instant
from bridges.valence import Version, signature, signature_base
from tests.bridges.contract import AROUND, DAY, HOUR, MONDAY, SPECIMEN, Put, SinkContract, at, key, values
from tests.fakes.brightspace import DUE, FIRST_REFRESH, ORGANISATION, STUDENT, VISIBLE, FakeBrightspace, Fault
from tests.fakes.wsgi import serving, session_to

SITE = "https://lms.example.edu"
AUTH = "https://auth.example.org"
OAUTH = {
    "client_id": "client-1",
    "client_secret": "client-secret-1",
    "refresh_token": FIRST_REFRESH,
    "token_url": f"{AUTH}/core/connect/token",
}
ID_KEY = {"app_id": "app-id-1", "app_key": "app-key-1", "user_id": "30100", "user_key": "user-key-1"}
COURSE = CalendarRef("space", Kind.COURSE, "6700")
GROUP = CalendarRef("space", Kind.COURSE, "6700/group/7710")
ME = CalendarRef("space", Kind.PERSON, "me")
BO = CalendarRef("space", Kind.PERSON, STUDENT)
TUESDAYS = dict.fromkeys(("Monday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), False) | {"Tuesday": True}
WEEK = timedelta(weeks=1)
Open = Callable[..., BrightspaceBridge]


@pytest.fixture
def site() -> FakeBrightspace:
    fake = FakeBrightspace()
    fake.settings.now = "2025-03-01T08:00:00+00:00"
    return fake


@pytest.fixture
def meter() -> PlainMeter:
    return PlainMeter()


@pytest.fixture
def vault() -> PlainVault:
    return PlainVault()


def bridge_settings(sign_in: dict[str, str], **more: Any) -> BrightspaceSettings:
    given = {"url": SITE, "zone": "America/New_York", "organisation": ORGANISATION, "backoff_seconds": 0.0}
    return BrightspaceSettings.model_validate(given | sign_in | more)


@pytest.fixture
def open_site(site: FakeBrightspace, meter: PlainMeter, vault: PlainVault) -> Open:
    def opened(sign_in: dict[str, str] = OAUTH, **more: Any) -> BrightspaceBridge:
        sessions = session_to({SITE: site, AUTH: site})
        tools = Tools(now=lambda: site.now, session=sessions, meter=meter, vault=vault)
        return BrightspaceBridge("space", bridge_settings(sign_in, **more), tools)

    return opened


@pytest.fixture
def bridge(open_site: Open) -> BrightspaceBridge:
    return open_site()


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def times(start: datetime, end: datetime) -> dict[str, str]:
    return {"StartDateTime": stamp(start), "EndDateTime": stamp(end)}


@pytest.fixture
def seed(site: FakeBrightspace, bridge: BrightspaceBridge) -> Put:
    def seed(event: Event) -> Event:
        fitted = bridge.fit(event)
        assert isinstance(fitted.when, Timed)
        site.put(
            Title=fitted.title,
            Description=html_of(fitted.text),
            LocationName=fitted.place,
            **times(fitted.when.start, fitted.when.end),
        )
        return fitted

    return seed


class TestByOAuth(SinkContract):
    """A course, as a site shows it that tells the occurrences of its series."""

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return COURSE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(COURSE, id="404")

    @pytest.fixture
    def refused(self) -> list[CalendarRef]:
        wrong = [replace(COURSE, id=id) for id in ("BIO101", "6700/", "6700/group/", "6700/group/a", "6700/7710")]
        return [ME, BO, CalendarRef("space", Kind.ROOM, "4"), CalendarRef("space", Kind.OFFICE_HOURS, "6700"), *wrong]

    @pytest.fixture
    def alien(self, site: FakeBrightspace) -> Put:
        def due(event: Event) -> Event:
            moment = instant(event.when.start) if isinstance(event.when, Timed) else MONDAY
            site.put(Title=event.title, **times(moment, moment), **DUE)
            return replace(event, when=Timed(moment, moment), url=DUE["AssociatedEntity"]["Link"])  # type: ignore[index]

        return due

    @pytest.fixture
    def break_lms(self, site: FakeBrightspace) -> Callable[[], None]:
        return lambda: site.faults.append(Fault("status", times=-1))


class TestByIdKey(TestByOAuth):
    """The same by the older sign-in, on a site that leaves its series and its milliseconds to us."""

    @pytest.fixture
    def bridge(self, open_site: Open, site: FakeBrightspace) -> BrightspaceBridge:
        site.settings.le = ("1.75", "1.82", "1.9")
        site.settings.page, site.settings.empty_pages = 2, True
        site.settings.milliseconds, site.settings.tidy_html = False, False
        return open_site(ID_KEY)


class TestGroup(TestByOAuth):
    """A group's calendar keeps the contract, too."""

    @pytest.fixture
    def calendar(self, site: FakeBrightspace) -> CalendarRef:
        site.add_group("7710", "6700")
        return GROUP

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(GROUP, id="404/group/7710")

    @pytest.fixture
    def seed(self, bridge: BrightspaceBridge, calendar: CalendarRef) -> Put:
        def seed(event: Event) -> Event:
            bridge.create(calendar, key("seed"), bridge.fit(event))
            return bridge.fit(event)

        return seed

    @pytest.fixture
    def alien(self, site: FakeBrightspace) -> None:
        return None

    def test_it_lists_the_calendar(self, bridge: Any, calendar: CalendarRef) -> None:
        """No route tells the groups of a course; their course is listed."""
        assert COURSE in [each.ref for each in bridge.calendars()]
