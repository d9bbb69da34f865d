"""What a person reads before typing: every command says what it does, with an example; starting costs little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version

import click
import pytest

from app.cli import main
from tests.cli.shell import Shell

HEAVY = {"flask", "sqlalchemy", "icalendar", "alembic", "requests", "cryptography", "pydantic", "rich", "huey"}


def every_command(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{path}{name} ")


COMMANDS = dict(every_command())
LISTS_AND_SHOWS = [name for name in COMMANDS if name.split()[-1] in {"list", "show", "history", "refused"}]


def test_the_list_of_commands_cuts_no_sentence(shell: Shell) -> None:
    assert "..." not in shell("--help").stdout.partition("Options:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does_with_an_example(name: str) -> None:
    told = COMMANDS[name].help or ""
    assert told.split("\n")[0].strip().endswith((".", "?"))
    assert "Example: calbridge " in told
    example = told.partition("Example: ")[2].split("\n")[0]
    assert example.startswith(f"calbridge {name.split()[0]}") or "--config" in example


@pytest.mark.parametrize(
    "name",
    [
        *LISTS_AND_SHOWS,
        *("audit", "batch show", "calendars", "check-connections", "connections", "doctor", "drift", "expand"),
        *("explain", "feed preview", "holds", "import", "quota", "refresh", "run watch", "settings", "status"),
        *("undo", "workers", "purge", "prune", "subscription run", "backup", "restore", "check-store"),
    ],
)
def test_what_lists_or_shows_has_json(name: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize(
    "name",
    [
        *("feed list", "feed preview", "run list", "holds", "subscription list", "subscription history", "audit"),
        *("calendars", "drift list", "link list", "settings"),
    ],
)
def test_long_lists_come_in_parts(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {"--limit", "--offset", "--search", "--all"} <= options


def test_the_version_is_told(shell: Shell) -> None:
    assert shell("--version").stdout == f"calbridge {version('calbridge')}\n"


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(word: str) -> None:
    code = f"""
import sys
from app.cli import main
try:
    main(["{word}"])
except SystemExit:
    pass
print(*sorted({HEAVY!r} & {{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


def test_a_command_loads_no_other() -> None:
    code = "import sys; from app.cli import main; main.commands['token']; print('app.cli.imports' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
