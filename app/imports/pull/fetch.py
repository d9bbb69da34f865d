"""The app's one door to HTTP: a calendar from an address that somebody gave us, whole, or a sentence that says why not.

No answer but a whole calendar with status 200 is ever taken for one: an empty, cut, partial or foreign body must never
look like a calendar without events. Redirects are followed by hand, and every hop passes the same fences.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from urllib.parse import urljoin

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, IncompleteRead
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import TimeoutError as TimeoutFault

from app.imports.pull.addresses import Fences, FetchError, Refused, Target
from app.imports.pull.dial import Dial, DialAdapter, Resolver, system_resolver

__all__ = ["Credential", "FetchError", "FetchSettings", "Fetched", "Missing", "NotModified", "Refused", "Validators"]

URLLIB3_FLOOR = (2, 7)
"""Below it a small answer may unfold without bound (CVE-2026-44432)."""
MOST_HOPS = 5
LONGEST_WAIT = 24 * 3600.0
MICROSOFT = "microsoft"
"""The name of the preset agent."""
MICROSOFT_HOSTS = ("office365.com", "office.com", "outlook.com", "live.com")
_MICROSOFT_LIKES = "Mozilla/5.0 (Linux) Chrome/139"  # the shortest found by nextcloud/server#54799

_REDIRECTS = (301, 302, 303, 307, 308)
_ENCODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}
_PIECE = 2**16
_PASSWORD_FIELD = re.compile(rb"(?i)type=[\"']?password")
_SIGN_IN = re.compile(rb"(?i)<title>[^<]{0,100}\b(?:sign|log)[ -]?[io]n\b|SAMLRequest")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,2000}")
_OURS = re.compile(
    r"(?i)host|user-agent|accept-encoding|range|expect|date|via|forwarded|x-forwarded-.*|content-.*|if-.*|"
    r"connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade"
)
"""Headers that say what we ask, whom, and over which line: hop-by-hop ones as RFC 9110 section 7.6.1 lists them."""
MOST_HEADERS = 10


class Missing(FetchError):
    """The server says that there is no such calendar; `for_ever` if it says that there never will be (410)."""

    def __init__(self, message: str, *, for_ever: bool) -> None:
        super().__init__(message)
        self.for_ever = for_ever


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How calendars are fetched. Times in seconds, `max_bytes` after decompression.

    agent            our name to servers, with an address where we can be asked about it
    microsoft_hosts  these and their subdomains get the preset agent unasked
    connect, read    one connection attempt; one silence between two bytes
    total            a whole fetch, look-ups and redirects included
    ca_file          certificates to trust in place of the public ones, a PEM file
    """

    fences: Fences = field(default_factory=Fences)
    agent: str = "calbridge"
    microsoft_hosts: tuple[str, ...] = MICROSOFT_HOSTS
    connect: float = 10.0
    read: float = 20.0
    total: float = 30.0
    max_bytes: int = 15 * 2**20
    ca_file: str = ""

    def agent_for(self, host: str, wanted: str) -> str:
        """The User-Agent to send: `wanted`, where "microsoft" is the preset and nothing means that the host decides."""
        preset = f"{_MICROSOFT_LIKES} {self.agent}"
        if wanted == MICROSOFT or (not wanted and self.is_microsoft(host)):
            return preset
        return wanted or self.agent

    def is_microsoft(self, host: str) -> bool:
        return any(host == known or host.endswith(f".{known}") for known in self.microsoft_hosts)


@dataclass(frozen=True, slots=True)
class Credential:
    """One header that opens the source; sent to the origin of the subscribed URL alone, and shown nowhere."""

    name: str
    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _HEADER_NAME.fullmatch(self.name) or _OURS.fullmatch(self.name):
            raise ValueError(f"'{self.name[:64]}' is no header that a calendar server may want")
        if not _HEADER_VALUE.fullmatch(self.value):
            raise ValueError(f"the value of {self.name} holds letters that no header can carry")

    @classmethod
    def basic(cls, user: str, password: str) -> Credential:
        """Name and password, in UTF-8."""
        return cls("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii"))


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of a body, to ask whether it is still the same; empty where it said nothing."""

    etag: str = ""
    modified: str = ""

    def headers(self) -> Mapping[str, str]:
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole calendar. `hash` is the SHA-256 of the body, hex: it decides what changed, whatever an ETag says."""

    body: bytes = field(repr=False)
    validators: Validators

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class NotModified:
    """The server says that the body is still that of the validators."""


