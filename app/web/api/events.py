"""Runs as they go on, as server-sent events: `progress` once a second, and `end` with what came of it.

Each listener costs a thread, so that there are few, and none for long: a browser's EventSource comes back by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, current_app, json

from app.imports.record.runs import Ending
from app.imports.run import Imports
from app.web.api.calls import EVENTS, call
from app.web.door import access
from app.web.problems import answer

bp = Blueprint("events", __name__, url_prefix="/api")

MOST_LISTENERS = 4
"""Of the 16 threads that serve requests."""
LONGEST = 600
"""Seconds; whoever wants more asks again."""
STILL_HERE = 15
"""Seconds of silence after which a comment is sent, so that no proxy takes the line for dead."""


@bp.record_once
def _count(state: Any) -> None:
    state.app.extensions["calbridge.listeners"] = BoundedSemaphore(MOST_LISTENERS)


@bp.get("/imports/<int(max=2147483647):run>/events")
@call("followRun", "Imports", media=EVENTS)
def events(run: int) -> Response:
    """The progress of one run, as server-sent events: `progress` once a second, and `end` with what came of it.

    Those who cannot have it, or are answered 503 since too many listen, ask `showRun` now and then.
    """
    imports, listeners = access.parts().imports, current_app.extensions["calbridge.listeners"]
    imports.standing(run)
    if not listeners.acquire(blocking=False):
        refusal = answer(503, f"Too many listen already: ask for /api/imports/{run} every few seconds instead.")
        refusal.headers["Retry-After"] = "5"
        return refusal
    response = Response(stream(imports, run), content_type="text/event-stream")
    response.headers.update({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    place = ExitStack()  # given back once, however often the response is closed
    place.callback(listeners.release)
    response.call_on_close(place.close)
    return response


def stream(imports: Imports, run: int, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """The events of one run, until it is over or a listener has had enough."""
    told, silent = None, 0
    for _ in range(LONGEST):
        state, progress = imports.standing(run)
        if state not in {Ending.QUEUED, Ending.RUNNING}:
            yield _event("end", imports.get(run).summary())
            return
        if told != (now := {"run": run, "state": state.value, **(progress or {})}):
            yield _event("progress", now)
            told, silent = now, 0
        elif silent % STILL_HERE == 0:
            yield ": still here\n\n"
        silent += 1
        sleep(1)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
