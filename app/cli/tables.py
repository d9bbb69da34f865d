"""Lists and facts: tables as wide as the terminal for people, tabs for pipes, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from app.cli.terminal import cell, complain, harmless, is_terminal, say, say_json

if TYPE_CHECKING:
    from app.store.slices import Part

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table. `folds` says that its text may go on in the next line where the terminal is narrow."""

    name: str
    of: Callable[[T], object]
    folds: bool = False
    right: bool = False


def tell(items: Iterable[T], columns: Sequence[Column[T]], to_json: Callable[[T], Any], as_json: bool) -> None:
    """Print a list: a table on a terminal, a line with tabs for each in a pipe, a JSON object a line with `as_json`."""
    if as_json:
        for item in items:
            say_json(to_json(item))
    elif is_terminal():
        _table(list(items), columns)
    else:
        for item in items:
            say("\t".join(cell(column.of(item)) for column in columns).rstrip())


def tell_part(part: Part[T], columns: Sequence[Column[T]], to_json: Callable[[T], Any], as_json: bool) -> None:
    """The same for a part of a long list; on standard error how many more there are."""
    tell(part.items, columns, to_json, as_json)
    if part.more:
        say(f"… and {part.more:,} more: --offset {part.offset + len(part.items)}, --search TEXT, or --all", err=True)
    elif not part.items and is_terminal() and not as_json:
        say("There is none." if part.of == 0 else f"There are no more than {part.of:,}.", err=True)


def tell_facts(facts: Mapping[str, object], as_json: bool, told: Any = None) -> None:
    """Print what there is to say of one thing, name by name; `told` is its JSON where that says more."""
    if as_json:
        say_json(facts if told is None else told)
    elif is_terminal():
        _facts(facts)
    else:
        for name, value in facts.items():
            say(f"{name}: {cell(value)}".rstrip())


def warn_all(texts: Iterable[str]) -> None:
    """Say each on standard error."""
    for text in texts:
        complain(text)


def _table(items: Sequence[T], columns: Sequence[Column[T]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not items:
        return
    headed = any(column.name for column in columns)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=headed)
    for column in columns:
        justify: Any = "right" if column.right else "left"
        table.add_column(column.name, justify=justify, no_wrap=not column.folds, overflow="fold")
    for item in items:
        table.add_row(*(Text(harmless(cell(column.of(item)))) for column in columns))
    Console(highlight=False, emoji=False, markup=False).print(table)


def _facts(facts: Mapping[str, object]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(harmless(cell(value))))
    Console(highlight=False, emoji=False, markup=False).print(table)
