"""Serves ready feeds before Flask is asked: knows their paths alone, and hands every other request on.

What a feed's answer is stands here for both, so that the lane and the view cannot differ. The lane takes what needs no
decision: a feed that may be read, is not due, and has its body. It remembers each for a second at most, so that a
change made by another process is seen within one, and one made by its own at once. While the store is away it answers
as it did last: nobody gets there what that very address has not been given before.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import http_date, parse_date, parse_etags

from app.feeds.dialects import FOR
from app.feeds.feed import Form, Snapshot

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from app.feeds.serve import Feeds

FRESH_SECONDS = 300
"""How long a client may use its copy without asking; asking costs almost nothing, so not long."""
WHILE_AWAY = ", stale-while-revalidate=600, stale-if-error=86400"
"""What RFC 5861 lets a cache do, ours or a client's: answer at once while it asks us, and for a day while we are away.
A revoked address is no error in its sense: that 404 counts. Only public feeds may lie in a cache that people share."""
SECOND = timedelta(seconds=1)
GONE = {"403", "404", "410"}
AWAY = timedelta(days=1)
"""How long an answer is given again while the store cannot be asked."""
REMEMBERED = 4096
"""Feeds whose answers one process has at hand; their bytes are the shelf's."""

PATH = re.compile(r"/(?:public|feeds/([A-Za-z0-9_-]{43}))/([a-z0-9-]{1,100})\.(ics|json|jcal|atom)", re.ASCII)

EVERYWHERE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
"""The headers of whatever this server answers."""
ALWAYS: Mapping[str, str] = {**EVERYWHERE, "X-Robots-Tag": "noindex"}
"""Those of whatever is answered at a feed's address."""

FOR_SCRIPTS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, X-Calbridge-Read, X-Calbridge-Stale, Retry-After",
}
"""What lets the scripts of any page read an answer (CORS)."""

_TYPES = {
    Form.ICS: ("text/calendar; charset=utf-8", "ics"),
    **dict.fromkeys(FOR.values(), ("text/calendar; charset=utf-8", "ics")),
    Form.JSON: ("application/json", "json"),
    Form.JCAL: ("application/calendar+json", "jcal"),
    Form.ATOM: ("application/atom+xml; charset=utf-8", "atom"),
    Form.LEARNINGSPACE: ("application/json; charset=utf-8", "json"),
}
"""What each form is, and what a file of it is called."""
log = logging.getLogger(__name__)
_NO_NEWS = "304 NOT MODIFIED"


class Answer(NamedTuple):
    """An answer as WSGI wants it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A feed's answers, to whoever has it already and to whoever has not, in one encoding."""

    snapshot: Snapshot
    tag: str
    full: Answer
    no_news: Answer

    def to(self, if_none_match: str | None, if_modified_since: str | None) -> Answer:
        """The answer to a request with these headers; None is one that was not sent."""
        if if_none_match == self.tag or has_it_already(self.snapshot, if_none_match, if_modified_since):
            return self.no_news
        return self.full


def ready(snapshot: Snapshot, body: bytes, zipped: bool, fresh: int = FRESH_SECONDS) -> Ready:
    """200 with the body, and 304 with the validators that the 200 has (RFC 9110 section 15.4.5)."""
    tag = f'"{snapshot.etag}{"-gzip" if zipped else ""}"'
    kind, ending = _TYPES[snapshot.form]
    shared = [*ALWAYS.items(), *_headers(snapshot, tag, fresh).items()]
    full = [
        *shared,
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Content-Disposition", f'inline; filename="{snapshot.feed.slug}.{ending}"'),
        *([("Content-Encoding", "gzip")] if zipped else []),
    ]
    return Ready(snapshot, tag, Answer("200 OK", full, body), Answer(_NO_NEWS, shared, b""))


def grown_stale(last: Ready, zipped: bool, now: datetime) -> Ready:
    """An answer given before, told to be as old as it is."""
    snapshot = replace(last.snapshot, at=now, stale=True)
    return ready(snapshot, last.full.body, zipped and snapshot.feed.policies.gzip)


