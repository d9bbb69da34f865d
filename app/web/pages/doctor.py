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
from app.web import uploads
from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.shapes import looks as shapes
from app.web.door import access
from app.web.door.pace import Pace
from app.web.lane import PATH
from app.web.language import lazy
from app.web.outward import outward
from app.web.problems import answer

bp = Blueprint("doctor", __name__)

MOST = 10
"""Feeds that one caller may have judged in a minute: each costs a fetch or three, and some seconds of work."""
MOST_EXPLAINED = 20
STATES = {"WORKS": lazy("works"), "FLAWS": lazy("works with flaws"), "REFUSED": lazy("does not take it")}
SEVERITIES = {"note": lazy("note"), "warning": lazy("warning"), "error": lazy("error")}


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
        states=STATES,
        severities=SEVERITIES,
        explained=_explained(found),
    )
    return Response(page, headers={"Cache-Control": "no-store"})


@bp.post("/api/doctor")
@call(
    "judgeFeed",
    "Looks",
    shapes.Diagnosis,
    asks=shapes.ToJudge,
    file="The feed as a file, where no `url` is named: as the body or as the part `file` of a form.",
    refusals={404: "There is no such feed of ours."},
)
def judge_for_programs(asked: shapes.ToJudge) -> Response:
    """Say what calendar programs make of a feed, by its address or as a file: verdicts, findings and their lines."""
    if refusal := _too_many():
        return refusal
    clients = asked.client or list(Client)
    found = _examined()
    told = {**record(found, clients), "explained": [times.record(one) for one in _explained(found)]}
    return as_json(told)


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
    with outward():
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
    told = lazy("That were more than %(most)s feeds in a minute: wait %(wait)s seconds.", most=MOST, wait=wait)
    refusal = answer(429, told)
    refusal.headers["Retry-After"] = str(wait)
    return refusal
