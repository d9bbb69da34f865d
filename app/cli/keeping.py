"""`prune`: what is kept for a time only goes."""

from __future__ import annotations

import json

import click

from app.cli.common import parts, told


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what would go, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def prune(dry_run: bool, as_json: bool) -> None:
    """Remove what is older than [keep] says, as a worker does once a day. An older run cannot be undone any more.

    What was written into an LMS is never forgotten.
    """
    with told():
        counts = parts().retention.prune(dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(counts))
        return
    for table, count in counts.items():
        click.echo(f"{table}\t{count}")
