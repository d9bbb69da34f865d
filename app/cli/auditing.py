"""`audit`: who did what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, slice_options
from app.cli.tables import Column, tell_part
from app.cli.terminal import moment

if TYPE_CHECKING:
    from app.people.audit import Deed
    from app.store.slices import Slice


@click.command("audit")
@slice_options
@json_option
def audit_log(wanted: Slice, as_json: bool) -> None:
    """Who did what on the pages and over the API, the newest first; what came of it as an HTTP status.

    Example: calbridge audit --search jane --limit 20
    """
    from app.people import audit

    joined = parts()
    columns: Sequence[Column[tuple[int, Deed]]] = [
        Column("at", lambda each: moment(each[1].at, joined.config.zone)),
        Column("who", lambda each: each[1].who, folds=True),
        Column("what", lambda each: each[1].what, folds=True),
        Column("to what", lambda each: each[1].subject, folds=True),
        Column("status", lambda each: each[1].status, right=True),
    ]
    tell_part(audit.some(joined.engine, wanted), columns, lambda each: audit.to_json(*each), as_json)
