"""The texts of the pages and their catalogues. `python -m tests.languages [LANGUAGE …]` brings the .po files in step.

New texts come in without a translation, those that are gone go, and a language that is new gets a file of its own.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from app.web.language import FOLDER, LANGUAGES, SOURCE

WEB = FOLDER.parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy": None, "says": None, "counted": (1, 2)}

_CHANGING = tuple(
    f'"{name}: '.encode()
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
"""Lines of the head that say nothing that the history does not say better."""


def extracted() -> Catalog:
    """Every text of the code and the templates."""
    found = Catalog(project="calbridge", charset="utf-8", fuzzy=False)
    for name, line, text, comments, context in extract_from_dir(WEB, METHODS, OPTIONS, KEYWORDS):
        found.add(text, None, [(name, line)], auto_comments=comments, context=context)
    return found


def path_of(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "messages.po"


def catalogue_of(language: str) -> Catalog:
    """The catalogue as it lies there; an empty one where there is none yet."""
    try:
        with path_of(language).open("rb") as file:
            return read_po(file, locale=language)
    except FileNotFoundError:
        return Catalog(locale=language, project="calbridge", fuzzy=False)


def written(catalogue: Catalog) -> bytes:
    """As it is stored: by file, without line numbers, so that it changes where a text does and nowhere else."""
    out = BytesIO()
    write_po(out, catalogue, width=118, sort_by_file=True, ignore_obsolete=True, include_lineno=False)
    return b"".join(line for line in out.getvalue().splitlines(keepends=True) if not line.startswith(_CHANGING))


def update(language: str, texts: Catalog) -> Catalog:
    """The language's catalogue with these texts and no others, stored."""
    catalogue = catalogue_of(language)
    catalogue.update(texts, no_fuzzy_matching=True)
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    path_of(language).write_bytes(written(catalogue))
    return catalogue


def strings(message: Message) -> list[str]:
    """The forms of a translation, empty where they are missing."""
    found = message.string
    return [found or ""] if isinstance(found, str | None) else list(found)


def main(languages: list[str]) -> None:
    texts = extracted()
    for language in languages or [each for each in LANGUAGES if each != SOURCE]:
        catalogue = update(language, texts)
        missing = [each for each in catalogue if each.id and not all(strings(each))]
        print(f"{path_of(language)}: {len(catalogue)} texts, {len(missing)} without a translation")


if __name__ == "__main__":
    main(sys.argv[1:])
