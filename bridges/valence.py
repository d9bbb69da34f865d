"""Valence, the web API of D2L, below its calendar routes: signing in, versions, pages, credits, and forms of time.

- OAuth 2.0: an access token lives an hour. A refresh token works once; using one twice kills all that came of it.
- ID-Key: each call is signed in its query by two keys over method, path and time. A clock that is off is told so.
- A listing comes as a PagedResultSet (bookmarks) or an ObjectListPage (the next page's URL). A page may be empty and
  still have a next one.
- A minute has so many credits and a call costs ten of them; the meter is told in calls.
- A series is a rule without exceptions; whether an event may be seen depends on the moment of asking.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from bridges.contract import Quota
from bridges.errors import BridgeError, Denied, Rejected, Transient
from bridges.http import Answer, Auth, Limits, LmsHttp, Query
from bridges.model import AllDay, Timed, When, instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    import requests

    from bridges.contract import Tools, Vault

_CLOCK = re.compile(r"(?i)timestamp out of range[^\d]{0,20}(\d{9,12})")
_SIGNATURE = re.compile(r"(?<=[?&])x_[abcdt]=[^&#]*&?")
FIRST_YEAR, LAST_YEAR = 2, 9998
"""Years at whose borders no zone and no day more leads out of the calendar."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
YEAR = timedelta(days=366)
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DRIFT = 30
"""Seconds: a signature made with the present clock is younger, so a refusal of it is no matter of clocks."""

Block = Mapping[str, Any]
"""EventDataInfo, OccurrenceInfo or OrgUnit, as the API gives it."""


@dataclass(frozen=True, slots=True)
class Client:
    """An application registered for OAuth: `refresh` is the first refresh token, as a person handed it over."""

    token_url: str
    id: str
    secret: str = field(repr=False)
    refresh: str = field(repr=False)
    scope: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token server gave last, as the vault keeps it.

    `origin` is a hash of the first refresh token: where a person has set another one since, this grant is void.
    """

    origin: str
    refresh: str = field(repr=False)
    access: str = field(default="", repr=False)
    until: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """The inverse of dumped(); None for what is none."""
        try:
            return cls(**json.loads(text)) if text else None
        except (ValueError, TypeError):
            return None

    def dumped(self) -> str:
        return json.dumps(asdict(self))

    def lives(self, now: datetime) -> bool:
        return bool(self.access) and now < datetime.fromisoformat(self.until)


class OneTimeRefresh:
    """Signs calls with an access token that all processes share, and replaces it by one-time refresh tokens.

    What the token server hands out is stored before it is used, under the vault's lock: two workers never spend the
    same refresh token. Where that token's answer was lost it may be spent all the same; then a person has to sign in
    anew (Denied).
    """

    def __init__(self, client: Client, place: str, tools: Tools, limits: Limits, *, early: timedelta) -> None:
        self._client = client
        self._place = place
        self._vault: Vault = tools.vault
        self._now = tools.now
        self._early = early
        self._http = LmsHttp(client.token_url, tools, limits=limits)
        self._origin = hashlib.sha256(client.refresh.encode()).hexdigest()
        self._lock = threading.Lock()
        self._grant = Grant(self._origin, client.refresh)
        self._refused = ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._current()}"
        return request

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        """Forget the token that was not taken (401), unless another thread has replaced it meanwhile."""
        with self._lock:
            if refusal.status == 401 and request.headers.get("Authorization") == f"Bearer {self._grant.access}":
                self._refused = self._grant.access
        return refusal.status == 401

    def _current(self) -> str:
        with self._lock:
            if not self._usable(self._grant):
                with self._vault.alone(self._place):
                    kept = self._kept()
                    self._grant = kept if self._usable(kept) else self._refreshed(kept)
            return self._grant.access

    def _usable(self, grant: Grant) -> bool:
        return grant.lives(self._now()) and grant.access != self._refused

    def _kept(self) -> Grant:
        kept = Grant.parse(self._vault.get(self._place))
        return kept if kept and kept.origin == self._origin else Grant(self._origin, self._client.refresh)

    def _refreshed(self, kept: Grant) -> Grant:
        fields = {"grant_type": "refresh_token", "refresh_token": kept.refresh, "scope": self._client.scope}
        pair = f"{self._client.id}:{self._client.secret}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        self._vault.put(self._place, kept.dumped())  # a vault that takes nothing says so before a token is spent
        try:
            answer = self._http.form(urlsplit(self._client.token_url).path, fields, basic)
        except Rejected as error:
            raise Denied(
                f"{self._http.host} does not take the refresh token: it was used before, or withdrawn. "
                "Sign in anew and put the new refresh token into the configuration.",
                raw=error.raw,
            ) from error
        return self._stored(kept, answer if isinstance(answer, dict) else {})

    def _stored(self, kept: Grant, answer: Mapping[str, Any]) -> Grant:
        """The new grant, safely kept, even if it brings a refresh token alone."""
        access, seconds = answer.get("access_token"), answer.get("expires_in")
        lifetime = timedelta(seconds=min(max(0, seconds), DAY.total_seconds())) if isinstance(seconds, int) else HOUR
        grant = Grant(
            self._origin,
            _token(answer.get("refresh_token")) or kept.refresh,
            _token(access),
            (self._now() + lifetime - min(self._early, lifetime / 2)).isoformat(),
        )
        self._vault.put(self._place, grant.dumped())
        if not grant.access:
            raise Transient(f"{self._http.host} answered our sign-in without a token.")
        return grant


def _token(text: Any) -> str:
    return text if isinstance(text, str) and text.isascii() and text.isprintable() else ""


class IdKey:
    """Signs calls with an application's and a user's key; follows the site's clock once the site tells it."""

    def __init__(self, app: tuple[str, str], user: tuple[str, str], now: Callable[[], datetime]) -> None:
        self._app, self._user = app, user
        self._now = now
        self._skew = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        url, moment = urlsplit(request.url or ""), self._unix_time()
        base = signature_base(request.method or "", url.path, moment)
        (app_id, app_key), (user_id, user_key) = self._app, self._user
        values = (app_id, user_id, signature(app_key, base), signature(user_key, base), str(moment))
        signed = urlencode(dict(zip(("x_a", "x_b", "x_c", "x_d", "x_t"), values, strict=True)))
        request.url = url._replace(query="&".join(filter(None, (url.query, signed)))).geturl()
        return request

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        """Follow the site's clock, if it tells it; whether that makes another signature of this request."""
        told = _CLOCK.search(refusal.body[:500].decode("utf-8", "replace"))
        if told is not None:
            self._skew = int(told[1]) - int(self._now().timestamp())
        signed = dict(parse_qsl(urlsplit(request.url or "").query)).get("x_t", "0")
        return abs(int(signed) - self._unix_time()) > DRIFT

    def _unix_time(self) -> int:
        return int(self._now().timestamp()) + self._skew


