"""The pages: each calendar's links, and an import from file to report."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.web import access, uploads
from app.web.overview import feed_cards, writable_calendars

bp = Blueprint("pages", __name__)


@bp.get("/")
def start() -> str:
    parts = access.parts()
    mine = access.may_write()
    return render_template(
        "start.html",
        cards=feed_cards(parts, base_url(), with_private=mine),
        targets=writable_calendars(parts) if mine else [],
        needs_token=not mine,
        zone=parts.config.zone.key,
        demo=parts.config.demo,
    )


@bp.post("/imports")
def import_file() -> Response | str:
    upload = uploads.from_request(request, access.parts())
    outcome = uploads.run(upload, access.parts())
    return render_template("outcome.html", outcome=outcome, upload=upload)


@bp.post("/refresh/<slug>")
def refresh(slug: str) -> Response:
    access.parts().feeds.refresh(slug)
    return redirect(url_for("pages.start", _anchor=slug), 303)  # type: ignore[return-value]


@bp.get("/robots.txt")
def robots() -> Response:
    """Google's calendar obeys robots.txt: feeds are allowed, and kept out of search by their own header."""
    return Response("User-agent: *\nAllow: /\n", content_type="text/plain; charset=utf-8")


def base_url() -> str:
    """How the outside reaches us, without a slash at the end."""
    return access.parts().config.server.public_url.rstrip("/") or request.host_url.rstrip("/")
