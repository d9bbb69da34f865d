"""Feeds over HTTP: the path decides the feed and its form, validators decide whether its bytes are sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, json, request
from werkzeug.datastructures import Headers

from app.feeds.feed import Disabled, Form, NotReady, Snapshot, Unknown
from app.feeds.schema import PATH as SCHEMA_PATH
from app.feeds.schema import SCHEMA
from app.web.lane import ALWAYS, gzip_is_better, ready

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from app.feeds.serve import Feeds

bp = Blueprint("feeds", __name__)


@bp.get("/feeds/<token>/<slug>.<any(ics, json):form>")
def by_token(token: str, slug: str, form: str) -> Response:
    """A feed for whoever knows its address; an Authorization header that a client adds by itself is not looked at."""
    try:
        agent = request.headers.get("User-Agent", "")
        return _sent(_feeds().snapshot_for_token(token, slug, Form(form), agent))
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, Form(form))


@bp.get("/public/<slug>.<any(ics, json):form>")
def public(slug: str, form: str) -> Response:
    try:
        return _sent(_feeds().snapshot_for_public(slug, Form(form)))
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, Form(form))


@bp.get("/w/api/v2/<any('public_calendar', 'public-calendar'):_>.<any(ics, json):ending>")
def learningspace(_: str, ending: str) -> Response:
    """LearningSpace's own addresses, in both spellings that its pages have, for the software written for them."""
    form = Form.ICS if ending == "ics" else Form.LEARNINGSPACE
    try:
        return _sent(_feeds().snapshot_for_learningspace(form))
    except (Unknown, NotReady) as error:
        return _refused(error, form)


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
    zipped = gzip_is_better(request.headers.get("Accept-Encoding", ""))
    body = _feeds().compressed(snapshot) if zipped else snapshot.body
    asked = request.headers
    answer = ready(snapshot, body, zipped).to(asked.get("If-None-Match"), asked.get("If-Modified-Since"))
    kind = NotModified if answer.status.startswith("304") else Response
    return kind(answer.body, answer.status, answer.headers)


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
    headers = {**ALWAYS, "Cache-Control": "no-store", **(more or {})}
    if form is Form.ICS:
        return Response(f"{sentence}\n", status, headers, content_type="text/plain; charset=utf-8")
    title = "Not Found" if status == 404 else "Service Unavailable"
    body = json.dumps({"title": title, "status": status, "detail": sentence})
    return Response(body, status, headers, content_type="application/problem+json")
