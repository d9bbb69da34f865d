"""The API's explanations of time: why the occurrences of a file take place when they do, and what an LMS gets of it."""

from __future__ import annotations

from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from app.config import zone_of
from app.ics import Limits
from app.ics.explain import Explained, explain, record
from app.ics.floating import Floating
from app.imports.there import there
from app.imports.window import bound
from app.web import access, uploads
from app.web.answers import as_json
from bridges.contract import Sink

bp = Blueprint("explain", __name__, url_prefix="/api")

FIELDS = {"uid", "at", "zone", "floating", "calendar", "count", "token"}
MOST = 1000


@bp.post("/explain")
def explain_file() -> Response:
    """The times of a calendar file: `uid`, `at` (a day or a time), `zone`, `floating`, `calendar`, `count`."""
    fields, parts = request.values, access.parts()
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        raise uploads.BadUpload(f"there is no field '{unknown[0]}'; there are: {', '.join(sorted(FIELDS))}")
    data, home = uploads.body(request), parts.config.zone
    try:
        found = explain(
            data,
            zone=home,
            source_zone=zone_of(fields["zone"]) if fields.get("zone") else None,
            floating=Floating(fields.get("floating", "").strip()),
            uid=fields.get("uid"),
            at=bound(fields["at"], home) if fields.get("at") else None,
            limits=Limits(bytes=parts.config.imports.max_bytes, components=parts.config.imports.max_events),
        )
        count = min(max(int(fields.get("count", "100")), 1), MOST)
        into = parts.named(fields["calendar"]) if fields.get("calendar") else None
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error
    sink = parts.sink(into.lms) if into else None
    zone = parts.zone_at(into.lms) if into else home
    told = [_told(one, sink, zone) for one in islice(found, count)]
    return as_json({"explained": told})


def _told(one: Explained, sink: Sink | None, zone: ZoneInfo) -> dict[str, Any]:
    sent = there(sink, zone, one.when).to_json() if sink is not None and one.when is not None else None
    return {**record(one), "there": sent}
