"""Feeds over HTTP: the path decides the feed and its form, validators decide whether its bytes are sent again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, json, request
from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from app.feeds.feed import Disabled, Form, NotReady, Snapshot, Unknown
from app.feeds.schema import PATH as SCHEMA_PATH
from app.feeds.schema import SCHEMA

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from app.feeds.serve import Feeds

FRESH_SECONDS = 300
"""How long a client may use its copy without asking; asking costs almost nothing, so not long."""

_TYPES = {Form.ICS: "text/calendar; charset=utf-8", Form.JSON: "application/json"}
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}

bp = Blueprint("feeds", __name__)


@bp.get("/feeds/<token>/<slug>.<any(ics, json):form>")
def by_token(token: str, slug: str, form: str) -> Response:
    """A feed for whoever knows its address; an Authorization header that a client adds by itself is not looked at."""
    try:
        return _sent(_feeds().snapshot_for_token(token, slug, Form(form)))
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, Form(form))


@bp.get("/public/<slug>.<any(ics, json):form>")
def public(slug: str, form: str) -> Response:
    try:
        return _sent(_feeds().snapshot_for_public(slug, Form(form)))
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, Form(form))


@bp.get(SCHEMA_PATH)
def schema() -> Response:
    """The JSON Schema of the JSON form."""
    return Response(json.dumps(SCHEMA, indent=2), content_type="application/schema+json")


class NotModified(Response):
    """A 304 that repeats Last-Modified too, which Werkzeug takes away: Apple Calendar revalidates by date."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Last-Modified"] = self.headers["Last-Modified"]
        return headers


def _feeds() -> Feeds:
    feeds: Feeds = current_app.extensions["calbridge"].feeds
    return feeds


def _sent(snapshot: Snapshot) -> Response:
    """200 with the body, or 304 with the validators that the 200 would have had (RFC 9110 section 15.4.5)."""
    zipped = gzip_is_better(request.headers.get("Accept-Encoding", ""))
    headers = _headers(snapshot, zipped)
    if _has_it_already(snapshot):
        return NotModified(status=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    headers["Content-Disposition"] = f'inline; filename="{snapshot.feed.slug}.{snapshot.form}"'
    body = _feeds().compressed(snapshot) if zipped else snapshot.body
    return Response(body, headers=headers, content_type=_TYPES[snapshot.form])


def _headers(snapshot: Snapshot, zipped: bool) -> dict[str, str]:
    scope = "public" if snapshot.feed.public else "private"
    headers = {
        **_ALWAYS,
        "ETag": f'"{snapshot.etag}{"-gzip" if zipped else ""}"',
        "Last-Modified": http_date(snapshot.changed_at),
        "Cache-Control": f"{scope}, max-age={FRESH_SECONDS}",
        "Vary": "Accept-Encoding",
        "X-Calbridge-Read": _written(snapshot.read_at),
    }
    if snapshot.stale:
        age = str(int(snapshot.age.total_seconds()))
        headers |= {"Age": age, "X-Calbridge-Stale": age}
    return headers


def _has_it_already(snapshot: Snapshot) -> bool:
    """RFC 9110 section 13.2.2: If-None-Match counts alone where it is sent; a date that cannot be read is no date."""
    if "If-None-Match" in request.headers:
        tags = request.if_none_match
        return tags.contains_weak(snapshot.etag) or tags.contains_weak(f"{snapshot.etag}-gzip")
    since = request.if_modified_since
    if since is None or since > snapshot.at + timedelta(seconds=1):
        return False
    return snapshot.changed_at.replace(microsecond=0) <= since


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


def _refused(error: Unknown | Disabled | NotReady, form: Form) -> Response:
    match error:
        case Unknown():
            return _problem(404, "There is no such feed. Ask for its address again where you found it.", form)
        case Disabled():
            return _problem(404, "This feed has been switched off.", form)
        case NotReady():
            return _problem(503, str(error), form, {"Retry-After": str(error.retry_after)})


def _problem(status: int, sentence: str, form: Form, more: Mapping[str, str] | None = None) -> Response:
    """A sentence, or problem+json (RFC 9457) where JSON was asked for."""
    headers = {**_ALWAYS, "Cache-Control": "no-store", **(more or {})}
    if form is Form.ICS:
        return Response(f"{sentence}\n", status, headers, content_type="text/plain; charset=utf-8")
    title = "Not Found" if status == 404 else "Service Unavailable"
    body = json.dumps({"title": title, "status": status, "detail": sentence})
    return Response(body, status, headers, content_type="application/problem+json")


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
