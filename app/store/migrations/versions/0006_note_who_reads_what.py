"""Note who reads what, and how much that is: tokens, the programs that read public feeds, the events of bodies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_token", sa.Column("used_at", sa.DateTime(timezone=True)))
    op.add_column("feed_body", sa.Column("events", sa.Integer()))
    op.create_table(
        "feed_reader",
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("client", sa.String(50), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name="fk_feed_reader_feed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", "client", name="pk_feed_reader"),
        comment="which kinds of programs read public feeds, and when last; nothing of whose they are",
    )
