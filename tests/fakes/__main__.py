"""Fake LMSs on loopback ports, to try the real bridges with: `python -m tests.fakes`, or with the names of some.

Prints their URLs and a configuration that connects to them, then serves until it is stopped.
"""

from __future__ import annotations

import argparse
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.fakes.face import KINDS


def started(stack: ExitStack, name: str, port: int, journal: Path | None) -> str:
    """Let a fake listen for as long as the stack is open; its URL as a comment, and its connection."""
    kind = KINDS[name]
    fake = kind.make(journal)
    url = stack.enter_context(kind.serve(fake, port))
    return f"# {url}\n\n{fake.connection(url)}"


def given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("lms", nargs="*", help=f"all, if none is named: {', '.join(KINDS)}")
    parser.add_argument("--port", type=int, default=0, help="of the first one, the others follow; 0: any that are free")
    parser.add_argument("--journal", type=Path, help="file for what is written to the one that is named")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the configuration there, too")
    given = parser.parse_args()
    if unknown := sorted(set(given.lms) - set(KINDS)):
        parser.error(f"there is no {', '.join(unknown)}; there is {', '.join(KINDS)}")
    if given.journal and (len(given.lms) != 1 or not KINDS[given.lms[0]].journals):
        parser.error("--journal goes with one LMS, and one that keeps a journal")
    return given


def main() -> None:
    wishes = given()
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        text = "\n".join(
            started(stack, name, wishes.port and wishes.port + number, wishes.journal)
            for number, name in enumerate(wishes.lms or KINDS)
        )
        if wishes.write:
            wishes.write.write_text(text, "utf-8")
        print(text, end="", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
