"""What a call of the API takes and answers, said beside its view: the view is held to it, and the document made of it.

A decorator of our own over pydantic, which the configuration is made of already. APIFlask and flask-openapi3 want to be
the application itself, spectree brings pages that load from elsewhere and checks answers as they are served, apispec
takes pydantic by a plug-in of somebody else's; and an OpenAPI 3.1 document is JSON Schema, which pydantic writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, TypeVar, get_origin

from flask import Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from app.web import uploads
from app.web.api.once import once
from app.web.api.shapes.common import Nothing

View = Callable[..., Response]
Asked = TypeVar("Asked", bound=BaseModel)
CREDENTIALS = {"token", "csrf_token"}
"""Fields of a form that say who sends it."""
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `name` is what programs call it by, `room` the part of the document that it stands in.

    `asks` are the fields of the query (a form may carry them as well), `takes` is the JSON of the body, and `file` says
    that a calendar file is sent. `answers` are the shapes by status, the usual one first; none is an empty body.
    `pages` says that the answer is a part of a list. What is refused for usual reasons is not listed here.
    """

    name: str
    room: str
    answers: Mapping[int, Sequence[type[BaseModel]]]
    asks: type[BaseModel] = Nothing
    takes: type[BaseModel] | None = None
    file: str = ""
    pages: bool = False
    refusals: Mapping[int, str] = field(default_factory=dict)
    media: str = JSON


def call(
    name: str,
    room: str,
    *answers: type[BaseModel],
    status: int = 200,
    also: Mapping[int, Sequence[type[BaseModel]]] | None = None,
    asks: type[BaseModel] = Nothing,
    takes: type[BaseModel] | None = None,
    file: str = "",
    pages: bool = False,
    refusals: Mapping[int, str] | None = None,
    media: str = JSON,
    loose: bool = False,
) -> Callable[[View], View]:
    """Describe a view of the API, and have it called with what was sent as values: `asked` for the query, `given` for
    the body. With `loose` it reads them itself. A POST with an Idempotency-Key is done once."""
    told = Call(name, room, {status: answers, **(also or {})}, asks, takes, file, pages, refusals or {}, media)

    def described(view: View) -> View:
        @wraps(view)
        def answered(**where: Any) -> Response:
            sent = dict(where) if loose else {**where, **_sent(told)}
            return once(partial(view, **sent)) if request.method == "POST" else view(**sent)

        answered.call = told  # type: ignore[attr-defined]
        return answered

    return described


def call_of(view: Callable[..., Any]) -> Call | None:
    """What was said beside a view; None where nothing was."""
    told: Call | None = getattr(view, "call", None)
    return told


@contextmanager
def understood() -> Iterator[None]:
    """A ValueError within the block says what is wrong with what was sent."""
    try:
        yield
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error


def _sent(told: Call) -> dict[str, Any]:
    asked = read(told.asks, request.args if request.method == "GET" else request.values)
    values: dict[str, Any] = {} if told.asks is Nothing else {"asked": asked}
    if told.takes is not None:
        values["given"] = _given(told.takes)
    return values


def read(shape: type[Asked], fields: MultiDict[str, str]) -> Asked:
    """The fields of a query or a form as values. BadUpload says what is wrong."""
    names = {each.alias or name: each for name, each in shape.model_fields.items()}
    values: dict[str, Any] = {}
    for name in fields:
        if name in CREDENTIALS and request.method != "GET":
            continue
        many = name in names and get_origin(names[name].annotation) is tuple
        values[name] = fields.getlist(name) if many else fields[name]
    empty = [name for name, value in values.items() if value == "" and name in names]
    if unknown := sorted(map(str, set(values) - set(names))):  # a part of a form may have no name at all
        known = f"there are: {', '.join(names)}" if names else "this call has none"
        raise uploads.BadUpload(f"there is no field '{unknown[0][:80]}'; {known}")
    with _checked():
        return shape.model_validate({name: value for name, value in values.items() if name not in empty})


def _given(shape: type[Asked]) -> Asked:
    """The body, in which 0 is no false and "1" no number. BadUpload where it is none."""
    if not isinstance(request.get_json(silent=True), dict):
        raise uploads.BadUpload("send a JSON object, as application/json")
    with _checked():
        return shape.model_validate_json(request.get_data(), strict=True)


@contextmanager
def _checked() -> Iterator[None]:
    """What does not fit is said."""
    try:
        yield
    except ValidationError as error:
        raise uploads.BadUpload("; ".join(_sentences(error))) from error


def _sentences(error: ValidationError) -> Iterable[str]:
    """One for each fault, without the value: it may be a secret."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(map(str, fault["loc"]))[:200]
        said = {"extra_forbidden": "there is no such field", "missing": "missing"}.get(fault["type"])
        yield f"{where}: {said or fault['msg'].removeprefix('Value error, ')}"
