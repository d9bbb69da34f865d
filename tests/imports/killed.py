"""A process to kill: it imports a term into a calendar of our own, over the database at the path given."""

from __future__ import annotations

import sys
from pathlib import Path

import requests

from app.store.leases import lease
from bridges.contract import Tools
from bridges.local import LocalBridge, LocalSettings
from tests import stores
from tests.imports.bench import HERE, NOW, Bench, term


def bridge(path: Path) -> LocalBridge:
    tools = Tools(now=lambda: NOW, session=requests.Session, database=stores.url(path))
    return LocalBridge("lms", LocalSettings(), tools)


def main(path: Path, events: int) -> None:
    engine = stores.at(path)
    bench = Bench(engine, wanted=term(events))
    with lease(engine, "import", lambda: NOW):
        print("running", flush=True)
        bench.run(bridge(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    print(HERE, "done", flush=True)