Witness = Callable[[str, int, Mapping[str, str]], None]
"""Is told of each answer on the way: its URL, its status, its headers."""


def _unseen(url: str, status: int, headers: Mapping[str, str]) -> None:
    """Nobody wants to know."""


def check_urllib3(version: str | None = None) -> None:
    """RuntimeError where urllib3 (by default the one installed) would let a compressed answer fill the memory."""
    version = version or metadata.version("urllib3")
    if tuple(int(part) for part in version.split(".")[:2]) < URLLIB3_FLOOR:
        raise RuntimeError(f"urllib3 {version} is too old to fetch calendars safely: install 2.7 or newer")


def fetch_calendar(
    url: str,
    *,
    settings: FetchSettings,
    now: datetime,
    validators: Validators = Validators(),
    credentials: Sequence[Credential] = (),
    agent: str = "",
    resolver: Resolver = system_resolver,
    witness: Witness = _unseen,
) -> Fetched | NotModified:
    """The calendar at the URL, or that it is still the one of `validators`. `now` is aware, for dates in answers.

    Refused where our rules forbid the way there, Missing where the server knows no such calendar, FetchError for all
    else that is no whole calendar.
    """
    first = settings.fences.target(url)
    with Dial(settings.fences, resolver, settings.total) as dial:
        visit = _Visit(settings, dial, now, first, tuple(credentials), agent, witness)
        return visit.calendar(validators)


def fetch_text(
    url: str, *, settings: FetchSettings, now: datetime, resolver: Resolver = system_resolver, most: int = 500_000
) -> str:
    """A small text that lies beside a calendar, as robots.txt does. Errors as those of `fetch_calendar`."""
    first = settings.fences.target(url)
    with Dial(settings.fences, resolver, settings.total) as dial:
        visit = _Visit(replace(settings, max_bytes=most), dial, now, first, (), "")
        got = visit.whole(Validators())
    return got.body.decode("utf-8", "replace") if isinstance(got, Fetched) else ""


def check_address(url: str, settings: FetchSettings, resolver: Resolver = system_resolver) -> Target:
    """The same fences as on every fetch, for an address that is only handed in: looked up, and not connected to."""
    target = settings.fences.target(url)
    with Dial(settings.fences, resolver, settings.connect) as dial:
        dial.addresses(target.host, target.port)
    return target


