"""Tickets: what the link in a mail is signed over, so that it is good for one run, one plan, and for a time. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from itsdangerous import BadData, URLSafeSerializer

from app.imports.record.runs import Run

PURPOSE = "say yes or no to a plan"


@dataclass(frozen=True, slots=True)
class Ticket:
    """`plan` is the hash of the plan that the yes is for; `until` is in whole seconds since 1970."""

    run: int
    plan: str
    until: int

    def is_good(self, run: Run, now: datetime) -> bool:
        """Whether it is (still) for this run as it waits by now; `now` is aware."""
        return self.run == run.id and self.plan == plan_hash(run) and now.timestamp() < self.until


def ticket_for(run: Run) -> Ticket:
    """The ticket of a run that waits. ValueError for one that does not."""
    if run.expires_at is None:
        raise ValueError(f"run {run.id} does not wait for a yes")
    return Ticket(run.id, plan_hash(run), int(run.expires_at.timestamp()))


def plan_hash(run: Run) -> str:
    """SHA-256 of all that would be changed, hex: what a yes is given to."""
    plan = run.plan or {}
    more = [plan["more"]] if "more" in plan else []  # with the hash of those that are kept in pages
    text = json.dumps(
        [str(run.calendar), run.source, plan.get("changes", []), *more], sort_keys=True, ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(ticket: Ticket, key: bytes) -> str:
    """The ticket as a part of an address, signed with the key."""
    return _signer(key).dumps([ticket.run, ticket.plan, ticket.until])


def opened(text: str, key: bytes) -> Ticket | None:
    """The ticket again; None where the text was not signed with this key for this purpose."""
    try:
        run, plan, until = _signer(key).loads(text)
        return Ticket(int(run), str(plan), int(until))
    except (BadData, ValueError, TypeError):
        return None


def _signer(key: bytes) -> URLSafeSerializer:
    options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeSerializer(key, salt=PURPOSE, signer_kwargs=options)
