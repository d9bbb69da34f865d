"""A day with the API, call by call: what the document's examples are made of, and what they are tried by.

`python -m tests.web.story` writes app/web/examples.json anew, out of what is really sent and answered here.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web import flask_app
from app.web.api.openapi import document
from bridges.model import CalendarRef, Window
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.fakes.web import LECTURE, answer, serving
from tests.test_refresh import Campus

EXAMPLES = Path(__file__).parents[2] / "app" / "web" / "examples.json"
INTO = "demo/course/statistics"
SPAN = {"from": "2026-10-20", "to": "2026-12-31"}
SOURCE = "https://timetable.example.edu/bio.ics"
"""What stands in the examples for the address of the server that the story pulls from."""
SECRETS = ((r"(?<=/feeds/)[A-Za-z0-9_-]{43}(?=/)", "SECRET"), (r"cb_[A-Za-z0-9_-]{20,}", "cb_SECRET"))
MEASURED = {"seconds": 0.1, "request": "8f2b1c", "next_check": "2026-10-20T10:30:00+00:00", "rate": None, "rest": None}
"""What takes some time, or is diced."""
Values = Mapping[str, Any]


def file(*events: str) -> str:
    return calendar(*events).decode()


@dataclass(frozen=True)
class Step:
    """One call by its name. `body` is JSON, or a calendar file. `comes_to` is its status; with `before` something else
    happens first."""

    name: str
    path: Values = field(default_factory=dict)
    query: Values = field(default_factory=dict)
    body: Values | str | None = None
    comes_to: int = 200
    before: Callable[[Campus], None] | None = None


def steps() -> Iterator[Step]:
    """Calls in their order; the first of each name is shown in the document."""
    yield Step("openapi")
    yield Step("reference")
    yield from _imports()
    yield from _batches()
    yield from _feeds()
    yield from _subscriptions()
    yield from _drift()
    yield from _looks()
    yield from _house()


def _imports() -> Iterator[Step]:
    timetable = {"calendar": INTO, "name": "timetable", **SPAN}
    yield Step("listCalendars", query={"lms": "demo"})
    yield Step("importCalendar", query=timetable, body=file(LECTURES, EXAM))
    yield Step("listRuns", query={"limit": 1})
    yield Step("showRun", {"run": 1})
    yield Step("listOfRun", {"run": 1, "what": "changes"}, {"limit": 2})
    yield Step("followRun", {"run": 1})
    yield Step("retryRun", {"run": 1}, {"dry_run": True}, comes_to=409)
    yield Step("undoRun", {"run": 1}, {"dry_run": True})
    yield Step("importCalendar", query=timetable, body=file(EXAM.replace("exam", "oral")), comes_to=202)
    yield Step("approveRun", {"run": 2})
    yield Step("importCalendar", query={**timetable, "background": True}, body=file(EXAM), comes_to=202)
    yield Step("pauseRun", {"run": 3})
    yield Step("resumeRun", {"run": 3}, comes_to=202)
    yield Step("cancelRun", {"run": 3})
    yield Step("purgeImport", query={"calendar": INTO, "name": "timetable"})


def _batches() -> Iterator[Step]:
    routed = {"route": ["title:* of *=>demo/course/{2}"], "name": "campus", **SPAN}
    talk = "UID:{0}\nSUMMARY:Talk of {0}\nDTSTART:20261103T100000Z\nDTEND:20261103T103000Z"
    yield Step("importCalendar", query=routed, body=file(talk.format("anatomy-1"), talk.format("statistics")))
    yield Step("showBatch", {"batch": 1})
    yield Step("undoBatch", {"batch": 1}, {"dry_run": True})
    other = file(talk.format("statistics").replace("UID:", "UID:new-"))
    yield Step("importCalendar", query=routed, body=other, comes_to=202)
    yield Step("cancelBatch", {"batch": 2})
    yield Step("importCalendar", query=routed, body=other, comes_to=202)
    yield Step("approveBatch", {"batch": 3})


def _feeds() -> Iterator[Step]:
    one = {"slug": "biology"}
    new = {"calendars": ["demo/course/anatomy-1", INTO], "title": "Biology", "policies": {"ahead": 90, "alarm": 15}}
    yield Step("listFeeds", query={"limit": 1})
    yield Step("addFeed", body={**one, **new}, comes_to=201)
    yield Step("showFeed", one)
    yield Step("changeFeed", one, body={"title": ["OSCE*"], "privacy": "busy-only", "alarm": None})
    yield Step("refreshFeed", one)
    yield Step("previewFeed", one)
    yield Step("disableFeed", one)
    yield Step("enableFeed", one)
    yield Step("addFeedToken", one, body={"name": "phone", "until": "2027-06-30", "privacy": "busy-only"}, comes_to=201)
    yield Step("listFeedTokens", one)
    yield Step("revokeFeedTokens", one, {"name": "phone"})
    yield Step("rotateFeed", one, comes_to=201)
    yield Step("revokeEveryFeedToken")
    yield Step("removeFeed", one, comes_to=204)


def _subscriptions() -> Iterator[Step]:
    one = {"id": 1}
    new = {"name": "bio", "url": SOURCE, "calendar": "demo/course/anatomy-1", "every_minutes": 60, "floating": "home"}
    yield Step("addSubscription", body=new, comes_to=201)
    yield Step("listSubscriptions", query={"search": "bio"})
    yield Step("showSubscription", one)
    yield Step("runSubscription", one)
    yield Step("historyOfSubscription", one, {"limit": 5})
    yield Step("changeSubscription", one, body={"every_minutes": 30, "exclude": ["title:Party*"], "floating": None})
    yield Step("disableSubscription", one)
    yield Step("enableSubscription", one)
    yield Step("removeSubscription", one, comes_to=204)


def _drift() -> Iterator[Step]:
    where = {"calendar": INTO}
    yield Step("checkCalendar", query=where, before=people_change_something)
    yield Step("listDrifts", query=where)
    yield Step("acceptDrift", {"id": _edited})
    yield Step("restoreDrift", {"id": _edited})
    yield Step("setDriftPolicy", query={**where, "name": "course", "policy": "ask"})
    yield Step("setDriftRhythm", query={**where, "hours": 6})


def _looks() -> Iterator[Step]:
    yield Step("explainTimes", query={"at": "2026-10-28", "calendar": INTO}, body=file(LECTURES))
    yield Step("judgeFeed", query={"client": ["outlook"]}, body=file(EXAM))


def _house() -> Iterator[Step]:
    yield Step("listConnections")
    yield Step("testConnection", {"lms": "demo"})
    yield Step("listWaiting")
    yield Step("listWorkers")
    yield Step("listSettings", query={"limit": 1})
    yield Step("listLinks")
    yield Step("removeLink", query={"calendar": "demo/person/ada"}, comes_to=422)
    yield Step("erasePerson", query={"person": "demo/person/ada"})
    yield Step("addToken", body={"name": "office", "scope": "admin"}, comes_to=201)
    yield Step("listTokens")
    yield Step("putAdmin", {"name": "ada"}, body={"password": "four words make one"}, comes_to=204)
    yield Step("listAdmins")
    yield Step("removeAdmin", {"name": "ada"}, comes_to=204)
    yield Step("listDeeds", query={"limit": 1})
    yield Step("addToken", body={"name": "display", "scope": "read"}, comes_to=201)
    yield Step("revokeToken", {"name": "display"}, comes_to=204)


_edited: Any = "DRIFT"
"""Stands for the number of the event that people changed."""


def people_change_something(campus: Campus) -> None:
    """One lecture has another title in the LMS by now."""
    into, parts = CalendarRef.parse(INTO), campus.parts
    window = Window(NOW, NOW + timedelta(days=90))
    parts.imports.run(calendar(LECTURES), into, window, source="course")
    sink = parts.sink("demo")
    first = next(each for each in parts.source("demo").read(into, window) if each.event.title == "Marine biology")
    sink.update(into, first.ref, sink.fit(replace(first.event, title="Marine biology, in the aquarium")))


class Teller:
    """Tells the story to one campus. `shown` are the examples that the requests are taken from, where there are any."""

    def __init__(self, campus: Campus) -> None:
        self.campus = campus
        app = flask_app(campus.parts)
        self.document = document(app)
        self._client: FlaskClient = app.test_client()
        self._token = ""
        self._calls = {
            call["operationId"]: (method, path)
            for path, calls in self.document["paths"].items()
            for method, call in calls.items()
        }

    def tell(self, step: Step) -> tuple[TestResponse, dict[str, Any]]:
        """Make the call as it stands there: its answer, and both as the document shows them."""
        if step.before:
            step.before(self.campus)
        method, path = self._calls[step.name]
        real = self._real(dict(step.path))
        told = self._client.open(
            path.format(**real),
            method=method.upper(),
            query_string={name: _written(value) for name, value in step.query.items()},
            headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
            **_body(self._real(step.body)),
        )
        if step.name == "addToken" and not self._token:
            self._token = str(told.json["token"])  # type: ignore[index]
        return told, self._example(step, real, told)

    def _real(self, value: Any) -> Any:
        """What stands for something in the examples, as it is here."""
        if isinstance(value, dict):
            return {name: self._real(each) for name, each in value.items()}
        if value == _edited:
            return next(each.id for each in self.campus.parts.drifts.list())
        return self.campus.url if value == SOURCE else value

    def _example(self, step: Step, where: Values, told: TestResponse) -> dict[str, Any]:
        made: dict[str, Any] = {"status": told.status_code, **({"path": where} if where else {})}
        made |= {name: value for name in ("query", "body") if (value := getattr(step, name))}
        if told.is_json and told.status_code < 400 and step.name != "openapi":
            made["answer"] = settled(told.json)
        return made


def settled(value: Any) -> Any:
    """The answer without what is another each time."""
    if isinstance(value, dict):
        return {name: MEASURED.get(name, settled(each)) for name, each in value.items()}
    if isinstance(value, list):
        return [settled(each) for each in value]
    if isinstance(value, str):
        for pattern, shown in SECRETS:
            value = re.sub(pattern, shown, value)
        value = value.replace("http://localhost", "https://cal.example.edu").replace(
            "127.0.0.1", "timetable.example.edu"
        )
    return value


def _written(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return [_written(each) for each in value] if isinstance(value, list) else value


def _body(body: Any) -> dict[str, Any]:
    if body is None:
        return {}
    return {"data": body, "content_type": "text/calendar"} if isinstance(body, str) else {"json": body}


def main() -> None:
    """Write the examples anew."""
    examples: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, serving() as web:
        web.replies["/c.ics?key=geheim"] = answer(200, LECTURE)
        teller = Teller(Campus(Path(folder), web))
        for step in steps():
            told, example = teller.tell(step)
            if told.status_code != step.comes_to:
                sys.exit(f"{step.name} came to {told.status_code}: {told.text}")
            examples.setdefault(step.name, example)
        teller.campus.parts.close()
    stores.take_back()
    EXAMPLES.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
