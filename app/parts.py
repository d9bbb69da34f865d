"""The parts of one running calbridge, joined: store, bridges, feeds and imports. The clock is read here alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from importlib.metadata import version
from threading import Lock
from typing import Any, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import requests
from alembic.util.exc import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app import jobs
from app.care import retention
from app.care.erasure import Erasure
from app.care.retention import Retention
from app.config import Config, ConfigError, zone_of
from app.feeds import chores as feed_chores
from app.feeds.behind import Behind
from app.feeds.far import DAY, Far
from app.feeds.rhythm import Rhythm
from app.feeds.serve import Feeds
from app.ics import Limits
from app.imports.deciding.guard import Guard
from app.imports.drift.changes import Policy as DriftPolicy
from app.imports.drift.drifts import Drifts
from app.imports.drift.policies import Policies
from app.imports.pull.addresses import Fences
from app.imports.pull.fetch import FetchSettings, check_urllib3
from app.imports.pull.subscriptions import Subscriptions
from app.imports.record.batch import Batch
from app.imports.routed import Routed
from app.imports.run import Imports, Policy, Run
from app.jobs import Queues
from app.notices.outbox import Notices
from app.redis import Bodies, Missing
from app.refresh import Chore, Refreshes
from app.store.engine import open_engine
from app.store.keys import key_source
from app.store.look import hindrance
from app.store.migrate import NewerStore, OlderStore, migrate, require_current
from app.store.quota import StoreMeter
from app.store.refs import known_refs
from app.store.trouble import sentence
from app.store.vault import StoreVault
from bridges import open_bridge
from bridges.contract import Aliases, Keyed, Quota, Sink, Source, Tools
from bridges.errors import Denied
from bridges.model import Calendar, CalendarRef, Horizon

NOTICES = timedelta(seconds=15)
"""Between two looks at what is to be told by mail."""

Queued = TypeVar("Queued", Run, Batch)


def clock() -> datetime:
    return datetime.now(UTC)


@runtime_checkable
class Linkable(Protocol):
    """An LMS whose people can link their own accounts by signing in there (OAuth with PKCE)."""

    def sign_in_url(self, back: str, state: str, verifier: str) -> str:
        """Where the person signs in; the LMS sends them to `back` with `state` and `code`, or `error`."""

    def link(self, back: str, code: str, verifier: str) -> Calendar:
        """Use up the code and keep what it brings; the personal calendar that is open from now on."""

    def links(self) -> Sequence[Calendar]:
        """The personal calendars of everybody who has linked an account."""

    def unlink(self, person: str) -> bool:
        """Forget what this person permitted; whether there was anything to forget."""


@dataclass
class Parts:
    """What a view or a command may reach. One per process; safe to share between threads."""

    config: Config
    engine: Engine
    now: Callable[[], datetime]
    vault: StoreVault = field(init=False)
    feeds: Feeds = field(init=False)
    imports: Imports = field(init=False)
    drifts: Drifts = field(init=False)
    routed: Routed = field(init=False)
    subscriptions: Subscriptions = field(init=False)
    refreshes: Refreshes = field(init=False)
    notices: Notices = field(init=False)
    retention: Retention = field(init=False)
    erasure: Erasure = field(init=False)
    behind: Behind = field(default_factory=Behind)
    _bridges: dict[str, Any] = field(default_factory=dict)
    _opening: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        config = self.config
        key = config.store.key.get_secret_value()
        self.vault = StoreVault(self.engine, key_source(self.engine.url, key), self.now)
        self.feeds = Feeds(
            self.engine,
            self.source,
            now=self.now,
            zone=config.zone,
            horizon=Horizon(timedelta(days=config.feeds.back_days), timedelta(days=config.feeds.ahead_days)),
            rhythm=Rhythm(
                config.feeds.every,
                timedelta(minutes=config.feeds.far_minutes),
                timedelta(days=config.feeds.near_days),
                config.feeds.adaptive,
            ),
            grace=timedelta(days=config.feeds.grace_days),
            quota=self.quota,
            later=self.behind,
            far=self._far(),
        )
        guard = Guard(share=config.imports.hold_share, count=config.imports.hold_count)
        policies = Policies(self.engine, DriftPolicy(config.imports.drift))
        self.imports = Imports(
            self.engine,
            self.sink,
            now=self.now,
            zone=config.zone,
            guard=guard,
            partner=config.imports.partner,
            limits=Limits(
                bytes=config.imports.max_bytes,
                components=config.imports.max_events,
                occurrences=config.imports.max_occurrences,
                sub_daily=config.imports.sub_daily,
                seconds=config.imports.expand_seconds,
            ),
            changed=self._changed,
            policy=Policy(
                hold_for=timedelta(hours=config.imports.hold_hours),
                keep_for=timedelta(days=config.imports.keep_days),
                reserve=config.imports.reserve,
                hold_quota=config.imports.hold_quota,
            ),
            policies=policies,
        )
        self.drifts = Drifts(
            self.engine,
            self.sink,
            self.imports,
            policies,
            now=self.now,
            zone=config.zone,
            guard=guard,
            every=timedelta(hours=config.imports.drift_hours),
        )
        self.routed = Routed(self.engine, self.imports, self.named, guard=guard, now=self.now)
        self.subscriptions = Subscriptions(
            self.engine,
            self.imports,
            fetch_settings(config),
            now=self.now,
            zone=config.zone,
            vault=self.vault,
            routed=self.routed,
        )
        self.notices = Notices(
            self.engine,
            self.imports,
            self.subscriptions,
            config.mail,
            config.server.public_url.rstrip("/"),
            config.zone,
            key=lambda: self.vault.derived("approval link"),
            now=self.now,
        )
        self.retention = Retention(self.engine, config.keep, self.now)
        self.erasure = Erasure(self.engine, self.imports, self.now, self._unlink, self.feeds.remove)
        self.refreshes = Refreshes(
            self.engine, self.feeds, self.subscriptions, self.imports, self.routed, self.drifts, self._chores()
        )

    def _far(self) -> Far | None:
        url = self.config.cache.url
        try:
            return Bodies(url, DAY) if url else None
        except Missing as missing:
            raise ConfigError([f"cache.url: {missing}"]) from None

    def _chores(self) -> dict[str, Chore]:
        chores = {
            "feeds": Chore(feed_chores.EVERY, feed_chores.Chores(self.feeds).run),
            "retention": Chore(retention.EVERY, self.retention.run),
        }
        return chores | ({"notices": Chore(NOTICES, self.notices.run)} if self.config.mail.host else {})

    @cached_property
    def queues(self) -> Queues:
        """What workers take their jobs from. ConfigError where it is said to be in Redis and there is no client."""
        try:
            return jobs.queues(self.config.jobs.url, self.config.store.url)
        except Missing as missing:
            raise ConfigError([f"jobs.url: {missing}"]) from None

    def told_a_worker(self, queued: Queued) -> Queued:
        """The queued import, begun by a worker as soon as one has a hand free."""
        if isinstance(queued, Run):
            self.queues.ask(jobs.importing(queued.id, queued.calendar.lms))
        else:
            self.queues.ask(jobs.routing(queued.id))
        return queued

    def _changed(self, calendar: CalendarRef) -> None:
        """An import wrote into the calendar: feeds show it anew, and somebody looks after it from now on."""
        self.feeds.expire(calendar)
        self.drifts.wrote(calendar)

    def bridge(self, lms: str) -> Any:
        """The bridge of the connection called `lms`, opened once. Denied where the configuration has none."""
        if lms not in self.config.connections:
            known = ", ".join(sorted(self.config.connections))
            raise Denied(f"no LMS is called '{lms}'; the configuration has: {known}")
        with self._opening:
            if lms not in self._bridges:
                connection = self.config.connections[lms]
                meter = StoreMeter(self.engine, lms, self.now)
                tools = Tools(self.now, requests.Session, meter, self.config.store.url, self.vault)
                bridge = open_bridge(connection.bridge, lms, connection.settings, tools)
                if isinstance(bridge, Keyed):
                    bridge.known_keys = partial(known_refs, self.engine)
                self._bridges[lms] = bridge
            return self._bridges[lms]

    def quota(self, lms: str) -> Quota | None:
        """What the account has left, as its LMS said last."""
        return StoreMeter(self.engine, lms, self.now).quota()

    def named(self, text: str) -> CalendarRef:
        """The calendar that a person named, under the one name that stands for all its names.

        ValueError says how calendars are written; Denied where the configuration has no such LMS; else as
        bridges.errors, since some names have to be looked up.
        """
        calendar = CalendarRef.parse(text.strip())
        bridge = self.bridge(calendar.lms)
        return bridge.canonical(calendar) if isinstance(bridge, Aliases) else calendar

    def source(self, lms: str) -> Source:
        """The connection, to read from. Denied where it cannot be read."""
        bridge = self.bridge(lms)
        if not isinstance(bridge, Source):
            raise Denied(f"'{lms}' can only be written to")
        return bridge

    def sink(self, lms: str) -> Sink:
        """The connection, to write to. Denied where it cannot be written."""
        bridge = self.bridge(lms)
        if not isinstance(bridge, Sink):
            raise Denied(f"'{lms}' can only be read")
        return bridge

    def zone_at(self, lms: str) -> ZoneInfo:
        """The zone that the connection says its people live in; without one, that of home."""
        return zone_of(getattr(self.config.connections[lms].settings, "zone", None) or self.config.zone.key)

    def linkable(self, lms: str) -> Linkable:
        """The connection, for people to link their accounts. Denied where its LMS knows no such thing."""
        bridge = self.bridge(lms)
        if not isinstance(bridge, Linkable):
            raise Denied(f"people cannot link accounts at '{lms}'")
        return bridge

    def _unlink(self, person: CalendarRef) -> bool:
        """Forget what the person permitted, where the LMS knows such a thing; whether there was anything."""
        bridge = self.bridge(person.lms)
        return isinstance(bridge, Linkable) and bridge.unlink(person.id)

    def close(self) -> None:
        """Let the databases go; nothing of this is used any more."""
        self.behind.close()
        for bridge in self._bridges.values():
            if hasattr(bridge, "close"):
                bridge.close()
        self.engine.dispose()

    def calendars(self, lms: str) -> Sequence[Calendar]:
        """The calendars that the connection sees. Errors as bridges.errors."""
        return sorted(self.source(lms).calendars(), key=lambda calendar: (calendar.name, calendar.ref))


def open_parts(config: Config, *, now: Callable[[], datetime] = clock) -> Parts:
    """Open the store, bring it to shape, join the parts. ConfigError where the store cannot be opened."""
    check_urllib3()
    try:
        engine = open_engine(config.store.url)
        (migrate if config.store.migrate else require_current)(engine)
    except (SQLAlchemyError, CommandError, NewerStore, OlderStore, ImportError, OSError) as error:
        raise ConfigError([f"store.url: the database cannot be opened: {_why(config.store.url, error)}"]) from error
    parts = Parts(config, engine, now)
    if config.demo and not parts.feeds.list():
        _publish_demo(parts)
    return parts


def _why(url: str, error: Exception) -> str:
    """SQLite tells neither which file nor what is wrong with it."""
    try:
        return hindrance(url) or sentence(error)
    except SQLAlchemyError:
        return sentence(error)


def fetch_settings(config: Config) -> FetchSettings:
    """How subscribed calendars are fetched. This server and its LMSs are closed to it, whatever they are called."""
    fetch, server = config.fetch, config.server
    settings = (connection.settings.model_dump() for connection in config.connections.values())
    urls = [server.public_url, *(value for each in settings for value in each.values() if isinstance(value, str))]
    own = {urlsplit(url).hostname or "" for url in urls if url.startswith(("http://", "https://"))}
    contact = fetch.contact or server.public_url
    return FetchSettings(
        fences=Fences(
            allow_hosts=frozenset(host.lower() for host in fetch.allow_hosts),
            own_hosts=frozenset({*own, server.host.lower()} - {""}),
            http=fetch.http,
            ports=fetch.open_ports,
        ),
        agent=f"calbridge/{version('calbridge')}" + (f" (+{contact})" if contact else ""),
        microsoft_hosts=fetch.microsoft_hosts,
        connect=fetch.connect_seconds,
        read=fetch.read_seconds,
        total=fetch.total_seconds,
        max_bytes=fetch.max_bytes,
        ca_file=fetch.ca_file,
    )


def _publish_demo(parts: Parts) -> None:
    """Of two that start at once on an empty store, either may be the faster with each feed."""
    for calendar in parts.calendars("demo"):
        with suppress(ValueError):
            parts.feeds.add(slug_of(calendar.name), calendar.name, calendar.ref, public=True)


def slug_of(name: str) -> str:
    """A name as a part of an address: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "calendar"
