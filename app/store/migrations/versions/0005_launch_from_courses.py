"""Launch from courses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lti_nonce",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_lti_nonce"),
        comment="launches from courses that were used up, until they would have ended anyway",
    )
    op.create_index("ix_lti_nonce_until", "lti_nonce", ["until"])
    op.create_table(
        "lti_address",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lti_address"),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name="fk_lti_address_feed_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["token_id"], ["feed_token.id"], name="fk_lti_address_token_id", ondelete="CASCADE"),
        sa.UniqueConstraint("platform", "person", "feed_id", name="uq_lti_address_platform_person_feed_id"),
        comment="the address that a person from a course has of its feed; the vault has the address itself",
    )
    op.create_index("ix_lti_address_feed_id", "lti_address", ["feed_id"])
    op.create_index("ix_lti_address_token_id", "lti_address", ["token_id"])
