"""The routes of an import, from its options or from a file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from app.imports.deciding.routes import Routes

FORM = 'the file of routes has to be of the form: routes = ["category:COURSE *=>learn/course/courseId:{1}"]'


def routes_from(calendar: str | None, options: tuple[str, ...], file: BinaryIO | None, source: str) -> Routes | None:
    """The routes, those of the options first; None where one calendar was named instead. ValueError where both were,
    or neither, or where a name is lacking: what an import has in every calendar is told by its name."""
    from app.imports.deciding.routes import routes_of

    texts = [*options, *(_texts(file) if file else ())]
    if bool(calendar) == bool(texts):
        raise ValueError(
            "say where it goes: either --into CALENDAR, or --route 'PATTERN=>CALENDAR' as often as you like"
        )
    if texts and source == "upload":
        raise ValueError("a routed import needs a name of its own: --name timetable")
    return routes_of(texts) if texts else None


def _texts(file: BinaryIO) -> list[str]:
    try:
        routes = tomllib.load(file).get("routes")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{FORM} ({error})") from None
    if not isinstance(routes, list) or not all(isinstance(route, str) for route in routes):
        raise ValueError(FORM)
    return routes
