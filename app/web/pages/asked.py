"""What the form of an import asks for, and the file that came with it or lies at the address that did."""

from __future__ import annotations

from dataclasses import replace

from flask import request
from werkzeug.datastructures import MultiDict

from app.imports.body import Data
from app.imports.deciding.routes import Routes
from app.imports.pull.fetch import NotModified, fetch_calendar
from app.imports.subscription import Import
from app.parts import Parts, fetch_settings
from app.web import uploads
from app.web.door import access
from app.web.outward import outward
from app.web.pages import overview


def wanted(parts: Parts) -> Import:
    """The import of the form. BadUpload, FetchError and bridges.errors say what is wrong with it."""
    fields = _fields()
    fields["calendar"] = overview.calendar_called(parts, request.form.get("calendar", ""))
    uploads.target(fields, parts)
    return replace(uploads.of_fields(fields, _data(parts), parts), dry_run=False)


def routed(parts: Parts) -> tuple[Import, Routes]:
    """The same where routes say into which calendars; the one that was chosen does not count then."""
    access.require_all("route a file into many calendars")
    fields = _fields()
    fields.setlist("route", _lines("routes"))
    return uploads.routed_of_fields(fields, _data(parts), parts)


def _data(parts: Parts) -> Data:
    address, file = request.form.get("url", "").strip(), request.files.get("file")
    if not address and (file is None or not file.filename):
        raise uploads.BadUpload("Choose a calendar file, or paste the address of one.")
    return _fetched(address, parts) if address else uploads.sent(request)


def _fields() -> MultiDict[str, str]:
    """As the API knows them, patterns on lines of their own; without a calendar."""
    fields: MultiDict[str, str] = MultiDict(request.form)
    for name in ("url", "routes", "calendar"):
        fields.pop(name, None)
    for name in ("include", "exclude", "rename"):
        fields.setlist(name, _lines(name))
    return fields


def _lines(name: str) -> list[str]:
    return [line.strip() for line in request.form.get(name, "").splitlines() if line.strip()]


def _fetched(address: str, parts: Parts) -> bytes:
    """The calendar at the address, once, through the fences of subscriptions."""
    try:
        with outward():
            got = fetch_calendar(address, settings=fetch_settings(parts.config), now=parts.now())
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error
    if isinstance(got, NotModified):
        raise uploads.BadUpload("The server says that nothing has changed, and that is no calendar.")
    return got.body
