"""Serves feeds: the fresh one; else rebuilt; stale beats nothing. One verb, `refresh`, reads an LMS for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from time import sleep
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.feeds import keyring, register
from app.feeds.build import Drawer, Piece, Press, assemble, basis, within
from app.feeds.feed import (
    Did,
    Disabled,
    Feed,
    Form,
    NotReady,
    Outcome,
    Snapshot,
    State,
    Token,
    Unknown,
    joined,
    next_check,
    worst,
)
from app.feeds.narrow import ALL, Narrow
from app.feeds.partial import Merged, found_again, merge
from app.feeds.people import People
from app.feeds.policies import USUAL, Policies, changed
from app.feeds.shelf import Body, Shelf
from app.ics.render import one_line
from app.store.leases import Busy, lease
from bridges.contract import PartialSource, Source
from bridges.errors import BridgeError, Transient
from bridges.model import CalendarRef, Horizon, Window

TURN = timedelta(minutes=10)
"""Longer than the longest reading of one calendar."""
PATIENCE, STEP = 300, 0.1
"""How often, and after how many seconds, a request without any copy looks whether somebody else's reading has come."""
LARGEST = 1_000_000
"""Bytes of an ICS body above which Google loses events: texts are cut then, to fewer and fewer LETTERS, if it helps."""
HEAVY = 800_000
LETTERS = (None, 500, 100, 0)
PATIENCE_TOLD = 30
"""Seconds after which to ask again, where even that did not help."""


