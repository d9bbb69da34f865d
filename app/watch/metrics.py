"""Figures for Prometheus: what the store says at the moment of asking, and what our web processes have counted.

What the store says is the same from every process. Feeds are summed up by LMS: an institution has tens of thousands.
A feed is as old as the readings that it shows; its bytes may be older, where nothing changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, case, func, select

from app.store import tables
from app.store.workers import SILENT

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which several processes count together; prometheus_client looks for it when it is loaded."""
LOOKED_BACK = timedelta(days=1)
"""Runs that began longer ago are history."""
QUANTILES = (0.5, 0.95, 1.0)


class Metrics:
    """The figures of one calbridge and its store. `now` gives aware times."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._stored, self._counted = CollectorRegistry(), CollectorRegistry()
        self._stored.register(_Stored(engine, now))
        self._answers = Counter(
            "calbridge_answers",
            "Answers to requests, by what was asked for",
            ["what", "status"],
            registry=self._counted,
        )
        self._errors = Counter(
            "calbridge_errors", "Errors that were answered, by their class", ["class"], registry=self._counted
        )

    def answered(self, path: str, status: str) -> None:
        """Count an answer; `status` is as WSGI writes it."""
        self._answers.labels(_asked_for(path), status[:3]).inc()

    def failed(self, error: Exception) -> None:
        """Count an error that became an answer."""
        self._errors.labels(type(error).__name__).inc()

    def text(self) -> bytes:
        """All figures, in Prometheus's text format."""
        return generate_latest(self._stored) + generate_latest(self._of_all())

    def _of_all(self) -> CollectorRegistry:
        """What all web processes of one `calbridge serve` have counted, where they are several: whichever is asked."""
        if SHARED not in os.environ:
            return self._counted
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


