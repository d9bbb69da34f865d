"""Feeds over HTTP: the path decides the feed and its form, validators decide whether its bytes are sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, json, request
from werkzeug.datastructures import Headers, MultiDict

from app.feeds import ask
from app.feeds.ask import Part
from app.feeds.cursor import TooOld
from app.feeds.dialects import FOR
from app.feeds.feed import AT_EVERY_ADDRESS, ENDINGS, Disabled, Form, Lapsed, NotReady, Snapshot, Unknown
from app.feeds.narrow import Wish
from app.feeds.schema import SCHEMAS
from app.web.door.guesses import Guesses
from app.web.lane import ALWAYS, FOR_SCRIPTS, FRESH_SECONDS, gzip_is_better, ready

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from app.feeds.serve import Feeds

MINUTE = 60
"""How long an answer about now may be used."""

PREFLIGHT: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "If-None-Match, If-Modified-Since, Cache-Control",
    "Access-Control-Max-Age": "86400",
}

bp = Blueprint("feeds", __name__)


Asked = Callable[[Form], Snapshot]
"""Gets the feed of a request in a form. Unknown, Disabled, NotReady."""
_ENDING = f"<any({', '.join(ENDINGS)}):ending>"
_TAKEN: Mapping[str, tuple[str, ...]] = {
    Form.ICS: ("for",),
    Form.JSON: ("from", "to", "order", "offset", "limit", "fields", "since"),
    "rooms": ("date", "room"),
    "next": ("title", "match", "count"),
    "now": ("room",),
}
"""What each address can be asked, beside the feed itself."""


@bp.get(f"/feeds/<token>/<slug>.{_ENDING}")
def by_token(token: str, slug: str, ending: str) -> Response:
    """A feed for whoever knows its address; an Authorization header that a client adds by itself is not looked at."""
    agent = request.headers.get("User-Agent", "")
    return _feed(Form(ending), lambda form: _feeds().snapshot_for_token(token, slug, form, agent), secret=True)


@bp.get(f"/public/<slug>.{_ENDING}")
def public(slug: str, ending: str) -> Response:
    agent = request.headers.get("User-Agent", "")
    return _feed(Form(ending), lambda form: _feeds().snapshot_for_public(slug, form, agent))


@bp.after_request
def preflight(response: Response) -> Response:
    """A browser asks before a script may send If-None-Match. Every address answers alike, whatever it opens: what is
    answered to the request itself says whether the script may read it."""
    if request.method == "OPTIONS" and request.endpoint != f"{bp.name}.children":
        response.headers.update(PREFLIGHT)
    return response


def _feed(form: Form, get: Asked, *, secret: bool = False) -> Response:
    """The feed in the form that its path asks for; its query asks for a part of it, or for a client's own form."""
    try:
        return _sent(_shaped(form, get))
    except _REFUSALS as error:
        return _refused(error, form, secret)


def _shaped(form: Form, get: Asked) -> Snapshot:
    _require_known(form)
    if form is Form.JSON:
        return _asked(get(form))
    client = request.args.get("for")
    if client is not None and client not in FOR:
        raise ValueError(f"for: '{client[:20]}' is none of {', '.join(FOR)}")
    return get(FOR[client] if client else form)


def _require_known(what: str) -> None:
    """A key that means nothing is a mistake that would else be taken for an answer."""
    known = _TAKEN.get(what, ())
    for key in request.args:
        if key not in known:
            takes = ", ".join(known) or "no questions"
            raise ValueError(f"'{key[:30]}' cannot be asked here; this address takes {takes}")
    for key in known:
        if len(request.args.getlist(key)) > 1 and (what, key) != ("rooms", "room"):
            raise ValueError(f"{key}: it is asked twice")


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
        _require_known(question)
        if token is None:
            snapshot = _feeds().snapshot_for_public(slug, Form.LEARNINGSPACE)
        else:
            agent = request.headers.get("User-Agent", "")
            snapshot = _feeds().snapshot_for_token(token, slug, Form.LEARNINGSPACE, agent)
        body = ask.dumped(_ANSWERS[question](snapshot, request.args))
    except _REFUSALS as error:
        return _refused(error, Form.JSON, secret=token is not None)
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


