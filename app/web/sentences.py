"""The sentences that the core composes and that pages show, as patterns for `app.web.spoken` and the catalogues.

Each stands here as the code that makes it writes it; a test holds them together. `%(why)s` and `%(then)s` are places of
another sentence, `%(num)s` is the number that decides between the two forms of `counted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """A pattern in English; `many` is its other form, empty where it has but one."""

    one: str
    many: str = ""


def says(text: str) -> Sentence:
    """A sentence of one form."""
    return Sentence(text)


def counted(one: str, many: str) -> Sentence:
    """A sentence whose form depends on a number."""
    return Sentence(one, many)


SENTENCES: Sequence[Sentence] = ()
