"""Widen imports and feeds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("feed_token") as batch:
        batch.add_column(sa.Column("parent_id", sa.Integer()))
        batch.add_column(sa.Column("narrow", sa.JSON(none_as_null=True)))
        batch.create_foreign_key("fk_feed_token_parent_id", "feed_token", ["parent_id"], ["id"], ondelete="CASCADE")
        batch.create_index("ix_feed_token_parent_id", ["parent_id"])
    with op.batch_alter_table("feed_body") as batch:
        batch.alter_column("form", type_=sa.String(40), existing_type=sa.String(10), existing_nullable=False)
        batch.add_column(sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
        batch.drop_column("body")
    op.create_table(
        "calendar_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calendar", sa.String(500), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undo", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calendar_history"),
        comment="what changed from reading to reading, so that a feed can tell what is new; the oldest rows go",
    )
    op.create_index("ix_calendar_history_calendar_id", "calendar_history", ["calendar", "id"])
    op.create_index("ix_event_version_ref", "event_version", ["ref"])
    with op.batch_alter_table("import_run") as batch:
        batch.add_column(sa.Column("forecast", sa.JSON(none_as_null=True)))
        batch.add_column(sa.Column("progress", sa.JSON(none_as_null=True)))
        batch.add_column(sa.Column("wish", sa.String(10), nullable=False, server_default=""))
        batch.add_column(sa.Column("background", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("about", sa.Integer()))
        batch.add_column(sa.Column("basis", sa.String(64)))
        batch.add_column(sa.Column("revision", sa.Integer()))
        batch.add_column(sa.Column("batch", sa.Integer()))
        batch.add_column(sa.Column("reading", sa.JSON(none_as_null=True)))
        batch.create_index("ix_import_run_batch", ["batch"])
    op.create_table(
        "import_batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("read_count", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer()),
        sa.Column("report", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("id", name="pk_import_batch"),
        comment="files that went into many calendars, each with a run of its own",
    )
    op.create_index("ix_import_batch_source", "import_batch", ["source"])
    with op.batch_alter_table("quota") as batch:
        batch.add_column(sa.Column("pace", sa.Float()))
    op.create_table(
        "ledger_revision",
        sa.Column("calendar", sa.String(500), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", name="pk_ledger_revision"),
        comment="how often each calendar's ledger was written to",
    )
    op.create_table(
        "lane",
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "holder", name="pk_lane"),
        comment="the imports that share the writers of each LMS account right now",
    )
    with op.batch_alter_table("calendar_reading") as batch:
        batch.add_column(sa.Column("far_check", sa.DateTime(timezone=True)))
        batch.add_column(sa.Column("quiet", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("missing_since", sa.DateTime(timezone=True)))
        batch.add_column(sa.Column("unused_since", sa.DateTime(timezone=True)))
        batch.add_column(sa.Column("roster_check", sa.DateTime(timezone=True)))
        batch.create_index("ix_calendar_reading_next_check", ["next_check"])
    op.create_table(
        "calendar_piece",
        sa.Column("calendar", sa.String(500), nullable=False),
        sa.Column("form", sa.String(10), nullable=False),
        sa.Column("basis", sa.String(64), nullable=False),
        sa.Column("pieces", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", "form", name="pk_calendar_piece"),
        sa.ForeignKeyConstraint(
            ["calendar"], ["calendar_reading.calendar"], "fk_calendar_piece_calendar", ondelete="CASCADE"
        ),
        comment="the events of a reading as feeds send them, for all feeds that show them unchanged",
    )
    with op.batch_alter_table("entry") as batch:
        batch.add_column(sa.Column("drift", sa.JSON(none_as_null=True)))
    op.create_table(
        "import_source",
        sa.Column("calendar", sa.String(500), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("drift", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("calendar", "source", name="pk_import_source"),
        comment="what was set for one import into one calendar, where it is not as usual",
    )
    op.create_table(
        "drift_check",
        sa.Column("calendar", sa.String(500), nullable=False),
        sa.Column("every_hours", sa.Integer()),
        sa.Column("next_check", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("calendar", name="pk_drift_check"),
        comment="when each calendar that imports write into is compared with what was written",
    )
    op.create_index("ix_drift_check_next_check", "drift_check", ["next_check"])
    # what was written before there were checks is looked at soon
    op.execute(
        "INSERT INTO drift_check (calendar, next_check, failures, problem) "
        "SELECT DISTINCT calendar, CURRENT_TIMESTAMP, 0, '' FROM entry"
    )
    with op.batch_alter_table("subscription") as batch:
        batch.add_column(sa.Column("terms", sa.JSON(none_as_null=True)))
        batch.add_column(sa.Column("headers", sa.JSON(none_as_null=True)))
    with op.batch_alter_table("api_token") as batch:
        batch.add_column(sa.Column("scope", sa.String(20), nullable=False, server_default="admin"))
    op.create_table(
        "account",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.String(200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
        comment="administrators who sign in here with a password",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        comment="who did what; rows are only ever added, and removed by age",
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        sa.UniqueConstraint("about", name="uq_notice_about"),
        comment="what administrators are told by mail: written down before it is sent",
    )
    with op.batch_alter_table("fetch_history") as batch:
        batch.add_column(sa.Column("batch_id", sa.Integer()))
    if op.get_context().dialect.supports_comments:
        op.create_table_comment(
            "held_import", "imports that may go on, with the files that they are planned from again"
        )
    op.create_table(
        "schedule",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedule"),
        comment="when each chore is done next, by whichever worker is the first",
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("doing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
        comment="the worker processes, by their heartbeats",
    )
    op.create_table(
        "job_count",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("outcome", sa.String(60), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "outcome", name="pk_job_count"),
        comment="what workers ever did",
    )
    op.create_table(
        "import_page",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(10), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["import_run.id"], name="fk_import_page_run_id_import_run", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "what", "number", name="pk_import_page"),
        comment="what of a run's plan and report has no place in its row, a thousand to a page",
    )
    # found by the test that looks at the plans of statements (tests/store/test_plans.py)
    op.create_index("ix_import_run_about", "import_run", ["about"])
    op.create_index("ix_held_import_expires_at", "held_import", ["expires_at"])
    op.create_index("ix_subscription_next_check", "subscription", ["next_check"])
