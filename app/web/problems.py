"""Errors to callers of the API as problem+json (RFC 9457), to people as a page with a sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response, json, render_template, request

from app.web.language import lazy
from app.web.spoken import spoken

TITLES = {
    200: lazy("Done"),
    400: lazy("That cannot be understood"),
    401: lazy("Sign in first"),
    403: lazy("Not allowed"),
    404: lazy("Not found"),
    405: lazy("Not possible here"),
    409: lazy("Not now"),
    410: lazy("Gone"),
    413: lazy("Too large"),
    422: lazy("That cannot be done"),
    429: lazy("Too often"),
    500: lazy("Something went wrong"),
    502: lazy("The other side did not answer as it should"),
    503: lazy("Not available just now"),
}
"""What a page says above the sentence; for programs the status has its own words."""


def problem(status: int, detail: str, **members: Any) -> Response:
    """A problem+json answer: `title` is the status in words, `detail` the sentence that says what to do."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **members}
    return Response(json.dumps(body), status, content_type="application/problem+json")


def answer(status: int, detail: str | lazy) -> Response:
    """The error as the caller reads it: problem+json under /api and for .json, a page with the sentence elsewhere.

    `detail` is English, or lazy: a page has it in its own language as far as that is known there.
    """
    if request.path.startswith("/api/") or request.path.endswith(".json"):
        return problem(status, str(detail))
    title = TITLES.get(status, HTTPStatus(status).phrase)
    page = render_template("problem.html", title=title, detail=detail if isinstance(detail, lazy) else spoken(detail))
    return Response(page, status, content_type="text/html; charset=utf-8")
