"""The pages: each calendar's links, and an import from file to report."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request, url_for

from app.web import access, overview, uploads

bp = Blueprint("pages", __name__)


@bp.get("/")
def start() -> str:
    parts = access.parts()
    mine = access.may_write()
    return render_template(
        "start.html",
        cards=overview.cards(parts, access.base_url(), with_secret=mine),
        warnings=overview.warnings(parts) if mine else [],
        targets=overview.targets(parts) if mine else [],
        needs_token=not mine,
        zone=parts.config.zone.key,
        demo=parts.config.demo,
    )


@bp.post("/imports")
def import_file() -> str:
    parts = access.parts()
    upload = uploads.from_request(request, parts)
    outcome = parts.imports.do(upload)
    return render_template("outcome.html", outcome=outcome, zone=parts.config.zone)


@bp.post("/imports/<int(max=2147483647):run>/approve")
def approve(run: int) -> str:
    """The yes to an import that waits, without its file: that is kept here."""
    parts = access.parts()
    return render_template("outcome.html", outcome=parts.imports.approve(run), zone=parts.config.zone)


@bp.post("/imports/<int(max=2147483647):run>/undo")
def undo(run: int) -> str:
    parts = access.parts()
    return render_template("outcome.html", outcome=parts.imports.undo(run), zone=parts.config.zone)


@bp.post("/refresh/<slug>")
def refresh(slug: str) -> Response:
    access.parts().feeds.refresh(slug)
    return Response(status=303, headers={"Location": url_for("pages.start", _anchor=slug)})


@bp.get("/robots.txt")
def robots() -> Response:
    """Google's calendar obeys robots.txt: feeds are allowed there, and kept out of search by their own header."""
    return Response("User-agent: *\nAllow: /\n", content_type="text/plain; charset=utf-8")
