"""Traces tell what a request asked of the LMS and the store, and nothing that opens something."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import create_app
from app.parts import Parts
from app.watch.traces import begin, redacting, watch
from tests import stores
from tests.campus import open_campus
from tests.fakes.wsgi import serving

TOKEN = "T0ken-" + "x" * 37
WORD = "hunter-2-secret"


class Traced:
    """A campus whose spans are kept in memory, once they are fit to leave the process."""

    def __init__(self, campus: Parts) -> None:
        self.kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(redacting(self.kept, [WORD])))
        self.app = create_app(campus)
        self.stop = watch(provider, campus.engine, self.app)
        self.tracer = provider.get_tracer("test")
        self.web = self.app.test_client()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.kept.get_finished_spans()

    def text(self) -> str:
        return "\n".join(span.to_json() for span in self.spans)

    def named(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def traced(campus: Parts) -> Iterator[Traced]:
    made = Traced(campus)
    yield made
    made.stop()


def test_a_request_is_traced_with_what_it_asked_the_store(traced: Traced) -> None:
    traced.web.get("/api/feeds")
    request = traced.named("GET /api/feeds")
    within = [span for span in traced.spans if span.parent and span.parent.span_id == request.context.span_id]
    assert "store SELECT" in {span.name for span in within}


@pytest.mark.parametrize(
    "path",
    [
        f"/feeds/{TOKEN}/none.ics?key={TOKEN}",
        f"/feeds/{TOKEN}/none.txt",
        f"/approve/{TOKEN}.sealed-part/plan",
        "/sign-in/back?code=sealed-part&state=x",
        f"/nowhere/{WORD}/sealed-part",
    ],
)
def test_no_path_that_opens_something_is_told(traced: Traced, path: str) -> None:
    traced.web.get(path)
    assert traced.spans
    assert not any(secret in traced.text() for secret in (TOKEN[6:], "sealed-part", WORD))


def test_of_what_is_fetched_the_host_alone_is_told(traced: Traced) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    with serving(app) as url:
        requests.get(f"{url}/private-path/{TOKEN}?key=query-word", timeout=10)
    told = traced.text()
    assert "127.0.0.1" in told
    assert not any(secret in told for secret in ("private-path", "query-word", TOKEN[6:]))


def test_an_error_is_told_without_what_it_holds(traced: Traced) -> None:
    with pytest.raises(ValueError), traced.tracer.start_as_current_span("job"):
        raise ValueError(f"wrong password {WORD} at https://cal.example.edu/private-path")
    span = traced.named("job")
    assert span.events[0].name == "exception"
    assert "ValueError" in traced.text()
    assert not any(secret in traced.text() for secret in (WORD, "private-path"))


def test_a_statement_that_fails_is_told_as_such_and_without_its_values(traced: Traced, campus: Parts) -> None:
    with pytest.raises(DBAPIError) as caught, campus.engine.connect() as connection:
        connection.execute(text("SELECT * FROM nowhere WHERE secret = :secret"), {"secret": WORD})
    span = traced.spans[-1]
    assert (span.name, span.status.description) == ("store SELECT", type(caught.value.orig).__name__)
    assert WORD not in traced.text()


def test_nothing_is_traced_unless_the_environment_asks(campus: Parts) -> None:
    for environment in (
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"},
    ):
        assert begin(environment, (), campus.engine) is None


def test_the_server_that_is_started_traces_to_whom_the_environment_names(tmp_path: Path) -> None:
    """A process of its own, as wsgi.py is loaded by the server; the console stands for the collector."""
    (tmp_path / "config.toml").write_text(stores.setting(tmp_path / "cal.sqlite3"))
    ask = f"import wsgi; wsgi.app.test_client().get('/feeds/{TOKEN}/none.ics'); wsgi.traces.force_flush()"
    environment = {**os.environ, "CALBRIDGE_CONFIG": str(tmp_path / "config.toml"), "OTEL_TRACES_EXPORTER": "console"}
    command = [sys.executable, "-c", ask]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert '"service.name": "calbridge"' in result.stdout
    assert "GET /feeds/<token>/" in result.stdout
    assert TOKEN[6:] not in result.stdout + result.stderr
