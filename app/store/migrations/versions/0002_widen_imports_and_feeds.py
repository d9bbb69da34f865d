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