@dataclass(frozen=True, slots=True)
class _Visit:
    """One fetch, from the first request to the body at the end of all redirects."""

    settings: FetchSettings
    dial: Dial
    now: datetime
    first: Target
    credentials: tuple[Credential, ...]
    agent: str
    witness: Witness = _unseen

    def calendar(self, validators: Validators) -> Fetched | NotModified:
        """FetchError for a body that is no whole calendar."""
        return self.whole(validators, _check_calendar)

    def whole(
        self, validators: Validators, check: Callable[[str, bytes], None] = lambda host, body: None
    ) -> Fetched | NotModified:
        """What lies at the end of all redirects, if `check` lets it pass."""
        with closing(DialAdapter(self.dial)) as adapter:
            target, response = self._arrived(adapter, validators)
            with closing(response):
                if response.status_code == 304 and validators.headers():
                    return NotModified()
                self._check_status(target, response)
                body = self._body(target, response)
        check(self._place(target), body)
        kept = Validators(_kept(response.headers.get("ETag")), _kept(response.headers.get("Last-Modified")))
        return Fetched(body, kept)

    def _place(self, target: Target) -> str:
        """Who answered in the end, in words: its subscription names the first one alone."""
        first = self.first.host
        return first if target.host == first else f"{first} sends us on to {target.host}, which"

    def _arrived(self, adapter: DialAdapter, validators: Validators) -> tuple[Target, requests.Response]:
        """The first answer that is no redirect. The bodies of redirects are not read."""
        target, seen = self.first, {self.first.url}
        for _ in range(MOST_HOPS + 1):
            response = self._asked(adapter, target, validators)
            self.witness(target.url, response.status_code, response.headers)
            if response.status_code not in _REDIRECTS:
                return target, response
            response.close()
            target = self._onward(target, response)
            if target.url in seen:
                raise FetchError(f"{self.first.host} sends us in a circle.")
            seen.add(target.url)
        raise FetchError(f"{self.first.host} sends us on more than {MOST_HOPS} times.")

    def _asked(self, adapter: DialAdapter, target: Target, validators: Validators) -> requests.Response:
        request = requests.Request("GET", target.url, headers=self._headers(target, validators))
        with self._told(target.host):
            return adapter.send(
                request.prepare(),
                stream=True,
                timeout=(self.settings.connect, self.settings.read),
                verify=self.settings.ca_file or True,
            )

    def _headers(self, target: Target, validators: Validators) -> CaseInsensitiveDict[str]:
        headers = CaseInsensitiveDict(
            {
                "User-Agent": self.settings.agent_for(target.host, self.agent),
                "Accept": "text/calendar, text/plain;q=0.5, */*;q=0.1",
                "Accept-Encoding": "gzip, deflate",
                "Connection": "close",
                **validators.headers(),
            }
        )
        if target.origin == self.first.origin:
            headers.update({one.name: one.value for one in self.credentials})
        return headers

    def _onward(self, target: Target, response: requests.Response) -> Target:
        there = response.headers.get("Location", "")
        if self.settings.is_microsoft(target.host) and "errorfe.aspx" in there:
            raise self._microsofts_no(target.host, 500)
        try:
            onward = self.settings.fences.target(urljoin(target.url, there))
        except Refused as error:
            raise Refused(f"{target.host} sends us elsewhere. {error}") from None
        except ValueError:
            raise FetchError(f"{target.host} sends us to an address that is none.") from None
        if (target.scheme, onward.scheme) == ("https", "http"):
            raise Refused(f"{target.host} sends us from https to plain http.")
        return onward

    def _check_status(self, target: Target, response: requests.Response) -> None:
        """FetchError for every status but 200."""
        host, status = target.host, response.status_code
        if status == 200:
            return
        if status in (404, 410):
            said = "has been taken away for ever" if status == 410 else "is not there"
            raise Missing(f"{self._place(target)} says that this calendar {said} ({status}).", for_ever=status == 410)
        if status in (400, 500) and self.settings.is_microsoft(host):
            raise self._microsofts_no(host, status)
        wait = self._retry_after(response)
        later = f" It asks us to wait for {_span(wait)}." if wait else ""
        raise FetchError(_said(self._place(target), status) + later, retry_after=wait)

    def _microsofts_no(self, host: str, status: int) -> FetchError:
        if self.settings.agent_for(host, self.agent) == self.settings.agent_for(host, MICROSOFT):
            return FetchError(f"Microsoft answers {status} even to the agent that it likes: is the calendar published?")
        return FetchError(
            f"Microsoft answers {status} to this user agent: set the subscription's agent to 'microsoft'."
        )

    def _retry_after(self, response: requests.Response) -> float | None:
        """Retry-After in seconds or as a date (RFC 9110 section 10.2.3), capped; None if it makes no sense."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return min(float(text[:12]), LONGEST_WAIT)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(0.0, (moment - self.now).total_seconds()), LONGEST_WAIT)

    def _body(self, target: Target, response: requests.Response) -> bytes:
        """The body, decoded as it arrives, and not a piece more than the cap."""
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise FetchError(f"{target.host} packs its answer in a way that we do not open ({encoding[:40]}).")
        pieces, size = [], 0
        with self._told(target.host):
            while piece := response.raw.read(_PIECE, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                if size > self.settings.max_bytes:
                    raise FetchError(f"{target.host} sends more than {self.settings.max_bytes:,} bytes.")
            if self.dial.late:
                raise TimeoutError
        return b"".join(pieces)

    @contextmanager
    def _told(self, host: str) -> Iterator[None]:
        """What may go wrong on a line, as a sentence. The errors themselves may quote the URL, a secret: they stay."""
        try:
            yield
        except FetchError:
            raise
        except (requests.RequestException, TransportError, OSError, ValueError) as error:
            if self.dial.late:
                raise FetchError(f"{host} did not answer whole within {self.settings.total:g} seconds.") from None
            raise FetchError(f"{host} {_fault(error, self.settings)}.") from None


_FAULTS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((IncompleteRead,), "broke off before its answer was whole"),
    ((requests.Timeout, TimeoutError, TimeoutFault), "fell silent for more than {read:g} seconds"),
    ((DecodeError,), "sends an answer that cannot be unpacked"),
    ((ConnectionRefusedError,), "does not take calls at this port"),
)


_CERTIFICATES = {9: "it is not valid yet", 10: "it has expired", 18: "it is its own issuer", 62: "it is another name's"}
"""OpenSSL's codes (X509_V_ERR_…) that say more than that nobody known has issued it."""