class Counted:
    """A WSGI application before another, that counts its answers."""

    def __init__(self, app: WSGIApplication, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def started(status: str, *rest: object) -> object:
            self._metrics.answered(environ.get("PATH_INFO", ""), status)
            return start_response(status, *rest)  # type: ignore[arg-type]

        return self._app(environ, started)  # type: ignore[arg-type]


def _asked_for(path: str) -> str:
    top = path.split("/", 2)[1] if path.startswith("/") else ""
    if top in {"feeds", "public", "w"}:
        return "feed"
    return top if top in {"api", "static"} else "page"


class _Stored(Collector):
    """Asks the store anew each time."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def collect(self) -> Iterator[Metric]:
        now = self._now()
        with self._engine.connect() as connection:
            yield _feeds(connection)
            yield from _readings(connection, now)
            yield from _quotas(connection)
            yield from _imports(connection, now)
            yield from _subscriptions(connection, now)
            yield _workers(connection, now)
            yield from _jobs(connection)

    def describe(self) -> list[Metric]:
        """None beforehand, so that the store is first asked when somebody asks us."""
        return []


def _readings(connection: Connection, now: datetime) -> Iterator[Metric]:
    """By LMS: the part of a CalendarRef before its first slash. Whole tables of calendars are small: one row each."""
    reading = tables.calendar_reading.c
    states = GaugeMetricFamily(
        "calbridge_readings", "Calendars that feeds show, by how they stand", labels=["lms", "state"]
    )
    oldest = GaugeMetricFamily("calbridge_reading_age_seconds", "Age of the oldest last good reading", labels=["lms"])
    overdue = GaugeMetricFamily(
        "calbridge_reading_overdue_seconds", "How late the latest due reading is", labels=["lms"]
    )
    counts: dict[tuple[str, str], int] = {}
    ages: dict[str, float] = {}
    late: dict[str, float] = {}
    for row in connection.execute(select(reading.calendar, reading.read_at, reading.next_check, reading.failures)):
        lms = row.calendar.partition("/")[0]
        state = "never" if row.read_at is None else "failing" if row.failures else "good"
        counts[lms, state] = counts.get((lms, state), 0) + 1
        if row.read_at is not None:
            ages[lms] = max(ages.get(lms, 0.0), (now - row.read_at).total_seconds())
        late[lms] = max(late.get(lms, 0.0), (now - row.next_check).total_seconds())
    for (lms, state), count in sorted(counts.items()):
        states.add_metric([lms, state], count)
    for family, values in ((oldest, ages), (overdue, late)):
        for lms, value in sorted(values.items()):
            family.add_metric([lms], value)
    yield from (states, oldest, overdue)


def _quotas(connection: Connection) -> Iterator[Metric]:
    left = GaugeMetricFamily("calbridge_quota_remaining", "Calls that the LMS account has left", labels=["account"])
    limit = GaugeMetricFamily("calbridge_quota_limit", "Calls that the LMS account has at most", labels=["account"])
    calls = CounterMetricFamily("calbridge_lms_calls", "Calls ever sent on the LMS account", labels=["account"])
    for row in connection.execute(select(tables.quota).order_by(tables.quota.c.account)):
        calls.add_metric([row.account], row.calls)
        if row.remaining is not None:
            left.add_metric([row.account], max(row.remaining, 0))
        if row.limit is not None:
            limit.add_metric([row.account], row.limit)
    yield from (left, limit, calls)


def _imports(connection: Connection, now: datetime) -> Iterator[Metric]:
    run, held = tables.import_run.c, tables.held_import.c
    recent = run.started_at > now - LOOKED_BACK
    states = GaugeMetricFamily(
        "calbridge_runs_of_a_day", "Runs begun in the last day, by state", labels=["kind", "state"]
    )
    query = select(run.kind, run.state, func.count()).where(recent).group_by(run.kind, run.state)
    for kind, state, count in connection.execute(query.order_by(run.kind, run.state)):
        states.add_metric([kind, state], count)
    waiting = select(func.count()).select_from(tables.held_import.join(tables.import_run)).where(run.state == "held")
    holds = GaugeMetricFamily(
        "calbridge_holds", "Imports that wait for a yes", connection.execute(waiting).scalar() or 0
    )
    ends = (
        select(func.min(held.expires_at))
        .select_from(tables.held_import.join(tables.import_run))
        .where(run.state == "held")
    )
    yield from (states, holds, _times(connection, now))
    if first := connection.execute(ends).scalar():
        text = "Seconds until the first of the waiting imports expires"
        yield GaugeMetricFamily("calbridge_hold_expires_seconds", text, (first - now).total_seconds())


def _times(connection: Connection, now: datetime) -> Metric:
    """The median is what people are used to, 1 is the slowest."""
    run = tables.import_run.c
    ended = select(run.kind, run.started_at, run.ended_at).where(
        run.started_at > now - LOOKED_BACK, run.ended_at > now - LOOKED_BACK
    )
    times: dict[str, list[float]] = {}
    for row in connection.execute(ended):
        times.setdefault(row.kind, []).append((row.ended_at - row.started_at).total_seconds())
    took = GaugeMetricFamily("calbridge_run_seconds", "How long runs of the last day took", labels=["kind", "quantile"])
    for kind, each in sorted(times.items()):
        each.sort()
        for quantile in QUANTILES:
            took.add_metric([kind, f"{quantile:g}"], each[round(quantile * (len(each) - 1))])
    return took


def _feeds(connection: Connection) -> Metric:
    states = GaugeMetricFamily("calbridge_feeds", "Feeds, by whether they are on", labels=["state"])
    columns = tables.feed.c
    state = case((columns.enabled, "on"), else_="off")
    for name, count in connection.execute(select(state, func.count()).group_by(state).order_by(state)):
        states.add_metric([name], count)
    return states


def _subscriptions(connection: Connection, now: datetime) -> Iterator[Metric]:
    columns = tables.subscription.c
    standing = case((columns.enabled, columns.standing), else_="off")
    states = GaugeMetricFamily("calbridge_subscriptions", "Subscriptions, by how they stand", labels=["standing"])
    for name, count in connection.execute(select(standing, func.count()).group_by(standing).order_by(standing)):
        states.add_metric([name], count)
    yield states
    due = select(func.min(columns.next_check)).where(columns.enabled, columns.standing != "parked")
    if first := connection.execute(due).scalar():
        text = "How late the latest due subscription is"
        yield GaugeMetricFamily("calbridge_import_lag_seconds", text, max((now - first).total_seconds(), 0.0))


def _workers(connection: Connection, now: datetime) -> Metric:
    seen = select(func.count()).where(tables.worker.c.seen_at > now - SILENT)
    text = "Workers that live"
    return GaugeMetricFamily("calbridge_workers", text, connection.execute(seen).scalar() or 0)


def _jobs(connection: Connection) -> Iterator[Metric]:
    labels = ["kind", "outcome"]
    times = CounterMetricFamily("calbridge_jobs", "Jobs that workers ever did, by what came of them", labels=labels)
    seconds = CounterMetricFamily("calbridge_job_seconds", "Seconds that these jobs took", labels=labels)
    count = tables.job_count.c
    for row in connection.execute(select(tables.job_count).order_by(count.kind, count.outcome)):
        times.add_metric([row.kind, row.outcome], row.times)
        seconds.add_metric([row.kind, row.outcome], row.seconds)
    yield from (times, seconds)
