"""Blackboard in people's own names: linking, personal items, office hours of theirs, and whose courses are whose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bridges.blackboard import MOST_PEOPLE, BlackboardBridge, BlackboardSettings
from bridges.contract import Directory, PlainVault, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.model import Calendar, CalendarRef, Kind, RemoteRef
from tests.bridges.contract import AROUND, HOUR, MONDAY, SPECIMEN, Put, RosterContract, SinkContract, at, key, values
from tests.bridges.test_blackboard import SITE, seeder
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import session_to

BACK = "https://cal.example.edu/link/learn/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
COURSE = CalendarRef("learn", Kind.COURSE, "_12594_1")
ANN = CalendarRef("learn", Kind.PERSON, "_5_1")
BOB = CalendarRef("learn", Kind.PERSON, "_6_1")
HOURS = CalendarRef("learn", Kind.OFFICE_HOURS, "_12594_1/_5_1")
Open = Callable[..., BlackboardBridge]


@pytest.fixture
def learn() -> FakeLearn:
    fake = FakeLearn()
    fake.settings.now = "2025-03-01T08:00:00+00:00"
    fake.add_user("_5_1", "ann", {"_12594_1": "Instructor"})
    fake.add_user("_6_1", "bob@example.edu", {"_12594_1": "Student"})
    return fake


@pytest.fixture
def vault() -> PlainVault:
    return PlainVault()


@pytest.fixture
def open_learn(learn: FakeLearn, vault: PlainVault) -> Open:
    def opened(**more: Any) -> BlackboardBridge:
        given = {"url": SITE, "key": "app-key", "secret": "app-secret", "zone": "America/New_York", "linking": True}
        settings = BlackboardSettings.model_validate(given | {"backoff_seconds": 0.0} | more)
        tools = Tools(now=lambda: learn.now, session=session_to({SITE: learn}), vault=vault)
        return BlackboardBridge("learn", settings, tools)

    return opened


@pytest.fixture
def bridge(open_learn: Open) -> BlackboardBridge:
    return open_learn()


def sign_in(learn: FakeLearn, bridge: BlackboardBridge, user: str) -> str:
    """The code that Learn sends back once `user` has signed in and pressed Allow."""
    learn.visitor = user
    url = bridge.sign_in_url(BACK, "state", VERIFIER)
    answer = session_to({SITE: learn})().get(url, allow_redirects=False)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["state"]
    return query["code"][0]


def link(learn: FakeLearn, bridge: BlackboardBridge, user: str = "_5_1") -> Calendar:
    return bridge.link(BACK, sign_in(learn, bridge, user), VERIFIER)


class TestPerson(SinkContract):
    """The personal calendar of somebody who linked an account."""

    owner = "_5_1"
    fixed = {"type": "Personal", "calendarId": "PERSONAL"}  # noqa: RUF012

    @pytest.fixture
    def bridge(self, learn: FakeLearn, open_learn: Open) -> BlackboardBridge:
        bridge = open_learn()
        link(learn, bridge)
        return bridge

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return ANN

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return BOB

    @pytest.fixture
    def refused(self) -> list[CalendarRef]:
        return [BOB, replace(HOURS, id="_12594_1/_6_1"), replace(HOURS, id="_12594_1/")]

    @pytest.fixture
    def seed(self, learn: FakeLearn, bridge: BlackboardBridge) -> Put:
        return seeder(learn, bridge, **self.fixed, createdByUserId=self.owner)

    @pytest.fixture
    def break_lms(self, learn: FakeLearn) -> Callable[[], None]:
        return lambda: learn.faults.append(Fault("status", times=-1))


class TestOwnedOfficeHours(TestPerson):
    """The office hours that a linked person owns in a course."""

    fixed = {"type": "OfficeHours", "calendarId": "_12594_1"}  # noqa: RUF012

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return HOURS

    def test_it_lists_the_calendar(self, bridge: Any, calendar: CalendarRef) -> None:
        """Learn lists the course and we list the person; whose office hours there are is in neither list."""
        listed = [each.ref for each in bridge.calendars()]
        assert COURSE in listed
        assert ANN in listed


def test_linking_opens_the_personal_calendar(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    assert link(learn, bridge) == Calendar(ANN, "Personal: ann", writable=True)
    assert bridge.links() == [Calendar(ANN, "Personal: ann", writable=True)]
    assert learn.calls == {"authorize": 1, "token": 1, "user": 1}


@pytest.mark.parametrize("spelling", ["_6_1", "userName:bob@example.edu", "userName:Bob@Example.edu", "uuid:"])
def test_a_linked_person_may_be_spelled_as_learn_spells_people(
    learn: FakeLearn, bridge: BlackboardBridge, spelling: str
) -> None:
    link(learn, bridge, "_6_1")
    name = spelling if spelling != "uuid:" else f"uuid:{learn.users['_6_1'].uuid}"
    bridge.create(replace(BOB, id=name), key("a"), bridge.fit(SPECIMEN))
    assert values(bridge.read(BOB, AROUND)) == [bridge.fit(SPECIMEN)]
    bridge.check_target(replace(HOURS, id=f"courseId:BIO101/{name}"))


def test_people_are_kept_apart(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    link(learn, bridge, "_5_1")
    link(learn, bridge, "_6_1")
    refs = {ref: bridge.create(ref, key("a"), bridge.fit(at(n, title=ref.id))) for n, ref in enumerate((ANN, BOB))}
    for ref in (ANN, BOB):
        assert [each.ref for each in bridge.read(ref, AROUND)] == [refs[ref]]
    with pytest.raises(Gone):
        bridge.update(ANN, refs[BOB], bridge.fit(at(5)))
    assert bridge.read(COURSE, AROUND) == []


def test_office_hours_of_others_are_not_among_ones_own(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    link(learn, bridge)
    mine = bridge.create(HOURS, key("a"), bridge.fit(at(0)))
    theirs = bridge.create(replace(HOURS, id="_12594_1"), key("b"), bridge.fit(at(1)))
    assert [each.ref for each in bridge.read(HOURS, AROUND)] == [mine]
    assert [each.ref for each in bridge.read(replace(HOURS, id="_12594_1"), AROUND)] == [mine, theirs]
    with pytest.raises(Denied):
        bridge.delete(HOURS, theirs)
    assert learn.items[mine.partition("/")[2]]["createdByUserId"] == "_5_1"


@pytest.mark.parametrize("target", [BOB, replace(HOURS, id="_12594_1/_6_1"), replace(BOB, id="externalId:sis-6")])
def test_without_a_link_the_way_out_is_told_and_no_call_is_made(
    learn: FakeLearn, open_learn: Open, target: CalendarRef
) -> None:
    bridge, closed = open_learn(), open_learn(linking=False)
    deeds: list[Callable[[BlackboardBridge], object]] = [
        lambda bridge: bridge.check_target(target),
        lambda bridge: bridge.read(target, AROUND),
        lambda bridge: bridge.create(target, key("a"), bridge.fit(at(0))),
        lambda bridge: bridge.update(target, RemoteRef("Personal/_1_1"), bridge.fit(at(0))),
        lambda bridge: bridge.delete(target, RemoteRef("Personal/_1_1")),
    ]
    for deed in deeds:
        with pytest.raises(Denied, match=r"has linked no account: .* /link/learn\. Or send the events by e-mail"):
            deed(bridge)
        with pytest.raises(Denied, match=r"by e-mail instead .* \(lms\.learn\.linking\)"):
            deed(closed)
    assert not learn.calls


def test_linking_is_off_unless_it_is_switched_on(learn: FakeLearn, open_learn: Open, vault: PlainVault) -> None:
    closed = open_learn(linking=False)
    with pytest.raises(Denied, match="linking is off"):
        closed.sign_in_url(BACK, "state", VERIFIER)
    with pytest.raises(Denied, match="linking is off"):
        closed.link(BACK, "code", VERIFIER)
    assert not vault.secrets
    assert not BlackboardSettings.model_fields["linking"].default


def test_the_address_to_sign_in_at_asks_for_what_is_needed(bridge: BlackboardBridge) -> None:
    url = urlsplit(bridge.sign_in_url(BACK, "s&t", VERIFIER))
    assert f"{url.scheme}://{url.netloc}" == SITE
    assert url.path == "/learn/api/public/v1/oauth2/authorizationcode"
    assert parse_qs(url.query) == {
        "redirect_uri": [BACK],
        "response_type": ["code"],
        "client_id": ["app-key"],
        "scope": ["read write delete offline"],
        "state": ["s&t"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],  # RFC 7636 appendix B
        "code_challenge_method": ["S256"],
    }


def test_a_code_opens_nothing_without_its_verifier_or_twice(
    learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault
) -> None:
    with pytest.raises(Rejected, match="does not take this sign-in"):
        bridge.link(BACK, sign_in(learn, bridge, "_5_1"), VERIFIER[::-1])
    with pytest.raises(Rejected):
        bridge.link(BACK + "/other", sign_in(learn, bridge, "_5_1"), VERIFIER)
    assert not vault.secrets
    code = sign_in(learn, bridge, "_5_1")
    bridge.link(BACK, code, VERIFIER)
    with pytest.raises(Rejected):
        bridge.link(BACK, code, VERIFIER)
    assert len(bridge.links()) == 1


def test_without_a_lasting_permission_nothing_is_linked(
    learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault
) -> None:
    learn.visitor = "_5_1"
    url = bridge.sign_in_url(BACK, "state", VERIFIER).replace("%20offline", "")
    answer = session_to({SITE: learn})().get(url, allow_redirects=False)
    with pytest.raises(Denied, match="no lasting permission"):
        bridge.link(BACK, parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0], VERIFIER)
    assert not vault.secrets


def test_an_access_token_serves_until_near_its_end_and_is_then_refreshed(
    learn: FakeLearn, bridge: BlackboardBridge
) -> None:
    link(learn, bridge)
    learn.calls.clear()
    bridge.read(ANN, AROUND)
    bridge.read(ANN, AROUND)
    assert learn.calls == {"token": 1, "items": 2}
    learn.settings.now = "2025-03-01T08:59:10+00:00"
    bridge.read(ANN, AROUND)
    assert learn.calls["token"] == 2


def test_the_refresh_token_that_came_last_counts(learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault) -> None:
    learn.settings.one_time_refresh = True
    link(learn, bridge)
    seen = set()
    for _ in range(3):
        seen.add(json.loads(vault.secrets["blackboard/learn/_5_1"])["refresh"])
        learn.expire_tokens()
        bridge.read(ANN, AROUND)
    assert len(seen) == 3


def test_one_time_tokens_are_spent_by_one_at_a_time(learn: FakeLearn, open_learn: Open) -> None:
    """Each bridge is as one process: they have nothing in common but the vault."""
    learn.settings.one_time_refresh = True
    bridges = [open_learn(concurrency=4) for _ in range(2)]
    link(learn, bridges[0])
    learn.calls.clear()
    learn.faults.append(Fault("slow", on="token", times=-1, seconds=0.02))
    failed: list[Exception] = []

    def read(bridge: BlackboardBridge) -> None:
        try:
            bridge.read(ANN, AROUND)
        except (Denied, Transient) as error:
            failed.append(error)

    threads = [threading.Thread(target=read, args=(bridge,)) for bridge in bridges * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert learn.calls == {"token": 2, "items": 8}


def test_a_token_that_died_within_a_write_costs_no_second_write(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    link(learn, bridge)
    learn.faults.append(Fault("expire", on="create"))
    bridge.create(ANN, key("a"), bridge.fit(at(0)))
    assert (len(learn.journal), learn.calls["create"]) == (1, 2)


def test_what_a_person_withdrew_is_denied_until_it_is_linked_again(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    link(learn, bridge)
    bridge.read(ANN, AROUND)
    learn.revoke("_5_1")
    for _ in range(2):
        with pytest.raises(Denied, match=r"no longer lets us act for ann: .* link the account again"):
            bridge.read(ANN, AROUND)
    link(learn, bridge)
    assert bridge.read(ANN, AROUND) == []


def test_a_token_endpoint_that_is_down_takes_no_link_away(
    learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault
) -> None:
    link(learn, bridge)
    kept = dict(vault.secrets)
    for status, error in ((503, Transient), (404, Denied)):
        learn.faults.append(Fault("status", on="token", status=status, times=-1))
        with pytest.raises(error):
            bridge.delete(ANN, RemoteRef("Personal/_1_1"))
        learn.faults.clear()
    assert vault.secrets == kept


def test_what_the_person_did_not_permit_is_denied(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    learn.visitor = "_5_1"
    url = bridge.sign_in_url(BACK, "state", VERIFIER).replace("write%20delete%20", "")
    answer = session_to({SITE: learn})().get(url, allow_redirects=False)
    bridge.link(BACK, parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0], VERIFIER)
    assert bridge.read(ANN, AROUND) == []
    with pytest.raises(Denied, match="may ann create"):
        bridge.create(ANN, key("a"), bridge.fit(at(0)))


def test_unlinking_forgets(learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault) -> None:
    link(learn, bridge)
    link(learn, bridge, "_6_1")
    assert bridge.unlink("userName:ann")
    assert not bridge.unlink("userName:ann")
    assert not vault.get("blackboard/learn/_5_1")
    assert [each.ref for each in bridge.links()] == [BOB]
    with pytest.raises(Denied):
        bridge.check_target(ANN)


def test_a_link_outlives_the_process(learn: FakeLearn, open_learn: Open) -> None:
    link(learn, open_learn())
    assert open_learn().read(ANN, AROUND) == []


def test_only_so_many_people_are_kept_at_hand(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    people = [learn.add_user(f"_{n}_9", f"user{n}") for n in range(MOST_PEOPLE + 1)]
    for person in people:
        link(learn, bridge, person.id)
        bridge.read(replace(ANN, id=person.id), AROUND)
    assert len(bridge._acting) == MOST_PEOPLE
    assert bridge.read(replace(ANN, id=people[0].id), AROUND) == []


def test_tokens_are_in_no_words(
    learn: FakeLearn, bridge: BlackboardBridge, vault: PlainVault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    link(learn, bridge)
    bridge.create(ANN, key("a"), bridge.fit(SPECIMEN))
    secrets = {json.loads(vault.secrets["blackboard/learn/_5_1"])["refresh"], *learn._grants, VERIFIER, "app-secret"}
    said = [caplog.text, repr(bridge), repr(bridge._settings), repr(bridge.links())]
    for kind in ("half", "cut"):
        learn.expire_tokens()
        learn.faults.append(Fault(kind, on="token"))
        with pytest.raises(Transient) as caught:
            bridge.create(ANN, key("b"), bridge.fit(at(3)))
        secrets |= set(learn._grants)
        said += [repr(caught.value), caught.value.raw]
    for text in said:
        assert not [secret for secret in secrets if secret in text]


class TestDirectory:
    """Whose courses are whose."""

    def test_it_is_a_directory(self, bridge: BlackboardBridge) -> None:
        assert isinstance(bridge, Directory)

    @pytest.mark.parametrize("person", ["_5_1", "userName:ann"])
    def test_a_persons_courses_cost_one_call(self, learn: FakeLearn, bridge: BlackboardBridge, person: str) -> None:
        assert bridge.calendars_of(person) == [COURSE]
        assert learn.calls == {"token": 1, "memberships": 1}

    def test_many_courses_come_page_by_page(self, learn: FakeLearn, open_learn: Open) -> None:
        for n in range(7):
            learn.users["_6_1"].courses[learn.add_course(f"_{n}_7", f"C{n}", "Course").id] = "Student"
        assert len(open_learn(page_size=3).calendars_of("_6_1")) == 8
        assert learn.calls["memberships"] == 3

    @pytest.mark.parametrize("expands", [True, False])
    @pytest.mark.parametrize(
        ("available", "student", "staff"),
        [("Yes", True, True), ("Term", True, True), ("No", False, True), ("Disabled", False, False)],
    )
    def test_a_course_that_is_not_available_is_for_staff_alone(
        self, learn: FakeLearn, bridge: BlackboardBridge, expands: bool, available: str, student: bool, staff: bool
    ) -> None:
        learn.settings.expands = expands
        learn.courses["_12594_1"].available = available
        assert bool(bridge.calendars_of("_6_1")) == student
        assert bool(bridge.calendars_of("_5_1")) == staff

    def test_who_is_staff_is_a_setting(self, learn: FakeLearn, open_learn: Open) -> None:
        learn.courses["_12594_1"].available = "No"
        assert open_learn(staff_roles=["Student"]).calendars_of("_6_1") == [COURSE]

    def test_a_membership_that_is_not_available_is_left_out(self, learn: FakeLearn, bridge: BlackboardBridge) -> None:
        learn.users["_5_1"].barred = {"_12594_1"}
        assert bridge.calendars_of("_5_1") == []

    def test_a_linked_persons_own_calendar_is_among_them(self, learn: FakeLearn, bridge: BlackboardBridge) -> None:
        link(learn, bridge)
        assert bridge.calendars_of("userName:ann") == [ANN, COURSE]

    @pytest.mark.parametrize("nobody", ["_404_1", "userName:nobody", "nobody", ""])
    def test_nobody_known_is_gone(self, bridge: BlackboardBridge, nobody: str) -> None:
        with pytest.raises(Gone, match="user"):
            bridge.calendars_of(nobody)

    def test_a_site_that_is_down_is_no_empty_list(self, learn: FakeLearn, bridge: BlackboardBridge) -> None:
        learn.faults.append(Fault("status", on="memberships", times=-1))
        with pytest.raises(Transient):
            bridge.calendars_of("_5_1")


class TestRoster(RosterContract):
    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return COURSE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return replace(COURSE, id="_404_1")

    @pytest.fixture
    def people(self, learn: FakeLearn) -> list[str]:
        learn.add_user("_7_1", "cy", {"_12594_1": "Student"}).barred = {"_12594_1"}
        return ["_5_1", "_6_1", "_7_1"]

    @pytest.fixture
    def break_lms(self, learn: FakeLearn) -> Callable[[], None]:
        return lambda: learn.faults.append(Fault("status", on="members", times=-1))

    @pytest.mark.parametrize("available", ["Yes", "Term", "No", "Disabled"])
    @pytest.mark.parametrize("roles", [["Instructor"], ["Student"]])
    def test_who_sees_a_course_is_decided_as_for_one_person(
        self, learn: FakeLearn, open_learn: Open, available: str, roles: list[str]
    ) -> None:
        learn.courses["_12594_1"].available = available
        bridge = open_learn(staff_roles=roles)
        people = ["_5_1", "_6_1"]
        assert bridge.members_of(COURSE) == [each for each in people if COURSE in bridge.calendars_of(each)]

    def test_a_course_costs_one_call_for_each_page_and_one(self, learn: FakeLearn, open_learn: Open) -> None:
        for number in range(10, 15):
            learn.add_user(f"_{number}_1", f"user{number}", {"_12594_1": "Student"})
        assert len(open_learn(page_size=3).members_of(COURSE) or []) == 7
        assert learn.calls == {"token": 1, "members": 3, "course": 1}

    def test_only_courses_have_rosters_and_only_primary_ids_stand_there(self, bridge: BlackboardBridge) -> None:
        assert bridge.members_of(ANN) is bridge.members_of(HOURS) is None
        assert not bridge.is_in_rosters("userName:ann")


def test_a_personal_reading_costs_one_call_for_16_weeks(learn: FakeLearn, bridge: BlackboardBridge) -> None:
    link(learn, bridge)
    learn.calls.clear()
    expected = seeder(learn, bridge, type="Personal", calendarId="PERSONAL", createdByUserId="_5_1")(at(0))
    found = bridge.read(ANN, replace(AROUND, end=MONDAY + 100 * 24 * HOUR))
    assert values(found) == [expected]
    assert learn.calls == {"token": 1, "items": 1}
