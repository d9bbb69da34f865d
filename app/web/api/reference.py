"""The API's document for programs, and the same as a page for people. Both are for everybody: they hold no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, json, render_template
from markupsafe import Markup, escape

from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.openapi import document
from app.web.api.shapes.common import Document
from app.web.api.words import REFUSALS, ROOMS
from app.web.door import access

bp = Blueprint("reference", __name__, url_prefix="/api")

LINES = 24
"""Of an example on the page; the document has all of it."""


@bp.get("/openapi.json")
@call("openapi", "House", Document, loose=True)
def openapi() -> Response:
    """This document."""
    answer = as_json(_document())
    answer.headers["Cache-Control"] = "public, max-age=300"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@bp.get("/")
@call("reference", "House", media="text/html", loose=True)
def page() -> Response:
    """This document as a page, to be read."""
    tree = _document()
    calls = [
        {"method": method.upper(), "path": path, **operation}
        for path, operations in tree["paths"].items()
        for method, operation in operations.items()
    ]
    rooms = [(name, text, [each for each in calls if name in each["tags"]]) for name, text in ROOMS.items()]
    schemas: Mapping[str, Any] = tree["components"]["schemas"]
    shown = {"info": tree["info"], "rooms": rooms, "schemas": schemas, "kind_of": kind_of, "pretty": _pretty}
    shown |= {"refusals": REFUSALS}
    return Response(render_template("reference.html", **shown), content_type="text/html; charset=utf-8")


def kind_of(schema: Mapping[str, Any]) -> str:
    """What a value is, in a few words: `integer`, `list of Run`, `one of a, b`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(f"“{each}”" for each in schema["enum"] if each)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(each) for each in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind_of(schema['additionalProperties'])}"
    return f"{schema.get('type', 'anything')}{' (' + schema['format'] + ')' if 'format' in schema else ''}"


@bp.app_template_filter("marked")
def marked(text: str) -> Markup:
    """The document's text with its `code` and **strong words** as such; whatever else it holds is text."""
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", shown))  # noqa: S704 - escaped above


def _document() -> dict[str, Any]:
    made = document(current_app._get_current_object())  # type: ignore[attr-defined]
    return {**made, "servers": [{"url": access.base_url()}]}


def _pretty(value: object) -> Markup:
    """An example, in which quotes need no escape: it stands between tags, and in none."""
    lines = (value if isinstance(value, str) else json.dumps(value, indent=1)).splitlines()
    text = "\n".join([*lines[:LINES], *(["…"] if len(lines) > LINES else [])])
    return Markup(str(escape(text)).replace("&#34;", '"').replace("&#39;", "'"))  # noqa: S704 - escaped
