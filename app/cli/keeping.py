"""`prune` and `erase-person`: what is kept for a time only goes, and what is kept of one person."""

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


@click.command("erase-person")
@click.argument("person", metavar="LMS/person/ID")
@click.option(
    "--name", "names", multiple=True, help="A token, an account or an import called after the person; repeatable."
)
@click.option("--purge", is_flag=True, help="First delete from the LMS what imports wrote into the person's calendar.")
@click.confirmation_option(prompt="This cannot be taken back. Erase all that is kept of this person?")
def erase_person(person: str, names: tuple[str, ...], purge: bool) -> None:
    """Erase what is kept of one person, and say what it was. Backups of earlier days still hold it."""
    from app.erasure import NotPurged

    with told():
        joined = parts()
        try:
            erased = joined.erasure.erase(joined.named(person), names=names, purge=purge)
        except NotPurged as error:
            raise ValueError(str(error)) from error
    if purge:
        click.echo(f"events in the LMS\t{erased.purged}")
    for table, count in erased.removed.items():
        click.echo(f"{table}\t{count}")
    for table, count in erased.left.items():
        click.echo(f"calbridge: {count} rows of {table} still name this person: they are about others, too", err=True)
