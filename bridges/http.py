"""The one door to HTTP for all bridges: deadlines, turns, retries of reads, paging, quota, and status → error.

Only reads are tried again; a write leaves once, and after a Transient its answer counts as lost. One deadline holds
for a whole call, its retries and pauses included. Environment proxies and .netrc are not used, and no redirect is
followed: an API that redirects is a wrong address, a login or a maintenance page, and each is said.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import NewConnectionError

from bridges.contract import Quota
from bridges.errors import BridgeError, Denied, Gone, NotSent, Rejected, Transient, unsent

if TYPE_CHECKING:
    from bridges.contract import Tools

LONGEST_QUOTA_WINDOW = timedelta(hours=25)
"""A quota reset farther away than a day and the change of a clock is a misreading and is not waited for."""

_DICE = secrets.SystemRandom()
_SECRET = re.compile(
    r"(?i)((?:access_token|refresh_token|client_secret|code_verifier|password|\bx_[cd])\"?[ ]?[:=][ ]?\"?)[^\"'&\s]+"
    r"|(<(?:\w{1,20}:)?password\b[^<>]*+>)[^<]+"
)
_CREDENTIAL = re.compile(r"(?i)\b(Bearer|Basic) [\w+/=.~-]{16,}")
_PASSWORD_FIELD = re.compile(rb"(?i)type=[\"']?password")

_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}

Query = Mapping[str, str | int]
Conditions = Mapping[str, str]
"""Headers under which an answer is worth sending only if it changed; empty: in any case."""


class Forbidden(Denied):
    """A 403: signed in, but not permitted. The bridge may know what to ask the administrator for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Times in seconds, `body` in bytes after decompression.

    connect, read  one connection attempt; one silence between two bytes, or the whole head of an answer
    total          a whole call, with its retries and pauses
    tries          how often a read leaves at most; pauses double from `backoff`, jittered
    patience       the longest pause inside a call; what must wait longer is the caller's to wait for
    longest_wait   the cap of every `retry_after`
    pages          a listing longer than this many pages is a fault
    turns          requests under way at a time, in this process
    """

    connect: float = 10.0
    read: float = 30.0
    total: float = 60.0
    body: int = 20 * 2**20
    tries: int = 3
    backoff: float = 0.5
    patience: float = 10.0
    longest_wait: float = 900.0
    pages: int = 1000
    turns: int = 1


class Auth(Protocol):
    """Signs requests, called by several threads on the turn of a call; fetches tokens by an LmsHttp of its own."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest: ...

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        """After a 401 or 403 to this request: whether it is worth signing and sending it once more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names compare without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_page(self) -> bool:
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or self.body.lstrip()[:1] == b"<"

    @property
    def raw(self) -> str:
        """Status and body for the log: cut, and without tokens."""
        text = self.body[:2000].decode("utf-8", "replace")
        return _cut(f"{self.status} {text}".rstrip())

    def json(self) -> Any:
        """The decoded body; ValueError if it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class LmsHttp:
    """HTTP to one host, for one bridge, from any number of threads.

    `base_url` is scheme and host (and port); every path begins with a slash. Every method raises the errors of
    bridges.errors and no others.

    A subclass says what is different about an LMS by these methods, and sends what has no method here by `_call`:

    _decoded  what a whole and good answer says
    _error    what any other answer means
    _page     what a web page in place of data means
    _quota    what an answer tells of the quota
    _next     where the page after a page of a listing is
    """

    def __init__(
        self,
        base_url: str,
        tools: Tools,
        *,
        auth: Auth | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = base_url.rstrip("/") + "/"
        self._origin = _origin(urlsplit(self._base))
        self._tools = tools
        self._auth = auth
        self._limits = limits or Limits()
        self._sleep = sleep
        self._local = threading.local()
        self._turns = threading.BoundedSemaphore(self._limits.turns)
        self.host = urlsplit(self._base).netloc

    def get(self, path: str, params: Query | None = None) -> Any:
        """The decoded JSON at `path`; tried again where that may help."""
        data = self._call(requests.Request("GET", self._url(path), params=params), repeat=True)
        if data is None:
            raise self._nothing()
        return data

    def get_changed(self, path: str, since: Conditions) -> tuple[Any, Conditions] | None:
        """The decoded JSON with the conditions for the next time; None if nothing has changed under these (304)."""
        changed: tuple[Any, Conditions] | None = self._call(
            requests.Request("GET", self._url(path), headers=dict(since)), repeat=True, read=self._read_changed
        )
        return changed

    def pages(self, path: str, params: Query | None = None) -> Iterator[Mapping[str, Any]]:
        """The JSON objects of a listing, page by page, to the end or an error."""
        seen: set[str] = set()
        first = requests.Request("GET", self._url(path), params=params).prepare().url or ""
        step: tuple[str, Query] | None = (first, {})
        while step is not None:
            mark = repr(step)
            if mark in seen or len(seen) >= self._limits.pages:
                raise Transient(f"{self.host} sends its list of pages in a circle: the reading is not whole.", raw=mark)
            seen.add(mark)
            page = self.get(*step)
            if not isinstance(page, dict):
                raise Transient(f"{self.host} sent something else than a page of a list.", raw=repr(page)[:1000])
            yield page
            step = self._next(page, path, params or {})

    def write(self, method: str, path: str, *, params: Query | None = None, body: Any = None) -> Any:
        """Send JSON once, never twice. Returns the decoded answer, None if it is empty."""
        return self._call(requests.Request(method, self._url(path), params=params, json=body), repeat=False)

    def form(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        """POST a form, unsigned, as token endpoints take it; decoded JSON. Whatever wants the token tries again."""
        request = requests.Request("POST", self._url(path), data=dict(fields), headers=dict(headers))
        return self._call(request, repeat=False, signed=False)

    def _url(self, path: str) -> str:
        try:
            url = urljoin(self._base, path)
            at_home = _origin(urlsplit(url)) == self._origin
        except ValueError:
            at_home = False
        if not at_home:
            raise Transient(f"{self.host} points to another host; it is not followed there.", raw=_cut(path))
        return url

    def _next(self, page: Mapping[str, Any], path: str, params: Query) -> tuple[str, Query] | None:
        """Path and query of the page after this one of the listing at `path`; here it is named in paging.nextPage."""
        paging = page.get("paging")
        following = paging.get("nextPage") if isinstance(paging, dict) else None
        return (self._url(following), {}) if isinstance(following, str) and following else None

    def _call(
        self,
        request: requests.Request,
        *,
        repeat: bool,
        signed: bool = True,
        read: Callable[[Answer], Any] | None = None,
    ) -> Any:
        """What `read` (else `_read`) makes of the answer. `repeat`: tried again where that may help."""
        read = read or self._read
        with self._turns:
            deadline = time.monotonic() + self._limits.total
            for attempt in range(1, self._limits.tries + 1):
                try:
                    return read(self._attempt(request, deadline, self._auth if signed else None))
                except Transient as error:
                    pause = self._pause(error, attempt)
                    last = not repeat or attempt == self._limits.tries
                    if last or pause > self._limits.patience or time.monotonic() + pause >= deadline:
                        raise
                self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _pause(self, error: Transient, attempt: int) -> float:
        backoff = self._limits.backoff * float(2 ** (attempt - 1)) * _DICE.uniform(0.5, 1.5)
        return max(backoff, (error.retry_after or 0) * _DICE.uniform(1.0, 1.1))

    def _attempt(self, request: requests.Request, deadline: float, auth: Auth | None) -> Answer:
        signed = self._signed(request, auth)
        answer = self._exchange(signed, deadline)
        if answer.status in (401, 403) and auth is not None and self._renewed(signed, answer, auth):
            answer = self._exchange(self._signed(request, auth), deadline)
        return answer

    def _read(self, answer: Answer) -> Any:
        if not 200 <= answer.status < 300:
            raise self._error(answer)
        return self._decoded(answer) if answer.body else None

    def _read_changed(self, answer: Answer) -> tuple[Any, Conditions] | None:
        if answer.status == 304:
            return None
        if (data := self._read(answer)) is None:
            raise self._nothing()
        headers = answer.headers
        return data, {condition: headers[name] for name, condition in _VALIDATORS.items() if name in headers}

    def _nothing(self) -> Transient:
        return Transient(f"{self.host} answered with nothing where data should be.")

    def _signed(self, request: requests.Request, auth: Auth | None) -> requests.PreparedRequest:
        try:
            prepared = self._session.prepare_request(request)
        except (requests.RequestException, UnicodeError) as error:
            raise Transient(f"{self.host} points to an address that is none.", raw=_cut(repr(error))) from error
        with self._signing():
            return auth(prepared) if auth is not None else prepared

    def _renewed(self, request: requests.PreparedRequest, refusal: Answer, auth: Auth) -> bool:
        with self._signing():
            return auth.renew(request, refusal)

    @contextmanager
    def _signing(self) -> Iterator[None]:
        """What a token endpoint refuses is no word about the call: its 404 must not pass for an event that is gone."""
        try:
            yield
        except Transient as error:
            raise unsent(error) from error
        except Rejected as error:
            raise Denied(f"There is no signing in to {self.host}: {error}", raw=error.raw) from error

    @property
    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._tools.session()
            session.trust_env = False
            for prefix, adapter in list(session.adapters.items()):
                if type(adapter) is HTTPAdapter:
                    session.mount(prefix, _PunctualAdapter())
            session.headers.update({"Accept": "application/json", "User-Agent": "calbridge"})
        return session

    def _exchange(self, request: requests.PreparedRequest, deadline: float) -> Answer:
        self._spare_an_empty_quota()
        left = deadline - time.monotonic()
        if left <= 0:
            raise unsent(self._too_slow())
        timeout = (min(self._limits.connect, left), min(self._limits.read, left))
        self._tools.meter.spent()
        try:
            response = self._session.send(request, stream=True, allow_redirects=False, timeout=timeout)
            answer = Answer(response.status_code, response.headers, self._body(response, deadline))
        except (
            requests.RequestException,
            TransportError,
            OSError,
            ValueError,
        ) as error:  # ValueError: TLS cut by a guard
            kind = NotSent if _never_met(error) else Transient
            raise kind(f"{self.host} could not be reached, or broke off.", raw=_cut(repr(error))) from error
        if (quota := self._quota(answer)) is not None:
            self._tools.meter.note(quota)
        return answer

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The body in the pieces it arrives in; at the deadline the line is cut, also in the midst of a silence."""
        pieces, size = [], 0
        with _guard(deadline - time.monotonic(), response.raw.shutdown):
            try:
                while piece := response.raw.read1(65536, decode_content=True):
                    pieces.append(piece)
                    size += len(piece)
                    if size > self._limits.body:
                        raise Transient(f"{self.host} sent more than {self._limits.body} bytes in one answer.")
                    if time.monotonic() > deadline:
                        break
            except BaseException:
                response.raw.close()
                raise
        if time.monotonic() > deadline:
            response.raw.close()
            raise self._too_slow()
        response.raw.release_conn()
        return b"".join(pieces)

    def _too_slow(self) -> Transient:
        return Transient(f"{self.host} did not answer within {self._limits.total:g} seconds.")

    def _decoded(self, answer: Answer) -> Any:
        """What a good answer with a body says. Transient where it was cut."""
        if answer.is_page:
            raise self._page(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise Transient(f"{self.host} sent an answer that is cut or is no JSON.", raw=answer.raw) from error

    def _error(self, answer: Answer) -> BridgeError:
        """Status → error, for every bridge, here alone."""
        host, raw, status = self.host, answer.raw, answer.status
        out_of_quota = status in (402, 429) or (
            status == 403 and _number(answer.headers.get("X-Rate-Limit-Remaining")) == 0
        )
        if out_of_quota:
            return Transient(f"{host} lets us make no more calls for now.", retry_after=self._wait(answer), raw=raw)
        if status >= 500 or status in (408, 425):
            return Transient(f"{host} is out of order ({status}).", retry_after=self._retry_after(answer), raw=raw)
        if status in (301, 308):
            there = _cut(answer.headers.get("Location", "another address"), 200)
            return Denied(f"{host} has moved to {there}: correct the address.", raw=raw)
        if status < 400:
            return Transient(f"{host} sends us elsewhere ({status}), to a login or maintenance page.", raw=raw)
        if status == 401:
            return Denied(f"{host} does not accept our sign-in{_said(answer)}.", raw=raw)
        if status == 403:
            return Forbidden(f"{host} does not permit this{_said(answer)}.", raw=raw)
        if status in (404, 410):
            return self._page(answer) if answer.is_page else Gone(f"{host} has no such thing{_said(answer)}.", raw=raw)
        return Rejected(f"{host} refused this{_said(answer)}.", raw=raw)

    def _page(self, answer: Answer) -> BridgeError:
        """A web page where data should be. No 404 page of a proxy may pass for the LMS saying that an event is gone."""
        if _PASSWORD_FIELD.search(answer.body):
            return Denied(f"{self.host} shows a login page instead of data: is the API open?", raw=answer.raw)
        return Transient(f"{self.host} shows a web page instead of data, maybe for maintenance.", raw=answer.raw)

    def _wait(self, answer: Answer) -> float | None:
        told = self._retry_after(answer)
        resets_at = self._resets_at(answer)
        return told if told is not None or resets_at is None else self._until(resets_at)

    def _retry_after(self, answer: Answer) -> float | None:
        """Retry-After in seconds or as a date (RFC 9110 section 10.2.3), capped; None if it makes no sense."""
        text = answer.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return min(float(text), self._limits.longest_wait)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        return self._until(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    def _until(self, moment: datetime) -> float:
        return min(max(0.0, (moment - self._tools.now()).total_seconds()), self._limits.longest_wait)

    def _spare_an_empty_quota(self) -> None:
        quota = self._tools.meter.quota()
        if quota is None or quota.remaining > 0 or quota.resets_at is None or quota.resets_at <= self._tools.now():
            return
        raise NotSent(
            f"The quota of calls to {self.host} is used up until {quota.resets_at:%Y-%m-%d %H:%M} UTC.",
            retry_after=self._until(quota.resets_at),
        )

    def _quota(self, answer: Answer) -> Quota | None:
        """What the answer tells of the quota of calls; None if nothing."""
        remaining = _number(answer.headers.get("X-Rate-Limit-Remaining"))
        if remaining is None:
            return None
        limit = _number(answer.headers.get("X-Rate-Limit-Limit"))
        return Quota(remaining if limit is None else limit, remaining, self._resets_at(answer))

    def _resets_at(self, answer: Answer) -> datetime | None:
        """X-Rate-Limit-Reset: told as UTC epoch seconds, or as seconds from now (below 10^9)."""
        reset = _number(answer.headers.get("X-Rate-Limit-Reset"))
        if reset is None:
            return None
        now = self._tools.now()
        ahead = timedelta(seconds=reset) if reset < 10**9 else timedelta(seconds=reset - now.timestamp())
        return (now + ahead).astimezone(UTC) if ahead <= LONGEST_QUOTA_WINDOW else None


@contextmanager
def _guard(seconds: float, cut: Callable[[], object]) -> Iterator[threading.Event]:
    """Calls `cut` from another thread if the block takes longer; the event says whether it did.

    A socket's own timeout is renewed with every byte, so a drip would never meet it.
    """
    late = threading.Event()

    def fire() -> None:
        late.set()
        with suppress(OSError, ValueError, AttributeError):
            cut()

    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


class _Punctual(HTTPConnection):
    """A connection whose answer's head is whole within the read timeout."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        with _guard(self.timeout or 0, self._hang_up) as late:
            response = super().getresponse()
        if late.is_set():
            response.close()
            raise TimeoutError("the head of the answer took too long")
        return response

    def _hang_up(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)


class _PunctualTls(_Punctual, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Punctual


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PunctualTls


class _PunctualAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; ValueError for a port that is none."""
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _never_met(error: Exception) -> bool:
    """Whether no connection came about, so that nothing can have been sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _number(text: str | None) -> int | None:
    """A header's count; None for anything else than a dozen digits."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None


def _said(answer: Answer) -> str:
    """The LMS's own words as the tail of a sentence, or nothing."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    words = body.get("message") or body.get("error_description") if isinstance(body, dict) else None
    return f": {_cut(' '.join(words.split()), 200).rstrip('.')}" if isinstance(words, str) else ""


def _cut(text: str, length: int = 1000) -> str:
    """The text without tokens and passwords, cut to a length."""
    text = _CREDENTIAL.sub(r"\1 …", _SECRET.sub(r"\1\2…", text))
    return text if len(text) <= length else text[: length - 1] + "…"
