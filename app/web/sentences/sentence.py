"""A sentence of the core, as a pattern."""

from __future__ import annotations

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
