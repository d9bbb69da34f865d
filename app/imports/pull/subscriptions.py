"""Subscriptions: calendars elsewhere, pulled on a rhythm and imported where they changed.

A fetch that fails never reaches the plan, so it deletes nothing. A body that was read before is read again only while
that can change something: until its missing events have been missing often enough, while its plan waits for a yes, and
when the window has rolled on, for then occurrences enter it from afar.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.ics import NotACalendar
from app.imports.pull import register
from app.imports.pull.dial import Resolver, system_resolver
from app.imports.pull.fetch import (
    MOST_HEADERS,
    Credential,
    Fetched,
    FetchError,
    FetchSettings,
    Missing,
    NotModified,
    Refused,
    check_address,
    fetch_calendar,
)
from app.imports.pull.register import NoSubscription, Subscription
from app.imports.pull.rhythm import Body, Standing, State, Visit, What, after
from app.imports.pull.secrets import Secrets, is_outline, outline
from app.imports.pull.told import objections, visit_of
from app.imports.pull.wish import Wish, changed, shown
from app.imports.record.batch import NOWHERE
from app.imports.record.outcome import Outcome
from app.imports.record.report import Progress
from app.imports.record.routed_outcome import RoutedOutcome
from app.imports.record.runs import Ending
from app.imports.routed import Routed
from app.imports.run import Imports
from app.imports.subscription import Import
from app.store.leases import Busy, Lease, lease
from app.store.slices import Part, Slice
from bridges.contract import Vault
from bridges.errors import Denied
from bridges.model import Window

__all__ = ["NoSubscription", "Standing", "Subscription", "Subscriptions", "Visit", "What", "Wish"]

log = logging.getLogger(__name__)

TURN = timedelta(minutes=30)
"""Longer than a fetch and the longest silence between two steps of an import."""


class Subscriptions:
    """All subscriptions of one store. Safe to share between threads and processes: each is run by one at a time.

    `now` gives aware times, `zone` is the home zone, `vault` keeps the credentials, `dice` gives shares from 0 to 1.
    """

    def __init__(
        self,
        engine: Engine,
        imports: Imports,
        settings: FetchSettings,
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        vault: Vault,
        routed: Routed | None = None,
        resolver: Resolver = system_resolver,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._engine = engine
        self._imports = imports
        self._settings = settings
        self._now = now
        self._zone = zone
        self._secrets = Secrets(vault)
        self._routed = routed
        self._resolver = resolver
        self._dice = dice

    def add(self, wish: Wish, credentials: Sequence[Credential] = ()) -> Subscription:
        """A new subscription, due at once. ValueError says what is wrong with it; Refused and FetchError are such."""
        self._check(wish, credentials)
        check_address(wish.url, self._settings, self._resolver)
        made = register.add(self._engine, replace(wish, url=outline(wish.url)), _names(credentials), self._now())
        try:
            self._secrets.keep_address(made, wish.url)
            if credentials:
                self._secrets.keep_headers(made, credentials)
        except Denied:
            register.remove(self._engine, made.id)
            raise
        return made

    def change(
        self,
        id: int,
        settings: Mapping[str, object],
        credentials: Sequence[Credential] = (),
        without: Iterable[str] = (),
    ) -> Subscription:
        """Other settings, as `wish.changed` takes them; headers more and less. The body counts as unread from then on.

        Headers go where the URL leads: one that leads to another server gets none of those given for the old one.
        ValueError, NoSubscription; Busy while it is run.
        """
        self.get(id)
        with lease(self._engine, f"subscription {id}", self._now, TURN):
            known = self.get(id)
            wish = changed(known.wish, settings)
            moved = wish.url != known.wish.url
            target = check_address(wish.url, self._settings, self._resolver) if moved else None
            stays = target is None or target.origin == self._settings.fences.target(known.wish.url).origin
            gone = {name.lower() for name in (*without, *_names(credentials))}
            earlier = self._secrets.headers(known) if stays else ()
            kept = (*(one for one in earlier if one.name.lower() not in gone), *credentials)
            self._check(wish, kept)
            if kept != tuple(earlier) or not stays:
                self._secrets.keep_headers(known, kept)
            if moved:
                self._secrets.keep_address(known, wish.url)
                wish = replace(wish, url=outline(wish.url))
            return register.change(self._engine, id, wish, _names(kept), self._now())

    def _check(self, wish: Wish, credentials: Sequence[Credential]) -> None:
        """ValueError for what no subscription can be here."""
        if wish.max_bytes > self._settings.max_bytes:
            raise ValueError(f"max_bytes: no more than {self._settings.max_bytes:,} are pulled here (fetch.max_bytes)")
        if wish.routes is not None and self._routed is None:
            raise ValueError("routes: nothing is routed here")
        if wish.calendar == NOWHERE and wish.routes is None:
            raise ValueError("routes: without a calendar of its own a subscription cannot do without routes")
        names = [name.lower() for name in _names(credentials)]
        if len(names) > MOST_HEADERS or len(set(names)) < len(names):
            raise ValueError(f"a subscription sends at most {MOST_HEADERS} headers of its own, each once")

    def list(self) -> Sequence[Subscription]:
        """All subscriptions, by source."""
        return register.every_one(self._engine)

    def some(self, asked: Slice) -> Part[Subscription]:
        """Some subscriptions, by source; searched are source, calendar and problem."""
        return register.some(self._engine, asked)

    def get(self, id: int) -> Subscription:
        """The subscription of that number. NoSubscription if there is none."""
        return register.by_id(self._engine, id)

    def history(self, id: int, limit: int = register.HISTORY) -> Sequence[Visit]:
        """What happened to it, the newest first. NoSubscription if there is none."""
        return register.history(self._engine, id, limit)

    def remove(self, id: int) -> None:
        """Forget it, its history and its credential; what it wrote stays. NoSubscription if there is none."""
        gone = self.get(id)
        register.remove(self._engine, id)
        self._secrets.forget(gone)

    def enable(self, id: int) -> None:
        """Look at it again, at once, also if it was parked. NoSubscription if there is none."""
        register.switch(self._engine, id, True, self._now())

    def disable(self, id: int) -> None:
        """Look at it no longer until it is enabled. NoSubscription if there is none."""
        register.switch(self._engine, id, False, self._now())

    def due(self, now: datetime) -> Sequence[int]:
        """The numbers of those to run now, the one that waits longest first."""
        return register.due(self._engine, now)

    def run(self, id: int, *, approved: bool = False, unless_early: bool = False) -> Visit:
        """Fetch it now, and import what changed. Whatever goes wrong is told in the visit and kept in the history.

        `approved` is a person's yes to the plan that is held, and to no other: a body that changed since is judged
        anew. With `unless_early` one that is not due (any more) is BUSY: somebody else has just been there.
        NoSubscription if there is none.
        """
        self.get(id)
        try:
            with lease(self._engine, f"subscription {id}", self._now, TURN) as held:
                subscription = self._sealed(self.get(id))
                if unless_early and not subscription.is_due(self._now()):
                    return Visit(What.BUSY, self._now())
                return self._run(subscription, approved, held)
        except Busy as busy:
            return Visit(What.BUSY, self._now(), str(busy))

    def _sealed(self, subscription: Subscription) -> Subscription:
        """A store of the first releases has the address as it is: it goes into the vault, where that has a key."""
        wish = subscription.wish
        if not is_outline(wish.url):
            with suppress(Denied):
                self._secrets.keep_address(subscription, wish.url)
                return register.outlined(self._engine, subscription.id, outline(wish.url))
        return subscription

    def put_back(self, id: int) -> None:
        """A run of it was cut off: it is due."""
        register.book(self._engine, id, self._now())

    def _run(self, subscription: Subscription, approved: bool, held: Lease) -> Visit:
        register.book(self._engine, subscription.id, self._now() + subscription.wish.every)
        try:
            body, visit = self._visited(subscription, approved, held)
        except FetchError as error:
            body, visit = subscription.state.body, self._failed(error)
        except NotACalendar as error:
            body, visit = subscription.state.body, Visit(What.FAILED, self._now(), str(error))
        except Denied as error:
            body, visit = Body(), Visit(What.DENIED, self._now(), str(error))
        except Busy as busy:
            visit = Visit(What.BUSY, self._now(), str(busy))
            register.book(self._engine, subscription.id, self._after(subscription, visit).next_check)
            return visit
        self._keep(subscription, body, visit)
        return visit

    def _visited(self, subscription: Subscription, approved: bool, held: Lease) -> tuple[Body, Visit]:
        """One fetch and, if it may change anything, one import; the body that counts as read from then on."""
        wish, known = subscription.wish, subscription.state.body
        window = wish.window(self._now(), self._zone)
        waits = subscription.state.standing is Standing.HELD
        settled = known.is_settled(window.end, wish.grace) and not waits and not approved
        got = self._fetched(subscription, known if settled else Body())
        if isinstance(got, NotModified):
            return known, Visit(What.UNCHANGED, self._now())
        if settled and got.hash == known.hash:
            return replace(known, validators=got.validators), Visit(What.UNCHANGED, self._now())
        _check_size(wish, got)
        approved = approved and got.hash == known.hash
        reckless = not approved and self._is_reckless(wish, got, window)
        if reckless and waits and known.is_same(got.hash, window.end):
            return known, Visit(What.UNCHANGED, self._now())
        outcome = self._imported(wish, got, window, 1 if reckless or approved else wish.grace, approved, held)
        read = outcome.state in (Ending.DONE, Ending.HELD)
        return known.read_again(got.hash, got.validators, window.end) if read else Body(), visit_of(
            outcome, self._now()
        )

    def _fetched(self, subscription: Subscription, known: Body) -> Fetched | NotModified:
        wish = subscription.wish
        return fetch_calendar(
            self._secrets.address(subscription),
            settings=replace(self._settings, max_bytes=wish.max_bytes or self._settings.max_bytes),
            now=self._now(),
            validators=known.validators,
            credentials=self._secrets.headers(subscription),
            agent=wish.agent,
            resolver=self._resolver,
        )

    def _is_reckless(self, wish: Wish, got: Fetched, window: Window) -> bool:
        """Whether the guard would hold it without any grace. It has to be asked at the first reading: under the grace
        nothing is deleted yet, and a file whose every UID changed would be written a second time beside the first."""
        return bool(objections(self._run_import(wish, got, window, dry_run=True, grace=1)))

    def _imported(
        self, wish: Wish, got: Fetched, window: Window, grace: int, approved: bool, held: Lease
    ) -> Outcome | RoutedOutcome:
        return self._run_import(
            wish, got, window, grace=grace, approved=approved, progress=lambda done, of: held.beat()
        )

    def _run_import(
        self, wish: Wish, got: Fetched, window: Window, *, progress: Progress | None = None, **how: Any
    ) -> Outcome | RoutedOutcome:
        job = Import(
            got.body,
            wish.calendar,
            window,
            wish.source,
            wish.mode,
            rules=wish.rules,
            zone=wish.zone,
            floating=wish.floating,
            match=wish.match,
            **how,
        )
        if wish.routes is None or self._routed is None:
            return self._imports.do(job, progress)
        return self._routed.run(job, wish.routes, progress=progress)

    def _failed(self, error: FetchError) -> Visit:
        now, problem = self._now(), str(error)
        if isinstance(error, Missing):
            return Visit(What.MISSING, now, problem, for_ever=error.for_ever)
        what = What.REFUSED if isinstance(error, Refused) else What.FAILED
        return Visit(what, now, problem, retry_after=error.retry_after)

    def _after(self, subscription: Subscription, visit: Visit) -> State:
        return after(subscription.state, visit, subscription.wish.every, self._dice())

    def _keep(self, subscription: Subscription, body: Body, visit: Visit) -> None:
        """One line in the log for each change of standing, and none that could hold the URL."""
        before, state = subscription.state, replace(self._after(subscription, visit), body=body)
        register.keep(self._engine, subscription.id, state, visit)
        if state.standing is not before.standing:
            level = logging.INFO if state.standing is Standing.FINE else logging.WARNING
            told = (subscription.id, subscription.wish.source, before.standing, state.standing, state.problem)
            log.log(level, "subscription %s (%s): %s → %s. %s", *told)


def _check_size(wish: Wish, got: Fetched) -> None:
    """FetchError for a body with more events than the subscription takes."""
    events = got.body.replace(b"\0", b"").upper().count(b"BEGIN:VEVENT") if wish.max_events else 0
    if events > wish.max_events:
        host, most = host_of(wish.url), f"{wish.max_events:,}"
        raise FetchError(f"{host} sends {events:,} events, and this subscription takes {most} (max_events).")


def _names(credentials: Sequence[Credential]) -> list[str]:
    return [one.name for one in credentials]


def host_of(url: str) -> str:
    """As much of a subscribed URL as may be shown to anyone: the rest is often a secret."""
    return urlsplit(url).hostname or ""


def to_json(subscription: Subscription) -> dict[str, Any]:
    """One flat object; times as ISO 8601 in UTC, `standing` is "off" while it is disabled. No URL and no secret:
    of the headers the names alone."""
    wish, state = subscription.wish, subscription.state
    return {
        "id": subscription.id,
        "name": wish.source,
        "host": host_of(wish.url),
        "calendar": None if wish.calendar == NOWHERE else str(wish.calendar),
        **shown(wish),
        "headers": list(subscription.headers),
        "standing": state.standing.value if subscription.enabled else "off",
        "problem": state.problem,
        "failures": state.failures,
        "ok_at": state.ok_at and state.ok_at.isoformat(),
        "next_check": state.next_check.isoformat(),
    }


def visit_to_json(visit: Visit) -> dict[str, Any]:
    """One line of the history."""
    return {
        "at": visit.at.isoformat(),
        "what": visit.what.value,
        "problem": visit.problem,
        "run": visit.run,
        "batch": visit.batch,
        "events": visit.events,
        "created": visit.created,
        "updated": visit.updated,
        "deleted": visit.deleted,
    }
