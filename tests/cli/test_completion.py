"""What Tab offers, in a real shell: commands, options and names from the store; nothing at all where that fails."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.campus import LECTURES, calendar
from tests.cli.shell import COURSE, Shell

BASH = shutil.which("bash")
ZSH = shutil.which("zsh")
FISH = shutil.which("fish")


@pytest.fixture
def desk(shell: Shell, tmp_path: Path) -> Shell:
    """Where `calbridge` is on the path and has a feed, a run and a configuration of its own."""
    shell("feed", "add", "biology", "--calendar", COURSE, "--title", "Biology: \x1b\n‮ the first", "--public")
    shell("import", shell.write("t.ics", calendar(LECTURES)), "--into", COURSE)
    program = tmp_path / "bin" / "calbridge"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli "$@"\n')
    program.chmod(0o755)
    return shell


def bash(desk: Shell, *typed: str) -> list[set[str]]:
    """What bash offers for each of these lines, the last word of which is begun."""
    assert BASH
    ask = """
    COMPREPLY=() COMP_WORDS=(calbridge {words}) COMP_CWORD={last}
    _calbridge_completion calbridge
    echo "${{COMPREPLY[@]}}"
    """
    asked = [ask.format(words=line if line[-1] != " " else f"{line}''", last=len(line.split(" "))) for line in typed]
    script = f'PATH="{desk.folder}/bin:$PATH"; eval "$(calbridge completion bash)"' + "".join(asked)
    environment = {"PATH": "/usr/bin:/bin", "CALBRIDGE_CONFIG": str(desk.config), "HOME": str(desk.folder)}
    environment |= {"CALBRIDGE_PATIENCE": "60", "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    words = [BASH, "--norc", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    return [set(line.split()) for line in done.stdout.splitlines()]


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_bash_offers_commands_options_and_names(desk: Shell) -> None:
    commands, options, feeds, runs, calendars = bash(
        desk, "sub", "import --a", "feed show bio", "run show ", "purge --into demo/c"
    )
    assert commands == {"subscription"}
    assert options == {"--approve"}
    assert feeds == {"biology"}
    assert runs == {"1"}
    assert COURSE in calendars


@pytest.mark.skipif(ZSH is None, reason="there is no zsh")
def test_zsh_takes_the_script(shell: Shell) -> None:
    assert ZSH
    script = shell("completion", "zsh").stdout
    subprocess.run([ZSH, "-f", "-c", f"autoload -Uz compinit; compinit -u; {script}"], check=True)


@pytest.mark.skipif(FISH is None, reason="there is no fish")
def test_fish_takes_the_script_and_offers_names(desk: Shell) -> None:
    assert FISH
    script = (
        f"set PATH {desk.folder}/bin $PATH; calbridge completion fish | source; complete -C 'calbridge feed show bio'"
    )
    environment = {"PATH": "/usr/bin:/bin", "CALBRIDGE_CONFIG": str(desk.config), "HOME": str(desk.folder)}
    done = subprocess.run(
        [FISH, "--no-config", "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert "biology" in done.stdout


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: Shell, shell_name: str) -> None:
    assert "_CALBRIDGE_COMPLETE" in shell("completion", shell_name).stdout


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setenv("CALBRIDGE_PATIENCE", "60")


def offered(desk: Shell, *words: str) -> list[str]:
    """What zsh would be told: kind, name and what it is, each on a line."""
    from click.shell_completion import get_completion_class

    from app.cli import main

    shell = get_completion_class("zsh")
    assert shell
    told = shell(main, {}, "calbridge", "_CALBRIDGE_COMPLETE")
    items = told.get_completions(["--config", str(desk.config), *words[:-1]], words[-1])
    return "\n".join(map(told.format_completion, items)).split("\n")


def test_a_name_comes_with_what_it_is_on_one_harmless_line(desk: Shell) -> None:
    assert offered(desk, "feed", "show", "bio") == ["plain", "biology", "Biology: � the first"]


def test_no_names_where_there_is_no_store_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "shell").mkdir()
    shell = Shell(tmp_path / "shell")
    shell.config.write_text(f'store.url = "sqlite:///{tmp_path}/none.sqlite3"\n')
    assert offered(shell, "feed", "show", "b") == [""]
    assert not list(tmp_path.glob("none*"))
    shell.config.write_text("zone = 'Mars'\n[[")
    assert offered(shell, "feed", "show", "b") == [""]
    assert offered(shell, "calendars", "d") == [""]


def test_a_store_that_never_answers_keeps_nobody_waiting(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://x:x@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=60"
        shell.config.write_text(f'store.url = "{url}"\n')
        monkeypatch.setenv("CALBRIDGE_PATIENCE", "0.5")
        before = time.monotonic()
        assert offered(shell, "feed", "show", "b") == [""]
        assert time.monotonic() - before < 20
