"""`prune` and `erase-person`: what is kept for a time only goes, and what is kept of one person."""

from __future__ import annotations

import click

from app.cli.common import json_option, parts
from app.cli.terminal import complain, say, say_json


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what would go, and remove nothing.")
@json_option
def prune(dry_run: bool, as_json: bool) -> None:
    """Remove what is older than [keep] says, as a worker does once a day. An older run cannot be undone any more.

    What was written into an LMS is never forgotten.

    Example: calbridge prune --dry-run
    """
    counts = parts().retention.prune(dry_run=dry_run)
    if as_json:
        say_json(counts)
        return
    for table, count in counts.items():
        say(f"{table}\t{count}")


@click.command("erase-person")
@click.argument("person", metavar="LMS/person/ID")
@click.option(
    "--name", "names", multiple=True, help="A token, an account or an import called after the person; repeatable."
)
@click.option("--purge", is_flag=True, help="First delete from the LMS what imports wrote into the person's calendar.")
@click.confirmation_option(prompt="This cannot be taken back. Erase all that is kept of this person?")
@json_option
def erase_person(person: str, names: tuple[str, ...], purge: bool, as_json: bool) -> None:
    """Erase what is kept of one person, and say what it was. Backups of earlier days still hold it.

    Example: calbridge erase-person learn/person/_5_1 --purge
    """
    joined = parts()
    erased = joined.erasure.erase(joined.named(person), names=names, purge=purge)
    if as_json:
        say_json(erased.to_json())
        return
    if purge:
        say(f"events in the LMS\t{erased.purged}")
    for table, count in erased.removed.items():
        say(f"{table}\t{count}")
    for table, count in erased.left.items():
        complain(f"{count} rows of {table} still name this person: they are about others, too")
