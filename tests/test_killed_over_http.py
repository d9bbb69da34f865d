"""The whole way: the command line, over HTTP, into an LMS in another process, killed again and again."""

from __future__ import annotations

import pytest

from tests.soak import killed


@pytest.mark.parametrize("lost", [0.0, 0.05], ids=["answers arrive", "answers get lost"])
def test_a_killed_import_ends_with_each_lesson_once(lost: float) -> None:
    assert "each there once" in killed(series=6, weeks=10, kills=4, seed=3, lost=lost)
