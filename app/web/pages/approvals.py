"""The link in a mail: shows a plan that waits, and takes a yes or a no to it, and to no other.

To look changes nothing, for mail scanners follow links. The link is the credential; whoever has it needs no other.
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from app.imports.record.runs import Ending, NoRun, NotWaiting, Run
from app.notices.ticket import Ticket, opened
from app.web.door import access
from app.web.language import lazy
from app.web.pages import plan_shown
from app.web.pages.imports import NAMES
from app.web.problems import answer

ROWS = 500
"""Changes that the page shows."""
GONE = 410
"""The status of every link that is not good (any more), so that nobody learns which of them once was."""

bp = Blueprint("approvals", __name__, url_prefix="/approve/<sealed>/plan")


@bp.get("")
def look(sealed: str) -> Response:
    run = _waiting(sealed)
    return _no_longer(sealed) if run is None else _asked(run)


@bp.post("")
def say(sealed: str) -> Response:
    run = _waiting(sealed)
    said = request.form.get("answer")
    if run is None:
        return _no_longer(sealed)
    if said not in ("yes", "no"):
        return answer(400, lazy("Say yes or no: send the form's field 'answer'."))
    parts = access.parts()
    try:
        if said == "no":
            return _kept(render_template("approve.html", rejected=parts.imports.cancel(run.id)))
        outcome = parts.imports.approve(run.id)
    except NotWaiting:
        return _no_longer(sealed)
    return _kept(render_template("outcome.html", outcome=outcome, zone=parts.config.zone, names=NAMES))


def _asked(run: Run) -> Response:
    zone = access.parts().config.zone
    changes = (run.plan or {}).get("changes", ())
    days = plan_shown.days(changes[:ROWS], zone)
    return _kept(render_template("approve.html", run=run, days=days, more=len(changes) - ROWS, zone=zone))


def _waiting(sealed: str) -> Run | None:
    """The run that this link is good for by now."""
    parts = access.parts()
    ticket = _ticket(sealed)
    if ticket is None:
        return None
    try:
        run = parts.imports.get(ticket.run)
    except NoRun:
        return None
    return run if run.state is Ending.HELD and ticket.is_good(run, parts.now()) else None


def _ticket(sealed: str) -> Ticket | None:
    parts = access.parts()
    return opened(sealed, parts.notices.key()) if parts.config.mail.host else None


def _no_longer(sealed: str) -> Response:
    ticket = _ticket(sealed)
    if ticket is None:
        return answer(GONE, lazy("This link is none of ours, or is not whole: open it from the mail again."))
    number = ticket.run
    try:
        run = access.parts().imports.get(number)
    except NoRun:
        return answer(GONE, lazy("Run %(run)s is no longer known here.", run=number))
    if run.state is Ending.HELD:
        return answer(
            GONE, lazy("The plan of run %(run)s has changed since this mail: a newer mail has its link.", run=number)
        )
    return answer(GONE, lazy("Run %(run)s waits for nobody any more (%(state)s).", run=number, state=NAMES[run.state]))


def _kept(page: str) -> Response:
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
