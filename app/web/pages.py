"""The start page: each calendar's links."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for

from app.web import access, overview

bp = Blueprint("pages", __name__)


@bp.get("/")
def start() -> str:
    parts = access.parts()
    mine = access.may_write()
    return render_template(
        "start.html",
        page=overview.cards(parts, access.base_url(), with_secret=mine, number=request.args.get("page", 1, int)),
        warnings=overview.warnings(parts) if mine else [],
        mine=mine,
        may_import=access.may_import(),
        zone=parts.config.zone.key,
        demo=parts.config.demo,
    )


@bp.post("/refresh/<slug>")
def refresh(slug: str) -> Response:
    access.parts().feeds.refresh(slug)
    return Response(status=303, headers={"Location": url_for("pages.start", _anchor=slug)})


@bp.post("/enable/<slug>")
def enable(slug: str) -> Response:
    access.parts().feeds.enable(slug)
    return Response(status=303, headers={"Location": url_for("pages.start", _anchor=slug)})


@bp.post("/disable/<slug>")
def disable(slug: str) -> Response:
    """Its addresses are kept, and answer 404 with a sentence until it is on again."""
    access.parts().feeds.disable(slug)
    return Response(status=303, headers={"Location": url_for("pages.start", _anchor=slug)})


@bp.get("/robots.txt")
def robots() -> Response:
    """Google's calendar obeys robots.txt: feeds are allowed there, and kept out of search by their own header."""
    return Response("User-agent: *\nAllow: /\n", content_type="text/plain; charset=utf-8")
