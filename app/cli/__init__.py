"""The command line. Each command loads only what it needs, so that a small one starts fast."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

from app.cli.common import Asked, Program

SECTIONS = {
    "Run it": {
        "serve": "serving:serve",
        "work": "serving:work_command",
        "workers": "serving:workers_command",
        "status": "status:status",
        "waiting": "waiting:waiting",
        "check-config": "checking:check_config",
        "settings": "connections:settings",
    },
    "LMSs": {
        "connections": "connections:connections_command",
        "check-connections": "connections:check_connections",
        "quota": "connections:quota",
        "calendars": "calendars:calendars",
        "link": "credentials:link",
        "itslearning": "calendars:itslearning",
    },
    "Feeds": {
        "feed": "feeds:feed",
        "refresh": "refreshing:refresh",
        "doctor": "doctor:doctor",
    },
    "Imports": {
        "import": "imports:import_file",
        "holds": "run_shown:holds",
        "run": "runs:run",
        "batch": "batches:batch",
        "undo": "imports:undo",
        "purge": "imports:purge",
        "subscription": "subscriptions:subscription",
        "drift": "drift:drift",
        "expand": "calendars:expand",
        "explain": "calendars:explain",
    },
    "Who may": {
        "token": "credentials:token",
        "admin": "credentials:admin",
        "audit": "auditing:audit_log",
        "erase-person": "keeping:erase_person",
    },
    "The store": {
        "backup": "store:backup",
        "restore": "store:restore",
        "migrate": "store:migrate_command",
        "check-store": "store:check_store",
        "rotate-key": "store:rotate_key",
        "prune": "keeping:prune",
    },
    "This program": {
        "completion": "completion:completion",
    },
}
"""Where each command lives, in this folder, under the headings of 'calbridge --help'."""


class Commands(MutableMapping[str, click.Command]):
    """The commands by name, each loaded when somebody asks for it: only 'calbridge --help' asks for all."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            self._loaded[name] = getattr(import_module(f"app.cli.{module}"), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(f"calbridge {version('calbridge')}")
        context.exit()


@click.group(
    cls=Program,
    commands=Commands({name: place for places in SECTIONS.values() for name, place in places.items()}),
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'calbridge COMMAND --help' tells more, with an example. The exit statuses of all commands are in README.",
)
@click.option("--config", "path", type=click.Path(dir_okay=False), help="The configuration (default: ./config.toml).")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of how far long work is.")
@click.option("--debug", is_flag=True, help="Where something fails, also say where in the code.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say which calbridge this is."
)
@click.pass_context
def main(context: click.Context, path: str | None, quiet: bool, debug: bool) -> None:
    """An iCalendar bridge and feed server for learning-management systems."""
    context.obj = Asked(path, quiet, debug)