def _headers(snapshot: Snapshot, tag: str, fresh: int) -> dict[str, str]:
    scope = "public" if snapshot.feed.public else "private"
    headers = {
        "ETag": tag,
        "Last-Modified": http_date(snapshot.changed_at),
        "Cache-Control": f"{scope}, max-age={fresh}{WHILE_AWAY if fresh == FRESH_SECONDS else ''}",
        "Vary": "Accept-Encoding",
        "X-Calbridge-Read": f"{snapshot.read_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    if snapshot.feed.policies.cors:
        headers |= FOR_SCRIPTS
    if snapshot.stale:  # and no Age, which would keep every cache from sparing us while the LMS is away
        headers["X-Calbridge-Stale"] = str(int(snapshot.age.total_seconds()))
    return headers


def has_it_already(snapshot: Snapshot, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """RFC 9110 section 13.2.2: If-None-Match counts alone where it is sent; a date that cannot be read is no date."""
    if if_none_match is not None:
        tags = parse_etags(if_none_match)
        return tags.contains_weak(snapshot.etag) or tags.contains_weak(f"{snapshot.etag}-gzip")
    since = parse_date(if_modified_since)
    if since is None or since > snapshot.at + SECOND:
        return False
    return snapshot.changed_at.replace(microsecond=0) <= since


@lru_cache(maxsize=256)
def gzip_is_better(accepted: str) -> bool:
    """Whether the client asked for gzip, and not for less of it than of plain bytes (RFC 9110 section 12.5.3)."""
    weights = dict(map(_weighed, accepted.lower().split(",")))
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weighed(item: str) -> tuple[str, float]:
    name, _, rest = item.partition(";")
    weight = rest.replace(" ", "").partition("q=")[2]
    try:
        return name.strip(), float(weight) if weight else 1.0
    except ValueError:
        return name.strip(), 0.0


class Lane:
    """A WSGI application before another: `app` gets whatever is no plain request for a ready feed."""

    def __init__(self, app: WSGIApplication, feeds: Feeds, now: Callable[[], datetime]) -> None:
        self._app = app
        self._feeds = feeds
        self._now = now
        self._known: LRUCache[tuple[str, bool], tuple[int, Ready]] = LRUCache(REMEMBERED)
        self._lock = Lock()
        self._rests_until = datetime.min.replace(tzinfo=UTC)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or environ.get("QUERY_STRING"):
            return self._app(environ, start_response)
        path, zipped = environ["PATH_INFO"], gzip_is_better(environ.get("HTTP_ACCEPT_ENCODING", ""))
        if found := self._found(path, zipped, environ.get("HTTP_USER_AGENT", "")):
            return _sent(found, environ, start_response)
        if (path, zipped) in self._known:
            return self._handed_on(environ, start_response, path, zipped)
        return self._app(environ, start_response)

    def _handed_on(
        self, environ: WSGIEnvironment, start_response: StartResponse, path: str, zipped: bool
    ) -> Iterable[bytes]:
        """The application's answer to what was answered here before: the store may go away while it is at it, and
        what it refuses is not given again."""
        said: list[Any] = []
        body = self._app(environ, lambda *words: said.append(words))  # type: ignore[arg-type]
        status = said[0][0]
        known = self._last(path, zipped) if status.startswith("5") else None
        if known is None:
            if status[:3] in GONE:
                self._forget(path)
            start_response(*said[0])
            return body
        if hasattr(body, "close"):
            body.close()
        return _sent(grown_stale(known, zipped, self._now()), environ, start_response)

    def _last(self, path: str, zipped: bool) -> Ready | None:
        """What was answered last, if that is not too old."""
        with self._lock:
            known = self._known.get((path, zipped))
        return known[1] if known and timedelta(0) <= self._now() - known[1].snapshot.at < AWAY else None

    def _forget(self, path: str) -> None:
        with self._lock:
            for zipped in (False, True):
                self._known.pop((path, zipped), None)

    def _found(self, path: str, zipped: bool, user_agent: str) -> Ready | None:
        changes = self._feeds.changes
        with self._lock:
            known = self._known.get((path, zipped))
        if known and known[0] == changes and timedelta(0) <= self._now() - known[1].snapshot.at < SECOND:
            return known[1]
        if self._now() < self._rests_until and (last := self._last(path, zipped)):
            return grown_stale(last, zipped, self._now())
        asked = PATH.fullmatch(path)
        try:
            snapshot = asked and self._feeds.at_hand(asked[1], asked[2], Form(asked[3]), user_agent)
        except SQLAlchemyError as error:
            return self._again(self._last(path, zipped), zipped, error)
        if not snapshot:
            return None
        pack = zipped and snapshot.feed.policies.gzip
        found = ready(snapshot, self._feeds.compressed(snapshot) if pack else snapshot.body, pack)
        with self._lock:
            self._known[path, zipped] = changes, found
        return found

    def _again(self, known: Ready | None, zipped: bool, error: SQLAlchemyError) -> Ready | None:
        """The last answer, and for a second nobody asks the store. What was never answered Flask refuses."""
        if self._now() >= self._rests_until + SECOND:
            log.warning("the store cannot be used, feeds are answered as they were last: %s", error)
        self._rests_until = self._now() + SECOND
        return grown_stale(known, zipped, self._now()) if known else None


def _sent(found: Ready, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    answer = found.to(environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_IF_MODIFIED_SINCE"))
    start_response(answer.status, answer.headers)
    return [answer.body] if environ["REQUEST_METHOD"] == "GET" else [b""]
