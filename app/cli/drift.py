"""`drift`: what people made in the LMS of what imports wrote."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, quiet_option, slice_options
from app.cli.exits import of_check
from app.cli.naming import CALENDARS
from app.cli.outcomes import tell_outcomes
from app.cli.progress import bar
from app.cli.tables import Column, tell
from app.cli.terminal import is_terminal, say, say_json

if TYPE_CHECKING:
    from app.imports.drift.changes import Drift
    from app.store.slices import Slice


@click.group(invoke_without_command=True)
@click.option("--into", "calendar", shell_complete=CALENDARS, help="Check this calendar now: lms/kind/id.")
@click.option("--name", "source", help="Only what this import wrote.")
@click.option("--believe", is_flag=True, help="Take absence for deletion, also where most events are absent.")
@json_option
@quiet_option
@click.pass_context
def drift(context: click.Context, calendar: str | None, source: str | None, believe: bool, as_json: bool) -> None:
    """Compare what imports wrote into a calendar with what its LMS shows now.

    Example: calbridge drift --into learn/course/courseId:BIO101

    Exit status: 0 all stands as written or was accepted, 2 nothing could be read, 3 people have changed something,
    4 unfinished or busy.
    """
    if context.invoked_subcommand:
        return
    if not calendar:
        raise click.UsageError("say which calendar to check: --into lms/kind/id")
    from app.imports.drift.drifts import check_to_json

    joined = parts()
    with bar("comparing", go_on="Nothing was decided: compare again when it suits you."):
        check = joined.drifts.check(joined.named(calendar), source, believe=believe)
    if as_json:
        say_json(check_to_json(check))
    else:
        say(check)
        _show(check.drifts, joined.config.zone)
        if check.restored and check.restored.report:
            say(f"written again: {check.restored.report} (run {check.restored.run_id})")
    sys.exit(of_check(check.look))


@drift.command("list")
@click.option("--into", "calendar", shell_complete=CALENDARS, help="Only this calendar: lms/kind/id.")
@click.option("--name", "source", help="Only what this import wrote.")
@slice_options
@json_option
def drift_list(wanted: Slice, calendar: str | None, source: str | None, as_json: bool) -> None:
    """What people have changed or deleted, as the latest checks and imports found it. Reads no LMS.

    Example: calbridge drift list --into learn/course/_12594_1
    """
    from app.imports.drift.drifts import drift_to_json

    joined = parts()
    found = joined.drifts.some(wanted, joined.named(calendar) if calendar else None, source)
    if as_json:
        for each in found.items:
            say_json(drift_to_json(each))
    else:
        _show(found.items, joined.config.zone)
    if found.more:
        say(f"… and {found.more:,} more: --offset {found.offset + len(found.items)}, or --all", err=True)


@drift.command("accept")
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@json_option
def drift_accept(ids: tuple[int, ...], as_json: bool) -> None:
    """Agree to what people made of these: imports leave them so, and mention them when their file changes.

    Example: calbridge drift accept 17 18
    """
    from app.imports.drift.drifts import drift_to_json

    joined = parts()
    accepted = joined.drifts.accept(ids)
    if not as_json:
        _show(accepted, joined.config.zone)
        return
    for each in accepted:
        say_json(drift_to_json(each))


@drift.command("restore")
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@json_option
@quiet_option
def drift_restore(ids: tuple[int, ...], as_json: bool) -> None:
    """Write these again as their file has them. Exit status as for an import.

    Example: calbridge drift restore 17
    """
    with bar("writing"):
        outcomes = parts().drifts.restore(ids)
    tell_outcomes(outcomes, as_json)


@drift.command("set")
@click.option("--into", "calendar", shell_complete=CALENDARS, required=True, help="The calendar: lms/kind/id.")
@click.option("--name", "source", help="The import whose policy is set.")
@click.option("--policy", type=click.Choice(["keep", "ask", "overwrite", "usual"]), help="Needs --name.")
@click.option("--every", type=click.IntRange(-1, 8760), help="Hours between two checks; 0: none, -1: as usual.")
def drift_set(calendar: str, source: str | None, policy: str | None, every: int | None) -> None:
    """Set what becomes of people's changes to one import, or how often a calendar is checked.

    Example: calbridge drift set --into learn/course/_12594_1 --name timetable --policy overwrite
    """
    from app.imports.drift.changes import Policy

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
    """A table on a terminal; in a pipe a line for each, and one for each field that differs. Times in `zone`."""
    from app.imports.drift.changes import shown

    columns: Sequence[Column[Drift]] = [
        Column("id", lambda each: each.id, right=True),
        Column("what", lambda each: each.kind),
        Column("calendar", lambda each: each.calendar, folds=True),
        Column("import", lambda each: each.source, folds=True),
        Column("when", lambda each: shown(each.written.when, zone), folds=True),
        Column("title", lambda each: each.written.title, folds=True),
        Column("", lambda each: "accepted" if each.accepted else ""),
    ]
    if is_terminal():
        differing: Column[Drift] = Column("differs", lambda each: "; ".join(_differences(each, zone)), folds=True)
        tell(drifts, [*columns, differing], str, as_json=False)
        return
    for each in drifts:
        tell([each], columns, str, as_json=False)
        for difference in _differences(each, zone):
            say(f"\t{difference}")


def _differences(drift: Drift, zone: tzinfo) -> Iterator[str]:
    from app.imports.drift.changes import shown

    for name, (ours, theirs) in drift.differences().items():
        yield f"{name}: {shown(ours, zone)} → {shown(theirs, zone)}"
    if drift.ours is None:
        yield "the file has it no more"
    elif drift.ours.event != drift.written:
        yield "the file has changed it since"
