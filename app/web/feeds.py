"""Feeds over HTTP: the path decides the feed and its form, validators decide whether its bytes are sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, json, request
from werkzeug.datastructures import Headers, MultiDict

from app.feeds import ask
from app.feeds.ask import Part
from app.feeds.feed import Disabled, Form, NotReady, Snapshot, Unknown
from app.feeds.schema import SCHEMAS
from app.web.lane import ALWAYS, FRESH_SECONDS, gzip_is_better, ready

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from app.feeds.serve import Feeds

MINUTE = 60
"""How long an answer about now may be used."""

bp = Blueprint("feeds", __name__)


@bp.get("/feeds/<token>/<slug>.<any(ics, json):form>")
def by_token(token: str, slug: str, form: str) -> Response:
    """A feed for whoever knows its address; an Authorization header that a client adds by itself is not looked at."""
    try:
        agent = request.headers.get("User-Agent", "")
        return _sent(_asked(_feeds().snapshot_for_token(token, slug, Form(form), agent)))
    except (Unknown, Disabled, NotReady, ValueError) as error:
        return _refused(error, Form(form))


@bp.get("/public/<slug>.<any(ics, json):form>")
def public(slug: str, form: str) -> Response:
    try:
        return _sent(_asked(_feeds().snapshot_for_public(slug, Form(form))))
    except (Unknown, Disabled, NotReady, ValueError) as error:
        return _refused(error, Form(form))


@bp.get("/w/api/v2/<any('public_calendar', 'public-calendar'):_>.<any(ics, json):ending>")
def learningspace(_: str, ending: str) -> Response:
    """LearningSpace's own addresses, in both spellings that its pages have, for the software written for them."""
    form = Form.ICS if ending == "ics" else Form.LEARNINGSPACE
    try:
        return _sent(_feeds().snapshot_for_learningspace(form))
    except (Unknown, NotReady) as error:
        return _refused(error, form)


@bp.get("/public/<slug>/<any(rooms, next, now):question>.json")
@bp.get("/feeds/<token>/<slug>/<any(rooms, next, now):question>.json")
def question(slug: str, question: str, token: str | None = None) -> Response:
    """Rooms by day (`?date=`), the next events (`?title=OSCE`), a room now (`?room=`): for displays and scripts."""
    try:
        if token is None:
            snapshot = _feeds().snapshot_for_public(slug, Form.LEARNINGSPACE)
        else:
            agent = request.headers.get("User-Agent", "")
            snapshot = _feeds().snapshot_for_token(token, slug, Form.LEARNINGSPACE, agent)
        body = ask.dumped(_ANSWERS[question](snapshot, request.args))
    except (Unknown, Disabled, NotReady, ValueError) as error:
        return _refused(error, Form.JSON)
    return _sent(replace(snapshot, form=Form.JSON, body=body, etag=sha256(body).hexdigest()), MINUTE)


def _rooms(snapshot: Snapshot, query: MultiDict[str, str]) -> dict[str, Any]:
    zone = _feeds().zone
    day = ask.day_of(query["date"]) if query.get("date") else snapshot.at.astimezone(zone).date()
    found = ask.rooms_on(ask.bookings(snapshot.body), day, zone, query.getlist("room"))
    return found | {"generated": f"{snapshot.read_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _next(snapshot: Snapshot, query: MultiDict[str, str]) -> dict[str, Any]:
    count = ask.whole("count", query.get("count", "1"), 1)
    title, how = query.get("title", "").strip(), query.get("match", "word")
    if not title:
        raise ValueError("title: which events? Write ?title=OSCE")
    return ask.next_of(ask.bookings(snapshot.body), title, how, count, snapshot.at)


def _now(snapshot: Snapshot, query: MultiDict[str, str]) -> dict[str, Any]:
    if not query.get("room", "").strip():
        raise ValueError("room: which room? Write ?room=Sim 1")
    return ask.room_now(ask.bookings(snapshot.body), query["room"], snapshot.at)


_ANSWERS = {"rooms": _rooms, "next": _next, "now": _now}


@bp.get("/schema/<name>.json")
def schema(name: str) -> Response:
    """The JSON Schema of the JSON form, or of an answer."""
    found = SCHEMAS.get(f"/schema/{name}.json")
    if found is None:
        return _problem(404, "There is no such schema.", Form.JSON)
    return Response(json.dumps(found, indent=2), content_type="application/schema+json")


class NotModified(Response):
    """A 304 that repeats Last-Modified too, which Werkzeug takes away: Apple Calendar revalidates by date."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Last-Modified"] = self.headers["Last-Modified"]
        return headers


def _feeds() -> Feeds:
    feeds: Feeds = current_app.extensions["calbridge"].feeds
    return feeds


def _asked(snapshot: Snapshot) -> Snapshot:
    """The part of a JSON form that the query asks for. ValueError where it asks for nonsense."""
    part = Part.of(request.args, _feeds().zone) if snapshot.form is Form.JSON else None
    if part is None:
        return snapshot
    body = ask.part(snapshot.body, part)
    return replace(snapshot, body=body, etag=sha256(body).hexdigest())


def _sent(snapshot: Snapshot, fresh: int = FRESH_SECONDS) -> Response:
    zipped = gzip_is_better(request.headers.get("Accept-Encoding", ""))
    body = _feeds().compressed(snapshot) if zipped else snapshot.body
    asked = request.headers
    since = asked.get("If-Modified-Since") if fresh == FRESH_SECONDS else None  # an answer about now has no date
    answer = ready(snapshot, body, zipped, fresh).to(asked.get("If-None-Match"), since)
    kind = NotModified if answer.status.startswith("304") else Response
    return kind(answer.body, answer.status, answer.headers)


def _refused(error: Unknown | Disabled | NotReady | ValueError, form: Form) -> Response:
    match error:
        case ValueError():
            return _problem(400, f"{error}.", form)
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
    body = json.dumps({"title": HTTPStatus(status).phrase, "status": status, "detail": sentence})
    return Response(body, status, headers, content_type="application/problem+json")
