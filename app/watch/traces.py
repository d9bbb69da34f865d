"""Traces, for whoever collects them: what each request and job asked of an LMS and of the store, and how long it took.

OpenTelemetry sends them, where the extra is installed (`pip install calbridge[otel]`) and its usual variables name a
collector. The spans are our own: its ready instruments tell whole addresses, know SQLAlchemy below 2.1 alone, and each
asks for one exact version of the others. What leaves this process has been through the redaction of the logs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.watch.logs import redacted

if TYPE_CHECKING:
    from flask import Flask, Response
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer
    from sqlalchemy import Engine

log = logging.getLogger(__name__)

ASKED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
"""Any of these variables asks for traces (OpenTelemetry's specification, "Environment Variable Specification")."""
BESIDE = {"/healthz", "/readyz", "/metrics", "/version"}
"""Requests that tell nobody anything."""


def begin(
    environment: Mapping[str, str], secrets: Iterable[str], engine: Engine, app: Flask | None = None
) -> TracerProvider | None:
    """Trace from now on, if the environment asks for it; the provider, to be shut down at the end.

    `secrets` are those of the configuration. Without the extra nothing is traced, and the log says so.
    """
    if not _are_wanted(environment):
        return None
    try:
        provider = _provider(environment, secrets)
        watch(provider, engine, app)
    except ImportError as error:
        log.warning("no traces, though OTEL_… asks for them: %s; install calbridge[otel]", error)
        return None
    return provider


def watch(provider: TracerProvider, engine: Engine, app: Flask | None = None) -> Callable[[], None]:
    """Let this provider hear of the application's requests, of ours to others, and of questions to the store.

    What is given back ends that for requests to others, which all sessions share.
    """
    from opentelemetry import trace

    trace.set_tracer_provider(provider)
    _hear(engine, provider.get_tracer("calbridge.store"))
    if app is not None:
        _serve(app, provider.get_tracer("calbridge.web"))
    return _call(provider.get_tracer("calbridge.calls"))


@contextmanager
def step(name: str) -> Iterator[None]:
    """Whatever is traced within the block belongs to `name`. Nothing, where nothing is traced."""
    try:
        from opentelemetry import trace
    except ImportError:
        yield
        return
    with trace.get_tracer("calbridge").start_as_current_span(name):
        yield


def redacting(exporter: SpanExporter, secrets: Iterable[str] = ()) -> SpanExporter:
    """An exporter before another, that takes out what opens something."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    known = tuple(secrets)

    class Redacting(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([_clean(span, known) for span in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Redacting()


def _serve(app: Flask, tracer: Tracer) -> None:
    """A span for each request, named by its rule; within that of a proxy that sends `traceparent`."""
    from flask import g, request
    from opentelemetry import context, propagate, trace

    def begun() -> None:
        if request.path in BESIDE:
            return
        rule = request.url_rule.rule if request.url_rule else "no such page"
        about = {"http.request.method": request.method, "http.route": rule}
        within = propagate.extract(dict(request.headers))
        span = tracer.start_span(f"{request.method} {rule}", within, trace.SpanKind.SERVER, about)
        g.calbridge_span = span, context.attach(trace.set_span_in_context(span))

    def answered(response: Response) -> Response:
        if "calbridge_span" in g:
            g.calbridge_span[0].set_attribute("http.response.status_code", response.status_code)
        return response

    def ended(error: BaseException | None) -> None:
        if "calbridge_span" in g:
            span, token = g.pop("calbridge_span")
            if error is not None:
                span.record_exception(error)
            context.detach(token)
            span.end()

    app.before_request_funcs.setdefault(None, []).insert(0, begun)
    app.after_request(answered)
    app.teardown_request(ended)


def _call(tracer: Tracer) -> Callable[[], None]:
    """A span for each request of ours to others, with the host alone. Those of the exporter itself tell nobody."""
    from opentelemetry import context, trace
    from requests import PreparedRequest, Session
    from requests import Response as Answer

    send = Session.send

    def traced(self: Session, request: PreparedRequest, **options: Any) -> Answer:
        if context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY):
            return send(self, request, **options)
        about = {
            "http.request.method": str(request.method),
            "server.address": urlsplit(request.url or "").hostname or "",
        }
        with tracer.start_as_current_span(f"call {request.method}", None, trace.SpanKind.CLIENT, about) as span:
            answer = send(self, request, **options)
            span.set_attribute("http.response.status_code", answer.status_code)
            return answer

    def undo() -> None:
        Session.send = send  # type: ignore[method-assign]

    Session.send = traced  # type: ignore[method-assign]
    return undo


def _hear(engine: Engine, tracer: Tracer) -> None:
    """A span for each statement, without its values: SQLAlchemy 2.1 is newer than what OpenTelemetry's instrument
    for it can hear of."""
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from sqlalchemy import event

    def begun(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        about = {"db.system.name": engine.dialect.name, "db.query.text": statement}
        name = f"store {statement.split(maxsplit=1)[0]}"
        context.calbridge_span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=about)

    def ended(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.calbridge_span.end()

    def failed(fault: Any) -> None:
        if span := getattr(fault.execution_context, "calbridge_span", None):
            span.set_status(Status(StatusCode.ERROR, type(fault.original_exception).__name__))
            span.end()

    for name, hook in (("before_cursor_execute", begun), ("after_cursor_execute", ended), ("handle_error", failed)):
        event.listen(engine, name, hook)


def _are_wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(name) for name in ASKED)


def _provider(environment: Mapping[str, str], secrets: Iterable[str]) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    console = environment.get("OTEL_TRACES_EXPORTER") == "console"
    exporter = ConsoleSpanExporter() if console else OTLPSpanExporter()
    name = environment.get("OTEL_SERVICE_NAME", "calbridge")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(redacting(exporter, secrets)))
    return provider


def _clean(span: ReadableSpan, secrets: Sequence[str]) -> ReadableSpan:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Status

    events = [Event(each.name, _values(each.attributes, secrets), each.timestamp) for each in span.events]
    said = span.status.description
    return ReadableSpan(
        name=redacted(span.name, secrets),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_values(span.attributes, secrets),
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, redacted(said, secrets) if said else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _values(attributes: Mapping[str, Any] | None, secrets: Sequence[str]) -> dict[str, Any]:
    told = (attributes or {}).items()
    return {key: redacted(value, secrets) if isinstance(value, str) else value for key, value in told}
