"""Every table of the store, as SQLAlchemy Core. Migrations in `migrations/` bring a database to this shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept and returned in UTC; a naive one is a fault of ours and refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time must not reach the store")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

feed = Table(
    "feed",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(100), nullable=False, unique=True),
    Column("title", String(255), nullable=False),
    Column("calendar", String(500), nullable=False, doc="a CalendarRef, as text"),
    Column("public", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("also", JSON(none_as_null=True), doc="further calendars joined under the same address"),
    Column("policies", JSON(none_as_null=True), doc="what of them is shown, where it is not as usual"),
)

feed_token = Table(
    "feed_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("feed_id", ForeignKey("feed.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, unique=True, doc="SHA-256 of the token, hex; the token is kept nowhere"),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("name", String(100), doc="whose it is, or on which device; null for the feed's first"),
    Column("until", Instant, doc="when it ends by itself"),
    Column("used_at", Instant, doc="when it was last used, to ten minutes"),
    Column("client", String(50), doc="the family of the client that used it"),
    Column("parent_id", ForeignKey("feed_token.id", ondelete="CASCADE"), index=True, doc="the token it was made from"),
    Column("narrow", JSON(none_as_null=True), doc="what it shows of its feed; null for all"),
)

feed_reader = Table(
    "feed_reader",
    metadata,
    Column("feed_id", ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True),
    Column("client", String(50), primary_key=True, doc="a family of programs"),
    Column("used_at", Instant, nullable=False, doc="when one of it last read the feed, to ten minutes"),
    comment="which kinds of programs read public feeds, and when last; nothing of whose they are",
)

LTI_ADDRESS = "lti-address/"
"""What the vault calls the address of a row of lti_address: this and its id."""

lti_nonce = Table(
    "lti_nonce",
    metadata,
    Column("hash", String(64), primary_key=True, doc="SHA-256 of the nonce, hex"),
    Column("until", Instant, nullable=False, index=True),
    comment="launches from courses that were used up, until they would have ended anyway",
)

lti_address = Table(
    "lti_address",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("platform", String(100), nullable=False, doc="the name of its settings"),
    Column("person", String(255), nullable=False, doc="as the LMS calls the person to us; no name"),
    Column("feed_id", ForeignKey("feed.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_id", ForeignKey("feed_token.id", ondelete="CASCADE"), nullable=False, index=True),
    UniqueConstraint("platform", "person", "feed_id"),
    comment="the address that a person from a course has of its feed; the vault has the address itself",
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("person", String(500), primary_key=True, doc="a CalendarRef of the kind person, as text"),
    Column("calendars", JSON(none_as_null=True), doc="the person's calendars; null until the directory told"),
    Column("next_check", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    comment="whose calendars are whose, as the LMS's directory said last",
)

notice = Table(
    "notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("about", String(200), nullable=False, unique=True, doc="the run and the hash of its plan, or what stopped"),
    Column("made_at", Instant, nullable=False),
    Column("next_try", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("done_at", Instant, doc="when it was sent, or was over; null until then"),
    Column("problem", Text, nullable=False, doc="why the latest try failed, a sentence; empty if it did not"),
    comment="what administrators are told by mail: written down before it is sent",
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("scope", String(20), nullable=False, server_default="admin", doc="read, import or admin"),
    Column("used_at", Instant, doc="when it was last used, to ten minutes"),
)

account = Table(
    "account",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("hash", String(200), nullable=False, doc="of the password, Argon2id"),
    Column("changed_at", Instant, nullable=False, doc="when the password was set: older sessions are over"),
    Column("failures", Integer, nullable=False, doc="wrong passwords in a row"),
    Column("rests_until", Instant, doc="until when no password is taken"),
    comment="administrators who sign in here with a password",
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", String(200), nullable=False),
    Column("what", String(200), nullable=False, doc="the deed, as the rule of its address or the command"),
    Column("subject", String(500), nullable=False, doc="what it was done to, without secrets"),
    Column("status", Integer, nullable=False, doc="what came of it, as an HTTP status"),
    Column("request", String(64), nullable=False, doc="the request's id in the logs"),
    Index(None, "at"),
    comment="who did what; rows are only ever added, and removed by age",
)

kept_answer = Table(
    "kept_answer",
    metadata,
    Column("key", String(64), primary_key=True, doc="SHA-256 of the caller and the Idempotency-Key, hex"),
    Column("request", String(64), nullable=False, doc="SHA-256 of what was asked, hex"),
    Column("at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False, doc="the answer, encrypted: it may hold a secret that is shown once"),
    Index(None, "at"),
    comment="what programs were answered to requests with an Idempotency-Key; the oldest rows go",
)

calendar_reading = Table(
    "calendar_reading",
    metadata,
    Column("calendar", String(500), primary_key=True, doc="a CalendarRef, as text"),
    Column("found", LargeBinary, doc="the last whole reading, compact JSON; null until there was one"),
    Column("hash", String(64), doc="of `found` and the window; null until there was a reading"),
    Column("window_start", Instant, doc="the window that the reading speaks for"),
    Column("window_end", Instant),
    Column("read_at", Instant, doc="when the last whole reading was made"),
    Column("next_check", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("problem", Text, nullable=False, doc="why the latest try failed, a sentence; empty if it did not"),
    Column("doubt", Instant, doc="since when the LMS lacks most of what it had, and is not believed; null if it is"),
    Column("far_check", Instant, doc="when all of the window is to be read again, and not the near weeks alone"),
    Column("quiet", Integer, nullable=False, server_default="0", doc="readings in a row that brought nothing new"),
    Column("missing_since", Instant, doc="since when the LMS says that there is no such calendar, or none for us"),
    Column("unused_since", Instant, doc="since when no feed shows it"),
    Column("roster_check", Instant, doc="when to ask again who is in the course; null for the next reading"),
    Index(None, "next_check"),
    comment="the last good reading of each LMS calendar, shared by all feeds that show it",
)

feed_body = Table(
    "feed_body",
    metadata,
    Column("feed_id", ForeignKey("feed.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "form", String(40), primary_key=True, doc="a Form; for a narrower token's view with its name behind a colon"
    ),
    Column("size", Integer, nullable=False, server_default="0", doc="bytes of the body"),
    Column("events", Integer, doc="in the body; null where it is no iCalendar"),
    Column("etag", String(64), nullable=False, doc="hash of the body, unquoted"),
    Column("changed_at", Instant, nullable=False, doc="since when the body has these bytes: Last-Modified"),
    Column("basis", String(64), nullable=False, doc="hash of all that the body was built from"),
    comment="the last good body of each feed in each form",  # its facts: bytes are joined from the readings' pieces
)

calendar_piece = Table(
    "calendar_piece",
    metadata,
    Column("calendar", ForeignKey("calendar_reading.calendar", ondelete="CASCADE"), primary_key=True),
    Column("form", String(10), primary_key=True, doc="ics or json"),
    Column("basis", String(64), nullable=False, doc="hash of the reading, and of all else that pieces depend on"),
    Column("pieces", LargeBinary, nullable=False, doc="an index in JSON, a line break, the events as they are sent"),
    comment="the events of a reading as feeds send them, for all feeds that show them unchanged",
)

calendar_history = Table(
    "calendar_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("calendar", String(500), nullable=False),
    Column("hash", String(64), nullable=False, doc="the reading that was replaced"),
    Column("at", Instant, nullable=False, doc="when another took its place"),
    Column("undo", LargeBinary, nullable=False, doc="what has to be undone to have it back"),
    Index(None, "calendar", "id"),
    comment="what changed from reading to reading, so that a feed can tell what is new; the oldest rows go",
)

event_version = Table(
    "event_version",
    metadata,
    Column("calendar", String(500), primary_key=True),
    Column("ref", String(500), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("seen_at", Instant, nullable=False, doc="when this content was first seen: DTSTAMP where the LMS has none"),
    Column("sequence", Integer, nullable=False),
    Index(None, "ref"),
    comment="SEQUENCE and times of change for events whose LMS keeps none",
)

import_run = Table(
    "import_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", String(200), nullable=False, doc="which of several imports into one calendar this is"),
    Column("calendar", String(500), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("kind", String(20), nullable=False, server_default="import", doc="import, undo, purge"),
    Column(
        "state", String(20), nullable=False, doc="queued, running, paused, done, held, left, failed, cancelled, expired"
    ),
    Column("body_hash", String(64), nullable=False),
    Column("read_count", Integer, nullable=False),
    Column("plan", JSON),
    Column("report", JSON),
    Column("forecast", JSON(none_as_null=True), doc="what it was expected to cost when it was planned"),
    Column("progress", JSON(none_as_null=True), doc="how far it has come, told once a second"),
    Column("wish", String(10), nullable=False, server_default="", doc="pause or cancel, until whoever runs it sees it"),
    Column("background", Boolean, nullable=False, server_default=false(), doc="a worker does it, another if that dies"),
    Column("about", Integer, index=True, doc="the run that this one takes back, or tries the refused of again"),
    Column("basis", String(64), doc="hash of the file, its terms and all that reads it; null if it is worth a look"),
    Column("revision", Integer, doc="that of the calendar's ledger when the run ended"),
    Column("batch", Integer, index=True, doc="the routed import whose part it is; null where it is of its own"),
    Column("reading", JSON(none_as_null=True), doc="what the reader met in its file: problems, ignored, zones"),
    Index(None, "calendar", "source", "id"),
)

import_page = Table(
    "import_page",
    metadata,
    Column("run_id", ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True),
    Column("what", String(10), primary_key=True, doc="changes of the plan; done, refused or left of the report"),
    Column("number", Integer, primary_key=True, doc="from 1: page 0 is in the plan and in the report themselves"),
    Column("data", LargeBinary, nullable=False, doc="a JSON array, compressed by zlib"),
    comment="what of a run's plan and report has no place in its row, a thousand to a page",
)

imprint = Table(
    "imprint",
    metadata,
    Column("calendar", String(500), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("basis", String(64), nullable=False, doc="hash of the terms and of all that stands outside of the events"),
    Column("revision", Integer, nullable=False, doc="that of the calendar's ledger when the run ended"),
    Column("at", Instant, nullable=False, index=True),
    Column("data", LargeBinary, nullable=False, doc="hashes of the events and what each came to, 25 bytes an event"),
    comment="what the latest file of an import held, so that only what differs from it is read the next time",
)

held_import = Table(
    "held_import",
    metadata,
    Column("run_id", ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True),
    Column("data", LargeBinary, nullable=False, doc="the file, compressed by zlib"),
    Column("terms", JSON, nullable=False, doc="how the file was to be imported: window, mode, grace, filters"),
    Column("objections", JSON, nullable=False, doc="why it waits, as sentences"),
    Column("expires_at", Instant, nullable=False, index=True),
    comment="imports that may go on, with the files that they are planned from again",
)

import_batch = Table(
    "import_batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", String(200), nullable=False, index=True),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("state", String(20), nullable=False, doc="as that of its runs, the most pressing one"),
    Column("read_count", Integer, nullable=False),
    Column("data", LargeBinary, doc="the file, compressed by zlib; null when a newer one has overtaken it"),
    Column("terms", JSON, nullable=False, doc="how the file was to be imported, with its routes"),
    Column("tries", Integer, doc="how many workers took it up; null for one that was never queued"),
    Column("report", JSON(none_as_null=True), doc="counts over all calendars, and what has no place in any"),
    comment="files that went into many calendars, each with a run of its own",
)

import_change = Table(
    "import_change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("import_run.id", ondelete="CASCADE"), nullable=False),
    Column("calendar", String(500), nullable=False),
    Column("uid", Text, nullable=False),
    Column("slot", String(20), nullable=False),
    Column("event", JSON(none_as_null=True), doc="what stood there before the run; null if nothing did"),
    Column("days", JSON(none_as_null=True), doc="the all-day dates behind its instants"),
    Column("source", String(200), doc="the import that answered for it before; null if nothing stood there"),
    Column("left_event", JSON(none_as_null=True), doc="what the run left there; null if nothing"),
    Column("left_days", JSON(none_as_null=True)),
    UniqueConstraint("run_id", "uid", "slot"),
    Index(None, "calendar", "uid", "slot", "id"),
    comment="the journal: what each run changed, so that it can be taken back",
)

entry = Table(
    "entry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("calendar", String(500), nullable=False),
    Column("uid", Text, nullable=False),
    Column("slot", String(20), nullable=False, doc="OccurrenceId.slot_text; empty for a single event"),
    Column("source", String(200), nullable=False, doc="the import that wrote it last"),
    Column("generation", Integer, nullable=False),
    Column(
        "state",
        String(20),
        nullable=False,
        doc="pending-create, pending-update, pending-delete, present, deleted, unwritten, edited, dismissed",
    ),
    Column("ref", String(500), doc="RemoteRef; null until the LMS has told"),
    Column("event", JSON, nullable=False, doc="the fitted event as last written, or as meant while pending"),
    Column("days", JSON(none_as_null=True), doc="the all-day dates behind instants, where the LMS has no all-day"),
    Column("before", JSON(none_as_null=True), doc="while an update is pending: event and days as written before"),
    Column("starts", Instant, nullable=False, doc="span of the event, for windows; days in the home zone"),
    Column("ends", Instant, nullable=False),
    Column("missing", Integer, nullable=False, doc="whole readings in a row that lacked it"),
    Column("changed_at", Instant, nullable=False),
    Column("error", Text, nullable=False),
    Column("run", Integer, doc="the run that left it so; null for what was written before there was a journal"),
    Column(
        "drift",
        JSON(none_as_null=True),
        doc="what a person made of it: seen, theirs (null: deleted), ours (null: the file dropped it), accepted",
    ),
    UniqueConstraint("calendar", "uid", "slot"),
    Index(None, "calendar", "ref"),
    comment="the ledger: what we wrote, and what became of it",
)

ledger_revision = Table(
    "ledger_revision",
    metadata,
    Column("calendar", String(500), primary_key=True),
    Column("revision", Integer, nullable=False),
    comment="how often each calendar's ledger was written to",
)

lane = Table(
    "lane",
    metadata,
    Column("account", String(100), primary_key=True),
    Column("holder", String(200), primary_key=True, doc="as that of a lease"),
    Column("number", Integer, nullable=False, doc="order of arrival"),
    Column("lanes", Integer, nullable=False, doc="how many writes it may have under way"),
    Column("since", Instant, nullable=False, doc="since when it has lanes, or has waited for one"),
    Column("until", Instant, nullable=False),
    comment="the imports that share the writers of each LMS account right now",
)

import_source = Table(
    "import_source",
    metadata,
    Column("calendar", String(500), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("drift", String(20), nullable=False, doc="what becomes of what people change: keep, overwrite, ask"),
    comment="what was set for one import into one calendar, where it is not as usual",
)

drift_check = Table(
    "drift_check",
    metadata,
    Column("calendar", String(500), primary_key=True),
    Column("every_hours", Integer, doc="between two looks, 0: none; null: as usual"),
    Column("next_check", Instant, nullable=False),
    Column("checked_at", Instant, doc="when it was last compared whole; null until it was"),
    Column("failures", Integer, nullable=False),
    Column("problem", Text, nullable=False, doc="why the latest look told nothing, a sentence; empty if it did"),
    Index(None, "next_check"),
    comment="when each calendar that imports write into is compared with what was written",
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(600), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Instant, nullable=False),
    comment="who works on what right now, so that two never do",
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("next_at", Instant, nullable=False),
    comment="when each chore is done next, by whichever worker is the first",
)

worker = Table(
    "worker",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("doing", Text, nullable=False, doc="its jobs at that moment, as JSON"),
    comment="the worker processes, by their heartbeats",
)

job_count = Table(
    "job_count",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("outcome", String(60), primary_key=True, doc="what came of it, or the class of an error"),
    Column("times", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    comment="what workers ever did",
)

quota = Table(
    "quota",
    metadata,
    Column("account", String(100), primary_key=True),
    Column("limit", Integer, doc="as the LMS said last; null until it did"),
    Column("remaining", Integer),
    Column("resets_at", Instant),
    Column("noted_at", Instant),
    Column("calls", Integer, nullable=False, doc="calls ever sent"),
    Column("pace", Float, doc="seconds that a change took in one lane, as measured last"),
    comment="what each LMS account has left, shared by all processes",
)

secret = Table(
    "secret",
    metadata,
    Column("name", String(600), primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False, doc="encrypted with a key that is not in the database"),
    Column("changed_at", Instant, nullable=False),
    comment="what an LMS handed out, such as refresh tokens",
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", String(200), nullable=False, unique=True, doc="its name, and that of its imports"),
    Column("url", Text, nullable=False, doc="scheme and host; the vault has the whole, which is often a credential"),
    Column("calendar", String(500), nullable=False, doc="a CalendarRef, as text"),
    Column("every_minutes", Integer, nullable=False),
    Column("ahead_days", Integer, nullable=False),
    Column("mode", String(20), nullable=False, doc="replace or add"),
    Column("agent", String(300), nullable=False, doc="a User-Agent, or the name of a preset; empty: ours"),
    Column("opened", Boolean, nullable=False, doc="whether the vault has a credential for it"),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("standing", String(20), nullable=False, doc="new, fine, held, left, failing, parked"),
    Column("next_check", Instant, nullable=False, index=True),
    Column("failures", Integer, nullable=False),
    Column("missing_since", Instant, doc="since when the server knows no such calendar"),
    Column("ok_at", Instant, doc="when a whole calendar was last had or confirmed"),
    Column("problem", Text, nullable=False, doc="what stands in the way, a sentence; empty if nothing does"),
    Column("etag", String(500), nullable=False),
    Column("modified", String(500), nullable=False),
    Column("hash", String(64), nullable=False, doc="SHA-256 of the body last imported, hex; empty if none was"),
    Column("readings", Integer, nullable=False, doc="imports in a row of that body over that window"),
    Column("window_end", Instant, doc="of the last import"),
    Column("terms", JSON(none_as_null=True), doc="its settings without a column, where they are not as usual"),
    Column("headers", JSON(none_as_null=True), doc="the names of the headers that the vault has for it"),
    comment="calendars elsewhere that are pulled into calendars here",
)

fetch_history = Table(
    "fetch_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subscription_id", ForeignKey("subscription.id", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("what", String(20), nullable=False, doc="done, unchanged, held, left, denied, missing, refused, failed"),
    Column("problem", Text, nullable=False),
    Column("run_id", Integer, doc="the import it led to; that row may be gone by now"),
    Column("events", Integer, nullable=False),
    Column("created", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Column("deleted", Integer, nullable=False),
    Column("batch_id", Integer, doc="of one that goes into many calendars; that row may be gone by now"),
    Index(None, "subscription_id", "id"),
    comment="what happened to each subscription, time by time; the oldest rows go",
)
