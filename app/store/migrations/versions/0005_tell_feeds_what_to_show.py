"""Tell feeds what to show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrolment",
        sa.Column("person", sa.String(length=500), nullable=False),
        sa.Column("calendars", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("next_check", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_enrolment")),
        comment="whose calendars are whose, as the LMS's directory said last",
    )
    op.add_column("feed", sa.Column("also", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("feed", sa.Column("policies", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("feed_token", sa.Column("name", sa.String(length=100), nullable=True))
    op.add_column("feed_token", sa.Column("until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed_token", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed_token", sa.Column("client", sa.String(length=50), nullable=True))
    op.execute("DELETE FROM calendar_reading")  # kept in another form from now on, and read again when asked for


def downgrade() -> None:
    for column in ("client", "used_at", "until", "name"):
        op.drop_column("feed_token", column)
    op.drop_column("feed", "policies")
    op.drop_column("feed", "also")
    op.drop_table("enrolment")
