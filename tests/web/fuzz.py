"""Calls the API by its document, with what nobody thought of, and holds each answer to the document.

By hand, for longer and with other seeds: python -m tests.web.fuzz --examples 300 --seed 1 --seed 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from app.config import Api
from app.people import tokens
from app.web import flask_app
from tests import stores
from tests.campus import EXAM, LECTURES, NOW, calendar
from tests.fakes.web import LECTURE, answer, serving
from tests.test_refresh import Campus
from tests.web.story import people_change_something

KNOWN: Mapping[str, list[Any]] = {
    "run": [1, 2, 3],
    "batch": [1],
    "id": [1, 2],
    "slug": ["biology", "anatomy-i"],
    "lms": ["demo"],
    "name": ["ada", "spare"],
    "what": ["changes", "refused"],
}
"""What is there, so that not every call ends at what is not."""
FILES = [
    calendar(LECTURES),
    calendar(EXAM),
    calendar(EXAM, LECTURES),
    b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    b"{}",
    b"",
]
ENDLESS = {"followRun"}
"""What is told for as long as a run goes on."""
HELD_TO = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
CALLERS = ("admin", "admin", "admin", "import", "read", "nobody", "stranger")
Fault = tuple[str, str]


@dataclass
class Fuzz:
    """`bearers` are the tokens by what they may do; `answers` counts what was answered, by call and status."""

    app: Flask
    bearers: Mapping[str, str]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def faults(self, examples: int, number: int, only: str = "") -> Iterator[Fault]:
        """Each call so often, or the one that is named: its name, and the first thing that was wrong with it."""
        config = SchemathesisConfig()
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", self.app, config=config)
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]
            name = str(operation.definition.raw["operationId"])
            if name not in ENDLESS and only in ("", name):
                try:
                    self._tried(operation, name, examples, number, only)
                except* Exception as faults:  # noqa: BLE001 - whatever it is, it is told, and the next call is tried
                    yield name, _told(faults)

    def _tried(self, operation: Any, name: str, examples: int, number: int, only: str = "") -> None:
        cases = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        who_calls = st.sampled_from(("admin",) if only else CALLERS)

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, who_calls, st.data())
        def tried(case: Any, who: str, data: Any) -> None:
            for place in {*(case.path_parameters or {})} & {*KNOWN}:
                if data.draw(st.booleans()):
                    case.path_parameters[place] = data.draw(st.sampled_from(KNOWN[place]))
            if case.media_type == "text/calendar" and data.draw(st.booleans()):
                case.body = data.draw(st.sampled_from(FILES))
            told = case.call(headers=self._headers(who))
            self.answers[name, told.status_code] += 1
            case.validate_response(told, checks=HELD_TO)

        tried()

    def _headers(self, who: str) -> dict[str, str]:
        if who == "nobody":
            return {}
        return {"Authorization": f"Bearer {self.bearers.get(who, 'cb_none-of-ours')}"}


def _told(faults: BaseExceptionGroup[Exception]) -> str:
    """The innermost reasons, with the request that led there."""
    return "\n".join(
        _told(each) if isinstance(each, BaseExceptionGroup) else f"{type(each).__name__}: {each}"
        for each in faults.exceptions
    )[:3000]


@contextmanager
def fuzzing(folder: Path) -> Iterator[Fuzz]:
    """Over a campus where something of everything is there already."""
    with serving() as web:
        web.replies["/c.ics?key=geheim"] = answer(200, LECTURE)
        campus = Campus(folder, web)
        client = flask_app(campus.parts).test_client()
        into = "/api/imports?calendar=demo/course/statistics&name=timetable&from=2026-10-20&to=2026-12-31"
        for query, file in (("", LECTURES), ("", EXAM), ("&background=true&name=later", EXAM)):
            path = into.replace("&name=timetable", "") + query if "name=" in query else into
            client.post(path, data=calendar(file), content_type="text/calendar")
        route = "/api/imports?route=title:*=>demo/course/anatomy-1&name=campus&from=2026-10-20&to=2026-12-31"
        client.post(route, data=calendar(EXAM), content_type="text/calendar")
        client.post("/api/feeds", json={"slug": "biology", "calendars": ["demo/course/anatomy-1"]})
        campus.subscribe()
        people_change_something(campus)
        client.post("/api/drift/check?calendar=demo/course/statistics")
        bearers = {scope.value: tokens.add(campus.parts.engine, f"fuzz {scope}", NOW, scope) for scope in tokens.Scope}
        tokens.add(campus.parts.engine, "spare", NOW)
        campus.parts.config = replace(campus.parts.config, api=Api(per_minute=0))
        yield Fuzz(flask_app(campus.parts), bearers)
        campus.parts.close()


def main() -> None:
    """Call, and say what was wrong; exit status 1 if anything was."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--examples", type=int, default=200)
    words.add_argument("--seed", type=int, action="append")
    asked = words.parse_args()
    found = 0
    for number in asked.seed or [0]:
        with tempfile.TemporaryDirectory() as folder, fuzzing(Path(folder)) as fuzz:
            for name, fault in fuzz.faults(asked.examples, number):
                found += 1
                print(f"\n=== seed {number}, {name}\n{fault}", flush=True)
            told = Counter(status for (_, status), count in fuzz.answers.items() for _ in range(count))
            print(f"seed {number}: {sum(told.values()):,} calls: {dict(sorted(told.items()))}", flush=True)
        stores.take_back()
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
