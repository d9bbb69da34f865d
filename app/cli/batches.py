"""`batch`: the runs of one file that went into many calendars, taken as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, quiet_option
from app.cli.outcomes import tell_outcome, tell_outcomes
from app.cli.progress import bar
from app.cli.tables import Column, tell, tell_facts
from app.cli.terminal import moment, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.imports.record.batch import Batch
    from app.imports.record.runs import Ending
    from app.parts import Parts
    from bridges.model import CalendarRef


@click.group()
def batch() -> None:
    """The runs of one routed import, taken as one; 'run' acts on each of them alone.

    Example: calbridge batch show 3
    """


@batch.command("show")
@click.argument("number", metavar="BATCH", type=int)
@json_option
def batch_show(number: int, as_json: bool) -> None:
    """One BATCH with its runs, what no route took and which calendars are not there.

    Example: calbridge batch show 3 --json
    """
    joined = parts()
    _tell(joined, joined.routed.get(number), as_json)


@batch.command("approve")
@click.argument("number", metavar="BATCH", type=int)
@json_option
@quiet_option
def batch_approve(number: int, as_json: bool) -> None:
    """Say yes to all of a BATCH that waits: it is planned anew from its file. Exit status as for an import.

    Example: calbridge batch approve 3
    """
    with bar("writing") as progress:
        outcome = parts().routed.approve(number, progress=progress)
    tell_outcome(outcome, as_json)


@batch.command("cancel")
@click.argument("number", metavar="BATCH", type=int)
@json_option
def batch_cancel(number: int, as_json: bool) -> None:
    """Say no to all of a BATCH that waits.

    Example: calbridge batch cancel 3
    """
    joined = parts()
    _tell(joined, joined.routed.cancel(number), as_json)


@batch.command("undo")
@click.argument("number", metavar="BATCH", type=int)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and touch nothing.")
@json_option
@quiet_option
def batch_undo(number: int, dry_run: bool, as_json: bool) -> None:
    """Take back what all runs of a BATCH did. Exit status as for an import: that of the worst.

    Example: calbridge batch undo 3 --dry-run
    """
    with bar("taking back") as progress:
        outcomes = parts().routed.undo(number, dry_run=dry_run, progress=progress)
    tell_outcomes(outcomes, as_json)


def _tell(joined: Parts, one: Batch, as_json: bool) -> None:
    if as_json:
        say_json(one.to_json())
        return
    zone, report = joined.config.zone, one.report
    facts: dict[str, object] = {"batch": one.id, "import": one.source, "state": one.state}
    facts |= {"started": moment(one.started_at, zone), "events": one.events}
    facts |= {name: report[name] for name in ("create", "update", "delete", "unchanged") if name in report}
    facts |= {"held": " ".join(report.get("held", ())) or None}
    facts |= {"no route took": (report.get("unmatched") or {}).get("events")}
    facts |= {"not there": [each["calendar"] for each in report.get("missing", ())]}
    tell_facts({name: value for name, value in facts.items() if value not in (None, [])}, as_json=False)
    columns: Sequence[Column[tuple[int, CalendarRef, Ending]]] = [
        Column("run", lambda each: each[0], right=True),
        Column("calendar", lambda each: each[1], folds=True),
        Column("state", lambda each: each[2]),
    ]
    tell(one.runs, columns, list, as_json=False)
