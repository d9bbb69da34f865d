"""A part of a long list: so many from there on, of those that hold a text, and how many there are in all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal, or_, select

T = TypeVar("T")
U = TypeVar("U")
USUAL = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """`limit` at most, from `offset` on, of those in which `search` stands, in whatever case; empty: of all."""

    limit: int = USUAL
    offset: int = 0
    search: str = ""


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What a slice holds, from `offset` on, of how many there are in all."""

    items: Sequence[T]
    of: int
    offset: int = 0

    @property
    def more(self) -> int:
        """How many come after these."""
        return max(self.of - self.offset - len(self.items), 0)

    def map(self, change: Callable[[T], U]) -> Part[U]:
        return Part([change(item) for item in self.items], self.of, self.offset)


def part_of(
    connection: Connection, query: Select[Any], asked: Slice, searched: Sequence[ColumnElement[Any]]
) -> Part[Row[Any]]:
    """The rows of the ordered query that are asked for; `searched` are the columns that are looked through."""
    if asked.search:
        query = query.where(or_(*(column.icontains(asked.search, autoescape=True) for column in searched)))
    each = query.with_only_columns(literal(1), maintain_column_froms=True).order_by(None).subquery()
    of = connection.execute(select(func.count()).select_from(each)).scalar() or 0
    rows = connection.execute(query.offset(asked.offset).limit(asked.limit)).all()
    return Part(rows, of, asked.offset)


def part_of_all(items: Sequence[T], asked: Slice, text: Callable[[T], str]) -> Part[T]:
    """The same of what is in hand already; `text` is what of an item is looked through."""
    wanted = asked.search.casefold()
    found = [item for item in items if wanted in text(item).casefold()] if wanted else items
    return Part(found[asked.offset : asked.offset + asked.limit], len(found), asked.offset)
