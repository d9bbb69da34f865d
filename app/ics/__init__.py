"""iCalendar, read and written: bytes to occurrences, events to bytes. Pure: no clock, no network, no database."""

from app.ics.problems import Limits, NotACalendar, Problem
from app.ics.read import Reading, read_occurrences

__all__ = ["Limits", "NotACalendar", "Problem", "Reading", "read_occurrences"]
