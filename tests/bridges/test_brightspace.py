"""Brightspace against a site that is as stubborn as the real one: the contract, and what only Brightspace does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridges.brightspace import BrightspaceBridge, BrightspaceSettings
from bridges.contract import Directory, PlainMeter, PlainVault, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.markup import html_of
from bridges.model import AllDay, CalendarRef, Event, Kind, RemoteRef, Status, Timed, Window, instant
from bridges.valence import Grant, Recurrence, Version, signature, signature_base
from tests.bridges.contract import (
    AROUND,
    DAY,
    HOUR,
    MONDAY,
    SPECIMEN,
    Put,
    RosterContract,
    SinkContract,
    at,
    generated,
    key,
    values,
)
from tests.fakes.brightspace import (
    DUE,
    FIRST_REFRESH,
    MEMBERS,
    ORGANISATION,
    STUDENT,
    TEACHER,
    VISIBLE,
    WEEKDAYS,
    FakeBrightspace,
    Fault,
)
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


class TestRoster(RosterContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return COURSE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(COURSE, id="404")

    @pytest.fixture
    def people(self, site: FakeBrightspace) -> list[str]:
        return [TEACHER, STUDENT, site.add_user("30200", "Cy", "user-key-3").id]

    @pytest.fixture
    def break_lms(self, site: FakeBrightspace) -> Callable[[], None]:
        return lambda: site.faults.append(Fault("status", times=-1))

    def test_it_comes_page_by_page(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.settings.page = 1
        assert bridge.members_of(COURSE) == [TEACHER, STUDENT]
        assert site.calls["members"] == 2

    def test_a_group_has_none_and_nobody_is_called_me_there(self, bridge: BrightspaceBridge) -> None:
        assert bridge.members_of(GROUP) is bridge.members_of(BO) is None
        assert not bridge.is_in_rosters("me")


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


def window(start: datetime, span: timedelta) -> Window:
    return Window(start, start + span)


def weekly(start: datetime = MONDAY + DAY, *, weeks: int = 4, **more: Any) -> dict[str, Any]:
    """A series on Tuesdays from `start` on, an hour each."""
    until = stamp(start + weeks * WEEK - DAY)
    rule = {"RepeatType": 3, "RepeatEvery": 1, "RepeatOnInfo": TUESDAYS, "RepeatUntilDate": until}
    return {"Title": "Tutorial", "RecurrenceInfo": rule, **times(start, start + HOUR), **more}


class TestSigning:
    """The vectors of ID-Key, and what a site's clock does to it."""

    @pytest.mark.parametrize(
        ("method", "path", "by_app", "by_user"),
        [
            (
                "get",
                "/d2l/api/le/1.82/6606/calendar/events/",
                "vfXKgplUwua8rN6tI6DbmOl8uyGzUEtHdzCH9xMA2LM",
                "s4a7YJ8perlR1Nhxif6V70zw6HVSxtHqvRPKePYJ1A4",
            ),
            (
                "POST",
                "/d2l/api/le/1.82/6606/calendar/event/",
                "vOZ7OVq7rKOSLL5lWYDvbeG530TlYoDtUKj2wjr8bqM",
                "r0w9V0e_SWlOop8rCK3y5mD9JvNDe6Vo4v1zIRurce8",
            ),
            (
                "GET",
                "/d2l/api/le/1.82/6606/calendar/events/myEvents/",
                "Im7rzSTJGxJAFa-nPIqdTHyDAzDm43jYZmvcyFiRtQk",
                "AVJA33W2Eto0SPWvv2nUzHPDaZFhf14YTrbPEcjIbBY",
            ),
        ],
    )
    def test_signatures_are_the_documented_ones(self, method: str, path: str, by_app: str, by_user: str) -> None:
        base = signature_base(method, path, 1700000000)
        assert (signature("app-key-1", base), signature("user-key-1", base)) == (by_app, by_user)

    def test_a_login_signs_its_target(self) -> None:
        assert signature("app-key-1", "https://sync.example.org/cb") == "OEvBDfZo6ZMWYnOX_iDNrhTFemsKE3U95bZ5e-sBIlo"

    @pytest.mark.parametrize("ahead", [-4000, 301, 90_000])
    def test_a_clock_that_is_off_is_set_once(self, open_site: Open, site: FakeBrightspace, ahead: int) -> None:
        here = site.now
        bridge = BrightspaceBridge(
            "space", bridge_settings(ID_KEY), Tools(now=lambda: here, session=session_to({SITE: site}))
        )
        site.settings.ahead = ahead
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        bridge.read(COURSE, AROUND)
        assert site.calls == {"versions": 1, "create": 2, "orgunits": 1, "occurrences": 1}
        assert len(site.journal) == 1

    def test_a_wrong_key_is_denied_and_not_told(self, open_site: Open, site: FakeBrightspace) -> None:
        bridge = open_site(ID_KEY | {"user_key": "canary"})
        with pytest.raises(Denied, match="Invalid token") as caught:
            bridge.read(COURSE, AROUND)
        assert "canary" not in f"{caught.value!r}{caught.value.raw}{bridge!r}{bridge._settings!r}"
        assert site.calls == {"versions": 1, "orgunits": 1}

    def test_a_read_is_signed_anew_for_each_try(self, open_site: Open, site: FakeBrightspace) -> None:
        site.faults.append(Fault("silent", on="orgunits", status=500, times=2))
        assert open_site(ID_KEY).read(COURSE, AROUND) == []
        assert site.calls["orgunits"] == 3


