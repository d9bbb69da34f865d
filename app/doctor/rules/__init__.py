"""The rules, by what they look at."""

from __future__ import annotations

from app.doctor.finding import Rule
from app.doctor.rules.events import RULES as OF_EVENTS
from app.doctor.rules.head import RULES as OF_THE_HEAD
from app.doctor.rules.series import RULES as OF_SERIES
from app.doctor.rules.server import RULES as OF_THE_SERVER
from app.doctor.rules.text import RULES as OF_THE_TEXT
from app.doctor.rules.twice import RULES as OF_TWO_FETCHES
from app.doctor.rules.zones import RULES as OF_ZONES

RULES: tuple[Rule, ...] = (
    *OF_THE_TEXT,
    *OF_THE_HEAD,
    *OF_ZONES,
    *OF_EVENTS,
    *OF_SERIES,
    *OF_THE_SERVER,
    *OF_TWO_FETCHES,
)
