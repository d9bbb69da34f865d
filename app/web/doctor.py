"""The feed doctor's page and call: any feed, by its address or as a file, judged for each calendar program."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from flask import Blueprint, Response, current_app, render_template, request

from app.doctor.examine import examine
from app.doctor.faces import record, whom
from app.doctor.finding import NAMES, Client, Diagnosis
from app.doctor.look import look
from app.feeds.feed import Form
from app.ics import Limits, NotACalendar
from app.ics import explain as times
from app.parts import fetch_settings
from app.web import access, uploads
from app.web.answers import as_json
from app.web.lane import PATH
from app.web.pace import Pace
from app.web.problems import answer

bp = Blueprint("doctor", __name__)

MOST = 10
"""Feeds that one caller may have judged in a minute: each costs a fetch or three, and some seconds of work."""
MOST_EXPLAINED = 20
FIELDS = {"url", "uid", "token", "csrf_token", "client"}


@bp.get("/doctor")
def form() -> str:
    return render_template("doctor.html", url="", found=None)


@bp.post("/doctor")
def judge() -> Response:
    if refusal := _too_many():
        return refusal
    found = _examined()
    page = render_template(
        "doctor.html",
        url=request.form.get("url", ""),
        uid=request.form.get("uid", ""),
        found=found,
        names=NAMES,
        whom=whom,
        explained=_explained(found),
    )
    return Response(page, headers={"Cache-Control": "no-store"})


@bp.post("/api/doctor")
def judge_for_programs() -> Response:
    """The verdicts and findings of a feed: `url`, or a calendar file; `client` for one program, `uid` to explain."""
    if refusal := _too_many():
        return refusal
    unknown = sorted(set(request.values) - FIELDS)
    if unknown:
        raise uploads.BadUpload(f"there is no field '{unknown[0]}'; there are: {', '.join(sorted(FIELDS))}")
    clients = _clients()
    found = _examined()
    told = {**record(found, clients), "explained": [times.record(one) for one in _explained(found)]}
    return as_json(told)


def _clients() -> Sequence[Client]:
    try:
        return [Client(name) for name in request.values.getlist("client")] or list(Client)
    except ValueError:
        raise uploads.BadUpload(f"'client' is one of {', '.join(Client)}") from None


def _examined() -> Diagnosis:
    """What was sent, judged. BadUpload where nothing was."""
    url = request.values.get("url", "").strip()
    if not url:
        body = uploads.body(request)
        if not body and request.mimetype == "multipart/form-data":
            raise uploads.BadUpload("Nothing was sent: paste an address, or choose a file.")
        return examine(body)
    parts = access.parts()
    own = PATH.fullmatch(url.removeprefix(access.base_url()))
    if own and own[3] == Form.ICS:  # we do not fetch from ourselves, and know what we would answer
        return examine(_served(own[1], own[2]))
    return look(url, fetch_settings(parts.config), parts.now())


def _served(token: str | None, slug: str) -> bytes:
    """A feed of our own. Unknown, Disabled, NotReady."""
    feeds = access.parts().feeds
    if token is None:
        return feeds.snapshot_for_public(slug, Form.ICS).body
    return feeds.snapshot_for_token(token, slug, Form.ICS).body


def _explained(found: Diagnosis) -> Sequence[times.Explained]:
    """Why events of it take place when they do: that of `uid`, else the first ones."""
    config, uid = access.parts().config, request.values.get("uid", "").strip()
    limits = Limits(bytes=max(config.fetch.max_bytes, config.imports.max_bytes), components=config.imports.max_events)
    if not found.body or (not uid and request.path.startswith("/api/")):
        return []
    try:
        return list(islice(times.explain(found.body, zone=config.zone, uid=uid or None, limits=limits), MOST_EXPLAINED))
    except NotACalendar:
        return []


def _too_many() -> Response | None:
    """The refusal of those who ask too often."""
    pace: Pace = current_app.extensions.setdefault("calbridge.doctor", Pace(MOST))
    wait = pace.wait(request.remote_addr)
    if wait is None:
        return None
    refusal = answer(429, f"That were more than {MOST} feeds in a minute: wait {wait} seconds.")
    refusal.headers["Retry-After"] = str(wait)
    return refusal
