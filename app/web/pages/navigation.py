"""What every page shows at its top: where one can go from here, as far as the caller may, and who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from sqlalchemy.exc import SQLAlchemyError

from app.web.door import access, session
from app.web.door.callers import AT_THE_MACHINE, NOBODY, Caller, Right, is_signed
from app.web.language import lazy

PLACES = (
    ("/", lazy("Calendars"), Right.NONE),
    ("/import", lazy("Import"), Right.IMPORT),
    ("/imports", lazy("Runs"), Right.READ),
    ("/subscriptions", lazy("Subscriptions"), Right.READ),
    ("/drift", lazy("People’s changes"), Right.READ),
    ("/doctor", lazy("Feed doctor"), Right.IMPORT),
    ("/admin", lazy("Administration"), Right.ADMIN),
)
"""Path, name, and what it takes to be shown."""
OF_A_COURSE = (
    ("/lti/subscribe", lazy("Subscribe"), Right.NONE),
    ("/import", lazy("Import"), Right.IMPORT),
    ("/imports", lazy("Runs"), Right.READ),
)
"""The same for whoever came from inside a course, and sees us within a page of it."""


@dataclass(frozen=True, slots=True)
class Place:
    path: str
    name: str
    here: bool


def install(app: Flask) -> None:
    """Give every template `places`, `who` is signed in (empty: nobody), and whether anybody `can_sign_in`."""
    app.context_processor(_shown)


def places(who: Caller, path: str) -> list[Place]:
    """Where `who` may go; `here` is the one that `path` belongs to."""
    return [Place(place, str(name), _is_within(path, place)) for place, name, need in PLACES if who.may(need)]


def places_of_course(who: Caller, path: str) -> list[Place]:
    """The same for whoever came from a course; the page of its calendar is at an address of the person's own."""
    at = "/lti/subscribe" if is_signed(path) else path
    return [Place(place, str(name), _is_within(at, place)) for place, name, need in OF_A_COURSE if who.may(need)]


def _is_within(path: str, place: str) -> bool:
    return path == place or (place != "/" and path.startswith(f"{place}/"))


def _shown() -> dict[str, Any]:
    if session.platform() and (visitor := session.person(access.parts())):
        shown = session.shown_name(visitor) if visitor.may(Right.IMPORT) else ""
        return {"places": places_of_course(visitor, request.path), "who": shown, "can_sign_in": False}
    if is_signed(request.path):  # whoever comes with a link is nobody here, and guesses at links cost us nothing
        return {"places": places(NOBODY, request.path), "who": "", "can_sign_in": False}
    try:
        who = access.caller()
        can_sign_in = who is NOBODY and access.sign_in_is_possible()
    except SQLAlchemyError:  # the page that says so has to be shown all the same
        who, can_sign_in = NOBODY, False
    named = "" if who in (NOBODY, AT_THE_MACHINE) else who.name
    shown = session.shown_name(who) if named and who.by_cookie else ""
    return {"places": places(who, request.path), "who": shown, "can_sign_in": can_sign_in}
