"""The API of feeds: made, shown, changed, switched, forgotten; and the tokens of their secret addresses."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response

from app.feeds.feed import Did, Disabled, Feed, Form, NotReady
from app.feeds.narrow import Narrow
from app.imports.window import bound
from app.web.answers import as_json
from app.web.api.calls import call, understood
from app.web.api.paging import as_part, part_of, slice_of
from app.web.api.shapes import feeds as shapes
from app.web.api.shapes.common import Paged, Searched
from app.web.door import access
from app.web.links import feed_to_json, links_of, secret_links
from app.web.problems import problem
from bridges.model import CalendarRef

bp = Blueprint("feeds_api", __name__, url_prefix="/api/feeds")

ONE, TOKENS = "/<slug>", "/<slug>/tokens"
REFRESHED = {Did.FAILED: 502, Did.BUSY: 409}
FIRST = "first"
"""The name of the token that a feed begins with."""


@bp.get("")
@call("listFeeds", "Feeds", shapes.Feeds, asks=Searched, pages=True)
def feeds(asked: Searched) -> Response:
    """Some feeds, by slug; a public one with its links, a secret one without: its address was shown once."""
    return as_part("feeds", access.parts().feeds.some(slice_of(asked)), _told)


@bp.post("")
@call("addFeed", "Feeds", shapes.Feed, status=201, takes=shapes.NewFeed)
def add(given: shapes.NewFeed) -> Response:
    """Publish calendars as a feed. `links` are its addresses: those of a secret one are told this once."""
    parts = access.parts()
    with understood():
        calendars = [_readable(name) for name in given.calendars]
        settings = settings_of(given.policies)
        title = given.title.strip() or given.slug
        made, token = parts.feeds.add(given.slug, title, *calendars, public=given.public, settings=settings)
    base = access.base_url()
    links = secret_links(made.slug, token, base) if token else links_of(made, base)
    return _made({**_told(made), "links": dict(links)}, f"/api/feeds/{made.slug}")


@bp.get(ONE)
@call("showFeed", "Feeds", shapes.Feed)
def one(slug: str) -> Response:
    """One feed, and how it stands."""
    return as_json(_told(access.parts().feeds.by_slug(slug)))


@bp.get(f"{ONE}/preview")
@call("previewFeed", "Feeds", shapes.Preview)
def preview(slug: str) -> Response:
    """What it shows, also where it is secret or switched off: its JSON form, as `/schema/feed-v1.json` describes it."""
    try:
        shown = access.parts().feeds.preview(slug, Form.JSON)
    except Disabled as gone:
        return problem(404, str(gone))
    except NotReady as soon:
        refusal = problem(503, str(soon))
        refusal.headers["Retry-After"] = str(soon.retry_after)
        return refusal
    return Response(shown.body, content_type="application/json", headers={"Cache-Control": "no-store"})


@bp.patch(ONE)
@call("changeFeed", "Feeds", shapes.Feed, takes=shapes.Policies)
def change(slug: str, given: shapes.Policies) -> Response:
    """Decide what it shows, by those policies that are named; null brings back the usual."""
    with understood():
        access.parts().feeds.set(slug, settings_of(given))
    return one(slug=slug)


@bp.delete(ONE)
@call("removeFeed", "Feeds", status=204)
def remove(slug: str) -> Response:
    """Forget it and its addresses; the calendar stays as it is."""
    access.parts().feeds.remove(slug)
    return Response(status=204)


@bp.post(f"{ONE}/enable")
@call("enableFeed", "Feeds", shapes.Feed)
def enable(slug: str) -> Response:
    """Answer at its addresses again."""
    access.parts().feeds.enable(slug)
    return one(slug=slug)


@bp.post(f"{ONE}/disable")
@call("disableFeed", "Feeds", shapes.Feed)
def disable(slug: str) -> Response:
    """Answer 404 at its addresses until it is enabled again."""
    access.parts().feeds.disable(slug)
    return one(slug=slug)


@bp.post(f"{ONE}/refresh")
@call(
    "refreshFeed",
    "Feeds",
    shapes.Refreshed,
    also={409: [shapes.Refreshed], 502: [shapes.Refreshed]},
)
def refresh(slug: str) -> Response:
    """Read its calendars from their LMS now. 502 where that failed, 409 where somebody else reads them already."""
    outcome = access.parts().feeds.refresh(slug)
    told = {"slug": slug, "did": outcome.did.value, "problem": outcome.problem}
    return as_json(told, REFRESHED.get(outcome.did, 200))


@bp.post(f"{ONE}/rotate")
@call("rotateFeed", "Feeds", shapes.Opened, status=201)
def rotate(slug: str) -> Response:
    """Give it a new secret address, told this once; the old ones are dead at once."""
    with understood():
        token = access.parts().feeds.rotate(slug)
    return _opened(slug, FIRST, token)


@bp.get(TOKENS)
@call("listFeedTokens", "Feeds", shapes.Tokens, asks=Paged, pages=True)
def tokens(slug: str, asked: Paged) -> Response:
    """The tokens of its secret addresses, the oldest first: whose each is, and who looked last; never themselves."""
    found = part_of(access.parts().feeds.tokens(slug), asked)
    return as_part("tokens", found, lambda token: token.to_json(), slug=slug)


@bp.post(TOKENS)
@call("addFeedToken", "Feeds", shapes.Opened, status=201, takes=shapes.NewToken)
def add_token(slug: str, given: shapes.NewToken) -> Response:
    """Make one more secret address, for a reader or a device, for all of the feed or for less; it is told this once."""
    parts = access.parts()
    with understood():
        narrow = Narrow(tuple(map(parts.named, given.calendars)), given.privacy)
        token = parts.feeds.add_token(slug, given.name, _end_of(given.until), narrow, given.under or None)
    return _opened(slug, given.name, token)


@bp.delete(TOKENS)
@call("revokeFeedTokens", "Feeds", shapes.Revoked, asks=shapes.Which)
def revoke(slug: str, asked: shapes.Which) -> Response:
    """Kill the token called `name`, and those made from it; all tokens of the feed, where none is named."""
    return as_json({"revoked": access.parts().feeds.revoke(slug, asked.name or None)})


@bp.post("/revoke-every-token")
@call("revokeEveryFeedToken", "Feeds", shapes.Revoked)
def revoke_every_one() -> Response:
    """Kill every token of every feed: all secret addresses are dead at once."""
    return as_json({"revoked": access.parts().feeds.revoke_everything()})


def settings_of(policies: shapes.Policies) -> list[str]:
    """The policies that were named, as `key=value`; null is empty, and brings back the usual."""
    return [f"{name}={_written(value)}" for name, value in policies.model_dump(exclude_unset=True).items()]


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "|".join(value) if isinstance(value, list) else str(value)


def _readable(name: str) -> CalendarRef:
    """The calendar of that name. ValueError, and bridges.errors where it cannot be read."""
    parts = access.parts()
    ref = parts.named(name)
    parts.source(ref.lms)
    return ref


def _end_of(until: str) -> datetime | None:
    """The midnight after a day, or the time itself; None for no end."""
    if not until.strip():
        return None
    zone = access.parts().config.zone
    last = bound(until.strip(), zone)
    return last if isinstance(last, datetime) else datetime.combine(last + timedelta(days=1), time(), zone)


def _told(feed: Feed) -> dict[str, Any]:
    return feed_to_json(access.parts().feeds, feed, access.base_url())


def _opened(slug: str, name: str, token: str) -> Response:
    links = dict(secret_links(slug, token, access.base_url()))
    return _made({"slug": slug, "name": name, "links": links}, f"/api/feeds/{slug}/tokens")


def _made(told: dict[str, Any], where: str) -> Response:
    answer = as_json(told, 201)
    answer.headers.update({"Location": where, "Cache-Control": "no-store"})
    return answer