def _fault(error: BaseException, settings: FetchSettings) -> str:
    """What broke, by the kinds of error that requests and urllib3 wrap into one another."""
    wrapped = list(_unwrapped(error, 4))
    if any(isinstance(each, (requests.exceptions.SSLError, ssl.SSLError)) for each in wrapped):
        codes = [each.verify_code for each in wrapped if isinstance(each, ssl.SSLCertVerificationError)]
        why = _CERTIFICATES.get(codes[0], "nobody whom we know has issued it") if codes else "TLS failed"
        return f"shows no certificate that we can trust: {why}"
    for kinds, words in _FAULTS:
        if any(isinstance(each, kinds) for each in wrapped):
            return words.format(read=settings.read)
    return "could not be reached, or broke off"


def _unwrapped(error: BaseException, depth: int) -> Iterator[BaseException]:
    """The error and those that it carries."""
    yield error
    for inner in (*error.args, error.__cause__):
        if depth and isinstance(inner, BaseException):
            yield from _unwrapped(inner, depth - 1)


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} seconds"
        if seconds < 120
        else f"{seconds / 60:.0f} minutes"
        if seconds < 7200
        else (f"{seconds / 3600:.1f} hours")
    )


def _said(host: str, status: int) -> str:
    if status in (204, 205, 304):
        return f"{host} sent no body ({status}), and that is no calendar."
    if status == 206:
        return f"{host} sent only a part of the calendar (206)."
    if status in (401, 407):
        return f"{host} wants a sign-in that it accepts ({status}): give the subscription its credentials."
    if status == 403:
        return f"{host} does not let us read this calendar (403): is it still shared?"
    if status == 429:
        return f"{host} finds that we ask too often (429)."
    if status >= 500:
        return f"{host} is out of order ({status})."
    return f"{host} answered with {status} instead of a calendar."


def _check_calendar(host: str, body: bytes) -> None:
    """FetchError for a body that is no whole calendar, whatever its Content-Type says."""
    text = body.replace(b"\0", b"").strip(b"\xef\xbb\xbf\xff\xfe \t\r\n").upper()  # whatever UTF it is in
    if not text:
        raise FetchError(f"{host} sent an empty body, and that is no calendar.")
    if text.startswith(b"<"):
        page = "a login page" if _PASSWORD_FIELD.search(text) or _SIGN_IN.search(text[:4000]) else "a web page"
        raise FetchError(f"{host} shows {page} instead of the calendar.")
    if b"BEGIN:VCALENDAR" not in text:
        raise FetchError(f"{host} sent something else than a calendar.")
    lines = b"\n" + text.replace(b"\r", b"\n")
    if lines.rfind(b"\nEND:VCALENDAR") < lines.rfind(b"\nBEGIN:VCALENDAR"):
        raise FetchError(f"{host} sent a calendar that is cut short (END:VCALENDAR is missing).")


def _kept(value: str | None) -> str:
    """A validator that can be sent back as it came, or nothing."""
    return value if value and len(value) <= 500 and value.isascii() and value.isprintable() else ""