def signature_base(method: str, path: str, moment: int) -> str:
    """What an ID-Key signature is made over: neither host nor query, the path in lower case and decoded."""
    return f"{method.upper()}&{unquote(path.lower())}&{moment}"


def signature(key: str, text: str) -> str:
    """HMAC-SHA256 in base64url without padding."""
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Credits(NamedTuple):
    """The bucket of an application at a site: credits a minute, and what one call costs."""

    minute: int
    call: int


class ValenceHttp(LmsHttp):
    """HTTP to one site: counts credits, reads the site's words and both kinds of listing."""

    def __init__(
        self, base_url: str, tools: Tools, *, auth: Auth | None = None, limits: Limits | None = None, credits: Credits
    ) -> None:
        super().__init__(base_url, tools, auth=auth, limits=limits)
        self._credits = credits

    def listed(self, path: str, query: Query) -> Iterator[Mapping[str, Any]]:
        """The members of a listing in either shape, to the end or an error."""
        for page in self.pages(path, query):
            match page:
                case {"Items": list(members)} | {"Objects": list(members)}:
                    yield from (member for member in members if isinstance(member, dict))
                case _:
                    raise self._no_page(page)

    def _next(self, page: Mapping[str, Any], path: str, params: Query) -> tuple[str, Query] | None:
        """By bookmark or by URL; that one comes without the signature that this page was asked for with."""
        match page:
            case {"Items": _, "PagingInfo": {"HasMoreItems": False}} | {"Objects": _, "Next": None | ""}:
                return None
            case {"Items": _, "PagingInfo": {"HasMoreItems": True, "Bookmark": str(mark)}} if mark:
                return path, {**params, "bookmark": mark}
            case {"Objects": _, "Next": str(url)}:
                return _SIGNATURE.sub("", url).rstrip("?&"), {}
        raise self._no_page(page)

    def _no_page(self, page: Any) -> Transient:
        return Transient(f"{self.host} sent something else than a page of a list.", raw=repr(page)[:1000])

    def _quota(self, answer: Answer) -> Quota | None:
        """Credits as calls; after a 429, which may say no more than Retry-After, none are left for so long."""
        cost = _count(answer.headers.get("X-Request-Cost")) or self._credits.call
        left = _count(answer.headers.get("X-Rate-Limit-Remaining"))
        resets_at = self._resets_at(answer)
        if answer.status == 429:
            wait = self._retry_after(answer)
            left, resets_at = 0, resets_at if wait is None else self._tools.now() + timedelta(seconds=wait)
        return None if left is None else Quota(self._credits.minute // cost, left // cost, resets_at)

    def _error(self, answer: Answer) -> BridgeError:
        error, words = super()._error(answer), _words(answer)
        if words:
            error.args = (f"{error} It says: {words}",)
        return error


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def _words(answer: Answer) -> str:
    """The site's own sentence, in any of its three forms: problem+json, Errors, plain text."""
    try:
        body = answer.json()
    except ValueError:
        body = "" if answer.is_page else answer.body.decode("utf-8", "replace")
    match body:
        case {"detail": str(words)} | {"title": str(words)} | {"Errors": [{"Message": str(words)}, *_]} | str(words):
            return " ".join(words.split())[:200]
    return ""


class Version(NamedTuple):
    """Two whole numbers: 1.9 comes before 1.82."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: Any) -> Self | None:
        form = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", text) if isinstance(text, str) else None
        return cls(int(form[1]), int(form[2])) if form else None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Versions:
    """Which version of each product to speak: the pinned one, else the highest that the site and we both know.

    The site is asked without a sign-in, and again after `lifetime`: an obsolete version answers 404 to everything,
    and that must not pass for things that are gone.
    """

    def __init__(
        self,
        http: LmsHttp,
        now: Callable[[], datetime],
        *,
        tested: Mapping[str, Version],
        pinned: Mapping[str, str],
        lifetime: timedelta,
    ) -> None:
        self._http, self._now = http, now
        self._tested, self._pinned = tested, pinned
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._supported: dict[str, list[Version]] = {}
        self._until = datetime.min.replace(tzinfo=UTC)

    def __getitem__(self, product: str) -> Version:
        with self._lock:
            if self._now() >= self._until:
                self._supported = self._asked()
                self._until = self._now() + self._lifetime
            supported = self._supported.get(product, [])
        pin = Version.parse(self._pinned[product])
        usable = [each for each in supported if (each == pin if pin else each <= self._tested[product])]
        if not usable:
            raise Denied(
                f"{self._http.host} speaks {product.upper()} {', '.join(map(str, supported)) or 'in no version'}, and "
                + (f"{product}_version pins {pin}." if pin else f"we speak up to {self._tested[product]}: pin one.")
            )
        return max(usable)

    def _asked(self) -> dict[str, list[Version]]:
        answer = self._http.get("/d2l/api/versions/")
        supported = {
            product["ProductCode"]: [each for each in map(Version.parse, product["SupportedVersions"]) if each]
            for product in (answer if isinstance(answer, list) else [])
            if isinstance(product, dict)
            and isinstance(product.get("SupportedVersions"), list)
            and isinstance(product.get("ProductCode"), str)
        }
        if not supported:
            raise Transient(f"{self._http.host} does not say which versions of its API it speaks.", raw=repr(answer))
        return supported


class Repeat(IntEnum):
    """REPEAT_T of those that do repeat."""

    DAILY = 2
    WEEKLY = 3
    MONTHLY = 4
    YEARLY = 5


_LONGEST = {Repeat.DAILY: 1, Repeat.WEEKLY: 7, Repeat.MONTHLY: 31, Repeat.YEARLY: 366}
"""Days that a period has at most."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """RecurrenceInfo: `weekdays` counts from Monday as 0; after the instant `until` nothing recurs."""

    repeat: Repeat
    every: int
    weekdays: tuple[int, ...]
    until: datetime | None

    @classmethod
    def parse(cls, info: Any) -> Self | None:
        match info:
            case {"RepeatType": 2 | 3 | 4 | 5 as repeat, "RepeatEvery": int(every)} if every >= 1:
                ticked = info.get("RepeatOnInfo")
                ticked = ticked if isinstance(ticked, dict) else {}
                weekdays = tuple(number for number, name in enumerate(WEEK) if ticked.get(name.title()) is True)
                return cls(Repeat(repeat), every, weekdays, moment_of(info.get("RepeatUntilDate")))
        return None

    def dates(self, first: date, since: date, until: date, week_start: int) -> Iterator[date]:
        """The days of the series that began on `first`, from about `since` to `until`."""
        skipped = max(0, (since - first).days // (_LONGEST[self.repeat] * self.every) - 1)
        try:
            for number in count(skipped):
                begins, days = self._period(first, number * self.every, week_start)
                if begins > until:
                    return
                yield from (day for day in days if first <= day <= until)
        except (OverflowError, ValueError):
            return

    def _period(self, first: date, steps: int, week_start: int) -> tuple[date, list[date]]:
        """The beginning of the day, week, month or year so many steps after the first one, and the days in it."""
        match self.repeat:
            case Repeat.DAILY:
                day = first + steps * DAY
                return day, [day]
            case Repeat.WEEKLY:
                begins = first + (7 * steps - (first.weekday() - week_start) % 7) * DAY
                ticked = self.weekdays or (first.weekday(),)
                return begins, sorted(begins + (number - week_start) % 7 * DAY for number in ticked)
            case Repeat.MONTHLY:
                year, month = divmod(first.year * 12 + first.month - 1 + steps, 12)
                return date(year, month + 1, 1), _existing(year, month + 1, first.day)
            case Repeat.YEARLY:
                year = first.year + steps
                return date(year, 1, 1), _existing(year, first.month, first.day)


def _existing(year: int, month: int, day: int) -> list[date]:
    try:
        return [date(year, month, day)]
    except ValueError:
        return []


def on_day(first: When, day: date, zone: ZoneInfo) -> When:
    """The same on another day, at its wall-clock time and as long, up to a year; a skipped time moves on an hour."""
    if isinstance(first, AllDay):
        return AllDay(day, day + min(first.end - first.start, YEAR))
    start = datetime.combine(day, first.start.astimezone(zone).time(), zone).astimezone(UTC)
    return Timed(start, start + min(instant(first.end) - instant(first.start), YEAR))


def span_of(when: When, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Two UTC instants; days begin at midnight of the zone."""
    if isinstance(when, AllDay):
        start, end = (datetime.combine(day, time(), zone) for day in (when.start, when.end))
        return start.astimezone(UTC), end.astimezone(UTC)
    return instant(when.start), instant(when.end)


_UNITS = {1: timedelta(days=1), 2: timedelta(hours=1), 3: timedelta(minutes=1)}


def is_visible(block: Block, span: tuple[datetime, datetime], now: datetime) -> bool:
    """VISIBILITY_T at this moment; what we cannot read is hidden, for a feed shows it to everyone."""
    info = block.get("VisibilityRestrictions")
    if not isinstance(info, dict):
        return block.get("HasVisibilityRestrictions") is not True
    start, end = moment_of(info.get("StartDate")), moment_of(info.get("EndDate"))
    try:
        match info:
            case {"Type": 1}:
                return True
            case {"Type": 2, "Range": int(range), "HiddenRangeUnitType": 1 | 2 | 3 as unit}:
                return now >= (start or span[0]) - range * _UNITS[unit]
            case {"Type": 3, "Range": int(range), "HiddenRangeUnitType": 1 | 2 | 3 as unit}:
                return now < (end or span[1]) + range * _UNITS[unit]
            case {"Type": 4} if start and end:
                return start <= now < end
    except OverflowError:
        return False
    return False


def is_series(block: Block) -> bool:
    return block.get("IsRecurring") is True or Recurrence.parse(block.get("RecurrenceInfo")) is not None


def when_of(block: Block) -> When | None:
    """The time of an event or an occurrence; None if there is none, or none in the years that can be reckoned with.

    One that ends before it starts ends at once, or with its first day.
    """
    first, start = day_of(block.get("StartDay")), moment_of(block.get("StartDateTime"))
    if first is not None and (start is None or block.get("IsAllDayEvent") is True):
        if not FIRST_YEAR <= first.year <= LAST_YEAR:
            return None
        last = min(day_of(block.get("EndDay")) or first, date(LAST_YEAR + 1, 1, 1))
        return AllDay(first, max(last, first + DAY))
    if start is None or not FIRST_YEAR <= start.year <= LAST_YEAR:
        return None
    end = min(moment_of(block.get("EndDateTime")) or start, datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))
    return Timed(start, max(start, end))


def id_of(value: Any) -> str:
    """An id as text, whether it came as a number or as one in quotes; "" for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return value if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20 else ""


def floored(moment: datetime) -> datetime:
    """The UTC instant without what is finer than a millisecond."""
    moment = instant(moment)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return floored(moment + by)
    except OverflowError:
        return floored(moment)


def wire(moment: datetime) -> str:
    return floored(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wire_day(day: date) -> str:
    return f"{day.isoformat()}T00:00:00.000"


def moment_of(text: Any) -> datetime | None:
    """A UTCDateTime, with or without milliseconds; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return floored(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def day_of(text: Any) -> date | None:
    """The day of a LocalDateTime, whatever its time says."""
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None
