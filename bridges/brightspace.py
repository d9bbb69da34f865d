"""D2L Brightspace: reads the calendars of org units, groups and people, and writes those of org units and groups.

The facts of the Valence API that this module relies on:

- An event belongs to an org unit, and maybe to one group in it. No field keeps a link, a category, a status, a key of
  ours or the time of the last change. Ids are numbers; absence in a whole reading means deleted.
- Collection routes end in a slash and single ones do not; the other form is answered 404.
- A POST or PUT names every member; PUT replaces the whole event. Its 404 may also mean a body that could not be read,
  so the event is looked for before it counts as gone.
- Times are UTC with milliseconds, which are required. All-day events are days, the end after the start.
- A series is one event without exceptions. From LE 1.94 on there are routes that give its occurrences; no route
  changes a single one, so they are never written. Nor are events that stand for an activity (due dates).

What is assumed, and the setting that bends it:

- A listing by time may go by the start of an event, or of the whole series: time before the window is asked for too
  (`lookback_days`, `series_days`).
- The listing of occurrences may leave out events that do not recur: they are asked for as well
  (`occurrences_hold_all`, which saves that call; `occurrence_routes` turns these routes off).
- A series that we expand keeps its wall-clock time in the organisation's zone (`zone`), counts its weeks from Sunday
  (`week_start`) and leaves out months without its day.
- A title holds 256 letters of UTF-16 and a location 255 (`title_letters`, `place_letters`); an event ends after it
  starts (`deadline_minutes`). Descriptions are HTML.
- `core:*:*` covers all that is called here (`scope`); course offerings are org units of type 3 (`course_type`).
- A minute has 50,000 credits, a call costs 10 (`credits_per_minute`, `credits_per_call`); no pause that a site asks
  for is longer than two minutes (`longest_wait_seconds`); four calls at once are polite (`concurrency`).
- Newer versions than we know may differ: the highest up to LE 1.97 and LP 1.63 is spoken (`le_version`, `lp_version`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from bridges.contract import SinkRules, Tools
from bridges.errors import Denied, Gone, Rejected, Transient
from bridges.http import Auth, Limits, Query
from bridges.markup import address_of, html_of, text_of
from bridges.model import (
    AllDay,
    Calendar,
    CalendarRef,
    Event,
    Found,
    Kind,
    RemoteRef,
    SyncKey,
    Timed,
    When,
    Window,
)
from bridges.settings import ZoneName, secured
from bridges.text import UNTITLED, cleaned, cut, folded, on_one_line, titled, unsaid
from bridges.valence import (
    DAY,
    FIRST_YEAR,
    LAST_YEAR,
    WEEK,
    Block,
    Client,
    Credits,
    IdKey,
    OneTimeRefresh,
    Recurrence,
    ValenceHttp,
    Version,
    Versions,
    floored,
    id_of,
    is_series,
    is_visible,
    moved,
    on_day,
    span_of,
    when_of,
    wire,
    wire_day,
)

TESTED = {"le": Version(1, 97), "lp": Version(1, 63)}
TELLS_OCCURRENCES = Version(1, 94)
UNITS_PER_CALL = 100
ME = "me"
EVENT_TYPES = {
    1: "Reminder",
    2: "AvailabilityStarts",
    3: "AvailabilityEnds",
    4: "UnlockStarts",
    5: "UnlockEnds",
    6: "DueDate",
}

log = logging.getLogger(__name__)


class BrightspaceSettings(BaseModel):
    """One Brightspace site, as the configuration names it: signed in by OAuth or by ID-Key, one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Address of the site, https only, without a path: https://lms.example.edu")
    zone: ZoneName = Field(description="Time zone of the organisation (IANA), in which its series keep their hour")
    client_id: str = Field("", description="OAuth: id of the registered application")
    client_secret: SecretStr = Field(SecretStr(""), description="OAuth: secret of the application")
    refresh_token: SecretStr = Field(
        SecretStr(""), description="OAuth: the first refresh token; later ones are kept in the store"
    )
    scope: str = Field("core:*:*", description="OAuth: scopes asked for, with blanks between")
    token_url: str = Field(
        "https://auth.brightspace.com/core/connect/token", description="OAuth: where tokens are handed out"
    )
    app_id: str = Field("", description="ID-Key: id of the application")
    app_key: SecretStr = Field(SecretStr(""), description="ID-Key: key of the application")
    user_id: str = Field("", description="ID-Key: id of the user who signed in")
    user_key: SecretStr = Field(SecretStr(""), description="ID-Key: key of the user who signed in")
    organisation: str = Field(
        "", pattern="^[0-9]*$", description="Org unit id of the organisation; read people and the institution with it"
    )
    le_version: str = Field("", description="Version of the LE API to keep to; empty: the highest both sides know")
    lp_version: str = Field("", description="Version of the LP API to keep to; empty: the highest both sides know")
    version_hours: int = Field(24, ge=1, le=720, description="How long the answer about versions is believed")
    course_type: int = Field(3, ge=1, description="Org unit type of course offerings")
    occurrence_routes: bool = Field(
        True, description="From LE 1.94 on let the site expand its series; else they are expanded here"
    )
    occurrences_hold_all: bool = Field(
        False, description="The listing of occurrences holds events that do not recur, too; saves a call per reading"
    )
    lookback_days: int = Field(31, ge=0, le=366, description="Time asked for before a window, for long events")
    series_days: int = Field(
        750, ge=0, le=3660, description="The same where series are expanded here: how long ago one may have begun"
    )
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "sunday", description="First day of the week, for series of every second week"
    )
    title_letters: int = Field(256, ge=20, le=4000, description="Longest title, in letters of UTF-16")
    place_letters: int = Field(255, ge=20, le=4000, description="Longest location, in letters of UTF-16")
    deadline_minutes: int = Field(
        1, ge=1, le=60, description="Length given to events without one; an end has to come after its start"
    )
    cancelled_prefix: str = Field(
        "Cancelled: ", max_length=15, description="Put before the title of a cancelled event; no status is kept"
    )
    credits_per_minute: int = Field(50_000, ge=10, description="What the site lets an application spend in a minute")
    credits_per_call: int = Field(10, ge=1, description="What a call costs where its answer does not say")
    renew_seconds: int = Field(60, ge=0, le=1800, description="A token is replaced so long before it ends")
    concurrency: int = Field(4, ge=1, le=16, description="Calls under way at a time from one process")
    connect_seconds: float = Field(10, gt=0, le=120, description="Longest wait for a connection")
    read_seconds: float = Field(30, gt=0, le=300, description="Longest silence within an answer")
    total_seconds: float = Field(90, gt=0, le=900, description="Longest time for one call with its retries")
    tries: int = Field(3, ge=1, le=10, description="How often a read is tried; writes are sent once")
    backoff_seconds: float = Field(0.5, ge=0, le=60, description="First pause before a read is tried again; it doubles")
    patience_seconds: float = Field(
        10, ge=0, le=300, description="Longest pause within a call; for longer ones the work is put off"
    )
    longest_wait_seconds: float = Field(
        120, ge=0, le=3600, description="A site that asks for a longer pause is asked again after this one"
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(_secure(url))
        if parts.path.rstrip("/") or parts.query or parts.fragment:
            raise ValueError("is scheme and host alone, as in https://lms.example.edu")
        return url.rstrip("/")

    @field_validator("token_url")
    @classmethod
    def _token_address(cls, url: str) -> str:
        return _secure(url)

    @field_validator("le_version", "lp_version")
    @classmethod
    def _version(cls, version: str) -> str:
        if version and Version.parse(version) is None:
            raise ValueError("is two numbers, as in 1.82")
        return version

    @model_validator(mode="after")
    def _one_sign_in(self) -> Self:
        oauth = [self.client_id, self.client_secret.get_secret_value(), self.refresh_token.get_secret_value()]
        id_key = [self.app_id, self.app_key.get_secret_value(), self.user_id, self.user_key.get_secret_value()]
        if not (all(oauth) and not any(id_key)) and not (all(id_key) and not any(oauth)):
            raise ValueError(
                "give either client_id, client_secret and refresh_token (OAuth), "
                "or app_id, app_key, user_id and user_key (ID-Key)"
            )
        return self

    @property
    def needs_vault(self) -> bool:
        """Whether secrets are kept for it: OAuth hands out refresh tokens that serve once."""
        return bool(self.client_id)

    @property
    def limits(self) -> Limits:
        return Limits(
            connect=self.connect_seconds,
            read=self.read_seconds,
            total=self.total_seconds,
            tries=self.tries,
            backoff=self.backoff_seconds,
            patience=self.patience_seconds,
            longest_wait=self.longest_wait_seconds,
            turns=self.concurrency,
        )


def _secure(url: str) -> str:
    parts = secured(url)
    if not parts.hostname or parts.username is not None:
        raise ValueError("has to name a host, and no user")
    return url


@dataclass(frozen=True, slots=True)
class Place:
    """An org unit, or one group in it."""

    unit: str
    group: str = ""

    def holds(self, block: Block) -> bool:
        """Whether the event stands here: a group's events are in that group's calendar and in no other."""
        return (id_of(block.get("OrgUnitId")), id_of(block.get("GroupId"))) == (self.unit, self.group)


@dataclass(frozen=True, slots=True)
class Happening:
    """One time at which the event of a block takes place; `slot` tells the members of a series apart."""

    block: Block
    when: When
    slot: str = ""


class BrightspaceBridge:
    """Source, sink and directory for one Brightspace site.

    Calendars are `course/6606` (the org unit's own events), `course/6606/group/7710` (that group's), `institution`
    (those of the organisation), `person/me` (what whoever is signed in sees in all their courses) and `person/30121`.
    People's calendars are read only and show no group's events.

    A RemoteRef is the event's id: `8801`. With a slash behind it, it is never written: `8810/3` is an occurrence,
    `8901/activity` a due date.
    """

    Settings = BrightspaceSettings

    def __init__(self, name: str, settings: BrightspaceSettings, tools: Tools) -> None:
        self.rules = SinkRules(keys_reusable=True, keeps_all_day=True, finds_by_key=False, writers=settings.concurrency)
        self._name = name
        self._settings = settings
        self._now = tools.now
        self._zone = ZoneInfo(settings.zone)
        credits = Credits(settings.credits_per_minute, settings.credits_per_call)
        auth = _sign_in(name, settings, tools)
        self._http = ValenceHttp(settings.url, tools, auth=auth, limits=settings.limits, credits=credits)
        self._versions = Versions(
            ValenceHttp(settings.url, tools, limits=settings.limits, credits=credits),
            tools.now,
            tested=TESTED,
            pinned={"le": settings.le_version, "lp": settings.lp_version},
            lifetime=timedelta(hours=settings.version_hours),
        )

    def __repr__(self) -> str:
        return f"BrightspaceBridge({self._name!r}, {self._settings.url!r})"

    def calendars(self) -> Iterator[Calendar]:
        """The institution's, the signed-in person's, and those of the courses this person is enrolled in."""
        if self._settings.organisation:
            yield Calendar(CalendarRef(self._name, Kind.INSTITUTION), "Institution", writable=True)
        yield Calendar(CalendarRef(self._name, Kind.PERSON, ME), "My calendar")
        for unit in self._courses(ME):
            id = id_of(unit.get("Id"))
            yield Calendar(self._course(id), on_one_line(unit.get("Name")) or id, writable=True)

    def calendars_of(self, person: str) -> list[CalendarRef]:
        """The courses a user (by id, or `me`) is enrolled in; which groups' calendars are theirs is not told."""
        if person != ME and not id_of(person):
            raise Gone(f"'{person}' is no user id of Brightspace: those are numbers.")
        return [self._course(id_of(unit.get("Id"))) for unit in self._courses(person)]

    def members_of(self, calendar: CalendarRef) -> list[str] | None:
        """The ids of the users who are enrolled in a course, one call for each page; of a group nobody is told."""
        if calendar.kind is not Kind.COURSE or (place := self._place(calendar)).group:
            return None
        path = f"/d2l/api/lp/{self._versions['lp']}/enrollments/orgUnits/{place.unit}/users/"
        users = (each.get("User") for each in self._http.listed(path, {}))
        return [id for user in users if isinstance(user, dict) and (id := id_of(user.get("Identifier")))]

    def is_in_rosters(self, person: str) -> bool:
        return person != ME

    def read(self, calendar: CalendarRef, window: Window) -> list[Found]:
        """What overlaps the window and is not hidden now. One listing, and one of occurrences from LE 1.94 on.

        A person's calendar costs the same for each 100 courses and their enrolments before it (`me`), or one listing
        and one call for each series in it (another user).
        """
        if calendar.kind is Kind.PERSON:
            return self._found(self._persons(calendar.id, window), window, writable=False)
        place = self._place(calendar)
        happenings = self._of([place.unit], window)
        return self._found((each for each in happenings if place.holds(each.block)), window)

    def read_many(self, calendars: Sequence[CalendarRef], window: Window) -> dict[CalendarRef, list[Found]]:
        """The readings of many org units and groups, 100 units to a listing; one that is closed closes them all."""
        places = {calendar: self._place(calendar) for calendar in calendars}
        happenings = list(self._of(sorted({place.unit for place in places.values()}), window))
        return {
            calendar: self._found((each for each in happenings if place.holds(each.block)), window)
            for calendar, place in places.items()
        }

    def look_up(self, calendar: CalendarRef, refs: Sequence[RemoteRef]) -> dict[RemoteRef, Found]:
        """One call for each; hidden events are found, too."""
        found = {}
        for ref in refs:
            try:
                block = self._http.get(self._event_path(calendar, ref))
            except Gone:
                continue
            when = when_of(block) if isinstance(block, dict) else None
            if when is None:
                raise Transient(f"{self._http.host} sent no event.", raw=repr(block)[:1000])
            found[ref] = self._value(Happening(block, when), writable=True)
        return found

    def check_target(self, calendar: CalendarRef) -> None:
        if calendar.kind is Kind.PERSON:
            raise Denied(
                "Brightspace keeps events of courses and groups alone, none of a person: "
                "send the events to the person by e-mail instead."
            )
        self._place(calendar)

    def fit(self, event: Event) -> Event:
        """One line of title and place, cut to length; the link below the text; UTC milliseconds; days stay days.

        An event without length gets `deadline_minutes` after its start. A cancelled one says so in its title.
        """
        text = _plain(event.text)
        return Event(
            title=cut(titled(event, self._settings.cancelled_prefix), self._settings.title_letters),
            when=self._fit_when(event.when),
            text=folded(text, [unsaid(event.url, text)]),
            place=cut(on_one_line(event.place), self._settings.place_letters),
        )

    def wired(self, when: When) -> tuple[str, str]:
        """Instants of UTC, and days as days."""
        if isinstance(when, AllDay):
            return wire_day(when.start), wire_day(when.end)
        return wire(when.start), wire(when.end)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """POST one event; Brightspace knows no keys of ours."""
        self.check_target(calendar)
        place = self._place(calendar)
        try:
            answer = self._http.write("POST", self._le(f"{place.unit}/calendar/event/"), body=_data(event, place))
        except Gone as error:
            raise Rejected(
                f"{self._http.host} has no org unit {place.unit}, or could not read the event.", raw=error.raw
            ) from error
        id = id_of(answer.get("CalendarEventId")) if isinstance(answer, dict) else ""
        if not id:
            raise Transient(f"{self._http.host} answered without an id.", raw=repr(answer)[:1000])
        return RemoteRef(id)

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """PUT the whole event, which also shows one that somebody hid. A 404 counts as gone after a second look."""
        self.check_target(calendar)
        path = self._event_path(calendar, ref)
        try:
            self._http.write("PUT", path, body=_data(event, self._place(calendar)))
        except Gone as error:
            self._http.get(path)
            raise Rejected(
                f"{self._http.host} holds the event, but could not read the change.", raw=error.raw
            ) from error
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        self.check_target(calendar)
        try:
            self._http.write("DELETE", self._event_path(calendar, ref))
        except Gone:
            return

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> list[RemoteRef]:
        """By value: the writable events around the event's time that are equal to it, hidden ones too; one listing."""
        place = self._place(calendar)
        start, end = span_of(event.when, self._zone)
        around = Window(start, max(end, start + DAY))
        blocks = self._listed(*self._units_listing([place.unit]), self._times(around, before=DAY))
        happenings = (each for each in self._plainly(blocks, around) if place.holds(each.block) and not each.slot)
        found = (self._value(each, writable=True) for each in happenings)
        return sorted(each.ref for each in found if each.writable and each.event == event)

    def _fit_when(self, when: When) -> When:
        if not FIRST_YEAR <= when.start.year <= when.end.year <= LAST_YEAR:
            raise Rejected("The time lies outside of the years that a calendar can hold.")
        if isinstance(when, AllDay):
            return when
        if when.floating:
            raise Rejected("The time has no zone; Brightspace holds nothing but instants and days.")
        start, end = floored(when.start), floored(when.end)
        return Timed(start, end if end > start else start + timedelta(minutes=self._settings.deadline_minutes))

    def _course(self, id: str) -> CalendarRef:
        return CalendarRef(self._name, Kind.COURSE, id)

    def _place(self, calendar: CalendarRef) -> Place:
        """The org unit and group that a calendar stands for, or Denied with the form that names one."""
        if calendar.kind is Kind.INSTITUTION:
            if not self._settings.organisation:
                raise Denied("The institution's calendar needs the setting organisation: its org unit id.")
            return Place(self._settings.organisation)
        if calendar.kind is not Kind.COURSE:
            raise Denied(f"Brightspace has no calendars of the kind '{calendar.kind}'.")
        form = re.fullmatch(r"(\d{1,18})(?:/group/(\d{1,18}))?", calendar.id, re.ASCII)
        if form is None:
            raise Denied(f"'{calendar.id}' names no org unit: write course/6606 or course/6606/group/7710.")
        return Place(form[1], form[2] or "")

    def _event_path(self, calendar: CalendarRef, ref: RemoteRef) -> str:
        id, _, part = ref.partition("/")
        if part == "activity":
            raise Rejected("This date belongs to an activity: it is moved there, not in the calendar.")
        if part:
            raise Rejected("This is one occurrence of a series, and Brightspace changes a series as a whole.")
        if not id_of(id):
            raise Rejected(f"'{ref}' is no event of Brightspace.")
        return self._le(f"{self._place(calendar).unit}/calendar/event/{id}")

    def _le(self, path: str) -> str:
        return f"/d2l/api/le/{self._versions['le']}/{path}"

    @property
    def _is_told(self) -> bool:
        """Whether the site tells us the occurrences of its series."""
        return self._settings.occurrence_routes and self._versions["le"] >= TELLS_OCCURRENCES

    def _courses(self, person: str) -> Iterator[Block]:
        """The course offerings a user is enrolled in: OrgUnit blocks."""
        query: Query = {"isActive": "true", "canAccess": "true"}
        whose = "myenrollments/"
        if person != ME:
            whose, query = f"users/{person}/orgUnits/", {"orgUnitTypeId": self._settings.course_type}
        path = f"/d2l/api/lp/{self._versions['lp']}/enrollments/{whose}"
        for enrolment in self._http.listed(path, query):
            unit = enrolment.get("OrgUnit")
            if isinstance(unit, dict) and id_of(unit.get("Id")) and _is_of_type(unit, self._settings.course_type):
                yield unit

    def _of(self, units: Sequence[str], window: Window) -> Iterator[Happening]:
        """What these org units hold around a window, their groups' events too."""
        for some in _hundreds(units):
            occurrences: list[tuple[str, Query]] = [(f"{unit}/calendar/events/occurrences/", {}) for unit in some]
            yield from self._gathered(self._units_listing(some), occurrences, window)

    def _units_listing(self, units: Sequence[str]) -> tuple[str, Query]:
        return f"{units[0]}/calendar/events/orgunits/", {"orgUnitIdsCSV": ",".join(units)}

    def _persons(self, person: str, window: Window) -> Iterator[Happening]:
        happenings = self._mine(window) if person == ME else self._users(person, window)
        return (each for each in happenings if not id_of(each.block.get("GroupId")))

    def _mine(self, window: Window) -> Iterator[Happening]:
        for some in _hundreds([id_of(unit.get("Id")) for unit in self._courses(ME)]):
            query: Query = {"orgUnitIdsCSV": ",".join(some)}
            listing = ("calendar/events/myEvents/", query)
            yield from self._gathered(listing, [("calendar/events/myEventsWithOccurrences/", query)], window)

    def _users(self, person: str, window: Window) -> Iterator[Happening]:
        """Another person's events in the organisation; no listing tells their occurrences, so each series is asked."""
        organisation = self._place(CalendarRef(self._name, Kind.INSTITUTION)).unit
        if not id_of(person):
            raise Denied(f"'{person}' is no user id: write person/me or person/30121.")
        times = self._times(window, before=timedelta(days=self._settings.series_days))
        for block in self._listed(f"{organisation}/calendar/events/user/", {"userId": person}, times):
            if self._is_told and is_series(block):
                unit, id = id_of(block.get("OrgUnitId")), id_of(block.get("CalendarEventId"))
                yield from self._told([self._http.get(self._le(f"{unit}/calendar/event/{id}/occurrences"))], window)
            else:
                yield from self._plainly([block], window)

    def _gathered(
        self, listing: tuple[str, Query], occurrences: Iterable[tuple[str, Query]], window: Window
    ) -> Iterator[Happening]:
        """Single events from the one listing and series from the others, where the site has those."""
        if not self._is_told:
            times = self._times(window, before=timedelta(days=self._settings.series_days))
            yield from self._plainly(self._listed(*listing, times), window)
            return
        times = self._times(window, before=timedelta(days=self._settings.lookback_days))
        if not self._settings.occurrences_hold_all:
            blocks = self._listed(*listing, times)
            yield from self._plainly((block for block in blocks if not is_series(block)), window)
        for path, query in occurrences:
            yield from self._told(self._listed(path, query, times), window)

    def _times(self, window: Window, *, before: timedelta) -> dict[str, str]:
        """The window with time around it: days may be laid out in another zone, long events begin before it."""
        since, until = moved(window.start, -max(before, DAY)), moved(window.end, DAY)
        return {"startDateTime": wire(since), "endDateTime": wire(until)}

    def _listed(self, path: str, query: Query, times: Query) -> Iterator[Block]:
        try:
            yield from self._http.listed(self._le(path), {**query, **times})
        except Gone as error:
            raise Gone(f"{self._http.host} has no such calendar: {path}", raw=error.raw) from error
        except Rejected as error:
            raise Denied(str(error), raw=error.raw) from error

    def _plainly(self, blocks: Iterable[Block], window: Window) -> Iterator[Happening]:
        """Events as they are listed; series are expanded here."""
        for block in blocks:
            when = when_of(block)
            if when is None:
                log.warning("left out a Brightspace event without a time: %s", block.get("CalendarEventId"))
            elif not is_series(block):
                yield Happening(block, when)
            else:
                yield from self._expanded(block, when, window)

    def _told(self, entries: Iterable[Any], window: Window) -> Iterator[Happening]:
        """EventWithOccurrencesInfo blocks as the site expanded them."""
        for entry in entries:
            match entry:
                case {"EventDataInfo": dict(block), "Occurrences": list(occurrences)}:
                    series = is_series(block)
                    yield from self._occurring(block, occurrences) if series else self._plainly([block], window)
                case _:
                    raise Transient(f"{self._http.host} sent something else than occurrences.", raw=repr(entry)[:1000])

    def _occurring(self, block: Block, occurrences: Iterable[Any]) -> Iterator[Happening]:
        for each in occurrences:
            slot, when = (id_of(each.get("RecurrenceId")), when_of(each)) if isinstance(each, dict) else ("", None)
            if slot and when is not None:
                yield Happening(block, when, slot)
            else:
                log.warning("left out a Brightspace occurrence without id or time: %s", block.get("CalendarEventId"))

    def _expanded(self, block: Block, first: When, window: Window) -> Iterator[Happening]:
        rule = Recurrence.parse(block.get("RecurrenceInfo"))
        if rule is None:
            log.warning("a Brightspace series without a rule counts once: %s", block.get("CalendarEventId"))
            yield Happening(block, first, "first")
            return
        start, end = span_of(first, self._zone)
        since = moved(window.start, start - end - DAY).astimezone(self._zone).date()
        until = min(moved(window.end, DAY).astimezone(self._zone).date(), date(LAST_YEAR, 12, 31))
        began = first.start if isinstance(first, AllDay) else start.astimezone(self._zone).date()
        for day in rule.dates(began, since, until, WEEK.index(self._settings.week_start)):
            when = on_day(first, day, self._zone)
            if rule.until is not None and span_of(when, self._zone)[0] > rule.until:
                return
            yield Happening(block, when, f"{day.year:04}{day:%m%d}")

    def _found(self, happenings: Iterable[Happening], window: Window, *, writable: bool = True) -> list[Found]:
        """What lies in the window and may be seen, each once, in order."""
        found = {
            each.ref: each
            for each in (
                self._value(happening, writable=writable)
                for happening in happenings
                if window.overlaps(happening.when) and self._is_shown(happening) and _named(happening.block)
            )
        }
        return sorted(found.values(), key=lambda each: (window.span(each.event.when)[0], each.ref))

    def _is_shown(self, happening: Happening) -> bool:
        """A series is hidden and shown as a whole, by its first start."""
        when = when_of(happening.block) or happening.when
        return is_visible(happening.block, span_of(when, self._zone), self._now())

    def _value(self, happening: Happening, *, writable: bool) -> Found:
        block, id = happening.block, id_of(happening.block.get("CalendarEventId"))
        entity = block.get("AssociatedEntity")
        associated = block.get("IsAssociatedWithEntity") is True or bool(entity)
        parts = [id, happening.slot, "activity" if associated else ""]
        page = address_of(block.get("CalendarEventViewUrl"))
        return Found(
            ref=RemoteRef("/".join(filter(None, parts))),
            event=Event(
                title=on_one_line(block.get("Title")) or UNTITLED,
                when=happening.when,
                text=_plain(text_of(block.get("Description"))),
                place=on_one_line(block.get("LocationName")),
                url=address_of(entity.get("Link")) if isinstance(entity, dict) else "",
            ),
            writable=writable and not associated and not happening.slot,
            kind=_kind(block) if associated else "Event",
            extra={"page": page} if page else {},
        )


def _sign_in(name: str, settings: BrightspaceSettings, tools: Tools) -> Auth:
    if settings.app_id:
        app = (settings.app_id, settings.app_key.get_secret_value())
        return IdKey(app, (settings.user_id, settings.user_key.get_secret_value()), tools.now)
    client = Client(
        token_url=settings.token_url,
        id=settings.client_id,
        secret=settings.client_secret.get_secret_value(),
        refresh=settings.refresh_token.get_secret_value(),
        scope=settings.scope,
    )
    early = timedelta(seconds=settings.renew_seconds)
    return OneTimeRefresh(client, f"brightspace/{name}", tools, settings.limits, early=early)


def _is_of_type(unit: Block, type: int) -> bool:
    stated = unit.get("Type")
    return isinstance(stated, dict) and id_of(stated.get("Id")) == str(type)


def _named(block: Block) -> bool:
    named = bool(id_of(block.get("CalendarEventId")))
    if not named:
        log.warning("left out a Brightspace event without an id")
    return named


def _kind(block: Block) -> str:
    """What a date of an activity is: its EventType where the version has one, else the activity (`Dropbox`, `Quiz`)."""
    entity = block.get("AssociatedEntity")
    activity = entity.get("AssociatedEntityType") if isinstance(entity, dict) else None
    event_type = EVENT_TYPES.get(int(id_of(block.get("EventType")) or 0))
    return event_type or (activity.rpartition(".")[2] if isinstance(activity, str) else "") or "Activity"


def _data(event: Event, place: Place) -> dict[str, Any]:
    """EventData of a fitted event: every member, the empty ones too."""
    times: dict[str, str | None] = dict.fromkeys(("StartDateTime", "EndDateTime", "StartDay", "EndDay"))
    if isinstance(event.when, AllDay):
        times |= {"StartDay": wire_day(event.when.start), "EndDay": wire_day(event.when.end)}
    else:
        times |= {"StartDateTime": wire(event.when.start), "EndDateTime": wire(event.when.end)}
    return {
        "Title": event.title,
        "Description": html_of(event.text),
        **times,
        "GroupId": int(place.group) if place.group else None,
        "RecurrenceInfo": None,
        "LocationId": None,
        "LocationName": event.place,
        "AssociatedEntity": None,
        "VisibilityRestrictions": {
            "Type": 1,
            "Range": None,
            "HiddenRangeUnitType": None,
            "StartDate": None,
            "EndDate": None,
        },
    }


def _hundreds(units: Sequence[str]) -> Iterator[Sequence[str]]:
    return (units[at : at + UNITS_PER_CALL] for at in range(0, len(units), UNITS_PER_CALL))


def _plain(text: Any) -> str:
    """Clean text as HTML keeps it: lines without trailing blanks, and no tabs."""
    spaced = text.replace("\N{NO-BREAK SPACE}", " ").expandtabs(4) if isinstance(text, str) else ""
    return "\n".join(line.rstrip() for line in cleaned(spaced).split("\n"))
