"""What every command shares: the configuration, the options of lists, errors said as sentences, one way to end."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from app.cli.exits import Exit
from app.cli.terminal import complain

if TYPE_CHECKING:
    from app.parts import Parts

F = TypeVar("F", bound=Callable[..., Any])
EVERY_ONE = 10**9


@dataclass(frozen=True, slots=True)
class Asked:
    """What was said before the command's name."""

    config: str | None = None
    quiet: bool = False
    debug: bool = False


LONGEST = 200
"""Letters that the first sentence of a command may have in the list of all."""


class Program(click.Group):
    """The command line as a whole: whatever a command raises ends as a sentence and an exit status."""

    def __init__(self, *args: Any, sections: Mapping[str, Iterable[str]] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._sections = sections or {}

    def list_commands(self, context: click.Context) -> list[str]:
        """In the order of the headings."""
        return list(self.commands)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Under headings, since they are many; a whole sentence for each."""
        widest = max(map(len, self.commands), default=0)
        for title, names in self._sections.items():
            with formatter.section(title):
                rows = [(f"{name:<{widest}}", self.commands[name].get_short_help_str(LONGEST)) for name in names]
                formatter.write_dl(rows)

    def invoke(self, context: click.Context) -> Any:
        from app.cli.faults import interruption, is_closed_pipe, told

        try:
            return super().invoke(context)
        except (KeyboardInterrupt, click.Abort) as stopped:
            _end_stopped(context, stopped)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if is_closed_pipe(error):
                raise
            if cause := interruption(error):
                _end_stopped(context, cause)
            _end(context, *told(error))


def _end_stopped(context: click.Context, stopped: BaseException) -> NoReturn:
    from app.cli.faults import Stopped

    if isinstance(stopped, Stopped):
        _end(context, f"stopped. {stopped}", Exit.STOPPED)
    click.echo(err=True)
    _end(context, "stopped.", Exit.STOPPED)


def _end(context: click.Context, sentence: str, status: Exit) -> NoReturn:
    if asked(context).debug:
        import traceback

        traceback.print_exc()
    complain(sentence)
    sys.exit(status)


def asked(context: click.Context | None = None) -> Asked:
    """What was said before the command's name."""
    said = (context or click.get_current_context()).find_root().obj
    return said if isinstance(said, Asked) else Asked()


def is_quiet() -> bool:
    """Whether nobody wants to hear how far it is."""
    context = click.get_current_context(silent=True)
    return context is not None and (asked(context).quiet or bool(context.meta.get("calbridge.quiet")))


def config_file() -> str | None:
    """The configuration's path: what --config says, else the environment, else ./config.toml if there is one."""
    from app.config import config_path

    return asked().config or config_path(os.environ)


def parts() -> Parts:
    """The parts, as the configuration says."""
    from app.config import load
    from app.parts import open_parts

    return open_parts(load(config_file(), os.environ))


def json_option(command: F) -> F:
    """`--json`, as every command has it that lists or shows; the command takes `as_json`."""
    told = "JSON for programs: one object, of a list one a line."
    return click.option("--json", "as_json", is_flag=True, help=told)(command)


def slice_options(command: F) -> F:
    """`--limit`, `--offset`, `--search` and `--all` of a long list; the command takes `wanted`, a Slice."""

    @click.option(
        "--limit", "--count", type=click.IntRange(1), default=50, show_default=True, help="How many, at most."
    )
    @click.option("--offset", type=click.IntRange(0), default=0, help="How many to pass over first.")
    @click.option("--search", default="", metavar="TEXT", help="Only those in which this stands.")
    @click.option("--all", "every_one", is_flag=True, help="However many there are.")
    @functools.wraps(command)
    def sliced(*, limit: int, offset: int, search: str, every_one: bool, **more: Any) -> Any:
        from app.store.slices import Slice

        return command(wanted=Slice(EVERY_ONE if every_one else limit, offset, search.strip()), **more)

    return sliced  # type: ignore[return-value]


def quiet_option(command: F) -> F:
    """`--quiet`, as every command has it that takes long."""

    def hush(context: click.Context, _: click.Parameter, said: bool) -> None:
        context.meta["calbridge.quiet"] = said

    told = "Say nothing of how far it is."
    return click.option("--quiet", "-q", is_flag=True, expose_value=False, callback=hush, help=told)(command)
