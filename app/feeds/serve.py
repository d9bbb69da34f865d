"""Serves feeds: the fresh one; else rebuilt; stale beats nothing. One verb, `refresh`, reads an LMS for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from threading import Lock
from time import sleep
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.feeds import keyring, register
from app.feeds.atom import atom
from app.feeds.behind import Later, at_once
from app.feeds.build import Drawer, Piece, Press, assemble, basis, merged, within
from app.feeds.cursor import Cursor
from app.feeds.dialects import CALENDARS, ROOMY
from app.feeds.far import Far, Nowhere
from app.feeds.feed import (
    Did,
    Disabled,
    Feed,
    Form,
    Lapsed,
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
from app.feeds.readers import Reader, Readers, of_tokens
from app.feeds.rhythm import DAY, OUTDATED, Forecast, Rhythm, a_day, forecast, pace, topped_up
from app.feeds.rosters import SELDOM, Rosters
from app.feeds.shelf import Body, Shelf
from app.feeds.since import Changes
from app.feeds.tidy import Tidied, mark, persons, tidy, used
from app.ics.render import one_line
from app.store.leases import Busy, lease
from app.store.slices import Part, Slice
from bridges.contract import PartialSource, Priced, Quota, Roster, Source
from bridges.errors import BridgeError, Denied, Gone, Transient
from bridges.model import CalendarRef, Horizon, Kind, Window

TURN = timedelta(minutes=10)
"""Longer than the longest reading of one calendar."""
GRACE = timedelta(days=14)
"""How long a calendar that is gone from its LMS is shown."""
WANTED = timedelta(minutes=5)
"""How long it is remembered which calendars enabled feeds show."""
PATIENCE, STEP, LONG_STEP = 30.0, 0.1, 2.0
"""Seconds that a request without any copy waits for somebody else's reading, and after how many it looks whether that
has come: another process's, and our own, which tells when it has."""
LARGEST = 1_000_000
"""Bytes of an ICS body above which Google loses events: texts are cut then, to fewer and fewer LETTERS, if it helps."""
HEAVY = 800_000
LETTERS = (None, 500, 100, 0)
PATIENCE_TOLD = 30
"""Seconds after which to ask again, where even that did not help."""


