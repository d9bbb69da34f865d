"""`drift`: what people made in the LMS of what imports wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from app.cli.common import NOTHING_READ, parts, told

if TYPE_CHECKING:
    from app.imports.drift.changes import Drift

STATUS = {"same": 0, "drifted": 3, "doubtful": 3, "left": 4, "busy": 4}
"""Exit statuses; all else is 2."""


@click.group(invoke_without_command=True)
@click.option("--into", "calendar", help="Check this calendar now: lms/kind/id.")
@click.option("--name", "source", help="Only what this import wrote.")
@click.option("--believe", is_flag=True, help="Take absence for deletion, also where most events are absent.")
@click.option("--json", "as_json", is_flag=True, help="Print the check as one JSON object.")
@click.pass_context
def drift(context: click.Context, calendar: str | None, source: str | None, believe: bool, as_json: bool) -> None:
    """Compare what imports wrote into a calendar with what its LMS shows now.

    Exit status: 0 all stands as written or was accepted, 2 nothing could be read, 3 people have changed something,
    4 unfinished or busy.
    """
    if context.invoked_subcommand:
        return
    if not calendar:
        raise click.UsageError("say which calendar to check: --into lms/kind/id")
    from app.imports.drift.drifts import check_to_json

    with told():
        joined = parts()
        check = joined.drifts.check(joined.named(calendar), source, believe=believe)
    if as_json:
        click.echo(json.dumps(check_to_json(check), ensure_ascii=False))
    else:
        click.echo(str(check))
        _show(check.drifts, joined.config.zone)
        if check.restored and check.restored.report:
            click.echo(f"written again: {check.restored.report} (run {check.restored.run_id})")
    sys.exit(STATUS.get(check.look, NOTHING_READ))


@drift.command("list")
@click.option("--into", "calendar", help="Only this calendar: lms/kind/id.")
@click.option("--name", "source", help="Only what this import wrote.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def drift_list(calendar: str | None, source: str | None, as_json: bool) -> None:
    """All that people have changed or deleted, as the latest checks and imports found it. Reads no LMS."""
    from app.imports.drift.drifts import drift_to_json

    with told():
        joined = parts()
        drifts = joined.drifts.list(joined.named(calendar) if calendar else None, source)
    if not as_json:
        _show(drifts, joined.config.zone)
        return
    for each in drifts:
        click.echo(json.dumps(drift_to_json(each), ensure_ascii=False))


@drift.command("accept")
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
def drift_accept(ids: tuple[int, ...]) -> None:
    """Agree to what people made of these: imports leave them so, and mention them when their file changes."""
    with told():
        joined = parts()
        _show(joined.drifts.accept(ids), joined.config.zone)


@drift.command("restore")
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each calendar.")
def drift_restore(ids: tuple[int, ...], as_json: bool) -> None:
    """Write these again as their file has them. Exit status as for an import."""
    with told():
        outcomes = parts().drifts.restore(ids)
    for outcome in outcomes:
        click.echo(json.dumps(outcome.to_json(), ensure_ascii=False) if as_json else outcome.to_text())
    states = {outcome.state.value for outcome in outcomes}
    refused = any(outcome.report and outcome.report.refused for outcome in outcomes)
    sys.exit(NOTHING_READ if "failed" in states else 4 if "left" in states else 5 if refused else 0)


@drift.command("set")
@click.option("--into", "calendar", required=True, help="The calendar: lms/kind/id.")
@click.option("--name", "source", help="The import whose policy is set.")
@click.option("--policy", type=click.Choice(["keep", "ask", "overwrite", "usual"]), help="Needs --name.")
@click.option("--every", type=click.IntRange(-1, 8760), help="Hours between two checks; 0: none, -1: as usual.")
def drift_set(calendar: str, source: str | None, policy: str | None, every: int | None) -> None:
    """Set what becomes of people's changes to one import, or how often a calendar is checked."""
    from app.imports.drift.changes import Policy

    with told():
        if (policy is None) == (every is None):
            raise ValueError("say either --policy with --name, or --every")
        if policy and not source:
            raise ValueError("a policy is that of one import: say which with --name")
        joined = parts()
        ref = joined.named(calendar)
        joined.sink(ref.lms).check_target(ref)
        if policy and source:
            joined.drifts.policies.set(ref, source, None if policy == "usual" else Policy(policy))
        if every is not None:
            joined.drifts.set_rhythm(ref, None if every < 0 else every)


def _show(drifts: Sequence[Drift], zone: tzinfo) -> None:
    """One line for each, and one for each field that differs; times in `zone`."""
    from app.imports.drift.changes import shown

    for each in drifts:
        mark = "accepted" if each.accepted else ""
        facts = (
            each.id,
            each.kind,
            each.calendar,
            each.source,
            shown(each.written.when, zone),
            each.written.title,
            mark,
        )
        click.echo("\t".join(map(str, facts)).rstrip())
        for name, (ours, theirs) in each.differences().items():
            click.echo(f"\t{name}: {shown(ours, zone)} → {shown(theirs, zone)}")
        if each.ours is None:
            click.echo("\tthe file has it no more")
        elif each.ours.event != each.written:
            click.echo("\tthe file has changed it since")
