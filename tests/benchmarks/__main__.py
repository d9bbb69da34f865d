"""`python -m tests.benchmarks feed` measures one thing and prints a table; without a name it tells what there is."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

NAMES = {path.stem.rstrip("_"): path.stem for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))}
"""What can be measured → its module; `import` is no name that a module can have."""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in NAMES:
        print(f"usage: python -m tests.benchmarks {{{','.join(NAMES)}}}", file=sys.stderr)
        return 2
    import_module(f"tests.benchmarks.{NAMES[arguments[0]]}").main(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
