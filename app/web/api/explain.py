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
from app.web import uploads
from app.web.answers import as_json
from app.web.api.calls import call, understood
from app.web.api.shapes import looks as shapes
from app.web.door import access
from bridges.contract import Sink

bp = Blueprint("explain", __name__, url_prefix="/api")


@bp.post("/explain")
@call(
    "explainTimes",
    "Looks",
    shapes.Explanations,
    asks=shapes.ToExplain,
    file="The calendar file, as the body or as the part `file` of a form.",
    refusals={404: "There is no such calendar."},
)
def explain_file(asked: shapes.ToExplain) -> Response:
    """Say why the occurrences of a calendar file take place when they do: the zone as written, who knew it, the
    instant, and what an LMS would be sent."""
    data, parts = uploads.body(request), access.parts()
    home = parts.config.zone
    with understood():
        found = explain(
            data,
            zone=home,
            source_zone=zone_of(asked.zone) if asked.zone else None,
            floating=Floating(asked.floating.strip()),
            uid=asked.uid or None,
            at=bound(asked.at, home) if asked.at else None,
            limits=Limits(bytes=parts.config.imports.max_bytes, components=parts.config.imports.max_events),
        )
        into = parts.named(asked.calendar) if asked.calendar else None
    sink = parts.sink(into.lms) if into else None
    zone = parts.zone_at(into.lms) if into else home
    told = [_told(one, sink, zone) for one in islice(found, asked.count)]
    return as_json({"explained": told})


def _told(one: Explained, sink: Sink | None, zone: ZoneInfo) -> dict[str, Any]:
    sent = there(sink, zone, one.when).to_json() if sink is not None and one.when is not None else None
    return {**record(one), "there": sent}
