"""The page of one feed: how to subscribe with each program, what will be seen, and the holder's own ways with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

import segno
from flask import Blueprint, Response, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from app.feeds.clients import rhythm_of
from app.feeds.feed import Disabled, Form, NotReady, Snapshot, Unknown
from app.feeds.serve import Feeds
from app.web.door import access, lti
from app.web.door.guesses import Guesses
from app.web.lane import ALWAYS
from app.web.language import gettext, lazy, ngettext
from app.web.pages import month
from app.web.problems import answer

bp = Blueprint("subscribe", __name__)

MOST_LISTED, MOST_EMBEDDED = 25, 40
_TOKEN = "/feeds/<token>/<slug>"  # noqa: S105 - a path
IN_ITS_LANGUAGE = "private, max-age=60"
"""How long a browser keeps a page. Caches in front keep none: they would show it in another language."""
_PUBLIC = "/public/<slug>"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a feed is, and what opens it in each program; `page` is the address of its page."""

    page: str
    ics: str

    @property
    def webcal(self) -> str:
        return f"webcal://{self.ics.partition('://')[2]}"

    @property
    def outlook(self) -> str:
        """Its form for Outlook, whose appointments all have an end."""
        return f"{self.ics}?for=outlook"

    @property
    def google(self) -> str:
        return f"{self.ics}?for=google"

    @property
    def google_link(self) -> str:
        """Google takes `webcal` in `cid`, and refuses https there (calagator#556)."""
        return f"https://calendar.google.com/calendar/r?cid={quote(self.webcal + '?for=google', safe='')}"

    def outlook_link(self, title: str, host: str) -> str:
        return f"https://{host}/calendar/0/addfromweb?url={quote(self.outlook, safe='')}&name={quote(title, safe='')}"

    @property
    def reachable(self) -> bool:
        """Whether servers of others can come here: those of Google and Microsoft have to."""
        where = urlsplit(self.ics)
        return where.scheme == "https" and not access.is_loopback(where.netloc)


@bp.get(f"{_PUBLIC}/")
def public(slug: str) -> AnyResponse:
    return _shown(slug, None)


@bp.get(f"{_TOKEN}/")
def secret(token: str, slug: str) -> AnyResponse:
    return _shown(slug, token)


@bp.get(f"{_PUBLIC}/list")
def listed(slug: str) -> AnyResponse:
    """A plain list for other people's pages; which sites may frame it is a setting (feeds.embed)."""
    found = _found(slug, None)
    if not isinstance(found, Snapshot):
        return found
    zone = access.parts().config.zone
    today = found.at.astimezone(zone).date()
    days = month.coming(month.events_of(found.body, zone), today, MOST_EMBEDDED)
    page = render_template("list.html", feed=found.feed, days=days, zone=zone.key, page=_address(slug, None).page)
    frames = " ".join(access.parts().config.feeds.embed) or "'none'"
    policy = f"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors {frames}"
    return Response(page, headers={**ALWAYS, "Content-Security-Policy": policy, "Cache-Control": IN_ITS_LANGUAGE})


@bp.get(f"{_PUBLIC}/qr.svg")
def qr(slug: str) -> AnyResponse:
    found = _found(slug, None)
    return _qr(_address(slug, None).page, "public, max-age=3600") if isinstance(found, Snapshot) else found


@bp.get(f"{_TOKEN}/qr.svg")
def secret_qr(token: str, slug: str) -> AnyResponse:
    """The page's address holds the token: whoever photographs this code can read the feed."""
    found = _found(slug, token)
    return _qr(_address(slug, token).page, "no-store") if isinstance(found, Snapshot) else found


@bp.post(f"{_TOKEN}/renew")
def renew(token: str, slug: str) -> AnyResponse:
    """A new address for whoever holds this one, which is dead then, and those made from it too."""

    def renewed() -> AnyResponse:
        made = _feeds().renew(token, slug)
        lti.addresses().renewed(token, made)
        return redirect(_path(slug, made), 303)

    return _held(token, slug, renewed)