class TestTokens:
    """Refresh tokens that work once."""

    def test_the_first_one_comes_from_the_settings_and_the_others_from_the_vault(
        self, open_site: Open, site: FakeBrightspace
    ) -> None:
        for hours in range(4):
            site.settings.now = f"2025-03-01T{8 + 2 * hours:02}:00:00+00:00"
            open_site().read(COURSE, AROUND)
        assert site.calls["token"] == 4

    def test_processes_share_the_access_token(self, open_site: Open, site: FakeBrightspace) -> None:
        for _ in range(3):
            open_site().read(COURSE, AROUND)
        assert site.calls["token"] == 1

    def test_one_token_serves_until_near_its_end(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        for now, tokens in (("08:00:00", 1), ("08:58:50", 1), ("08:59:10", 2)):
            site.settings.now = f"2025-03-01T{now}+00:00"
            bridge.read(COURSE, AROUND)
            assert site.calls["token"] == tokens

    def test_two_processes_never_burn_one(self, open_site: Open, site: FakeBrightspace) -> None:
        """Each bridge is as one process: they have nothing in common but the vault."""
        bridges = [open_site() for _ in range(6)]
        site.faults.append(Fault("slow", on="token", times=-1, seconds=0.01))
        for round in range(1, 6):
            site.expire_tokens()
            assert at_once([partial(each.read, COURSE, AROUND) for each in bridges]) == [[]] * 6
            assert site.calls["token"] == round

    def test_a_token_is_stored_before_it_is_used(self, open_site: Open, site: FakeBrightspace) -> None:
        site.faults.append(Fault("unheard", on="orgunits", times=-1))
        with pytest.raises(Transient):
            open_site().read(COURSE, AROUND)
        site.faults.clear()
        site.expire_tokens()
        assert open_site().read(COURSE, AROUND) == []

    def test_a_refresh_token_is_kept_even_without_an_access_token(self, open_site: Open, site: FakeBrightspace) -> None:
        site.faults.append(Fault("barren", on="token"))
        with pytest.raises(Transient, match="without a token"):
            open_site(tries=1).read(COURSE, AROUND)
        assert open_site().read(COURSE, AROUND) == []

    def test_a_lost_answer_needs_a_person(self, open_site: Open, site: FakeBrightspace) -> None:
        site.faults.append(Fault("lost", on="token"))
        bridge = open_site(tries=1)
        with pytest.raises(Transient):
            bridge.read(COURSE, AROUND)
        with pytest.raises(Denied, match="Sign in anew"):
            bridge.read(COURSE, AROUND)
        site.sign_in("rt.anew")
        assert open_site(OAUTH | {"refresh_token": "rt.anew"}).read(COURSE, AROUND) == []

    @pytest.mark.parametrize("seconds", [0, -5, 10**30, None, "3600", 1.5])
    def test_odd_lifetimes_are_lived_with(self, open_site: Open, site: FakeBrightspace, seconds: Any) -> None:
        site.settings.told_seconds = seconds
        assert open_site().read(COURSE, AROUND) == []

    def test_a_vault_that_takes_nothing_costs_no_token(self, site: FakeBrightspace) -> None:
        class Full(PlainVault):
            def put(self, name: str, secret: str) -> None:
                raise Denied("no key")

        tools = Tools(now=lambda: site.now, session=session_to({SITE: site, AUTH: site}), vault=Full())
        with pytest.raises(Denied, match="no key"):
            BrightspaceBridge("space", bridge_settings(OAUTH), tools).read(COURSE, AROUND)
        assert site.calls == {"versions": 1}

    def test_what_the_vault_cannot_read_counts_as_nothing(self, open_site: Open, vault: PlainVault) -> None:
        for text in ("", "{", "[]", '{"refresh": "x"}', '{"origin": "another", "refresh": "spent"}'):
            assert Grant.parse(text) is None or Grant.parse(text) == Grant("another", "spent")
        vault.put("brightspace/space", '{"origin": "another", "refresh": "spent"}')
        assert open_site().read(COURSE, AROUND) == []

    def test_a_request_that_did_not_arrive_burns_nothing(self, open_site: Open, site: FakeBrightspace) -> None:
        for kind in ("unheard", "status", "html"):
            site.faults.append(Fault(kind, on="token"))
        assert open_site(tries=4).read(COURSE, AROUND) == []

    def test_a_token_that_dies_within_a_write_costs_no_second_write(
        self, bridge: BrightspaceBridge, site: FakeBrightspace
    ) -> None:
        site.faults.append(Fault("expire", on="create"))
        bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        assert (len(site.journal), site.calls["token"], site.calls["create"]) == (1, 2, 2)

    def test_tokens_that_die_always_end_in_denied(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.faults.append(Fault("expire", on="orgunits", times=-1))
        with pytest.raises(Denied, match="sign-in"):
            bridge.read(COURSE, AROUND)
        assert (site.calls["token"], site.calls["orgunits"]) == (2, 2)

    def test_a_wrong_secret_is_denied_and_not_told(self, open_site: Open, site: FakeBrightspace) -> None:
        bridge = open_site(OAUTH | {"client_secret": "canary"})
        with pytest.raises(Denied) as caught:
            bridge.read(COURSE, AROUND)
        assert "canary" not in f"{caught.value!r}{caught.value.raw}{bridge!r}{bridge._settings!r}"
        assert site.calls == {"versions": 1, "token": 1}

    def test_a_scope_that_is_lacking_is_named(self, open_site: Open, site: FakeBrightspace) -> None:
        site.sign_in("rt.less", scope="calendar:my_events:read")
        bridge = open_site(OAUTH | {"refresh_token": "rt.less"}, scope="calendar:my_events:read")
        with pytest.raises(Denied, match=r"Required: core:\*:\*"):
            bridge.read(COURSE, AROUND)


def at_once(deeds: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each came to, all of them begun together."""
    outcomes: list[Any] = [None] * len(deeds)
    ready = threading.Barrier(len(deeds))

    def run(number: int) -> None:
        ready.wait()
        outcomes[number] = deeds[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


class TestVersions:
    """Discovery, pins, and what an obsolete version must not do."""

    @pytest.mark.parametrize(
        ("supported", "more", "spoken"),
        [
            (("1.9", "1.82"), {}, "1.82"),
            (("1.94", "1.97", "1.98", "2.1", "unstable"), {}, "1.97"),
            (("1.82", "1.97"), {"le_version": "1.82"}, "1.82"),
            (("1.97", "2.3"), {"le_version": "2.3"}, "2.3"),
        ],
    )
    def test_the_highest_that_both_know_is_spoken(
        self, open_site: Open, site: FakeBrightspace, supported: tuple[str, ...], more: dict[str, str], spoken: str
    ) -> None:
        site.settings.le = supported
        assert open_site(**more)._versions["le"] == Version.parse(spoken)

    @pytest.mark.parametrize(("supported", "pin"), [(("1.98",), ""), (("1.82", "1.97"), "1.70")])
    def test_none_in_common_is_denied(
        self, open_site: Open, site: FakeBrightspace, supported: tuple[str, ...], pin: str
    ) -> None:
        site.settings.le = supported
        with pytest.raises(Denied, match=r"1\.98|pins 1\.70"):
            open_site(le_version=pin).read(COURSE, AROUND)
        assert site.calls == {"versions": 1}

    def test_versions_are_asked_once_a_day(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        bridge.read(COURSE, AROUND)
        ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        site.settings.now, site.settings.le = "2025-03-02T08:00:00+00:00", ("1.95",)
        bridge.update(COURSE, ref, bridge.fit(at(1)))
        assert site.calls["versions"] == 2

    def test_an_answer_without_versions_is_no_answer(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.settings.le = ()
        site.settings.lp = ("1.63",)
        with pytest.raises(Denied, match="in no version"):
            bridge.read(COURSE, AROUND)


class TestReading:
    """Org units, groups, people; what is theirs and what may be seen; in as few calls as there are."""

    def test_a_course_costs_a_listing_and_one_of_occurrences(self, open_site: Open, site: FakeBrightspace) -> None:
        open_site().read(COURSE, AROUND)
        assert site.calls == {"versions": 1, "token": 1, "orgunits": 1, "occurrences": 1}
        for more in ({"occurrences_hold_all": True}, {"occurrence_routes": False}):
            site.calls.clear()
            open_site(**more).read(COURSE, AROUND)
            assert site.calls.total() == 2, more

    @pytest.mark.parametrize("hold_all", [False, True])
    def test_single_events_come_once_where_occurrences_hold_them_too(
        self, open_site: Open, site: FakeBrightspace, seed: Put, hold_all: bool
    ) -> None:
        site.settings.occurrences_hold_all = True
        seed(SPECIMEN)
        site.put(**weekly())
        found = open_site(occurrences_hold_all=hold_all).read(COURSE, AROUND)
        assert [(each.ref, each.writable) for each in found] == [("8801", True), ("8802/1", False)]
        assert site.calls["orgunits"] == (not hold_all)

    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    @pytest.mark.parametrize("empty", [False, True])
    def test_pages_are_followed_to_the_end(
        self, open_site: Open, site: FakeBrightspace, size: int, empty: bool
    ) -> None:
        site.settings.page, site.settings.empty_pages, site.settings.le = size, empty, ("1.82",)
        for number in range(7):
            site.put(**times(MONDAY + number * HOUR, MONDAY + (number + 1) * HOUR))
        for sign_in, calendar, call in ((OAUTH, COURSE, "orgunits"), (ID_KEY, ME, "mine")):
            assert len(open_site(sign_in).read(calendar, AROUND)) == 7
            assert site.calls[call] == -(-7 // size) * (1 + empty)

    def test_many_courses_are_one_listing_each_hundred(self, open_site: Open, site: FakeBrightspace) -> None:
        site.settings.le = ("1.82",)
        refs = [replace(COURSE, id=site.add_course(str(7000 + n), "x", teachers=["30100"])) for n in range(150)]
        site.put(OrgUnitId=7140, **times(MONDAY, MONDAY + HOUR))
        found = open_site().read_many(refs, AROUND)
        assert {ref.id: len(each) for ref, each in found.items() if each} == {"7140": 1}
        assert list(found) == refs
        assert site.calls["orgunits"] == 2

    def test_a_groups_events_are_in_its_feed_alone(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        for group in ("7710", "7711"):
            site.add_group(group, "6700", [STUDENT])
        site.put(Title="all", **times(MONDAY, MONDAY + HOUR))
        site.put(Title="some", GroupId=7710, **times(MONDAY, MONDAY + HOUR))
        site.put(**weekly(Title="others", GroupId="7711"))
        found = bridge.read_many([COURSE, GROUP, replace(GROUP, id="6700/group/7711")], AROUND)
        assert [{each.event.title for each in some} for some in found.values()] == [{"all"}, {"some"}, {"others"}]
        assert {each.event.title for each in bridge.read(ME, AROUND)} == {"all"}
        assert {each.event.title for each in bridge.read(BO, AROUND)} == {"all"}

    def test_a_groups_event_is_written_into_the_group(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.add_group("7710", "6700")
        site.add_group("7800", "6606")
        bridge.create(GROUP, key("a"), bridge.fit(at(0)))
        assert site.journal[0]["GroupId"] == 7710
        with pytest.raises(Rejected, match="No such group"):
            bridge.create(replace(GROUP, id="6700/group/7800"), key("a"), bridge.fit(at(0)))

    def test_my_own_calendar(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.put(Title="here", **times(MONDAY, MONDAY + HOUR))
        site.put(Title="not mine", OrgUnitId=9, **times(MONDAY, MONDAY + HOUR))
        site.put(**weekly())
        found = bridge.read(ME, AROUND)
        assert [(each.event.title, each.writable) for each in found] == [("here", False), ("Tutorial", False)]
        assert site.calls == {"versions": 1, "token": 1, "my_enrolments": 1, "mine": 1, "occurrences": 1}

    def test_another_users_calendar(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.put(Title="here", **times(MONDAY, MONDAY + HOUR))
        site.put(Title="not Bo's", OrgUnitId=6606, **times(MONDAY, MONDAY + HOUR))
        site.put(**weekly())
        found = bridge.read(BO, AROUND)
        assert [(each.event.title, each.writable) for each in found] == [("here", False), ("Tutorial", False)]
        assert site.calls == {"versions": 1, "token": 1, "user": 1, "event_occurrences": 1}

    def test_a_user_that_is_none_is_refused(self, open_site: Open, site: FakeBrightspace) -> None:
        for person in ("404", "ann"):
            with pytest.raises(Denied):
                open_site().read(replace(BO, id=person), AROUND)
        with pytest.raises(Denied, match="organisation"):
            open_site(organisation="").read(BO, AROUND)

    def test_the_institution_is_an_org_unit(self, open_site: Open, site: FakeBrightspace) -> None:
        institution, bridge = CalendarRef("space", Kind.INSTITUTION), open_site()
        bridge.create(institution, key("a"), bridge.fit(SPECIMEN))
        assert values(bridge.read(institution, AROUND)) == [bridge.fit(SPECIMEN)]
        assert site.journal[0]["OrgUnitId"] == 6606
        with pytest.raises(Denied, match="organisation"):
            open_site(organisation="").check_target(institution)

    def test_calendars_are_those_one_is_enrolled_in(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.add_course("6800", "Art", students=["30100"])
        site.add_course("6900", "Nobody's")
        site.settings.page = 1
        listed = [(str(each.ref), each.name, each.writable) for each in bridge.calendars()]
        assert listed == [
            ("space/institution", "Institution", True),
            ("space/person/me", "My calendar", False),
            ("space/course/6700", "Biology 101", True),
            ("space/course/6800", "Art", True),
        ]

    def test_the_directory_knows_a_persons_courses(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        assert isinstance(bridge, Directory)
        assert bridge.calendars_of(STUDENT) == [COURSE]
        assert bridge.calendars_of("me") == [COURSE]
        assert site.calls == {"versions": 1, "token": 1, "enrolments": 1, "my_enrolments": 1}
        for nobody in ("404", "ann", ""):
            with pytest.raises(Gone):
                bridge.calendars_of(nobody)

    @pytest.mark.parametrize(
        ("restriction", "seen"),
        [
            ({"Type": 1}, [True, True, True, True]),
            ({"Type": 2, "Range": 2, "HiddenRangeUnitType": 1, "StartDate": stamp(MONDAY)}, [False, True, True, True]),
            ({"Type": 2, "Range": 48, "HiddenRangeUnitType": 2}, [False, True, True, True]),
            ({"Type": 3, "Range": 30, "HiddenRangeUnitType": 3}, [True, True, True, False]),
            ({"Type": 4, "StartDate": stamp(MONDAY - DAY), "EndDate": stamp(MONDAY)}, [False, False, False, False]),
            ({"Type": 4, "StartDate": stamp(MONDAY - 2 * DAY), "EndDate": stamp(MONDAY)}, [False, True, False, False]),
            ({"Type": 5}, [False, False, False, False]),
            ({"Type": 6}, [False, False, False, False]),
            ({"Type": 2, "Range": 10**15, "HiddenRangeUnitType": 1}, [False, False, False, False]),
            ({"Type": 2, "Range": "2"}, [False, False, False, False]),
        ],
    )
    def test_what_is_hidden_is_in_no_feed(
        self, open_site: Open, site: FakeBrightspace, restriction: dict[str, Any], seen: list[bool]
    ) -> None:
        site.put(VisibilityRestrictions=dict.fromkeys(VISIBLE) | restriction, **times(MONDAY, MONDAY + HOUR))
        bridge = open_site(ID_KEY)
        for since, expected in zip((-72, -48, 0, 1.5), seen, strict=True):
            site.settings.now = (MONDAY + since * HOUR).isoformat()
            for calendar in (COURSE, ME):
                assert len(bridge.read(calendar, AROUND)) == expected, since

    def test_an_event_that_is_hidden_is_still_found_after_a_lost_answer(
        self, bridge: BrightspaceBridge, site: FakeBrightspace
    ) -> None:
        event = bridge.fit(at(0))
        ref = bridge.create(COURSE, key("a"), event)
        site.events[ref]["VisibilityRestrictions"] = VISIBLE | {"Type": 5}
        assert bridge.find(COURSE, key("a"), event) == [ref]

    def test_a_due_date_says_so_and_is_never_written(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.put(Title="Essay 1 - Due", **times(MONDAY, MONDAY), **DUE)
        (found,) = bridge.read(COURSE, AROUND)
        assert (found.ref, found.kind, found.writable) == ("8801/activity", "DueDate", False)
        site.calls.clear()
        with pytest.raises(Rejected, match="activity"):
            bridge.update(COURSE, found.ref, bridge.fit(at(0)))
        assert not site.calls
        site.settings.le = ("1.82",)
        site.settings.now = "2025-03-04T08:00:00+00:00"
        assert [each.kind for each in bridge.read(COURSE, AROUND)] == ["Dropbox"]


class TestSeries:
    """One event at Brightspace, many in a feed; told by the site or expanded here, they are the same."""

    @pytest.mark.parametrize("le", ["1.82", "1.97"])
    def test_a_weekly_series_keeps_its_hour(self, open_site: Open, site: FakeBrightspace, le: str) -> None:
        """The clocks of New York go forward on 9 March 2025: 14:00 there is 19:00 and then 18:00 in UTC."""
        site.settings.le = (le,)
        site.put(**weekly(datetime(2025, 3, 4, 19, tzinfo=UTC), weeks=3))
        found = open_site().read(COURSE, window(MONDAY - 10 * DAY, 30 * DAY))
        starts = [each.event.when.start for each in found if isinstance(each.event.when, Timed)]
        assert starts == [datetime(2025, 3, day, hour, tzinfo=UTC) for day, hour in ((4, 19), (11, 18), (18, 18))]
        assert [each.writable for each in found] == [False] * 3
        refs = {"1.82": ["20250304", "20250311", "20250318"], "1.97": ["1", "2", "3"]}
        assert [each.ref for each in found] == [f"8801/{slot}" for slot in refs[le]]

    @pytest.mark.parametrize("le", ["1.82", "1.97"])
    @pytest.mark.parametrize(
        ("rule", "days"),
        [
            ({"RepeatType": 2, "RepeatEvery": 3}, ["04-30", "05-03", "05-06"]),
            ({"RepeatType": 3, "RepeatEvery": 5}, ["05-05"]),
            ({"RepeatType": 3, "RepeatEvery": 1, "RepeatOnInfo": {"Monday": True, "Friday": True}}, ["05-02", "05-05"]),
            ({"RepeatType": 4, "RepeatEvery": 1}, []),
            ({"RepeatType": 4, "RepeatEvery": 2}, []),
            ({"RepeatType": 5, "RepeatEvery": 1}, []),
        ],
    )
    @pytest.mark.parametrize("all_day", [False, True])
    def test_every_rule(
        self, open_site: Open, site: FakeBrightspace, le: str, rule: dict[str, Any], days: list[str], all_day: bool
    ) -> None:
        site.settings.le = (le,)
        when = {"StartDay": "2025-03-31T00:00:00.000", "EndDay": "2025-04-01T00:00:00.000"}
        if not all_day:
            when = times(MONDAY + 21 * DAY, MONDAY + 21 * DAY + HOUR)
        site.put(RecurrenceInfo={"RepeatOnInfo": None, "RepeatUntilDate": "2027-01-01T00:00:00.000Z"} | rule, **when)
        found = open_site().read(COURSE, Window(at_new_york(2025, 4, 30), at_new_york(2025, 5, 7)))
        assert [f"{first_day(each.event):%m-%d}" for each in found] == days
        assert {isinstance(each.event.when, AllDay) for each in found} <= {all_day}

    @pytest.mark.parametrize(
        ("rule", "days"),
        [
            ({"RepeatType": 4, "RepeatEvery": 1}, ["01-31", "03-31", "05-31", "07-31", "08-31", "10-31", "12-31"]),
            ({"RepeatType": 4, "RepeatEvery": 7}, ["01-31", "08-31"]),
            ({"RepeatType": 5, "RepeatEvery": 1}, ["01-31"]),
            ({"RepeatType": 2, "RepeatEvery": 100}, ["01-31", "05-11", "08-19", "11-27"]),
        ],
    )
    @pytest.mark.parametrize("le", ["1.82", "1.97"])
    def test_months_without_the_day_are_left_out(
        self, open_site: Open, site: FakeBrightspace, le: str, rule: dict[str, Any], days: list[str]
    ) -> None:
        site.settings.le = (le,)
        start = datetime(2025, 1, 31, 15, tzinfo=UTC)
        rule |= {"RepeatOnInfo": None, "RepeatUntilDate": "2025-12-31T23:00:00.000Z"}
        site.put(RecurrenceInfo=rule, **times(start, start + HOUR))
        found = open_site().read(COURSE, window(start - DAY, 365 * DAY))
        assert [f"{first_day(each.event):%m-%d}" for each in found] == days

    def test_every_second_week_counts_from_the_week_start(self, open_site: Open, site: FakeBrightspace) -> None:
        """From a Tuesday, every second week on Sundays and Tuesdays: the Sunday is in that week or in the next."""
        site.settings.le = ("1.82",)
        both = {"RepeatType": 3, "RepeatEvery": 2, "RepeatOnInfo": {"Sunday": True, "Tuesday": True}}
        site.put(
            RecurrenceInfo=both | {"RepeatUntilDate": "2025-04-01T00:00:00.000Z"}, **times(MONDAY + DAY, MONDAY + DAY)
        )
        for week_start, days in (("sunday", [11, 23, 25]), ("monday", [11, 16, 25, 30])):
            found = open_site(week_start=week_start).read(COURSE, window(MONDAY, 30 * DAY))
            assert [first_day(each.event).day for each in found] == days

    def test_a_series_that_began_long_ago_is_not_missed(self, open_site: Open, site: FakeBrightspace) -> None:
        site.settings.le = ("1.82",)
        site.put(**weekly(MONDAY + DAY - 100 * WEEK, weeks=200))
        assert len(open_site().read(COURSE, window(MONDAY, WEEK))) == 1

    @pytest.mark.parametrize(("repeat", "days"), [(2, 365), (3, 53), (4, 12), (5, 1)])
    def test_an_endless_series_is_read_in_no_time(self, repeat: int, days: int) -> None:
        rule = Recurrence.parse({"RepeatType": repeat, "RepeatEvery": 1})
        assert rule is not None
        found = list(rule.dates(date(2, 1, 8), date(9998, 1, 1), date(9998, 12, 31), 6))
        assert days - 1 <= len([day for day in found if day.year == 9998]) <= days
        assert len(found) < 5000

    @pytest.mark.parametrize("every", [10**9, 10**400])
    @pytest.mark.parametrize("repeat", [2, 3, 4, 5])
    def test_a_rule_of_absurd_steps_ends(self, repeat: int, every: int) -> None:
        rule = Recurrence.parse({"RepeatType": repeat, "RepeatEvery": every})
        assert rule is not None
        assert list(rule.dates(date(2025, 3, 10), date(2025, 3, 1), date(2026, 3, 1), 6)) == [date(2025, 3, 10)]

    @generated(60)
    @given(data=st.data())
    def test_what_we_expand_is_what_the_site_tells(
        self, open_site: Open, site: FakeBrightspace, data: st.DataObject
    ) -> None:
        site.events.clear()
        start = data.draw(st.datetimes(datetime(2024, 1, 1), datetime(2025, 12, 1))).replace(microsecond=0, tzinfo=UTC)
        until = start + data.draw(st.timedeltas(DAY, 600 * DAY))
        rule = {
            "RepeatType": data.draw(st.integers(2, 5)),
            "RepeatEvery": data.draw(st.integers(1, 5)),
            "RepeatOnInfo": data.draw(st.dictionaries(st.sampled_from(WEEKDAYS), st.booleans())),
            "RepeatUntilDate": stamp(until),
        }
        when = times(start, start + data.draw(st.timedeltas(timedelta(minutes=1), 2 * DAY)))
        if data.draw(st.booleans()):
            when = {"StartDay": f"{start:%Y-%m-%d}T00:00:00.000", "EndDay": f"{start + 2 * DAY:%Y-%m-%d}T00:00:00.000"}
        site.put(RecurrenceInfo=rule, **when)
        site.settings.now = (MONDAY - 300 * DAY).isoformat()
        around = window(start + data.draw(st.timedeltas(-DAY, 500 * DAY)), 90 * DAY)
        readings = [values(open_site(occurrence_routes=told, lookback_days=3).read(COURSE, around)) for told in (0, 1)]
        assert readings[0] == readings[1]

    def test_a_broken_rule_counts_once(self, open_site: Open, site: FakeBrightspace) -> None:
        site.settings.le = ("1.82",)
        site.put(RecurrenceInfo={"RepeatType": 9}, IsRecurring=True, **times(MONDAY, MONDAY + HOUR))
        assert [(each.ref, each.writable) for each in open_site().read(COURSE, AROUND)] == [("8801/first", False)]

    def test_an_occurrence_is_never_written(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        site.put(**weekly())
        (found,) = bridge.read(COURSE, AROUND)
        for deed in (
            lambda: bridge.update(COURSE, found.ref, bridge.fit(at(0))),
            lambda: bridge.delete(COURSE, found.ref),
        ):
            with pytest.raises(Rejected, match="as a whole"):
                deed()
        assert not site.journal


def at_new_york(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 4, tzinfo=UTC)


def first_day(event: Event) -> date:
    return event.when.start if isinstance(event.when, AllDay) else event.when.start.date()


class TestWriting:
    """One call for each change, once, and the truth about what came of it."""

    def test_each_change_is_one_call(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        bridge.update(COURSE, ref, bridge.fit(at(1)))
        bridge.delete(COURSE, ref)
        assert site.calls == {"versions": 1, "token": 1, "create": 1, "update": 1, "delete": 1}
        assert [entry["do"] for entry in site.journal] == ["create", "update", "delete"]

    def test_a_404_counts_as_gone_when_the_event_is_not_found_either(
        self, bridge: BrightspaceBridge, site: FakeBrightspace
    ) -> None:
        ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        site.faults.append(Fault("status", on="update", status=404))
        with pytest.raises(Rejected, match="holds the event") as caught:
            bridge.update(COURSE, ref, bridge.fit(at(1)))
        assert not isinstance(caught.value, Gone)
        del site.events[ref]
        with pytest.raises(Gone):
            bridge.update(COURSE, ref, bridge.fit(at(1)))
        assert site.calls["event"] == 2

    def test_refusals_cost_no_call(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        for calendar in (ME, BO, replace(COURSE, id="../1")):
            with pytest.raises(Denied):
                bridge.create(calendar, key("a"), bridge.fit(SPECIMEN))
        with pytest.raises(Denied, match="by e-mail"):
            bridge.check_target(BO)
        for ref in ("", "../8801", "x"):
            with pytest.raises(Rejected):
                bridge.delete(COURSE, RemoteRef(ref))
        assert not site.calls

    def test_a_student_may_not_write(self, open_site: Open, site: FakeBrightspace) -> None:
        bridge = open_site(ID_KEY | {"user_id": STUDENT, "user_key": "user-key-2"})
        with pytest.raises(Denied, match="ManageEvents"):
            bridge.create(COURSE, key("a"), bridge.fit(at(0)))

    @pytest.mark.parametrize("kind", ["lost", "half", "short", "cut", "unheard"])
    @pytest.mark.parametrize("deed", ["create", "update", "delete"])
    def test_a_write_whose_answer_is_lost_leaves_once(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, kind: str, deed: str
    ) -> None:
        ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        site.faults.append(Fault(kind, on=deed))
        event = bridge.fit(SPECIMEN)
        deeds: dict[str, Callable[[], Any]] = {
            "create": lambda: bridge.create(COURSE, key("b"), event),
            "update": lambda: bridge.update(COURSE, ref, event),
            "delete": lambda: bridge.delete(COURSE, ref),
        }
        if (deed, kind) == ("delete", "cut"):
            deeds[deed]()
        else:
            with pytest.raises(Transient):
                deeds[deed]()
        landed = kind != "unheard"
        assert site.calls[deed] == (2 if deed == "create" else 1)
        assert len(site.journal) == 1 + landed
        if deed == "create":
            assert len(bridge.find(COURSE, key("b"), event)) == landed

    def test_several_may_write_at_once(self, open_site: Open, site: FakeBrightspace) -> None:
        bridge = open_site(concurrency=3)
        site.faults.append(Fault("slow", on="create", times=8, seconds=0.01))
        events = [bridge.fit(at(number)) for number in range(8)]
        refs = at_once([partial(bridge.create, COURSE, key(repr(event)), event) for event in events])
        assert sorted(refs) == [each.ref for each in sorted(bridge.read(COURSE, AROUND), key=lambda each: each.ref)]
        assert (len(site.journal), site.calls["token"], site.calls["versions"]) == (8, 1, 1)
        assert 1 < site.most_at_once <= 3

    def test_what_has_no_field_is_told_in_words(self, open_site: Open) -> None:
        bridge = open_site(cancelled_prefix="Off:")
        fitted = bridge.fit(SPECIMEN)
        assert fitted.text == f"{SPECIMEN.text}\n\n{SPECIMEN.url}"
        assert (fitted.place, fitted.url, fitted.categories) == (SPECIMEN.place, "", ())
        cancelled = bridge.fit(Event("\x00 ", at(0).when, status=Status.CANCELLED))
        assert (cancelled.title, cancelled.status) == ("Off: (untitled)", Status.CONFIRMED)

    @pytest.mark.parametrize(
        ("title", "fitted"),
        [
            ("x" * 256, "x" * 256),
            ("x" * 257, "x" * 255 + "…"),
            ("x" * 251 + "👩‍🔬yy", "x" * 251 + "…"),
            ("🎓" * 200, "🎓" * 127 + "…"),
            ("one\r\ntwo\tthree", "one two three"),
        ],
    )
    def test_titles_are_cut_between_characters(self, bridge: BrightspaceBridge, title: str, fitted: str) -> None:
        assert bridge.fit(Event(title, at(0).when)).title == fitted


def put_once(bridge: BrightspaceBridge, event: Event) -> None:
    try:
        bridge.create(COURSE, key(event.title), event)
    except Transient:
        if not bridge.find(COURSE, key(event.title), event):
            bridge.create(COURSE, key(event.title), event)


class TestFaults:
    """A site in trouble is said to be, and nothing is taken for silence."""

    @pytest.mark.parametrize("kind", ["status", "silent", "unheard", "lost", "half", "short", "cut", "html"])
    @pytest.mark.parametrize("on", ["orgunits", "occurrences", "versions"])
    def test_a_reading_that_stumbles_is_tried_again(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, seed: Put, kind: str, on: str
    ) -> None:
        expected = seed(SPECIMEN)
        site.faults.append(Fault(kind, on=on, times=2))
        assert values(bridge.read(COURSE, AROUND)) == [expected]
        assert site.calls[on] == 3

    @pytest.mark.parametrize("kind", ["loop", "foreign", "null"])
    @pytest.mark.parametrize("on", ["orgunits", "occurrences"])
    def test_a_listing_without_an_end_is_no_reading(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, kind: str, on: str
    ) -> None:
        site.faults.append(Fault(kind, on=on, times=-1))
        with pytest.raises(Transient):
            bridge.read(COURSE, AROUND)
        assert site.calls[on] <= 3

    def test_a_token_is_sent_to_no_other_host(self, open_site: Open, site: FakeBrightspace) -> None:
        site.faults.append(Fault("foreign", on="mine", times=-1))
        with pytest.raises(Transient, match="another host"):
            open_site(ID_KEY).read(ME, AROUND)

    @pytest.mark.parametrize("retry_after", ["17", "Sat, 01 Mar 2025 08:00:17 GMT"])
    def test_too_many_calls_wait_as_told(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, meter: PlainMeter, retry_after: str
    ) -> None:
        site.faults.append(Fault("status", status=429, retry_after=retry_after, on="orgunits"))
        with pytest.raises(Transient) as caught:
            bridge.read(COURSE, AROUND)
        assert caught.value.retry_after == 17
        calls = site.calls.total()
        with pytest.raises(Transient, match="used up"):
            bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        assert site.calls.total() == calls == meter.calls
        site.settings.now = "2025-03-01T08:00:17+00:00"
        assert bridge.read(COURSE, AROUND) == []

    @pytest.mark.parametrize(("retry_after", "wait"), [("1000000000", 120), ("-5", None), ("", None), ("soon", None)])
    def test_odd_waits_are_bounded(
        self, open_site: Open, site: FakeBrightspace, retry_after: str, wait: float | None
    ) -> None:
        site.faults.append(Fault("status", status=429, retry_after=retry_after, on="orgunits", times=-1))
        with pytest.raises(Transient) as caught:
            open_site(ID_KEY).read(COURSE, AROUND)
        assert caught.value.retry_after == wait
        assert site.calls["orgunits"] <= 3

    def test_credits_are_metered_as_calls(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, meter: PlainMeter
    ) -> None:
        site.settings.credits = 50
        bridge.read(COURSE, AROUND)
        assert meter.last is not None
        assert (meter.last.limit, meter.last.remaining, meter.calls) == (5000, 2, 4)
        assert meter.last.resets_at == site.now + timedelta(seconds=60)
        bridge.read(COURSE, AROUND)
        with pytest.raises(Transient, match="08:01"):
            bridge.read(COURSE, AROUND)
        assert site.calls.total() == 6
        site.settings.now = "2025-03-01T08:01:00+00:00"
        bridge.read(COURSE, AROUND)

    @pytest.mark.parametrize(
        "fault",
        [
            *(Fault(kind) for kind in ("status", "lost", "unheard", "half", "short", "cut", "html")),
            Fault("silent", status=500),
            Fault("silent", status=504),
            Fault("status", status=429, retry_after="0"),
            Fault("status", status=429),
            Fault("expire"),
        ],
        ids=lambda fault: f"{fault.kind}-{fault.status}",
    )
    @pytest.mark.parametrize("sign_in", [OAUTH, ID_KEY], ids=["oauth", "id-key"])
    def test_a_fault_at_any_call_loses_nothing_and_doubles_nothing(self, fault: Fault, sign_in: dict[str, str]) -> None:
        """What a caller does with a Transient: look whether the event landed, and write it again if not."""
        for after in range(2, 12):  # the token's own call is a matter of its own
            site = FakeBrightspace()
            site.settings.now = "2025-03-01T08:00:00+00:00"
            site.faults.append(replace(fault, after=after))
            tools = Tools(now=lambda site=site: site.now, session=session_to({SITE: site, AUTH: site}))  # type: ignore[misc]
            bridge = BrightspaceBridge("space", bridge_settings(sign_in), tools)
            for number in range(8):
                put_once(bridge, bridge.fit(at(number, title=f"Seminar {number}")))
            assert [each.event.title for each in bridge.read(COURSE, AROUND)] == [f"Seminar {n}" for n in range(8)]
            assert len(site.journal) == 8

    def test_a_proxys_404_page_is_not_taken_for_gone(self, bridge: BrightspaceBridge, site: FakeBrightspace) -> None:
        ref = bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        for deed in ("update", "delete"):
            site.faults.append(Fault("html", on=deed, status=404))
        with pytest.raises(Transient):
            bridge.update(COURSE, ref, bridge.fit(at(1)))
        with pytest.raises(Transient):
            bridge.delete(COURSE, ref)

    @pytest.mark.parametrize(
        ("broken", "event"),
        [
            ({"Title": None}, Event("(untitled)", at(0).when)),
            ({"Title": "a\x00b\ud800c\x1b"}, Event("abc", at(0).when)),
            ({"Description": 7, "LocationName": None}, at(0)),
            ({"EndDateTime": None}, Event("Seminar", Timed(MONDAY, MONDAY))),
            ({"EndDateTime": "2025-03-01T00:00:00Z"}, Event("Seminar", Timed(MONDAY, MONDAY))),
            ({"CalendarEventId": "8850", "OrgUnitId": "6700"}, at(0)),
            (
                {"StartDay": "2025-03-10T09:30:00.000", "EndDay": "2025-03-10T00:00:00.000", "StartDateTime": None},
                Event("Seminar", AllDay(date(2025, 3, 10), date(2025, 3, 11))),
            ),
        ],
    )
    def test_broken_events_are_mended(
        self, bridge: BrightspaceBridge, site: FakeBrightspace, broken: dict[str, Any], event: Event
    ) -> None:
        site.put(**(times(MONDAY, MONDAY + HOUR) | broken))
        site.settings.now = MONDAY.isoformat()
        assert values(bridge.read(COURSE, AROUND)) == [event]

    @pytest.mark.parametrize(
        "broken",
        [
            {"StartDateTime": "soon"},
            {"StartDateTime": None},
            {"StartDateTime": "0001-01-01T00:00:00.000Z", "EndDateTime": "9999-12-31T23:59:59.999Z"},
            {"StartDay": "9999-12-31T00:00:00.000", "EndDay": "9999-12-31T00:00:00.000"},
            {"StartDay": "0001-01-01T00:00:00.000", "EndDay": None, "RecurrenceInfo": {"RepeatType": 2}},
        ],
    )
    def test_an_event_without_a_time_costs_no_other(
        self,
        bridge: BrightspaceBridge,
        site: FakeBrightspace,
        seed: Put,
        caplog: pytest.LogCaptureFixture,
        broken: dict[str, Any],
    ) -> None:
        site.settings.listing, site.settings.le = "all", ("1.82",)
        site.put(**broken)
        expected = seed(at(1))
        assert values(bridge.read(COURSE, AROUND)) == [expected]
        assert "left out" in caplog.text


class TestSettings:
    """What a configuration may say."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"url": "http://lms.example.edu"},
            {"url": "https://lms.example.edu/d2l"},
            {"url": "https://me:it@lms.example.edu"},
            {"token_url": "http://auth.brightspace.com/core/connect/token"},
            {"zone": "Mars/Olympus"},
            {"le_version": "1.8x"},
            {"organisation": "root"},
            {"unknown": 1},
            {"refresh_token": ""},
            {"app_id": "a"},
            ID_KEY,
        ],
    )
    def test_they_are_checked(self, wrong: dict[str, Any]) -> None:
        assert bridge_settings(OAUTH, url=SITE + "/").url == SITE
        assert bridge_settings(ID_KEY, url="http://127.0.0.1:8123").app_id == "app-id-1"
        with pytest.raises(ValidationError):
            bridge_settings(OAUTH, **wrong)

    def test_secrets_are_not_shown(self) -> None:
        shown = repr(bridge_settings(OAUTH)) + repr(bridge_settings(ID_KEY))
        assert not any(secret in shown for secret in ("client-secret-1", FIRST_REFRESH, "app-key-1", "user-key-1"))

    def test_every_setting_is_described_in_one_line(self) -> None:
        for name, each in BrightspaceSettings.model_fields.items():
            assert each.description, name
            assert "\n" not in each.description


@pytest.fixture
def address(site: FakeBrightspace) -> Iterator[str]:
    with serving(site) as url:
        yield url


@pytest.mark.parametrize("sign_in", [OAUTH, ID_KEY], ids=["oauth", "id-key"])
def test_the_same_holds_over_a_socket(site: FakeBrightspace, address: str, sign_in: dict[str, str]) -> None:
    if sign_in is OAUTH:
        sign_in = OAUTH | {"token_url": f"{address}/core/connect/token"}
    settings = bridge_settings(sign_in, url=address)
    bridge = BrightspaceBridge("space", settings, Tools(now=lambda: site.now, session=requests.Session))
    event = bridge.fit(SPECIMEN)
    for kind in ("lost", "half", "short"):
        site.faults.append(Fault(kind, on="create"))
        with pytest.raises(Transient):
            bridge.create(COURSE, key(kind), event)
    site.settings.page = 1
    site.faults.append(Fault("half", on="orgunits"))
    assert len(bridge.find(COURSE, key("a"), event)) == 3
    assert len(bridge.read(ME, AROUND)) == 3
    assert len(site.journal) == 3


def test_the_fake_keeps_a_journal_on_disk(tmp_path: Path) -> None:
    fake = FakeBrightspace(journal=tmp_path / "journal")
    with serving(fake) as url:
        requests.post(f"{url}/_fake/settings", json={"now": "2025-03-01T08:00:00+00:00"}, timeout=5)
        requests.post(f"{url}/_fake/faults", json={"kind": "lost", "on": "create"}, timeout=5)
        tools = Tools(now=lambda: fake.now, session=requests.Session)
        bridge = BrightspaceBridge("space", bridge_settings(ID_KEY, url=url), tools)
        with pytest.raises(Transient):
            bridge.create(COURSE, key("a"), bridge.fit(at(0)))
        state = requests.get(f"{url}/_fake/state", timeout=5).json()
    fake.close()
    assert state["calls"] == {"versions": 1, "create": 1}
    assert (tmp_path / "journal").read_text().count('"do": "create"') == 1


class Raw:
    """A client without manners: what it sends is what is asked for."""

    def __init__(self, site: FakeBrightspace) -> None:
        self._session = session_to({SITE: site, AUTH: site})()
        self.token = ""

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        host = AUTH if path.startswith(("/core", "/oauth2")) else SITE
        return self._session.request(method, host + path, headers=headers, allow_redirects=False, **more)

    def refresh(self, token: str, **fields: str) -> requests.Response:
        given = {"grant_type": "refresh_token", "refresh_token": token} | fields
        return self._session.post(f"{AUTH}/core/connect/token", given, auth=("client-1", "client-secret-1"))


class TestTheFake:
    """The fake is as stubborn as the documents say."""

    @pytest.fixture
    def raw(self, site: FakeBrightspace) -> Raw:
        raw = Raw(site)
        raw.token = raw.refresh(FIRST_REFRESH).json()["access_token"]
        return raw

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/d2l/api/versions"),
            ("GET", "/d2l/api/le/1.74/6700/calendar/events/"),
            ("POST", "/d2l/api/le/1.97/6700/calendar/event"),
            ("GET", "/d2l/api/le/1.97/6700/calendar/event/8801/"),
            ("GET", "/d2l/api/le/1.97/6700/calendar/events"),
            ("GET", "/d2l/api/le/1.97/6700/calendar/events/orgunits"),
            ("GET", "/d2l/api/le/1.82/6700/calendar/events/occurrences/"),
            ("GET", "/d2l/api/le/1.82/6700/calendar/event/8801/occurrences"),
            ("GET", "/d2l/api/lp/1.63/users/whoami/"),
        ],
    )
    def test_the_wrong_slash_or_version_is_404(self, raw: Raw, site: FakeBrightspace, method: str, path: str) -> None:
        site.put(**times(MONDAY, MONDAY + HOUR))
        assert raw(method, path).status_code == 404

    def test_versions_need_no_sign_in_and_all_else_does(self, raw: Raw) -> None:
        raw.token = ""
        assert raw("GET", "/d2l/api/versions/").json()[0]["LatestVersion"] == "1.97"
        assert raw("GET", "/d2l/api/le/versions/").json()["ProductCode"] == "le"
        assert raw("GET", "/d2l/api/le/versions/1.82").json()["Supported"] is True
        assert raw("GET", "/d2l/api/le/1.97/6700/calendar/events/").status_code == 401

    def test_a_refresh_token_used_twice_kills_its_family(self, raw: Raw) -> None:
        again = raw.refresh(FIRST_REFRESH)
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
        assert raw("GET", "/d2l/api/lp/1.63/users/whoami").status_code == 401

    def test_a_code_works_once(self, raw: Raw) -> None:
        query = {
            "client_id": "client-1",
            "redirect_uri": "https://sync.example.org/cb",
            "scope": "core:*:*",
            "state": "s",
        }
        leads_to = raw("GET", "/oauth2/auth", params=query).headers["Location"]
        code = leads_to.partition("code=")[2].partition("&")[0]
        given = {"grant_type": "authorization_code", "code": code, "client_id": "client-1"}
        given |= {"client_secret": "client-secret-1", "redirect_uri": query["redirect_uri"]}
        answers = [raw("POST", "/core/connect/token", data=given, headers={"Authorization": ""}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 400]

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({}, 200),
            ({"StartDay": ...}, 404),
            ({"StartDateTime": "2025-03-10T09:00:00Z"}, 404),
            ({"StartDateTime": None}, 400),
            ({"StartDateTime": "2025-03-10T10:00:00.000Z"}, 400),
            ({"StartDay": "2025-03-10T00:00:00.000", "EndDay": "2025-03-11T00:00:00.000"}, 400),
            ({"Title": ""}, 400),
            ({"GroupId": 7710}, 400),
        ],
    )
    @pytest.mark.parametrize("bad_body", [400, 404])
    def test_bodies_are_whole_and_right(
        self, raw: Raw, site: FakeBrightspace, change: dict[str, Any], status: int, bad_body: int
    ) -> None:
        site.settings.bad_body = bad_body
        body = dict.fromkeys(MEMBERS) | {"Title": "x", "Description": "", "VisibilityRestrictions": VISIBLE}
        body |= times(MONDAY, MONDAY + HOUR) | change
        body = {name: value for name, value in body.items() if value is not ...}
        answer = raw("POST", "/d2l/api/le/1.97/6700/calendar/event/", json=body)
        assert answer.status_code == (bad_body if status == 404 else status)

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("orgunits/?orgUnitIdsCSV=6700", 400),
            ("orgunits/?{window}", 400),
            ("orgunits/?orgUnitIdsCSV={many}&{window}", 400),
            ("orgunits/?orgUnitIdsCSV=6700&{window}", 200),
            ("orgunits/?orgUnitIdsCSV=6700&{window}&bookmark=1_x", 400),
            ("orgunits/?orgUnitIdsCSV=6900&{window}", 403),
            ("user/?userId=404&{window}", 400),
            ("MYEVENTS/?{window}", 200),
            ("myEvents/itemCount?{window}", 200),
            (
                "orgunits/?orgUnitIdsCSV=6700&startDateTime=2025-03-11T00:00:00.000Z&endDateTime=2025-03-10T00:00:00.000Z",
                400,
            ),
        ],
    )
    def test_queries_are_checked(self, raw: Raw, site: FakeBrightspace, path: str, status: int) -> None:
        site.add_course("6900", "closed")
        span = "startDateTime=2025-03-10T00:00:00.000Z&endDateTime=2025-03-11T00:00:00.000Z"
        backwards = "startDateTime=2025-03-11T00:00:00.000Z&endDateTime=2025-03-10T00:00:00.000Z"
        query = path.format(window=span, backwards=backwards, many=",".join(["6700"] * 101))
        assert raw("GET", f"/d2l/api/le/1.97/6700/calendar/events/{query}").status_code == status

    def test_methods_and_types_are_checked(self, raw: Raw) -> None:
        assert raw("PATCH", "/d2l/api/le/1.97/6700/calendar/event/").status_code == 405
        assert raw("POST", "/d2l/api/le/1.97/6700/calendar/event/", data={"Title": "x"}).status_code == 415

    def test_a_due_date_takes_no_change(self, raw: Raw, site: FakeBrightspace) -> None:
        id = site.put(**times(MONDAY, MONDAY), **DUE)
        assert raw("DELETE", f"/d2l/api/le/1.97/6700/calendar/event/{id}").status_code == 403

    def test_who_manages_sees_what_is_hidden(self, raw: Raw, site: FakeBrightspace) -> None:
        id = site.put(VisibilityRestrictions=VISIBLE | {"Type": 5}, **times(MONDAY, MONDAY + HOUR))
        path = f"/d2l/api/le/1.97/6700/calendar/event/{id}/access/"
        answers = [raw("GET", path, params={"userId": user}).json()[0]["HasAccess"] for user in ("30100", STUDENT)]
        assert answers == [True, False]

    def test_credits_run_out_and_come_back(self, raw: Raw, site: FakeBrightspace) -> None:
        site.settings.credits = 10
        answers = [raw("GET", "/d2l/api/lp/1.63/users/whoami") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[0].headers["X-Rate-Limit-Remaining"] == "0"
        assert answers[1].headers["Retry-After"] == "60"
        site.settings.now = "2025-03-01T08:01:00+00:00"
        assert raw("GET", "/d2l/api/lp/1.63/users/whoami").status_code == 200
