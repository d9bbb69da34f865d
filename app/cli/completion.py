"""`completion`, and what shells are told of names while somebody types: quickly or not at all."""

from __future__ import annotations

import click

from app.cli.common import Program


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and names of calbridge.

    \b
    Example: calbridge completion bash >~/.local/share/bash-completion/completions/calbridge
             calbridge completion zsh >"${fpath[1]}/_calbridge"
             calbridge completion fish >~/.config/fish/completions/calbridge.fish

    Names are looked up within a second, or as many as CALBRIDGE_PATIENCE says.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    program = click.get_current_context().find_root().command
    if found is None or not isinstance(program, Program):
        raise TypeError("click completes for all shells of the choice above")
    click.echo(found(program, {}, "calbridge", "_CALBRIDGE_COMPLETE").source())