class Feeds:
    """All feeds of one store, for one process of several.

    `open_source` gives the connection of a CalendarRef's `lms` (errors as bridges.errors); `now` gives aware times;
    feeds are shown in `zone`, and a calendar is read over `horizon`, once in `every`. `changes` grows with each change
    that this process makes to what is served, for those that remember answers.
    """

    def __init__(
        self,
        engine: Engine,
        open_source: Callable[[str], Source],
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        horizon: Horizon,
        every: timedelta,
    ) -> None:
        self._engine = engine
        self._open_source = open_source
        self._now = now
        self.zone = zone
        self._horizon = horizon
        self._every = every
        self._shelf = Shelf(engine, zone)
        self._people = People(engine, open_source, now)
        self._turns: dict[CalendarRef, Lock] = {}
        self.changes = 0

    def add(
        self,
        slug: str,
        title: str,
        calendar: CalendarRef,
        *also: CalendarRef,
        public: bool,
        settings: Sequence[str] = (),
    ) -> tuple[Feed, str | None]:
        """A new feed of one calendar or of several, and its token, told this once; a public one has none.

        `settings` are policies as key=value. ValueError says what is wrong.
        """
        policies = self._affordable(changed(USUAL, settings))
        if policies.learningspace and not public:
            raise ValueError("learningspace: its addresses hold no secret, so that the feed has to be a public one")
        return register.add(self._engine, slug, title, [calendar, *also], public, self._now(), policies)

    def set(self, slug: str, settings: Sequence[str]) -> Policies:
        """Change the feed's policies by key=value settings. ValueError says what fits, Unknown if there is none."""
        self._affordable(changed(USUAL, settings))
        policies = register.decide(self._engine, slug, settings)
        self.changes += 1
        return policies

    def _affordable(self, policies: Policies) -> Policies:
        """A feed shows a part of what is read for all of them, never more."""
        for name, asked, read in (
            ("back", policies.back, self._horizon.back),
            ("ahead", policies.ahead, self._horizon.ahead),
        ):
            if asked is not None and timedelta(days=asked) > read:
                raise ValueError(
                    f"{name}: calendars are read for {read.days} days (feeds.{name}_days); ask for no more"
                )
        return policies

    def list(self) -> Sequence[Feed]:
        """All feeds, by slug."""
        return register.every_feed(self._engine)

    def by_slug(self, slug: str) -> Feed:
        """The feed of that name. Unknown if there is none."""
        return register.by_slug(self._engine, slug)

    def remove(self, slug: str) -> None:
        """Forget the feed, its tokens and its bodies. Unknown if there is none."""
        register.remove(self._engine, slug)
        self.changes += 1

    def rotate(self, slug: str) -> str:
        """A new token, told this once; the old ones are dead. ValueError for a public feed, Unknown for none."""
        token = keyring.rotate(self._engine, slug, self._now())
        self.changes += 1
        return token

    def add_token(
        self,
        slug: str,
        name: str,
        until: datetime | None = None,
        narrow: Narrow = ALL,
        under: str | None = None,
    ) -> str:
        """One more token of the feed, told this once, that ends with the one called `under` and shows no more than it.

        ValueError where that cannot be, Unknown if there is no feed.
        """
        return keyring.add(self._engine, slug, name, until, self._now(), narrow, under)

    def add_child(self, token: str, slug: str, name: str, until: datetime | None, narrow: Narrow) -> str:
        """A narrower token that the holder of another makes of it. ValueError where that cannot be, Unknown for no
        such token."""
        return keyring.add_child(self._engine, token, slug, name, until, self._now(), narrow)

    def tokens(self, slug: str) -> Sequence[Token]:
        """The feed's tokens that are not revoked, oldest first. Unknown if there is no feed."""
        return keyring.tokens(self._engine, slug)

    def revoke_everything(self) -> int:
        """Kill every token of every feed: how many there were."""
        killed = keyring.revoke_everything(self._engine, self._now())
        self.changes += 1
        return killed

    def revoke(self, slug: str, name: str | None = None) -> int:
        """Kill the token of that name, or all of them: how many there were. Unknown if there is no feed."""
        killed = keyring.revoke(self._engine, slug, name, self._now())
        self.changes += 1
        return killed

    def enable(self, slug: str) -> None:
        """Publish the feed (again). Unknown if there is none."""
        register.switch(self._engine, slug, True)
        self.changes += 1

    def disable(self, slug: str) -> None:
        """Publish the feed no longer; its tokens are kept. Unknown if there is none."""
        register.switch(self._engine, slug, False)
        self.changes += 1

    def state(self, feed: Feed) -> State | None:
        """How the feed's calendars stand: last reading, next check, problem; None if nobody ever tried to read one."""
        states = {calendar: self._shelf.state(calendar) for calendar in self._people.known()(feed.calendars)}
        return joined(states, feed.policies, self.zone)

    def size(self, feed: Feed) -> int:
        """Bytes of the feed's ICS form, 0 if nobody asked for it yet: HEAVY ones come near to what Google takes."""
        return self._shelf.size(feed.id, feed.under(Form.ICS))

    def due(self) -> Sequence[CalendarRef]:
        """The calendars of enabled feeds that should be read now."""
        known = self._people.known()
        calendars = sorted({calendar for feed in self.list() if feed.enabled for calendar in known(feed.calendars)})
        return [calendar for calendar in calendars if self._is_due(self._shelf.state(calendar))]

    def expire(self, calendar: CalendarRef) -> None:
        """The calendar was changed by us: whoever asks for it next reads it anew."""
        state = self._shelf.state(calendar)
        if state and not state.failures:
            self._shelf.book(calendar, self._now())
            self.changes += 1

    def snapshot_for_token(self, token: str, slug: str, form: Form, user_agent: str | None = None) -> Snapshot:
        """The feed that the token opens; who looks is noted. Unknown, Disabled, NotReady."""
        return self._snapshot(self._opened(token, slug, user_agent), form)

    def snapshot_for_public(self, slug: str, form: Form) -> Snapshot:
        """The public feed of that name. Unknown, Disabled, NotReady."""
        return self._snapshot(register.open_to_all(self._engine, slug), form)

    def snapshot_for_learningspace(self, form: Form) -> Snapshot:
        """The feed that answers at LearningSpace's own addresses. Unknown, NotReady."""
        return self._snapshot(register.of_learningspace(self._engine), form)

    def at_hand(self, token: str | None, slug: str, form: Form, user_agent: str | None = None) -> Snapshot | None:
        """The feed that the token opens (None: the public one), if its body is kept and its calendar is not due.

        Costs no reading and no building, and refuses nobody: None leaves the request to the snapshots above.
        """
        try:
            feed = self._opened(token, slug, user_agent)
        except (Unknown, Disabled):
            return None
        calendars = self._people.joined(feed.calendars, ask=False)
        states = {calendar: self._shelf.state(calendar) for calendar in calendars or ()}
        state = joined(states, feed.policies, self.zone)
        if state is None or state.read_at is None or any(map(self._is_due, states.values())):
            return None
        body = self._kept(feed, form, state)
        return self._shown(feed, form, state, body) if body else None

    def _opened(self, token: str | None, slug: str, user_agent: str | None) -> Feed:
        if token is None:
            return register.open_to_all(self._engine, slug)
        return keyring.opened_by(self._engine, token, slug, self._now(), user_agent)

    def compressed(self, snapshot: Snapshot) -> bytes:
        """The snapshot's body with gzip, the same bytes each time."""
        return self._shelf.compressed(snapshot.etag, snapshot.body)

    def refresh(self, what: str | CalendarRef, *, unless_fresh: bool = False) -> Outcome:
        """Read a calendar, or those of the feed called `what`, from their LMS now.

        A failure keeps the last reading and is told in the outcome. Two never read one calendar at a time: the second
        is told BUSY. With `unless_fresh` nothing is read that is not due. Unknown if no feed is called so.
        """
        if isinstance(what, str):
            named = self.by_slug(what).calendars
            calendars = self._people.joined(named, ask=True, anew=not unless_fresh) or []
            return worst(self._refresh(calendar, unless_fresh) for calendar in calendars)
        return self._refresh(what, unless_fresh)

    def _refresh(self, calendar: CalendarRef, unless_fresh: bool) -> Outcome:
        turn = self._turns.setdefault(calendar, Lock())
        if not turn.acquire(blocking=False):
            return Outcome(Did.BUSY)
        try:
            with lease(self._engine, f"read {calendar}", self._now, TURN):
                if unless_fresh and not self._is_due(self._shelf.state(calendar)):
                    return Outcome(Did.FRESH)
                return self._read(calendar)
        except Busy:
            return Outcome(Did.BUSY)
        finally:
            turn.release()

    def _read(self, calendar: CalendarRef) -> Outcome:
        now = self._now()
        self._shelf.book(calendar, next_check(now, self._every))
        window = self._horizon.at(now.astimezone(self.zone))
        try:
            merged = self._found(self._open_source(calendar.lms), calendar, window, now)
        except BridgeError as error:
            return self._failed(calendar, error)
        self._shelf.keep(calendar, merged, window, now, next_check(self._now(), self._every))
        self.changes += 1
        return Outcome(Did.READ)

    def _found(self, source: Source, calendar: CalendarRef, window: Window, now: datetime) -> Merged:
        if not isinstance(source, PartialSource):
            return Merged(source.read(calendar, window))
        known, doubt = self._shelf.known(calendar)
        before = found_again(known)
        part = source.read_part(calendar, window)
        return merge(before, replace(part, found=source.recognise(before, part.found)), window, now, doubt)

    def _failed(self, calendar: CalendarRef, error: BridgeError) -> Outcome:
        asked = error.retry_after if isinstance(error, Transient) else None
        now = self._now()
        self.changes += 1
        self._shelf.fail(calendar, one_line(str(error)), lambda failures: next_check(now, self._every, asked, failures))
        return Outcome(Did.FAILED, str(error))

    def _is_due(self, state: State | None) -> bool:
        """A first reading is due until it came or failed: whoever died at it booked a time that means nothing."""
        if state is None or (state.hash is None and not state.failures):
            return True
        return state.next_check <= self._now()

    def _snapshot(self, feed: Feed, form: Form) -> Snapshot:
        states = {
            calendar: self._brought_up(calendar) for calendar in self._people.joined(feed.calendars, ask=True) or ()
        }
        state = joined(states, feed.policies, self.zone)
        if state is None or state.read_at is None:
            raise _not_ready(feed, state or self._people.trouble(feed.calendars), self._now())
        body = self._kept(feed, form, state) or self._built(feed, form, state, states)
        return self._shown(feed, form, state, body)

    def _shown(self, feed: Feed, form: Form, state: State, body: Body) -> Snapshot:
        now = self._now()
        stale = state.failures > 0 or state.next_check <= now
        read_at = state.read_at or now
        return Snapshot(feed, form, body.body, body.etag, body.changed_at, read_at, now, stale, state.problem)

    def _brought_up(self, calendar: CalendarRef) -> State | None:
        """The calendar's state after a refresh, if one was due. Only who has no copy at all waits for another's."""
        state = self._shelf.state(calendar)
        for _ in range(PATIENCE):
            if not self._is_due(state):
                break
            outcome = self.refresh(calendar, unless_fresh=True)
            if outcome.did is Did.BUSY and (state is None or state.hash is None):
                sleep(STEP)
                state = self._shelf.state(calendar)
            else:
                return self._shelf.state(calendar)
        return state

    def _built(self, feed: Feed, form: Form, state: State, states: Mapping[CalendarRef, State | None]) -> Body:
        """A new body that shows the last readings."""
        assert state.window
        read = {calendar: one.hash for calendar, one in states.items() if one and one.hash}
        bodies = (self._assembled(feed, form, state.window, read, longest) for longest in LETTERS)
        full, kept = next(bodies)
        fits = form is not Form.ICS or len(full) <= LARGEST
        body = full if fits else next((cut for cut, _ in bodies if len(cut) <= LARGEST), full)
        same = state.hash if state.hash and kept == read else "overtaken"
        basis, whole = self._basis(feed, same, state.window), len(read) == 1 and not feed.view
        return self._shelf.put(feed.id, feed.under(form), body, basis, self._now(), whole)

    def _assembled(
        self, feed: Feed, form: Form, window: Window, read: Mapping[CalendarRef, str], longest: int | None
    ) -> tuple[bytes, Mapping[CalendarRef, str]]:
        """The body with texts of that many letters at most, and the readings that it came to be made of."""
        press = Press.of(form, feed, window, self.zone, longest)
        drawers = {calendar: self._shelf.drawer(calendar, hash, press) for calendar, hash in read.items()}
        pieces = _merged(feed, window, [*drawers.values()])
        kept = {calendar: drawer.hash for calendar, drawer in drawers.items()}
        return assemble(form, feed, window, self.zone, self._every, pieces), kept

    def _kept(self, feed: Feed, form: Form, state: State) -> Body | None:
        """The body on the shelf, if it shows the last reading as the feed is now."""
        known = self._shelf.body(feed.id, feed.under(form))
        if known and state.hash and state.window and known.basis == self._basis(feed, state.hash, state.window):
            return known
        return None

    def _basis(self, feed: Feed, reading: str, window: Window) -> str:
        return basis(feed, reading, window, self.zone, self._every)


def _merged(feed: Feed, window: Window, drawers: Sequence[Drawer]) -> Iterable[Piece]:
    """The pieces of all, in order; one calendar's are inside its own window already."""
    if len(drawers) == 1 and feed.policies.back is feed.policies.ahead is None:
        return drawers[0].pieces
    pieces = {piece.order: piece for drawer in drawers for piece in drawer.pieces}
    return within(window, (pieces[order] for order in sorted(pieces)))


def _not_ready(feed: Feed, state: State | None, now: datetime) -> NotReady:
    if state is None or not state.failures:
        return NotReady(f"'{feed.title}' is being read for the first time.", PATIENCE_TOLD)
    wait = (state.next_check - now).total_seconds()
    return NotReady(f"'{feed.title}' could not be read yet: {state.problem.rstrip('.')}.", max(1, ceil(wait)))
