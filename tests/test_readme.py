"""README is held to the code: its commands exist, its tables are whole, its first example is a valid configuration."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import bridges
from app.cli import main
from app.config import parse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"(?:\.venv/bin/)?calbridge ([a-z][^`\n|#]*)", README)))


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[0] in main.commands])
def test_every_command_that_is_shown_exists_with_its_options(command: str) -> None:
    found: click.Command = main
    words = shlex.split(command.replace("[", "").replace("]", ""))
    while words and isinstance(found, click.Group) and words[0] in found.commands:
        found = found.commands[words.pop(0)]
    options = {name for parameter in found.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_readme_shows_the_commands_that_people_need() -> None:
    shown = {line.split()[0] for line in COMMANDS}
    assert set(main.commands) <= shown, f"README does not tell of {set(main.commands) - shown}"


def test_every_lms_is_in_the_table() -> None:
    for bridge in bridges.REGISTRY:
        assert f"| `{bridge}`" in README


def test_the_configuration_that_is_shown_can_be_used() -> None:
    example, of_courses = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert parse(example, {"LEARN_SECRET": "x"}).connections["learn"].bridge == "blackboard"
    both = f'server.public_url = "https://cal.example.edu"\n{example}\n{of_courses}'
    assert parse(both, {"LEARN_SECRET": "x"}).lti["learn"].course == "uuid:{context.id}"


def test_the_test_command_is_the_one_that_is_run_elsewhere() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    (shown,) = re.findall(r"## Test it\n\n```sh\n(.*)\n```", README)
    assert shown.split(" && ")[-1] in script
    assert "pip install" in script
