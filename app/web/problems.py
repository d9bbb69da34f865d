"""Errors to callers of the API as problem+json (RFC 9457), to people as a page with a sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, json, render_template, request


def problem(status: int, detail: str, **members: Any) -> Response:
    """A problem+json answer: `title` is the status in words, `detail` the sentence that says what to do."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return Response(json.dumps(body), status, content_type="application/problem+json")


def answer(status: int, detail: str) -> Response:
    """The error as the caller reads it: problem+json under /api and for .json, a sentence elsewhere."""
    if request.path.startswith("/api/") or request.path.endswith(".json"):
        return problem(status, detail)
    page = render_template("problem.html", title=HTTPStatus(status).phrase, detail=detail)
    return Response(page, status, content_type="text/html; charset=utf-8")
