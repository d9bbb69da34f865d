"""Names for a shell that completes a word: of feeds, runs, LMSs and calendars; within a second, or none at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import click

from app.cli.terminal import HARMFUL, cell, harmless

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from app.config import Config
    from app.store.names import Names

PATIENCE = 1.0
"""Seconds that somebody waits for names after a Tab; CALBRIDGE_PATIENCE names others, for a slow machine."""
UNFIT = re.compile(rf"{HARMFUL.pattern}|[\s:]")
"""What no name may hold that is put into somebody's command line; a colon is where bash parts words."""

Ask = Callable[["Config", str], "Names"]


def _in_time(ask: Ask, config: str | None, begun: str) -> Names:
    """What is found while somebody waits. Whoever looks for longer ends with the process, and a fault is no answer."""
    found: list[tuple[str, str]] = []

    def look() -> None:
        from app.config import config_path, load

        with suppress(Exception):  # nobody wants a complaint in the middle of a word
            found.extend(ask(load(config or config_path(os.environ), os.environ), begun))

    looker = Thread(target=look, daemon=True)
    looker.start()
    looker.join(_patience())
    return list(found)


def _patience() -> float:
    try:
        return float(os.environ["CALBRIDGE_PATIENCE"])
    except (KeyError, ValueError):
        return PATIENCE


def _completer(ask: Ask) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = _in_time(ask, context.find_root().params.get("path"), begun)
        return [CompletionItem(name, help=harmless(cell(about))) for name, about in found if not UNFIT.search(name)]

    return complete


def _stored(which: str) -> Ask:
    """Asks the store as it is: a Tab makes no database and migrates none."""

    def ask(config: Config, begun: str) -> Sequence[tuple[str, str]]:
        from sqlalchemy import make_url

        from app.store import names
        from app.store.engine import open_engine

        url = make_url(config.store.url)
        if url.get_backend_name() == "sqlite" and not os.path.exists(url.database or ""):
            return []
        found: Names = getattr(names, which)(open_engine(config.store.url), begun)
        return found

    return ask


def _lmss(config: Config, begun: str) -> Names:
    return [(name, one.bridge) for name, one in sorted(config.connections.items()) if name.startswith(begun)]


FEEDS = _completer(_stored("feeds"))
RUNS = _completer(_stored("runs"))
SUBSCRIPTIONS = _completer(_stored("subscriptions"))
CALENDARS = _completer(_stored("calendars"))
LMSS = _completer(_lmss)
