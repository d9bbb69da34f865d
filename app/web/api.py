"""The API: calendars, feeds, and imports, as JSON; errors as problem+json."""

from __future__ import annotations

from flask import Blueprint, Response, json, request

from app.feeds.feed import Did, Feed
from app.web import access, uploads
from app.web.links import links_of

bp = Blueprint("api", __name__, url_prefix="/api")

STATUS = {"held": 202, "left": 202, "failed": 422}
"""Held waits for a yes, left for another run; failed says that the LMS permits none of it. All else is 200."""


REFRESHED = {Did.FAILED: 502, Did.BUSY: 409}


@bp.post("/imports")
def import_calendar() -> Response:
    """Write a calendar file into an LMS calendar; `?dry_run=true` answers the plan and writes nothing."""
    parts = access.parts()
    outcome = uploads.run(uploads.from_request(request, parts), parts)
    return _json(outcome.to_json(), STATUS.get(outcome.state, 200))


@bp.get("/calendars")
def calendars() -> Response:
    """The calendars of one LMS (`?lms=`), or of all."""
    parts = access.parts()
    names = [request.args["lms"]] if "lms" in request.args else sorted(parts.config.connections)
    found = [calendar for name in names for calendar in parts.calendars(name)]
    return _json(
        {"calendars": [{"ref": str(one.ref), "name": one.name, "writable": one.writable} for one in found]},
    )


@bp.get("/feeds")
def feeds() -> Response:
    """Every feed; a public one with its links, a secret one without: its address was shown once."""
    parts = access.parts()
    return _json({"feeds": [_feed(feed) for feed in parts.feeds.list()]})


@bp.post("/feeds/<slug>/refresh")
def refresh(slug: str) -> Response:
    """Read the feed's calendar from its LMS now."""
    outcome = access.parts().feeds.refresh(slug)
    return _json({"slug": slug, "did": outcome.did.value, "problem": outcome.problem}, REFRESHED.get(outcome.did, 200))


def _feed(feed: Feed) -> dict[str, object]:
    return {
        "slug": feed.slug,
        "title": feed.title,
        "calendar": str(feed.calendar),
        "public": feed.public,
        "enabled": feed.enabled,
        "links": dict(links_of(feed, access.base_url())),
    }


def _json(data: object, status: int = 200) -> Response:
    return Response(json.dumps(data), status, content_type="application/json")
