"""libical through ctypes, where it is installed (Debian's libical3): what it takes to parse a calendar."""

from __future__ import annotations

import ctypes
import ctypes.util
import time
from collections.abc import Callable

VEVENT = 4  # icalcomponent_kind, libical/icalenums.h: NO, ANY, XROOT, XATTACH, VEVENT


def parser() -> Callable[[bytes], tuple[int, float]] | None:
    """Bytes to the number of events and the processor seconds; None where libical is not installed."""
    found = ctypes.util.find_library("ical")
    if found is None:
        return None
    ical = ctypes.CDLL(found)
    ical.icalparser_parse_string.restype = ctypes.c_void_p
    ical.icalparser_parse_string.argtypes = [ctypes.c_char_p]
    ical.icalcomponent_count_components.argtypes = [ctypes.c_void_p, ctypes.c_int]
    ical.icalcomponent_free.argtypes = [ctypes.c_void_p]

    def parse(data: bytes) -> tuple[int, float]:
        begun = time.process_time()
        root = ical.icalparser_parse_string(data)
        spent = time.process_time() - begun
        count = ical.icalcomponent_count_components(root, VEVENT)
        ical.icalcomponent_free(root)
        return count, spent

    return parse
