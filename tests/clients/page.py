"""The page that embeds calendars, and a server of its own for it: another origin than the feeds'."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tests.clients.readers import HERE, ICAL_JS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FILES = {
    "/": ("text/html", HERE / "page.html"),
    "/ical.js": ("text/javascript", ICAL_JS),
    "/reading.js": ("text/javascript", HERE / "reading.js"),
}


def page_for(feeds: Mapping[str, str]) -> WSGIApplication:
    """Serves the page, its scripts, and the addresses of these feeds by their names."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/feeds.json":
            kind, body = "application/json", json.dumps(feeds).encode()
        elif path in FILES:
            kind, body = FILES[path][0], FILES[path][1].read_bytes()
        else:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        start_response("200 OK", [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    return app
