"""Holds what the API answers to its own document, whoever asks: any test of the web face tries the document, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jsonschema_rs
from flask import Flask, Response, current_app, request, request_finished

from app.web.api.openapi import document

TOLD_ELSEWHERE = {405}
"""What no document has: the methods that are not in it."""


def path_of(rule: str) -> str:
    """A rule of the application, as the document writes it."""
    return re.sub(r"<(?:[^<>]*:)?([^<>]+)>", r"{\1}", rule)


@contextmanager
def held_to_the_document() -> Iterator[None]:
    """Each answer of the API within the block has to be one that the document tells of."""

    def look(_: Flask, response: Response, **__: Any) -> None:
        rule = request.url_rule
        if rule is not None and rule.rule.startswith("/api") and response.status_code not in TOLD_ELSEWHERE:
            require_told(path_of(rule.rule), request.method, response)

    with request_finished.connected_to(look):
        yield


def require_told(path: str, method: str, response: Response) -> None:
    """AssertionError says what of the answer the document does not tell of."""
    where, status = f"{method} {path}", str(response.status_code)
    if method in ("HEAD", "OPTIONS"):
        return
    answers = _tree()["paths"][path][method.lower()]["responses"]
    assert status in answers, f"{where} answered {status}: {response.get_data(as_text=True)[:300]}"
    told = answers[status]
    for name in ("Link", "Location", "Retry-After", "Idempotency-Replayed"):
        if name == "Idempotency-Replayed" and response.status_code >= 400:
            continue
        assert name not in response.headers or name in told["headers"], f"{where}, {status}: {name} is not told of"
    if response.is_streamed:
        return
    if not told["content"]:
        assert response.get_data() == b"", f"{where}, {status} has a body"
        return
    kind = str(response.mimetype)
    assert kind in told["content"], f"{where}, {status} is {kind}"
    if kind.endswith("json"):
        faults = [
            f"{'/'.join(map(str, fault.instance_path))}: {fault.message[:300]}"
            for fault in _judge(path, method.lower(), status, kind).iter_errors(response.get_json())
        ]
        assert not faults, f"{where}, {status}: {faults}"


@cache
def _judge(path: str, method: str, status: str, kind: str) -> Any:
    schema = _tree()["paths"][path][method]["responses"][status]["content"][kind]["schema"]
    whole = {**schema, "components": _tree()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


_made: list[dict[str, Any]] = []


def _tree() -> dict[str, Any]:
    """The document; all applications have the same, but for figures in its words."""
    if not _made:
        _made.append(document(current_app._get_current_object()))  # type: ignore[attr-defined]
    return _made[0]
