"""The language of a page: the one its reader chose, else one that the browser asks for, else the configuration's.

Only what people read on pages is translated: feeds, the API, logs and commands speak English always, and so do errors
until a page shows them (`app.web.spoken`). Catalogues are the .po files beside this module, made ready in memory when a
language is first asked for, so that neither a clone nor an installation has anything to compile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, Response, current_app, g, has_request_context, request, url_for
from werkzeug.exceptions import HTTPException

SOURCE = "en"
"""What the texts in the code are written in."""
LANGUAGES = {SOURCE: "English", "de": "Deutsch", "nb": "Norsk bokmål", "sv": "Svenska"}
"""What pages can speak, each by its own name."""
NEAR = {"no": "nb", "nn": "nb"}
"""What browsers call a language, or one whose readers rather have ours than English."""
LOCALES = {SOURCE: "en_GB"}
"""Whose dates and numbers go with a language, where its own name does not say it."""
FOLDER = Path(__file__).parent / "translations"
COOKIE = "calbridge_language"
KEPT = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the menu of languages: `path` is this page in that language."""

    code: str
    name: str
    path: str
    here: bool


class lazy:  # noqa: N801 - reads as a function does, and marks its text for the catalogues
    """A text that is made before it is known who reads it: translated where it is shown, `%(name)s` filled in."""

    def __init__(self, text: str, /, **values: Any) -> None:
        self._text, self._values = text, values

    def __str__(self) -> str:
        return gettext(self._text, **self._values)


def install(app: Flask, usual: str, *, secure: bool) -> None:
    """Have templates and pages speak; `usual` is for whoever asks for none of ours, `secure` says that all is https."""
    app.config.update(CALBRIDGE_LANGUAGE=usual, CALBRIDGE_SECURE=secure)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: catalogue(language()).gettext(text),
        lambda one, many, count: catalogue(language()).ngettext(one, many, count),
        newstyle=True,
        pgettext=lambda context, text: catalogue(language()).pgettext(context, text),
    )
    app.context_processor(_shown)
    app.after_request(_told)


def gettext(text: str, /, **values: Any) -> str:
    """The text in the language of the page that is asked for, with its `%(name)s` filled in; `%%` is a plain one."""
    return catalogue(language()).gettext(text) % values


def ngettext(one: str, many: str, count: int, /, **values: Any) -> str:
    """The one that fits the number, which both know as `%(num)s`."""
    return catalogue(language()).ngettext(one, many, count) % {"num": count, **values}


def pgettext(context: str, text: str, /, **values: Any) -> str:
    """A text that means something else elsewhere: `context` tells translators which one it is."""
    return catalogue(language()).pgettext(context, text) % values


def language() -> str:
    """The language of the page that is asked for; English where no page is."""
    if not has_request_context() or is_for_programs(request.path):
        return SOURCE
    if "language" not in g:
        usual = current_app.config["CALBRIDGE_LANGUAGE"]
        g.language = chosen(request.args.get("lang"), request.cookies.get(COOKIE), request.accept_languages, usual)
    return str(g.language)


def locale() -> Locale:
    """Whose dates and numbers the page shows."""
    return _locale(language())


def is_for_programs(path: str) -> bool:
    """Whether programs ask there, which want the same words always; at /api/ itself is a page about that."""
    return (path.startswith("/api/") and path != "/api/") or path.endswith((".json", ".ics"))


def chosen(asked: str | None, kept: str | None, accepted: Iterable[tuple[str, float]], usual: str) -> str:
    """The language of a reader who asks for one now, has chosen one, or whose browser prefers some, by their weight."""
    for choice in (asked, kept):
        if choice in LANGUAGES:
            return str(choice)
    return next((ours for tag, weight in accepted if weight > 0 and (ours := _ours(tag))), usual)


def _ours(tag: str) -> str | None:
    """The language of ours that a tag as `de-AT` means (RFC 5646)."""
    name = tag.replace("_", "-").partition("-")[0].lower()
    name = NEAR.get(name, name)
    return name if name in LANGUAGES else None


@cache
def catalogue(language: str) -> NullTranslations:
    """The texts of that language."""
    if language == SOURCE:
        return NullTranslations()
    compiled = BytesIO()
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(LOCALES.get(language, language))


def _shown() -> dict[str, Any]:
    return {"language": language(), "languages": choices()}


def choices() -> list[Choice]:
    """The menu: links, so that it needs no script, and relative, so that a secret path is not written again."""
    here = "" if _can_be_asked_again() else url_for("pages.start")
    asked = {} if here else {name: values for name, values in request.args.lists() if name != "lang"}
    spoken = language()
    return [
        Choice(code, name, f"{here}?{urlencode({**asked, 'lang': code}, doseq=True)}", code == spoken)
        for code, name in LANGUAGES.items()
    ]


def _can_be_asked_again() -> bool:
    """Whether this page has an address; what answers a form may have none, and a code that came along is good once."""
    if "code" in request.args:
        return False
    if request.method in ("GET", "HEAD"):
        return True
    try:
        current_app.create_url_adapter(request).match(request.path, "GET")  # type: ignore[union-attr]
    except HTTPException:
        return False
    return True


def _told(response: Response) -> Response:
    """A page says what it speaks and what that depended on, and a choice is remembered."""
    if response.mimetype != "text/html" or response.status_code == 304:  # which has no type of its own
        return response
    response.headers["Content-Language"] = language()
    response.vary.update(("Accept-Language", "Cookie"))
    if request.args.get("lang") == language():
        secure = bool(current_app.config["CALBRIDGE_SECURE"])
        response.set_cookie(COOKIE, language(), KEPT, secure=secure, httponly=True, samesite="Lax")
    return response
