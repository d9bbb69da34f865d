"""An id for each request, in its log lines and in its answer, so that one can be found by the other."""

from __future__ import annotations

import logging
import re
from time import perf_counter
from uuid import uuid4

from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, unbind_contextvars

log = logging.getLogger(__name__)

HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


def trace(app: Flask) -> None:
    """Give every request of this application an id; one that a proxy gave already is taken over."""
    app.before_request(_begin)
    app.after_request(_answered)
    app.teardown_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    g.request_id = given if _ID.fullmatch(given) else uuid4().hex[:16]
    g.began = perf_counter()
    bind_contextvars(request=g.request_id)


def _answered(response: Response) -> Response:
    """The path is not told: its rule says what was asked, and it may hold a token."""
    if "request_id" in g:
        rule = request.url_rule.rule if request.url_rule else "no such page"
        took = round((perf_counter() - g.began) * 1000, 1)
        log.info("%s %s", request.method, rule, extra={"status": response.status_code, "ms": took})
        response.headers[HEADER] = g.request_id
    return response


def _end(_error: BaseException | None) -> None:
    unbind_contextvars("request")
