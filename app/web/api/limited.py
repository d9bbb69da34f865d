"""How often one caller may ask the API in a minute: told with every answer, and refused beyond it.

Counted in this process or, where `cache.url` names a Redis, in all of them together; while that is away each counts for
itself. The headers are those of draft-ietf-httpapi-ratelimit-headers-10. Feeds are never counted. The library for this
(limits) starts a thread whenever it counts in memory and refuses the Redis client that we use; a minute needs neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from flask import Flask, Response, current_app, g, request

from app.config import Config
from app.redis import Tallies, Tally
from app.web.door import access
from app.web.door.pace import SPAN, Here
from app.web.problems import problem

POLICY, LEFT = "RateLimit-Policy", "RateLimit"


@dataclass(slots=True)
class Limits:
    """The limit of one process: `most` requests in SPAN seconds, counted with other processes' where Redis is."""

    most: int
    here: Here = field(default_factory=Here)
    together: Tallies | None = None

    def add(self, who: str) -> Tally:
        """Count one request of that caller."""
        return (self.together.add(who, SPAN) if self.together else None) or self.here.add(who)


def install(app: Flask, config: Config) -> None:
    """Count what is asked of this application's API."""
    url = config.cache.url
    app.extensions["calbridge.limits"] = Limits(config.api.per_minute, together=Tallies(url) if url else None)
    app.before_request(_refusal)
    app.after_request(_told)


def _refusal() -> Response | None:
    """Before each request: None to let it through."""
    limits = _limits()
    if not limits.most or not request.path.startswith("/api/"):
        return None
    tally = g.tally = limits.add(access.caller_key())
    if tally.count <= limits.most:
        return None
    wait = _seconds(tally)
    refusal = problem(429, f"More than {limits.most:,} requests in a minute: wait {wait} seconds.")
    refusal.headers["Retry-After"] = str(wait)
    return refusal


def _told(response: Response) -> Response:
    tally: Tally | None = g.get("tally")
    if tally is not None:
        most = _limits().most
        response.headers[POLICY] = f'"minute";q={most};w={SPAN}'
        response.headers[LEFT] = f'"minute";r={max(most - tally.count, 0)};t={_seconds(tally)}'
    return response


def _seconds(tally: Tally) -> int:
    return min(max(ceil(tally.seconds), 1), SPAN)


def _limits() -> Limits:
    limits: Limits = current_app.extensions["calbridge.limits"]
    return limits
