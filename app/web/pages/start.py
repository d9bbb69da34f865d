"""The start page: each calendar's links."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.feeds.feed import Did
from app.web.door import access
from app.web.pages import overview

bp = Blueprint("pages", __name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of the refresh that led to the page, and when; an empty slug where none did."""

    slug: str = ""
    did: str = ""
    at: datetime | None = None


@bp.get("/")
def start() -> str:
    parts = access.parts()
    mine, search = access.may_write(), request.args.get("search", "").strip()
    number = request.args.get("page", 1, int)
    return render_template(
        "start.html",
        page=overview.cards(parts, access.base_url(), with_secret=mine, number=number, search=search),
        warnings=overview.warnings(parts) if mine else [],
        mine=mine,
        may_import=access.may_import(),
        zone=parts.config.zone.key,
        home=parts.config.zone,
        now=parts.now(),
        search=search,
        told=_told(),
        demo=parts.config.demo,
    )


@bp.post("/refresh/<slug>")
def refresh(slug: str) -> Response:
    """Read its calendars now; the page that follows says what came of it."""
    parts = access.parts()
    outcome = parts.feeds.refresh(slug)
    parts.feeds.build(slug)
    return _back(slug, feed=slug, did=outcome.did.value, at=int(parts.now().timestamp()))


@bp.post("/enable/<slug>")
def enable(slug: str) -> Response:
    access.parts().feeds.enable(slug)
    return _back(slug)


@bp.post("/disable/<slug>")
def disable(slug: str) -> Response:
    """Its addresses are kept, and answer 404 with a sentence until it is on again."""
    access.parts().feeds.disable(slug)
    return _back(slug)


def _back(slug: str, **told: str | int) -> Response:
    """To the card, on the page of the list where it was seen."""
    where: dict[str, Any] = {name: request.form[name] for name in ("page", "search") if name in request.form}
    return redirect(url_for("pages.start", **where | told, _anchor=slug), 303)  # type: ignore[return-value]


def _told() -> Told:
    """Of the address, where it tells anything."""
    with suppress(ValueError, OverflowError, KeyError):
        did, at = Did(request.args["did"]), datetime.fromtimestamp(int(request.args["at"]), UTC)
        return Told(request.args["feed"], did.value, at)
    return Told()


@bp.get("/robots.txt")
def robots() -> Response:
    """Google's calendar obeys robots.txt: feeds are allowed there, and kept out of search by their own header."""
    return Response("User-agent: *\nAllow: /\n", content_type="text/plain; charset=utf-8")
