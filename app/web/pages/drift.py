"""The page of people's changes: what was written and what stands there now, side by side, and what becomes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.imports.drift.changes import Drift, Policy, shown
from app.web import uploads
from app.web.door import access
from app.web.language import gettext, lazy
from app.web.pages.plan_shown import cut
from app.web.pages.shown import whole
from app.web.spoken import plain
from bridges.model import AllDay, CalendarRef, Timed

bp = Blueprint("drifted", __name__, url_prefix="/drift")

POLICIES = {
    "usual": lazy("as usual"),
    "keep": lazy("stay as people made them"),
    "ask": lazy("wait here for your word"),
    "overwrite": lazy("are written over"),
}
MOST = 100
"""Changes that one page shows."""
FIELDS = {
    "title": lazy("title"),
    "when": lazy("time"),
    "text": lazy("description"),
    "place": lazy("place"),
    "categories": lazy("categories"),
    "url": lazy("link"),
    "status": lazy("status"),
}
"""What a field of an event is called."""
KINDS = {"edited": lazy("edited"), "moved": lazy("moved"), "deleted": lazy("deleted")}


@dataclass(frozen=True, slots=True)
class Side:
    """One field that differs: what was written, and what stands there."""

    name: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Group:
    """The changes to what one import wrote into one calendar."""

    calendar: CalendarRef
    source: str
    policy: str
    drifts: Sequence[tuple[Drift, Sequence[Side]]]


@bp.get("")
def every_one() -> str:
    """All that does not stand as written. Reads no LMS."""
    parts = access.parts()
    found = [each for each in parts.drifts.list() if access.may_see(each.calendar)]
    groups: dict[tuple[CalendarRef, str], list[Drift]] = defaultdict(list)
    for each in found[:MOST]:
        groups[each.calendar, each.source].append(each)
    return render_template(
        "drift.html",
        groups=[_group(calendar, source, drifts) for (calendar, source), drifts in groups.items()],
        more=len(found) - MOST,
        policies=POLICIES,
        kinds=KINDS,
        mine=access.may_write(),
        zone=parts.config.zone,
        told=request.args.get("told", "")[:300],
    )


@bp.post("/check")
def check() -> Response:
    """Compare a calendar with what was written."""
    parts = access.parts()
    calendar, _ = uploads.target(request.form, parts)
    found = parts.drifts.check(calendar)
    if found.problem:
        return _back(f"{calendar}: {plain(found.problem)}")
    told = gettext(
        "%(calendar)s: %(same)s as written, %(others)s as people made them.",
        calendar=calendar,
        same=found.same,
        others=len(found.drifts),
    )
    return _back(told)


@bp.post("/policy")
def policy() -> Response:
    """What becomes of people's changes to one import from now on."""
    parts = access.parts()
    calendar, source = uploads.target(request.form, parts)
    name = request.form.get("policy", "")
    if name not in POLICIES:
        raise uploads.BadUpload(f"'policy' is one of {', '.join(POLICIES)}, not '{name}'")
    parts.drifts.policies.set(calendar, source, None if name == "usual" else Policy(name))
    return _back(gettext("Kept: people’s changes to this import %(what)s.", what=POLICIES[name]))


@bp.post("/<int(max=2147483647):id>/<any(accept, restore):what>")
def decide(id: int, what: str) -> Response:
    """Agree to what somebody made of it, or write it again as its file has it."""
    drifts = access.parts().drifts
    if what == "accept":
        drifts.accept([id])
        return _back(gettext("Accepted."))
    (outcome,) = drifts.restore([id])
    return (
        _see(url_for("imports.run", run=outcome.run_id))
        if outcome.run_id
        else _back(gettext("There was nothing to do."))
    )


def _group(calendar: CalendarRef, source: str, drifts: Sequence[Drift]) -> Group:
    parts = access.parts()
    set_ones: Mapping[tuple[CalendarRef, str], Policy] = {
        (ref, name): policy for ref, name, policy in parts.drifts.policies.every_one()
    }
    policy = set_ones.get((calendar, source))
    return Group(calendar, source, policy.value if policy else "usual", [(each, _sides(each)) for each in drifts])


def _sides(drift: Drift) -> Sequence[Side]:
    zone = access.parts().config.zone
    return [
        Side(str(FIELDS[name]), _told(ours, zone), _told(theirs, zone))
        for name, (ours, theirs) in drift.differences().items()
    ]


def _told(value: Any, zone: ZoneInfo) -> str:
    return whole(value, zone) if isinstance(value, Timed | AllDay) else cut(shown(value, zone))


def _back(told: str) -> Response:
    return _see(url_for("drifted.every_one", told=told))


def _see(path: str) -> Response:
    return redirect(path, 303)  # type: ignore[return-value]