@bp.post("/feeds/<token>/<slug>/children")
def children(token: str, slug: str) -> Response:
    """A narrower address for somebody else, made by whoever holds this one; it dies with it and is shown only now.

    JSON: `name`, and if wanted `until` (the last day), `calendars`, `privacy`.
    """
    try:
        _feeds().require(token, slug)
        wish = Wish.of(request.get_json(silent=True), _feeds().zone)
        made = _feeds().add_child(token, slug, wish.name, wish.until, wish.narrow)
    except _REFUSALS as error:
        return _refused(error, Form.JSON, secret=True)
    paths = {form.value: f"/feeds/{made}/{slug}.{form.value}" for form in AT_EVERY_ADDRESS}
    body = json.dumps({"name": wish.name, **paths})
    headers = {**ALWAYS, "Cache-Control": "no-store", "Location": paths[Form.ICS]}
    return Response(body, 201, headers, content_type="application/json")


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
    """What the query asks of a JSON form. ValueError where it asks for nonsense, TooOld for an old cursor."""
    if "since" in request.args:
        if len(request.args) > 1:
            raise ValueError("since: it is asked alone, for it tells of all of the feed")
        body = _feeds().history.since(snapshot, request.args["since"])
    elif part := Part.of(request.args, _feeds().zone):
        body = ask.part(snapshot.body, part)
    else:
        return snapshot
    return replace(snapshot, body=body, etag=sha256(body).hexdigest())


def _sent(snapshot: Snapshot, fresh: int = FRESH_SECONDS) -> Response:
    zipped = snapshot.feed.policies.gzip and gzip_is_better(request.headers.get("Accept-Encoding", ""))
    body = _feeds().compressed(snapshot) if zipped else snapshot.body
    asked = request.headers
    since = asked.get("If-Modified-Since") if fresh == FRESH_SECONDS else None  # an answer about now has no date
    answer = ready(snapshot, body, zipped, fresh).to(asked.get("If-None-Match"), since)
    kind = NotModified if answer.status.startswith("304") else Response
    return kind(answer.body, answer.status, answer.headers)


_REFUSALS = (Unknown, Disabled, NotReady, TooOld, ValueError)


def _refused(error: Exception, form: Form, secret: bool = False) -> Response:
    """The refusal as its reader takes it; for a `secret` address that is wrong, all are the same until it is enough."""
    match error:
        case Unknown():
            wait = _guesses().wrong(request.remote_addr) if secret else None
            if wait is not None:
                more = {**FOR_SCRIPTS, "Retry-After": str(wait)}
                return _problem(429, "Too many wrong addresses: wait a minute.", form, more)
            sentence = "There is no such feed. Ask for its address again where you found it."
            return _problem(404, sentence, form, FOR_SCRIPTS)
        case Lapsed():
            return _problem(404, str(error), form, _for_scripts())
        case Disabled():
            return _problem(404, "This feed has been switched off.", form, _for_scripts())
        case NotReady():
            more = {**_for_scripts(), "Retry-After": str(error.retry_after)}
            return _problem(503, str(error), form, more)
        case TooOld():
            return _problem(410, "cursor too old: fetch the whole feed", form, FOR_SCRIPTS)
    return _problem(400, f"{error}.", form, FOR_SCRIPTS)


def _for_scripts() -> Mapping[str, str]:
    """What tells of a feed may be read by scripts where the feed may. What tells of none, any script may read."""
    try:
        slug = (request.view_args or {}).get("slug")
        return FOR_SCRIPTS if slug and _feeds().by_slug(slug).policies.cors else {}
    except Unknown:  # removed since
        return {}


def _guesses() -> Guesses:
    guesses: Guesses = current_app.extensions.setdefault("calbridge.guesses", Guesses())
    return guesses


def _problem(status: int, sentence: str, form: Form, more: Mapping[str, str] | None = None) -> Response:
    """A sentence, or problem+json (RFC 9457) where JSON was asked for."""
    headers = {**ALWAYS, "Cache-Control": "no-store", **(more or {})}
    if form is not Form.JSON:
        return Response(f"{sentence}\n", status, headers, content_type="text/plain; charset=utf-8")
    body = json.dumps({"title": HTTPStatus(status).phrase, "status": status, "detail": sentence})
    return Response(body, status, headers, content_type="application/problem+json")
