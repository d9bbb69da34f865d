"""A fake LMS as a process of its own: `python -m tests.fakes blackboard --port 0 --journal FILE`.

Prints its URL and a connection for the configuration, then serves until it is killed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.fakes.blackboard import FakeLearn
from tests.fakes.wsgi import server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("lms", choices=["blackboard"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    given = parser.parse_args()
    learn = FakeLearn(journal=given.journal)
    listening = server(learn, given.port)
    url = f"http://127.0.0.1:{listening.port}"
    print(
        f"# {url}\n\n[lms.learn]\n"
        f'bridge = "blackboard"\nurl = "{url}"\nkey = "{learn.key}"\nsecret = "{learn.secret}"\n'
        f'zone = "{learn.settings.zone}"',
        flush=True,
    )
    listening.serve_forever()


if __name__ == "__main__":
    main()
