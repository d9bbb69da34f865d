"""`run`: what imports did, and what becomes of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, quiet_option
from app.cli.naming import RUNS
from app.cli.outcomes import tell_outcome
from app.cli.progress import bar
from app.cli.run_shown import run_list, run_listed, run_refused, run_show, run_watch, tell_short

if TYPE_CHECKING:
    from app.imports.run import Run
    from app.parts import Parts

PATIENCE = 12
"""Quarters of a second that a command waits for a run to see what is wished of it."""


@click.group()
def run() -> None:
    """The runs of imports: what they did, and those that wait for a yes.

    Example: calbridge run list --state held
    """


@run.command("approve")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@json_option
@quiet_option
def run_approve(number: int, as_json: bool) -> None:
    """Say yes to a RUN that waits: it is planned anew from its file and carried out. Exit status as for an import.

    Example: calbridge run approve 17
    """
    with bar("writing") as progress:
        outcome = parts().imports.approve(number, progress=progress)
    tell_outcome(outcome, as_json)


@run.command("pause")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@json_option
def run_pause(number: int, as_json: bool) -> None:
    """Have a RUN that goes on, in whatever process, stop between two changes; 'run resume' goes on with it.

    Example: calbridge run pause 17
    """
    joined = parts()
    _tell_seen(joined, joined.imports.pause(number), as_json)


@run.command("resume")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@json_option
@quiet_option
def run_resume(number: int, as_json: bool) -> None:
    """Go on with a RUN that was paused, left half-way or cut off. Exit status as for an import.

    Example: calbridge run resume 17
    """
    with bar("writing") as progress:
        outcome = parts().imports.resume(number, progress=progress)
    tell_outcome(outcome, as_json)


@run.command("retry")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@click.option("--dry-run", is_flag=True, help="Show what would be tried again, and touch nothing.")
@json_option
@quiet_option
def run_retry(number: int, dry_run: bool, as_json: bool) -> None:
    """Try again what was refused in a RUN, and nothing else, from its file. Exit status as for an import.

    Example: calbridge run retry 17 --dry-run
    """
    with bar("writing") as progress:
        outcome = parts().imports.retry(number, dry_run=dry_run, progress=progress)
    tell_outcome(outcome, as_json)


@run.command("cancel")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@json_option
def run_cancel(number: int, as_json: bool) -> None:
    """Say no to a RUN that waits, or have one that goes on end for good; what it wrote stays.

    Example: calbridge run cancel 17
    """
    joined = parts()
    _tell_seen(joined, joined.imports.cancel(number), as_json)


def _tell_seen(joined: Parts, run: Run, as_json: bool) -> None:
    """The run as soon as whoever works on it has seen the wish; after a while as it is, for it will."""
    for _ in range(PATIENCE):
        if run.over:
            break
        time.sleep(0.25)
        run = joined.imports.get(run.id)
    tell_short(run, joined.config.zone, as_json)


for _command in (run_list, run_show, run_listed, run_watch, run_refused):
    run.add_command(_command)