class Feeds:
    """All feeds of one store, for one process of several.

    `open_source` gives the connection of a CalendarRef's `lms` (errors as bridges.errors); `now` gives aware times;
    feeds are shown in `zone`, and a calendar is read over `horizon`, in that `rhythm`. One that is gone from its LMS is
    shown for a `grace`. `quota` tells what an LMS account has left; `later` has done what no request waits for;
    `far` is where processes share bodies.
    `changes` grows with each change that this process makes to what is served, for those that remember answers.
    """

    def __init__(
        self,
        engine: Engine,
        open_source: Callable[[str], Source],
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        horizon: Horizon,
        rhythm: Rhythm,
        grace: timedelta = GRACE,
        quota: Callable[[str], Quota | None] = lambda _: None,
        later: Later = at_once,
        far: Far | None = None,
    ) -> None:
        self._engine = engine
        self._open_source = open_source
        self._now = now
        self.zone = zone
        self._horizon = horizon
        self._rhythm = rhythm
        self._every = rhythm.every
        self._grace = grace
        self._quota = quota
        self._later = later
        self._shelf = Shelf(engine, zone, far or Nowhere())
        self._people = People(engine, open_source, now, self._shelf.count, later)
        self._rosters = Rosters(engine, open_source, now)
        self.history = Changes(engine, zone)
        self._readers = Readers(engine, later)
        self._turns: dict[CalendarRef, Lock] = {}
        self._used: tuple[datetime, Set[str]] = OUTDATED, frozenset()
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
        added = register.add(self._engine, slug, title, [calendar, *also], public, self._now(), policies)
        self._want(added[0])
        return added

    def _want(self, feed: Feed) -> None:
        """The schedule is to know its calendars. A person's are read when somebody looks."""
        self._shelf.want([one for one in feed.calendars if one.kind is not Kind.PERSON], self._now())

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

    def some(self, asked: Slice, *, public_alone: bool = False) -> Part[Feed]:
        """Some feeds, by slug; searched are name, title and first calendar."""
        return register.some(self._engine, asked, public_alone=public_alone)

    def by_slug(self, slug: str) -> Feed:
        """The feed of that name. Unknown if there is none."""
        return register.by_slug(self._engine, slug)

    def remove(self, slug: str) -> None:
        """Forget the feed, its tokens and its bodies. Unknown if there is none."""
        register.remove(self._engine, slug)
        self._changed_uses()

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

    def renew(self, token: str, slug: str) -> str:
        """A new secret for whoever holds this one, told this once; it and what was made from it are dead.

        Unknown where the token does not open that feed, Disabled where it is switched off.
        """
        made = keyring.renew(self._engine, token, slug, self._now())
        self.changes += 1
        return made

    def give_up(self, token: str, slug: str) -> int:
        """Kill the token and those made from it, by whoever holds it: how many. Errors as those of `renew`."""
        killed = keyring.give_up(self._engine, token, slug, self._now())
        self.changes += 1
        return killed

    def require(self, token: str, slug: str) -> None:
        """Unknown where the token does not open that feed, Disabled where it is switched off."""
        keyring.opened_by(self._engine, token, slug, self._now())

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
        self._want(self.by_slug(slug))
        self._changed_uses()

    def disable(self, slug: str) -> None:
        """Publish the feed no longer; its tokens are kept. Unknown if there is none."""
        register.switch(self._engine, slug, False)
        self._changed_uses()

    def _changed_uses(self) -> None:
        self._used = OUTDATED, frozenset()
        self.changes += 1

    def state(self, feed: Feed) -> State | None:
        """How the feed's calendars stand: last reading, next check, problem; None if nobody ever tried to read one."""
        return joined(self._shelf.states(self._people.known(feed.calendars)), feed.policies, self.zone)

    def absence(self, feed: Feed) -> str:
        """A sentence where a calendar of it is gone from its LMS, or denied to us; else empty."""
        state = self.state(feed)
        if state is None or state.missing_since is None:
            return ""
        since, until = (each.astimezone(self.zone) for each in (state.missing_since, state.missing_since + self._grace))
        told = f"The LMS has not given a calendar of it out since {since:%Y-%m-%d}: {state.problem.rstrip('.')}."
        gone = state.lapsed(self._now(), self._grace)
        return f"{told} {'It is shown no more.' if gone else f'The last copy is shown until {until:%Y-%m-%d}.'}"

    def size(self, feed: Feed) -> int:
        """Bytes of the feed's ICS form, 0 if nobody asked for it yet: HEAVY ones come near to what Google takes."""
        return self._shelf.size(feed.id, feed.under(Form.ICS))

    def count(self, feed: Feed) -> int | None:
        """Events of the feed's ICS form, as it was last built; None if nobody asked for it yet."""
        return self._shelf.held(feed.id, feed.under(Form.ICS))

    def build(self, slug: str) -> None:
        """Have its ICS form built where that shows an older reading, so that it is known how large it is. What cannot
        be built is left to whoever asks for it. Unknown if there is none."""
        with suppress(Disabled, NotReady):
            self._snapshot(self.by_slug(slug), Form.ICS)

    def readers(self, feeds: Sequence[Feed]) -> Mapping[int, Sequence[Reader]]:
        """The kinds of programs that read each of these feeds, by its id, who looked last first."""
        secret = {feed.id: of_tokens(self.tokens(feed.slug)) for feed in feeds if not feed.public}
        return {**secret, **self._readers.of_public(feeds)}

    def due(self) -> Sequence[CalendarRef]:
        """The calendars of enabled feeds that should be read now: one look into an index, however many feeds there are.

        Which are used at all is remembered for some minutes; another process's change of that costs a few readings.
        """
        late = self._shelf.late(self._now())
        unused = [name for name in late if name not in self._wanted(late)]
        if unused:
            mark(self._engine, self._now(), unused)
        return sorted(CalendarRef.parse(name) for name in late if name not in unused)

    def _wanted(self, late: Sequence[str]) -> Collection[str]:
        """The calendars of enabled feeds, as they were a few minutes ago at most; those that are `late` as now."""
        now = self._now()
        at, known = self._used
        if not timedelta(0) <= now - at < WANTED or not known >= {*late}:
            known = used(self._engine, enabled=True)
            self._used = now, known
        return known

    def expire(self, calendar: CalendarRef) -> None:
        """The calendar was changed by us: whoever asks for it next waits until it is read anew."""
        self._shelf.outdate(calendar)
        self.changes += 1

    def put_back(self, calendar: CalendarRef) -> None:
        """A reading of it was cut off: it is due."""
        now = self._now()
        self._shelf.book(calendar, now, now)

    def tidy(self) -> Tidied:
        """Forget readings that no feed has shown for a while, and what is kept of persons that none names."""
        return tidy(self._engine, self._now())

    def forecast(self) -> Sequence[Forecast]:
        """What a day of readings costs at each LMS, as things are configured."""
        now = self._now().astimezone(self.zone)
        window = self._horizon.at(now)
        counts = Counter(CalendarRef.parse(name).lms for name in used(self._engine, enabled=True))
        people = Counter(CalendarRef.parse(name).lms for name in persons(self._engine))
        asked = {lms: self._questions(lms, people[lms], count) for lms, count in counts.items()}
        return [
            forecast(
                lms, count, self._rhythm, window, now, self._cost_at(lms), a_day(self._quota(lms), now), asked[lms]
            )
            for lms, count in sorted(counts.items())
        ]

    def _questions(self, lms: str, people: int, courses: int) -> int:
        """How often a directory is asked in a day: for each person, or where there are rosters for each course."""
        try:
            source = self._open_source(lms)
        except BridgeError:
            return people
        if not people or not isinstance(source, Roster):
            return people
        return courses + round(people / max(SELDOM / DAY, people / max(courses, 1)))

    def _cost_at(self, lms: str) -> Callable[[Window], int]:
        try:
            source = self._open_source(lms)
        except BridgeError:
            return lambda _: 1
        return source.read_cost if isinstance(source, Priced) else lambda _: 1

    def snapshot_for_token(self, token: str, slug: str, form: Form, user_agent: str | None = None) -> Snapshot:
        """The feed that the token opens; who looks is noted. Unknown, Disabled, NotReady."""
        return self._snapshot(self._opened(token, slug, user_agent), form)

    def snapshot_for_public(self, slug: str, form: Form, user_agent: str | None = None) -> Snapshot:
        """The public feed of that name; what kind of program looks is noted. Unknown, Disabled, NotReady."""
        return self._snapshot(self._opened(None, slug, user_agent), form)

    def preview(self, slug: str, form: Form) -> Snapshot:
        """The feed of that name for its operator, also a secret one or one that is off. Unknown, NotReady."""
        return self._snapshot(self.by_slug(slug), form)

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
        calendars = self._people.joined(feed.calendars, ask=False) or ()
        states = self._shelf.states(calendars)
        state = joined(self._alive(states), feed.policies, self.zone)
        if state is None or state.read_at is None or any(self._is_due(states.get(one)) for one in calendars):
            return None
        body = self._kept(feed, form, state)
        return self._shown(feed, form, state, body) if body else None

    def _opened(self, token: str | None, slug: str, user_agent: str | None) -> Feed:
        if token is None:
            feed = register.open_to_all(self._engine, slug)
            if user_agent is not None:
                self._readers.note(feed, user_agent, self._now())
            return feed
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
        """What is scheduled is content with the near weeks; a person who asks gets all of the window."""
        turn = self._turns.setdefault(calendar, Lock())
        if not turn.acquire(blocking=False):
            return Outcome(Did.BUSY)
        try:
            with lease(self._engine, f"read {calendar}", self._now, TURN):
                state = self._shelf.state(calendar)
                if unless_fresh and not self._is_due(state):
                    return Outcome(Did.FRESH)
                outcome = self._read(calendar, state if unless_fresh else None)
                if outcome.did is Did.READ and state:
                    self._call_roll(calendar, state)
                return outcome
        except Busy:
            return Outcome(Did.BUSY)
        finally:
            turn.release()

    def _call_roll(self, calendar: CalendarRef, state: State) -> None:
        """Once a day, and not at the first reading, for which somebody waits."""
        now = self._now()
        if state.hash and (state.roster_check is None or state.roster_check <= now) and self._rosters.call(calendar):
            self._shelf.book_roster(calendar, now + DAY)

    def _read(self, calendar: CalendarRef, state: State | None) -> Outcome:
        """Read the near weeks where that is enough for what is known as `state`, else all of the window."""
        now = self._now()
        self._shelf.book(calendar, next_check(now, self._every), now)
        window = self._horizon.at(now.astimezone(self.zone))
        try:
            source = self._open_source(calendar.lms)
            enough = self._near_is_enough(state, window, now)
            topped = self._topped_up(source, calendar, window, now) if enough else None
            merged = topped or self._found(source, calendar, window, now)
        except BridgeError as error:
            return self._failed(calendar, error)
        far = None if topped else now + self._rhythm.far_every
        self._shelf.keep(calendar, merged, window, now, partial(self._after, calendar, source), far)
        self.changes += 1
        return Outcome(Did.READ)

    def _after(self, calendar: CalendarRef, source: Source, quiet: int) -> datetime:
        """When to read again, by the rhythm and by what the quota allows all calendars of that LMS."""
        now = self._now()
        cost = source.read_cost(self._horizon.at(now.astimezone(self.zone))) if isinstance(source, Priced) else 1
        quota = self._quota(calendar.lms)
        calls = cost * self._shelf.count(calendar.lms) if quota else 0
        return self._rhythm.after(now.astimezone(self.zone), quiet, pace(calls, quota, now))

    def _near_is_enough(self, state: State | None, window: Window, now: datetime) -> bool:
        """Not where all of the window is due, nor after its roll: a reading always speaks for one whole window."""
        if state is None or state.far_check is None or state.far_check <= now or state.next_check <= OUTDATED:
            return False
        return state.window == window and self._rhythm.near_part(window, now.astimezone(self.zone)) != window

    def _topped_up(self, source: Source, calendar: CalendarRef, window: Window, now: datetime) -> Merged | None:
        """The last reading with its near weeks read anew; None where that does not tell enough."""
        if isinstance(source, PartialSource):
            return None
        near = self._rhythm.near_part(window, now.astimezone(self.zone))
        known, _ = self._shelf.known(calendar)
        found = topped_up(found_again(known), source.read(calendar, near), near, window)
        return Merged(found) if found is not None else None

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
        missing = now if isinstance(error, Gone | Denied) else None
        later = partial(next_check, now, self._every, asked)
        self._shelf.fail(calendar, one_line(str(error)), later, missing)
        return Outcome(Did.FAILED, str(error))

    def _is_due(self, state: State | None) -> bool:
        """A first reading is due until it came or failed: whoever died at it booked a time that means nothing."""
        if state is None or (state.hash is None and not state.failures):
            return True
        return state.next_check <= self._now()

    def _snapshot(self, feed: Feed, form: Form) -> Snapshot:
        states = self._brought_up(self._people.joined(feed.calendars, ask=True) or ())
        alive = self._alive(states)
        if states and not alive:
            raise _lapsed(feed, states.values(), self.zone)
        states, state = alive, joined(alive, feed.policies, self.zone)
        if state is None or state.read_at is None:
            raise _not_ready(feed, state or self._people.trouble(feed.calendars), self._now())
        body = self._kept(feed, form, state) or self._built(feed, form, state, states)
        return self._shown(feed, form, state, body)

    def _shown(self, feed: Feed, form: Form, state: State, body: Body) -> Snapshot:
        now = self._now()
        stale = state.failures > 0 or state.next_check <= now
        read_at = state.read_at or now
        return Snapshot(feed, form, body.body, body.etag, body.changed_at, read_at, now, stale, state.problem)

    def _alive(self, states: Mapping[CalendarRef, State]) -> Mapping[CalendarRef, State]:
        """Without those that have been gone from their LMS for too long."""
        now = self._now()
        return {calendar: state for calendar, state in states.items() if not state.lapsed(now, self._grace)}

    def _brought_up(self, calendars: Sequence[CalendarRef]) -> Mapping[CalendarRef, State]:
        """How they stand. One that is due is read behind the request's back, if there is a copy to be served."""
        states = self._shelf.states(calendars)
        due = [calendar for calendar in calendars if self._is_due(states.get(calendar))]
        for calendar in due:
            state = states.get(calendar)
            if state and state.hash and state.next_check > OUTDATED:
                self._later(f"read {calendar}", partial(self._refresh, calendar, unless_fresh=True))
            else:
                self._waited_for(calendar)
        return self._shelf.states(calendars) if due else states

    def _waited_for(self, calendar: CalendarRef) -> None:
        """Have it read if that is due. Only who has no copy at all waits for another's."""
        state, left = self._shelf.state(calendar), PATIENCE
        while left > 0 and self._is_due(state):
            outcome = self.refresh(calendar, unless_fresh=True)
            if outcome.did is Did.BUSY and (state is None or state.hash is None):
                left -= self._wait(calendar)
                state = self._shelf.state(calendar)
            else:
                return

    def _wait(self, calendar: CalendarRef) -> float:
        """Until this process has read the calendar, or a moment if that is another's work; the seconds it may take."""
        turn = self._turns.setdefault(calendar, Lock())
        if not turn.locked():
            sleep(STEP)
            return STEP
        if turn.acquire(timeout=LONG_STEP):
            turn.release()
        return LONG_STEP

    def _built(self, feed: Feed, form: Form, state: State, states: Mapping[CalendarRef, State]) -> Body:
        """A new body that shows the last readings."""
        assert state.window
        read = {calendar: one.hash for calendar, one in states.items() if one.hash}
        bodies = (self._assembled(feed, form, state.window, read, longest) for longest in LETTERS)
        full, kept = next(bodies)
        fits = form not in CALENDARS - ROOMY or len(full) <= LARGEST
        body = full if fits else next((cut for cut, _ in bodies if len(cut) <= LARGEST), full)
        same = state.hash if state.hash and kept == read else "overtaken"
        return self._shelf.put(feed.id, feed.under(form), body, self._basis(feed, same, state.window), self._now())

    def _assembled(
        self, feed: Feed, form: Form, window: Window, read: Mapping[CalendarRef, str], longest: int | None
    ) -> tuple[bytes, Mapping[CalendarRef, str]]:
        """The body with texts of that many letters at most, and the readings that it came to be made of."""
        if form is Form.ATOM:
            return atom(feed, self.history.recent(feed, Cursor.of(feed, self.zone, window, read))), read
        press = Press.of(form, feed, window, self.zone, longest)
        drawers = {calendar: self._shelf.drawer(calendar, hash, press) for calendar, hash in read.items()}
        pieces = _merged(feed, window, [*drawers.values()])
        kept = {calendar: drawer.hash for calendar, drawer in drawers.items()}
        cursor = Cursor.of(feed, self.zone, window, kept) if form is Form.JSON else None
        return assemble(form, feed, window, self.zone, self._every, pieces, cursor), kept

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
    return within(window, merged(drawer.by_line.values() for drawer in drawers))


def _lapsed(feed: Feed, states: Iterable[State], zone: ZoneInfo) -> Lapsed:
    since = max(state.missing_since for state in states if state.missing_since).astimezone(zone)
    return Lapsed(
        f"'{feed.title}' is shown no more: its learning-management system has not given its calendar out since "
        f"{since:%Y-%m-%d}. The feed comes back with the calendar."
    )


def _not_ready(feed: Feed, state: State | None, now: datetime) -> NotReady:
    if state is None or not state.failures:
        return NotReady(f"'{feed.title}' is being read for the first time.", PATIENCE_TOLD)
    wait = (state.next_check - now).total_seconds()
    return NotReady(f"'{feed.title}' could not be read yet: {state.problem.rstrip('.')}.", max(1, ceil(wait)))
