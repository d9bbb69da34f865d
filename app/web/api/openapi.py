"""The OpenAPI 3.1 document of the API, made of the application's own rules and of what is said beside its views."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files
from inspect import cleandoc
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from app.web.api.calls import JSON, Call, call_of
from app.web.api.once import HEADER, LONGEST, REPLAYED
from app.web.api.shapes.common import Problem
from app.web.api.words import HEADERS, INTRODUCTION, REFUSALS, ROOMS
from app.web.door.callers import Right, needed

Tree = dict[str, Any]
WRITING = {"post", "put", "patch", "delete"}
REFS = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"


def document(app: Flask) -> Tree:
    """The whole document but for `servers`; made once for each application."""
    known: Tree | None = app.extensions.get("calbridge.document")
    if known is None:
        known = app.extensions["calbridge.document"] = _made(app)
    return known


def _made(app: Flask) -> Tree:
    config = app.extensions["calbridge"].config
    most = config.api.per_minute
    limit = f"One caller may ask {most:,} times in a minute." if most else "Nobody is limited here at the moment."
    calls = list(_calls(app))
    paths: Tree = {}
    for rule, method, view, told in calls:
        paths.setdefault(_path(rule), {})[method] = _operation(rule, method, view, told)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "calbridge",
            "version": version("calbridge"),
            "description": INTRODUCTION.format(hours=config.keep.answers_hours, limit=limit),
        },
        "tags": [{"name": name, "description": text} for name, text in ROOMS.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _reached(paths, _schemas([told for _, _, _, told in calls])),
            "securitySchemes": _ways_in(),
            "headers": {name: {"schema": {"type": "string"}, "description": text} for name, text in HEADERS.items()},
        },
    }


def _calls(app: Flask) -> Iterator[tuple[Rule, str, Any, Call]]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        told = call_of(view)
        if told is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method.lower(), view, told


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^<>]*:)?([^<>]+)>", r"{\1}", rule.rule)


def _operation(rule: Rule, method: str, view: Any, told: Call) -> Tree:
    text = " ".join(cleandoc(view.__doc__ or "").split())
    shown = _examples().get(told.name, {})
    operation: Tree = {
        "operationId": told.name,
        "tags": [told.room],
        "summary": re.split(r"[.:;] |[.:;]$|, and ", text)[0],
        "description": text,
        "security": _security(needed(method.upper(), rule.rule)),
        "parameters": [*_places(rule, shown), *_fields(told.asks, shown), *([_KEY] if method == "post" else [])],
        "responses": _responses(rule, method, told, shown),
    }
    if body := _body(told, shown):
        operation["requestBody"] = body
    return operation


def _security(right: Right) -> list[Tree]:
    """Either of the ways in, with the scope that is needed; none where everybody may call."""
    return [{way: [right.name.lower()]} for way in ("token", "session")] if right else []


def _places(rule: Rule, shown: Tree) -> Iterator[Tree]:
    """The parts of the path."""
    for name in sorted(rule.arguments, key=rule.rule.index):
        place = {"name": name, "in": "path", "required": True, "schema": _of_converter(rule._converters[name])}
        yield _with_example(place, shown.get("path", {}), name)


def _of_converter(converter: Any) -> Tree:
    if hasattr(converter, "items"):
        return {"type": "string", "enum": sorted(converter.items)}
    if hasattr(converter, "max"):
        return {"type": "integer", "minimum": 0, "maximum": converter.max}
    return {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^/]+$"}


def _fields(asks: type[BaseModel], shown: Tree) -> Iterator[Tree]:
    """The parts of the query."""
    schema = asks.model_json_schema(ref_template=REFS)
    for name, field in schema.get("properties", {}).items():
        told = {key: value for key, value in field.items() if key not in {"description", "title", "deprecated"}}
        place = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": told}
        place |= {key: field[key] for key in ("description", "deprecated") if key in field}
        yield _with_example(place, shown.get("query", {}), name)


def _with_example(place: Tree, values: Tree, name: str) -> Tree:
    return {**place, "example": values[name]} if name in values else place


def _body(told: Call, shown: Tree) -> Tree | None:
    example = {"example": shown["body"]} if "body" in shown else {}
    if told.takes is not None:
        return {"required": True, "content": {JSON: {"schema": _ref(told.takes), **example}}}
    if not told.file:
        return None
    form = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
    return {
        "description": told.file,
        "required": "or" not in told.file.split(),
        "content": {
            "text/calendar": {"schema": {"type": "string"}, **example},
            "multipart/form-data": {"schema": form},
        },
    }


def _responses(rule: Rule, method: str, told: Call, shown: Tree) -> Tree:
    answers: Tree = {}
    for code, shapes in told.answers.items():
        answers[str(code)] = _answer(code, shapes, told, shown if code == shown.get("status") else {})
        if method == "post":
            answers[str(code)]["headers"] |= _named(REPLAYED)
    for status, text in sorted(_refusals(rule, method, told).items()):
        known = answers.setdefault(str(status), {"description": text, "headers": _counted(), "content": {}})
        known["content"][PROBLEM] = {"schema": _ref(Problem), "example": _problem(status, text)}
        known["headers"] |= _named(*_OF_STATUS.get(status, ()))
    return dict(sorted(answers.items()))


def _answer(status: int, shapes: Sequence[type[BaseModel]], told: Call, shown: Tree) -> Tree:
    answer: Tree = {"description": HTTPStatus(status).phrase, "headers": _counted(), "content": {}}
    if told.media != JSON:
        answer["content"] = {told.media: {"schema": {"type": "string"}}}
    elif shapes:
        schemas = [_ref(shape) for shape in shapes]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        example = {"example": shown["answer"]} if "answer" in shown else {}
        answer["content"] = {JSON: {"schema": schema, **example}}
        answer["description"] = " ".join((shapes[0].__doc__ or "").split()) or answer["description"]
    answer["headers"] |= _named(*(["Link"] if told.pages else []), *_OF_STATUS.get(status, ()))
    return answer


_OF_STATUS: Mapping[int, Sequence[str]] = {
    201: ["Location"],
    202: ["Location"],
    401: ["WWW-Authenticate"],
    409: ["Retry-After"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}
"""Headers that such an answer may have."""


def _refusals(rule: Rule, method: str, told: Call) -> Mapping[int, str]:
    """What may be refused for usual reasons, and for this call's own."""
    if needed(method.upper(), rule.rule) is Right.NONE:
        return {status: REFUSALS[status] for status in (429, 503)}
    usual = {400, 401, 403, 429, 503}
    usual |= {404, 405} if rule.arguments else set()
    usual |= {409, 422} if method in WRITING else set()
    usual |= {413} if told.takes or told.file else set()
    return {**{status: REFUSALS[status] for status in usual}, **told.refusals}


