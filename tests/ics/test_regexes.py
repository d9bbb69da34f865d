"""Every regular expression that sees a file is linear: no 50 kB of anything keeps it busy."""

from __future__ import annotations

import re
from itertools import product
from time import process_time

import pytest

from app.ics import lines, parse, repair, rrule, values, zones

PATTERNS = {
    f"{module.__name__}.{name}": value
    for module in (lines, parse, repair, rrule, values, zones)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
}
# Those that are looked for anywhere in a text; all others are held against a whole value.
SEARCHED = {
    "app.ics.lines._BREAK",
    "app.ics.lines._CHARSET",
    "app.ics.lines._SURROGATES",
    "app.ics.parse._PARAMS",
    "app.ics.values._CONTROL",
    "app.ics.values._ESCAPE",
    "app.ics.zones._COUNTED",
    "app.ics.zones._LOTUS",
}
LETTERS = ["a", "\\", '"', ";", ":", ",", " ", "1", "A", "-", "\r", "="]
PAIRS = ["".join(pair) for pair in product(LETTERS, repeat=2)]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_regular_expression_is_linear(name: str) -> None:
    pattern = PATTERNS[name]
    for piece in PAIRS:
        text = piece * 25_000
        subject = text.encode() if isinstance(pattern.pattern, bytes) else text
        begun = process_time()
        pattern.fullmatch(subject)
        pattern.match(subject)
        if name in SEARCHED:
            pattern.findall(subject)
        assert process_time() - begun < 0.2, piece  # 50 ms on a machine that is not shared
