"""The web face: thin views that parse the request, call one function and shape the answer."""

from __future__ import annotations

import logging
from functools import partial

from flask import Flask, Response, g, request
from sqlalchemy.exc import DataError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.feeds.feed import Unknown
from app.ics import NotACalendar
from app.parts import Parts
from app.store.leases import Busy
from app.store.trouble import UNFIT, is_trouble, sentence
from app.watch.metrics import Counted, Metrics
from app.web import feeds, health, language, spoken, uploads
from app.web.api import batches, drift, events, explain, house, limited, reference, subscriptions
from app.web.api import feeds as feeds_api
from app.web.api import imports as imports_api
from app.web.door import access, audited, lti, session, signin
from app.web.door.callers import is_signed
from app.web.lane import EVERYWHERE, Lane
from app.web.pages import admin, approvals, doctor, keys, linking, navigation, shown, start, subscribe
from app.web.pages import drift as drift_pages
from app.web.pages import feeds as feeds_pages
from app.web.pages import imports as imports_pages
from app.web.pages import subscriptions as subscriptions_pages
from app.web.problems import answer
from app.web.proxied import Proxied
from app.web.traced import trace
from bridges.errors import Denied, Rejected, Transient

STATUS: dict[type[Exception], int] = {
    uploads.BadUpload: 400,
    OverflowError: 400,
    access.NotYours: 403,
    Unknown: 404,
    Busy: 409,
    NotACalendar: 422,
    Denied: 422,
    Rejected: 422,
    Transient: 503,
}
"""What our own errors are to a caller; each carries its sentence."""

log = logging.getLogger(__name__)

FORM_ROOM = 64 * 1024
"""Bytes that a multipart upload needs beside its file."""


def flask_app(parts: Parts) -> Flask:
    """The application over these parts."""
    app = Flask("app.web", static_folder="static", template_folder="templates")
    app.extensions["calbridge"] = parts
    metrics = app.extensions["calbridge.metrics"] = Metrics(parts.engine, parts.now)
    app.config["MAX_CONTENT_LENGTH"] = parts.config.imports.max_bytes + FORM_ROOM
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    session.install(app, parts)
    signin.install(app, parts)
    navigation.install(app)
    secure = parts.config.server.public_url.startswith("https:")
    language.install(app, parts.config.server.language, secure=secure)
    shown.install(app)
    spoken.install(app)
    for blueprint in (
        signin.bp,
        audited.bp,
        feeds.bp,
        subscribe.bp,
        start.bp,
        imports_pages.bp,
        subscriptions_pages.bp,
        drift_pages.bp,
        admin.bp,
        keys.bp,
        feeds_pages.bp,
        imports_api.bp,
        batches.bp,
        feeds_api.bp,
        house.bp,
        reference.bp,
        events.bp,
        explain.bp,
        doctor.bp,
        subscriptions.bp,
        drift.bp,
        linking.bp,
        lti.bp,
        approvals.bp,
        health.bp,
    ):
        app.register_blueprint(blueprint)
    trace(app)
    limited.install(app, parts.config)
    app.before_request(access.guard)
    audited.install(app)
    lti.install(app, parts)
    app.after_request(_headers)
    app.register_error_handler(HTTPException, _refused)
    for kind, status in STATUS.items():
        app.register_error_handler(kind, partial(_failed, status))
    app.register_error_handler(SQLAlchemyError, _without_store)
    app.wsgi_app = Counted(Lane(app.wsgi_app, parts.feeds, parts.now), metrics)  # type: ignore[method-assign]
    if proxies := parts.config.server.proxies:
        app.wsgi_app = Proxied(app.wsgi_app, proxies)  # type: ignore[method-assign]
    return app


def _failed(status: int, error: Exception) -> Response:
    access.metrics().failed(error)
    response = answer(status, str(error))
    if isinstance(error, Transient) and error.retry_after is not None:
        response.headers["Retry-After"] = str(round(error.retry_after))
    return response


def _without_store(error: SQLAlchemyError) -> Response:
    """The database is away, full or locked: nothing is half done, and asking again may help."""
    if isinstance(error, DataError):
        return answer(400, UNFIT)
    if not is_trouble(error):
        raise error
    log.warning("the store cannot be used: %s", sentence(error))
    return _failed(503, Transient(f"Nothing was done: {sentence(error)}.", retry_after=30))


def _refused(error: HTTPException) -> Response:
    if error.code == 413:
        limit = access.parts().config.imports.max_bytes
        return answer(
            413, f"The file is larger than the {limit:,} bytes that this calbridge takes (imports.max_bytes)."
        )
    refusal = answer(error.code or 500, error.description or "Something went wrong.")
    if error.code == 405:
        refusal.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
    return refusal


def _headers(response: Response) -> Response:
    if response.mimetype == "text/html" and not _is_secret():
        response.headers.setdefault("Referrer-Policy", "same-origin")
    if "caller" in g and access.caller().by_cookie:  # whoever sits there next finds nothing by going back
        response.headers.setdefault("Cache-Control", "no-store")
    for name, value in EVERYWHERE.items():
        response.headers.setdefault(name, value)
    return response


def _is_secret() -> bool:
    """Whether this page's address is not to be told, not even to us. Forms of all others are to say where they come
    from: those of a page without referrers send `Origin: null` (Fetch, "append a request Origin header"), which over
    plain http, where browsers send no Sec-Fetch-Site, is all that there is to tell them from those of strangers."""
    return is_signed(request.path) or "code" in request.args