def _problem(status: int, text: str) -> Tree:
    return {"title": HTTPStatus(status).phrase, "status": status, "detail": text}


def _counted() -> Tree:
    return _named("RateLimit-Policy", "RateLimit")


def _named(*headers: str) -> Tree:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}


def _ref(shape: type[BaseModel]) -> Tree:
    return {"$ref": REFS.format(model=shape.__name__)}


def _schemas(calls: Sequence[Call]) -> Tree:
    shapes: list[type[BaseModel]] = [Problem]
    for told in calls:
        answers = [shape for each in told.answers.values() for shape in each]
        shapes += [*answers, told.asks, *([told.takes] if told.takes else [])]
    _, tree = models_json_schema([(shape, "validation") for shape in dict.fromkeys(shapes)], ref_template=REFS)
    return dict(sorted(tree["$defs"].items()))


def _reached(paths: Tree, schemas: Tree) -> Tree:
    """Those that are named, by the calls or by others that are."""
    reached: set[str] = set()
    ahead = {*_NAMED.findall(json.dumps(paths))}
    while ahead:
        reached |= ahead
        ahead = {*_NAMED.findall(json.dumps([schemas[name] for name in ahead]))} - reached
    return {name: schema for name, schema in schemas.items() if name in reached}


_NAMED = re.compile(r'"#/components/schemas/([^"]+)"')

_KEY: Tree = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!-~]+$"},
    "description": "A key of this request's own, such as a UUID: sent again with it, the request is done once.",
}


def _ways_in() -> Tree:
    scopes = ", ".join(right.name.lower() for right in Right if right)
    return {
        "token": {"type": "http", "scheme": "bearer", "description": f"An API token with a scope: {scopes}."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "calbridge_session",
            "description": "A browser that is signed in. Whatever writes has to send the header X-CSRFToken as well.",
        },
    }


@cache
def _examples() -> Tree:
    """What was sent and answered once, by the name of the call; a test sends it again."""
    text = files("app.web").joinpath("examples.json").read_text("utf-8")
    examples: Tree = json.loads(text)
    return examples
