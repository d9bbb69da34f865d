"""An upload, from the page's form or the API's call: the same fields, the same limits, the same run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from flask import Request
from werkzeug.datastructures import MultiDict

from app.config import zone_of
from app.ics.floating import Floating
from app.imports.body import Body, Data, pieces
from app.imports.deciding.routes import Routes, routes_of
from app.imports.deciding.rules import Rules, rename
from app.imports.record.batch import NOWHERE, Batch
from app.imports.run import Match, Mode, Run
from app.imports.subscription import Import
from app.imports.window import window_of
from app.parts import Parts
from app.web.door import access
from bridges.model import CalendarRef

Word = TypeVar("Word", bound=StrEnum)

TRUE = {"1", "true", "yes", "on"}
FIELDS = {
    "calendar",
    "from",
    "to",
    "name",
    "source",
    "mode",
    "match",
    "zone",
    "dry_run",
    "approve",
    "token",
    "background",
}
FIELDS |= {"include", "exclude", "rename", "floating", "csrf_token", "route", "preview"}
CALENDAR_TYPES = {"text/calendar", "application/octet-stream", "application/ics"}


class BadUpload(ValueError):
    """What was sent is no upload; the text says what is wrong and what to send instead."""


def from_request(request: Request, parts: Parts) -> Import:
    """The upload that this request carries: multipart with a `file`, or a text/calendar body with query parameters.

    BadUpload where a field is missing or wrong. Fields: calendar, from, to, name (or source), mode, match, zone,
    floating, dry_run, approve, token; and include, exclude and rename, each as often as is liked.
    """
    _require_known(request.values)
    return _job(request.values, sent(request), parts, *target(request.values, parts))


def routed(request: Request, parts: Parts) -> tuple[Import, Routes]:
    """The upload where it has routes instead of a calendar: `route`, as often as is liked, and a name of its own."""
    return routed_of_fields(request.values, sent(request), parts)


def routed_of_fields(fields: MultiDict[str, str], data: Data, parts: Parts) -> tuple[Import, Routes]:
    """The same of fields and a file that came in another way."""
    _require_known(fields)
    if fields.get("calendar"):
        raise BadUpload("say where it goes: either 'calendar' or 'route', not both")
    source = _source(fields.get("name", "") or fields.get("source", ""))
    if source == "upload":
        raise BadUpload("a routed import needs a name of its own: name=timetable")
    try:
        return _job(fields, data, parts, NOWHERE, source), routes_of(fields.getlist("route"))
    except ValueError as error:
        raise BadUpload(str(error)) from error


def of_fields(fields: MultiDict[str, str], data: Data, parts: Parts) -> Import:
    """The same of fields and a file that came in another way."""
    _require_known(fields)
    return _job(fields, data, parts, *target(fields, parts))


def _job(fields: MultiDict[str, str], data: Data, parts: Parts, calendar: CalendarRef, source: str) -> Import:
    config = parts.config
    try:
        return Import(
            data,
            calendar,
            window_of(fields.get("from"), fields.get("to"), parts.now(), config.zone, config.imports.ahead_days),
            source,
            _one_of(Mode, "mode", fields) or Mode.REPLACE,
            rules=Rules(
                tuple(fields.getlist("include")),
                tuple(fields.getlist("exclude")),
                tuple(map(rename, fields.getlist("rename"))),
            ),
            dry_run=flag(fields, "dry_run"),
            approved=flag(fields, "approve"),
            zone=zone_of(fields["zone"]) if fields.get("zone") else None,
            match=_one_of(Match, "match", fields) or Match.UID,
            floating=Floating(fields.get("floating", "").strip()),
        )
    except ValueError as error:
        raise BadUpload(str(error)) from error


def _require_known(fields: Mapping[str, str]) -> None:
    """A dry run that was misspelt must not become a real one."""
    unknown = sorted(map(str, set(fields) - FIELDS))  # a part of a form may have no name at all
    if unknown:
        raise BadUpload(f"there is no field '{unknown[0]}'; there are: {', '.join(sorted(FIELDS))}")


def target(fields: Mapping[str, str], parts: Parts) -> tuple[CalendarRef, str]:
    """The calendar and the import's name that were sent. BadUpload where they are none; else as bridges.errors."""
    try:
        return access.require_yours(parts.named(fields.get("calendar", ""))), _source(
            fields.get("name", "") or fields.get("source", "")
        )
    except ValueError as error:
        raise BadUpload(str(error)) from error


def flag(fields: Mapping[str, str], name: str) -> bool:
    """A yes or no, by default no. BadUpload for anything else."""
    text = fields.get(name, "").strip().lower()
    if text not in TRUE | {"", "0", "false", "no", "off"}:
        raise BadUpload(f"'{name}' is either true or false, not '{text}'")
    return text in TRUE


def queue(job: Import, parts: Parts) -> Run:
    """Have a worker do it: it is kept, and told by its number."""
    _require_wet(job)
    return parts.told_a_worker(parts.imports.queue(job))


def preview(job: Import, parts: Parts) -> Run:
    """Have its plan kept for a yes: it is told by its number."""
    if job.dry_run:
        raise BadUpload("a dry run is kept nowhere: leave 'preview' or 'dry_run' away")
    return parts.imports.preview(job)


def queue_routed(job: Import, routes: Routes, parts: Parts) -> Batch:
    """Have a worker do it: it is kept, and told by its batch's number."""
    _require_wet(job)
    return parts.told_a_worker(parts.routed.queue(job, routes))


def _require_wet(job: Import) -> None:
    if job.dry_run:
        raise BadUpload("a dry run is answered at once: leave 'background' or 'dry_run' away")


def body(request: Request) -> bytes:
    """The calendar file that was sent, whole. BadUpload where there is none."""
    return b"".join(pieces(sent(request)))


def sent(request: Request) -> Data:
    """The calendar file that was sent, on the disk where it is large. BadUpload where there is none."""
    if request.mimetype == "multipart/form-data":
        file = request.files.get("file")
        if file is None:
            raise BadUpload("the form has no file: send the calendar as the part called 'file'")
        return Body.of(file.stream)
    if request.mimetype in CALENDAR_TYPES:
        return Body.of(request.stream)
    raise BadUpload(
        f"a body of type '{request.mimetype or 'none'}' is not taken: "
        "send text/calendar, or multipart/form-data with a part called 'file'"
    )


def _source(text: str) -> str:
    name = text.strip() or "upload"
    if len(name) > 100 or not name.isprintable():
        raise BadUpload("the source's name has to be printable and of at most 100 letters")
    return name


def _one_of(words: type[Word], field: str, fields: Mapping[str, str]) -> Word | None:
    """The word of this field; None where it is empty."""
    name = fields.get(field, "").strip().lower()
    if name and name not in set(words):
        raise BadUpload(f"'{field}' is one of {', '.join(words)}, not '{name}'")
    return words(name) if name else None
