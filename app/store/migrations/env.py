"""Runs the migrations on the connection that `app.store.migrate` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from app.store.tables import Instant, metadata


def written(kind: str, thing: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Our Instant as the column that the database has: a migration must not change when our code does."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(thing, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=written,
)
context.run_migrations()
