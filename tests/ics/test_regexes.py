"""Every regular expression of the app is linear: no 50 kB of anything keeps one busy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from time import process_time

import pytest

import app

ROOT = Path(app.__file__).parent
USES = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
SEARCHES = USES[2:]
"""These look for it anywhere in a text, the others hold it against a whole value."""
LETTERS = ["a", "\\", '"', ";", ":", ",", " ", "1", "A", "-", "\r", "="]
PAIRS = ["".join(pair) for pair in product(LETTERS, repeat=2)]
SECONDS = 0.1
"""50 ms on a machine that is not shared."""


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes], bool]]:
    """Each with its place, and whether it is searched for."""
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if not re.search(r"^\s*(import re$|from re )", source, re.MULTILINE):
            continue
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for key, value in vars(import_module(name)).items():
            if isinstance(value, re.Pattern):
                yield f"{name}.{key}", value, any(f"{key}.{use}(" in source for use in SEARCHES)
        yield from (
            (f"{name} line {call.lineno}", re.compile(_written(call)), call.func.attr in SEARCHES)
            for call in ast.walk(ast.parse(source))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            if call.func.attr in USES and isinstance(call.func.value, ast.Name) and call.func.value.id == "re"
        )


def _written(call: ast.Call) -> str:
    """The pattern in a call of `re` itself; one that is put together as it goes cannot be listed, and is refused."""
    pattern = ast.literal_eval(call.args[0])
    assert isinstance(pattern, str)
    return pattern


FOUND = {name: (pattern, searched) for name, pattern, searched in patterns()}


def test_there_are_some() -> None:
    assert len(FOUND) > 30
    assert FOUND["app.ics.parse._PARAMS"][1]
    assert not FOUND["app.ics.parse._NAME"][1]


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_regular_expression_is_linear(name: str) -> None:
    pattern, searched = FOUND[name]
    for piece in PAIRS:
        text = piece * 25_000
        subject = text.encode() if isinstance(pattern.pattern, bytes) else text
        assert any(spent(pattern, subject, searched) < SECONDS for _ in range(3)), piece


def spent(pattern: re.Pattern[str] | re.Pattern[bytes], subject: str | bytes, searched: bool) -> float:
    begun = process_time()
    pattern.fullmatch(subject)  # type: ignore[arg-type]
    pattern.match(subject)  # type: ignore[arg-type]
    if searched:
        pattern.findall(subject)  # type: ignore[arg-type]
    return process_time() - begun
