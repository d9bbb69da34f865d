"""Ends a process with the one that started it: a server that was killed leaves nothing behind that still answers."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

LOOK = 1.0
"""Seconds between two looks at who our parent is."""
GRACE = 10.0
"""Seconds that a process has to finish what it does."""


def end_with(parent: int) -> None:
    """Send ourselves SIGTERM once `parent` is our parent no more, and end for good a little later."""
    Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