@bp.post(f"{_TOKEN}/revoke")
def revoke(token: str, slug: str) -> AnyResponse:
    """The end of this address, by whoever holds it."""

    def ended() -> AnyResponse:
        _feeds().give_up(token, slug)
        return answer(
            200, lazy("This address is dead now, and those made from it. Calendars that read it will see no more.")
        )

    return _held(token, slug, ended)


def _held(token: str, slug: str, deed: Callable[[], AnyResponse]) -> AnyResponse:
    """Something that cannot be taken back: its form has a box to be ticked."""
    access.caller()  # so that it is noted who asked
    if request.form.get("sure") != "yes":
        return answer(400, lazy("Nothing was done: tick the box that says that you are sure."))
    try:
        return deed()
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, True)


def _shown(slug: str, token: str | None) -> AnyResponse:
    found = _found(slug, token)
    if not isinstance(found, Snapshot):
        return found
    zone = access.parts().config.zone
    today = found.at.astimezone(zone).date()
    events, asked = month.events_of(found.body, zone), month.month_of(request.args.get("month"), today)
    page = render_template(
        "subscribe.html",
        feed=found.feed,
        snapshot=found,
        address=_address(slug, token),
        token=token,
        days=month.coming(events, today, MOST_LISTED),
        month=asked,
        weeks=month.weeks(events, asked, today),
        beside=partial(month.beside, asked),
        zone=zone,
        every=_every,
        qr=token is None or request.args.get("qr") == "show",
        embed=token is None and access.parts().config.feeds.embed,
        total=len(events),
    )
    kept = IN_ITS_LANGUAGE if token is None and not access.caller().by_cookie else "no-store"
    return Response(page, headers={**ALWAYS, "Cache-Control": kept})


def _found(slug: str, token: str | None) -> Snapshot | AnyResponse:
    """The feed as JSON, or the refusal as a page."""
    try:
        if token is None:
            return _feeds().snapshot_for_public(slug, Form.JSON)
        return _feeds().snapshot_for_token(token, slug, Form.JSON)
    except (Unknown, Disabled, NotReady) as error:
        return _refused(error, token is not None)


def _refused(error: Exception, secret: bool) -> AnyResponse:
    """The same for a wrong address as feeds themselves answer, guessers included."""
    match error:
        case NotReady():
            refusal = answer(503, str(error))
            refusal.headers["Retry-After"] = str(error.retry_after)
        case Disabled():
            refusal = answer(404, lazy("This feed has been switched off. Its address is kept for when it is on again."))
        case _:
            guesses: Guesses = current_app.extensions.setdefault("calbridge.guesses", Guesses())
            wait = guesses.wrong(request.remote_addr) if secret else None
            if wait is None:
                refusal = answer(404, lazy("There is no such feed. Ask for its address again where you found it."))
            else:
                refusal = answer(429, lazy("Too many wrong addresses: wait a minute."))
                refusal.headers["Retry-After"] = str(wait)
    refusal.headers["Cache-Control"] = "no-store"
    return refusal


def _every(client: str) -> str:
    """How often that family of programs looks, as a sentence."""
    rhythm = rhythm_of(client)
    if rhythm is None:
        return gettext("%(program)s looks as often as you choose.", program=client)
    minutes = round(rhythm.total_seconds() / 60)
    if minutes < 60:
        return ngettext(
            "%(program)s looks every minute.", "%(program)s looks every %(num)s minutes.", minutes, program=client
        )
    return ngettext(
        "%(program)s looks about every hour.",
        "%(program)s looks about every %(num)s hours.",
        round(minutes / 60),
        program=client,
    )


def _address(slug: str, token: str | None) -> Address:
    path = _path(slug, token)
    return Address(f"{access.base_url()}{path}", f"{access.base_url()}{path.removesuffix('/')}.ics")


def _path(slug: str, token: str | None) -> str:
    return f"/public/{slug}/" if token is None else f"/feeds/{token}/{slug}/"


def _qr(text: str, kept: str) -> Response:
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", scale=4, border=4, light="#fff", xmldecl=False)
    return Response(out.getvalue(), headers={**ALWAYS, "Cache-Control": kept}, content_type="image/svg+xml")


def _feeds() -> Feeds:
    return access.parts().feeds
