"""Journal what runs change, and keep what waits for a yes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("import_run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=20), server_default="import", nullable=False))
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.add_column(sa.Column("run", sa.Integer(), nullable=True))
    op.create_table(
        "held_import",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("objections", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_held_import_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_held_import")),
        comment="imports that wait for a yes, with the files that they are planned from again",
    )
    op.create_table(
        "import_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("calendar", sa.String(length=500), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("slot", sa.String(length=20), nullable=False),
        sa.Column("event", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("days", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=True),
        sa.Column("left_event", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("left_days", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["import_run.id"], name=op.f("fk_import_change_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_change")),
        sa.UniqueConstraint("run_id", "uid", "slot", name=op.f("uq_import_change_run_id_uid_slot")),
        comment="the journal: what each run changed, so that it can be taken back",
    )
    with op.batch_alter_table("import_change", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_import_change_calendar_uid_slot_id"), ["calendar", "uid", "slot", "id"], unique=False
        )
