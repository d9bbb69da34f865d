"""What of a run's plan and report has no place in its row: lists of thousands, kept in pages and read in parts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from app.imports.record.runs import Run
from app.imports.spool import HELD, in_blocks
from app.store import tables
from app.store.engine import writing

LISTS = {"changes": "plan", "done": "report", "refused": "report", "left": "report"}
"""The lists that may be long, and of what."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The table of the pages."""

    engine: Engine

    def keep(self, run: int, what: str, rest: Iterable[Any]) -> str:
        """Keep all of a list but its first page, which is in the run itself; the hash of it, hex.

        What was kept of it before gives way to it. A page is a transaction: they are nothing without their run.
        """
        table, digest = tables.import_page, sha256()
        if self._page(run, what, 1) is not None:
            with writing(self.engine) as connection:
                connection.execute(delete(table).where(table.c.run_id == run, table.c.what == what))
        for number, page in enumerate(in_blocks(rest, HELD), 1):
            text = json.dumps(page, ensure_ascii=False).encode("utf-8", "surrogatepass")
            digest.update(text)
            values = {"run_id": run, "what": what, "number": number, "data": zlib.compress(text, 1)}
            with writing(self.engine) as connection:
                connection.execute(insert(table).values(values))
        return digest.hexdigest()

    def part(self, run: Run, what: str, offset: int = 0, limit: int = HELD) -> list[Any]:
        """So many of a list, from that one on."""
        first, begin = divmod(offset, HELD)
        items = (each for page in self._from(run, what, first) for each in page)
        return list(islice(items, begin, begin + limit))

    def count(self, run: Run, what: str) -> int:
        """How long a list is."""
        inline = getattr(run, LISTS[what]) or {}
        return len(inline.get(what, ())) + int(inline.get("more", {}).get(what, 0))

    def whole(self, run: Run, what: str) -> Whole:
        """All of a list, read page by page each time that it is gone through."""
        return Whole(self, run, what)

    def _from(self, run: Run, what: str, first: int) -> Iterator[Sequence[Any]]:
        inline = getattr(run, LISTS[what]) or {}
        if not first:
            yield inline.get(what, ())
        if not inline.get("more", {}).get(what):
            return
        number = max(first, 1)
        while (page := self._page(run.id, what, number)) is not None:
            yield page
            number += 1

    def _page(self, run: int, what: str, number: int) -> list[Any] | None:
        table = tables.import_page.c
        query = select(table.data).where(table.run_id == run, table.what == what, table.number == number)
        with self.engine.connect() as connection:
            data = connection.execute(query).scalar()
        if data is None:
            return None
        page: list[Any] = json.loads(zlib.decompress(data).decode("utf-8", "surrogatepass"))
        return page


@dataclass(frozen=True, slots=True)
class Whole:
    """A list that lies in pages."""

    pages: Pages
    run: Run
    what: str

    def __iter__(self) -> Iterator[Any]:
        return (each for page in self.pages._from(self.run, self.what, 0) for each in page)
