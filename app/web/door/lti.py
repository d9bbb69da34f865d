"""Opening from inside a course (LTI 1.3): a student comes to the course's calendar, a teacher to its import page.

Nobody signs in here: the LMS vouches for whoever comes. Its pages may show ours, in a frame. A browser that keeps no
cookie there is told so before the LMS is asked anything, and goes on in a window of its own, where it keeps one.
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, session

from app.feeds.feed import Disabled
from app.lti import keys, ours
from app.lti.addresses import Addresses, NoFeed
from app.lti.claims import Launch, LaunchRefused, Message, Part, deployment_of, launch_of
from app.lti.idtoken import opened
from app.lti.keys import Keys
from app.lti.logins import BROWSER, PATIENCE, Begun, Logins, new_browser
from app.lti.platform import Platform
from app.parts import Parts, fetch_settings
from app.people import audit
from app.web.answers import as_json
from app.web.door import access
from app.web.door import session as sessions
from app.web.door.callers import Caller, Right
from app.web.lane import EVERYWHERE
from app.web.language import gettext
from bridges.model import CalendarRef
from bridges.settings import secured

log = logging.getLogger(__name__)

bp = Blueprint("lti", __name__, url_prefix="/lti")

ASKED = ("iss", "login_hint", "target_link_uri", "lti_message_hint", "lti_deployment_id", "client_id")
"""What a platform says when it begins."""
LONGEST = 4000
"""Letters of one of these."""
_NOBODY_FRAMES = "frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Course:
    """Where somebody came from."""

    calendar: CalendarRef
    title: str


def install(app: Flask, parts: Parts) -> None:
    """Remember the platforms' keys; let the sites of the platform that somebody came from show our pages."""
    settings = fetch_settings(parts.config)
    app.extensions["calbridge.lti"] = Keys(lambda url: keys.fetched(url, settings, parts.now()), parts.now)
    app.after_request(_framed)
    app.context_processor(lambda: {"launched": course(), "platforms_of": _platforms_of})
    app.register_error_handler(LaunchRefused, _refused)


def course() -> Course | None:
    """The course that this browser came from, None where it came from none."""
    if not sessions.platform() or "course" not in session:
        return None
    calendar, title = session["course"]
    return Course(CalendarRef.parse(calendar), title)


# -------------------------------------------------------------------------------------------------------- the sign-in


@bp.route("/login", methods=["GET", "POST"])
def login() -> Response:
    """Where a launch begins: on to the LMS, which says who it is."""
    asked = {name: request.values[name] for name in ASKED if request.values.get(name)}
    if any(len(value) > LONGEST for value in asked.values()):
        raise LaunchRefused("The LMS says more than can be understood.", 400)
    g.lti, platform = _platform_of(asked)
    browser = request.cookies.get(_cookie(), "")
    if not BROWSER.fullmatch(browser):
        return _without_cookie(asked) if "tried" in request.args else _with_cookie(asked)
    state, nonce = _logins().begin(g.lti, browser)
    question = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": f"{access.base_url()}/lti/launch",
        "login_hint": asked.get("login_hint", ""),
        "lti_message_hint": asked.get("lti_message_hint", ""),
        "state": state,
        "nonce": nonce,
    }
    joint = "&" if urlsplit(platform.auth_login_url).query else "?"
    there = f"{platform.auth_login_url}{joint}{urlencode({name: value for name, value in question.items() if value})}"
    return _marked(_to(there, 302), browser)


def _platform_of(asked: Mapping[str, str]) -> tuple[str, Platform]:
    """Who begins. Several tables may tell of one issuer: deployments of it, each with an LMS of its own."""
    found = [
        (name, platform)
        for name, platform in _platforms().items()
        if platform.issuer == asked.get("iss")
        and not platform.missing
        and asked.get("client_id", platform.client_id) == platform.client_id
    ]
    if not found:
        raise LaunchRefused("This LMS is not one that calbridge knows: its issuer or client id is another one.")
    if not asked.get("login_hint"):
        raise LaunchRefused("The LMS does not say whom it sends.", 400)
    deployment = asked.get("lti_deployment_id", "")
    return next((pair for pair in found if pair[1].takes(deployment)), found[0])


def _with_cookie(asked: Mapping[str, str]) -> Response:
    """Try whether the browser keeps a cookie here, before the LMS is asked: it may answer only once."""
    window = {"window": "1"} if "window" in request.args else {}
    return _marked(_to(f"/lti/login?{urlencode({**asked, **window, 'tried': '1'})}"), new_browser())


def _marked(response: Response, browser: str) -> Response:
    """The cookie that tells this browser from others, also where our page is one in another's frame."""
    response.set_cookie(
        _cookie(), browser, max_age=PATIENCE, secure=True, httponly=True, samesite="None", partitioned=True
    )
    return response


def _without_cookie(asked: Mapping[str, str]) -> Response:
    """A browser that keeps no cookie in a frame begins anew in a window of its own, where we are no third party."""
    onward = None if "window" in request.args else f"/lti/login?{urlencode({**asked, 'window': '1'})}"
    return _page("lti_window.html", onward=onward)


# --------------------------------------------------------------------------------------------------------- the launch


@bp.post("/launch")
def launch() -> Response:
    """Where the LMS sends people to, with an id_token that says who they are."""
    begun = _logins().begun(request.form.get("state", ""), request.cookies.get(_cookie(), ""))
    g.lti = begun.platform
    launched = _launched(begun)
    _logins().use_up(begun)
    if launched.calendar is None:
        return _choice(launched)
    calendar = access.parts().named(str(launched.calendar))
    _begin(launched, calendar)
    _noted(launched, calendar)
    if launched.part is Part.TEACHER:
        return _to(f"/import?{urlencode({'calendar': str(calendar)})}")
    return _subscribe(Course(calendar, launched.title), launched.person)


def _launched(begun: Begun) -> Launch:
    """What the LMS answered, once it is known to be true."""
    parts = access.parts()
    platform = _platforms().get(begun.platform)
    if platform is None or platform.missing:
        raise LaunchRefused("This LMS is not one that calbridge knows any more.")
    if error := request.form.get("error"):
        word = error if re.fullmatch(r"[a-z_]{1,40}", error) else "an error"
        raise LaunchRefused(f"The LMS did not say who you are ({word}): sign in there, and open calbridge again.")
    known: Keys = current_app.extensions["calbridge.lti"]
    claims = opened(request.form.get("id_token", ""), platform, known, begun.nonce, parts.now())
    name, platform = _deployed(begun.platform, platform, deployment_of(claims))
    return launch_of(claims, name, platform)


def _deployed(name: str, platform: Platform, deployment: str) -> tuple[str, Platform]:
    """The settings for that deployment of the platform. Those that name it go before those that take any: where one
    began is the browser's word, and would else choose among the courses of several LMSs."""
    same = (platform.issuer, platform.client_id)
    tables = [pair for pair in _platforms().items() if (pair[1].issuer, pair[1].client_id) == same]
    for pair in (*(each for each in tables if deployment in each[1].deployments), (name, platform), *tables):
        if pair[1].takes(deployment):
            return pair
    raise LaunchRefused("This deployment of calbridge in the LMS is not one that may come in (lti deployments).")


def _begin(launched: Launch, calendar: CalendarRef) -> None:
    """A teacher may import into this course from now on, and into no other; a student has no right but the address."""
    name, teaches = _name(launched), launched.part is Part.TEACHER
    # the calendar's name is a pattern there, and must fit nothing but itself
    who = Caller(name, Right.IMPORT, (glob.escape(str(calendar)),)) if teaches else Caller(name, Right.NONE, ())
    shown = launched.called or launched.title or gettext("Course")
    sessions.begin(who, access.parts().now(), lti=launched.platform, shown=shown)
    session["course"] = [str(calendar), launched.title or calendar.id]
    session["person"] = launched.person


def _noted(launched: Launch, calendar: CalendarRef) -> None:
    parts = access.parts()
    subject = f"calendar={calendar} part={launched.part}"
    deed = audit.Deed(parts.now(), _name(launched), "POST /lti/launch", subject, 303, str(g.get("request_id", "")))
    audit.note(parts.engine, deed)


def _name(launched: Launch) -> str:
    """What stands in the log of deeds: the LMS's own id, which is no name."""
    return f"{launched.platform} {launched.person}"


@bp.get("/subscribe")
def subscribe() -> Response:
    """The page of the course's calendar, for whoever came from it."""
    here = course()
    if here is None or sessions.person(access.parts()) is None:
        raise LaunchRefused(
            "Open calbridge from inside a course: nobody came from one in this browser, or too long ago."
        )
    return _subscribe(here, str(session["person"]))


def _subscribe(here: Course, person: str) -> Response:
    """On to the page, at an address of the person's own."""
    name = str(session["lti"])
    try:
        found = addresses().of(name, person, here.calendar, here.title, _platforms()[name].feeds)
    except NoFeed:
        raise LaunchRefused(
            "This course has no calendar to subscribe to yet: ask your administrator for it.", 404
        ) from None
    except Disabled:
        raise LaunchRefused("The calendar of this course has been switched off.", 404) from None
    return _to(f"/public/{found.slug}/" if found.token is None else f"/feeds/{found.token}/{found.slug}/")


# ------------------------------------------------------------------------------------------------------ what others ask


def _choice(launched: Launch) -> Response:
    """A link to us for the course, signed, in a form that a person sends: it needs no script."""
    if launched.part is not Part.TEACHER:
        raise LaunchRefused("Only teachers lay links into a course.")
    to = str(launched.wanted.get("deep_link_return_url", ""))
    try:
        where = secured(to)
    except ValueError:
        raise LaunchRefused("The LMS does not say where the link has to go.", 400) from None
    parts = access.parts()
    platform = _platforms()[launched.platform]
    title = gettext("Calendar")
    url = f"{access.base_url()}/lti/launch"
    g.caller = Caller(_name(launched), Right.NONE, ())  # who is noted to have asked for it
    token = ours.chosen(launched, platform, url, title, ours.our_key(parts.vault), parts.now())
    response = _page("lti_choose.html", to=to, token=token, course=launched.title, title=title)
    policy = EVERYWHERE["Content-Security-Policy"]
    sending = policy.replace("form-action 'self'", f"form-action {where.scheme}://{where.netloc}")
    response.headers["Content-Security-Policy"] = sending
    return response


@bp.get("/keys")
def our_keys() -> Response:
    """Our public keys, for platforms to check what we sign."""
    if not _platforms():
        raise LaunchRefused("No LMS is set up to open calbridge (lti).", 404)
    response = as_json(ours.published(access.parts().vault))
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


@bp.get("/config/<name>")
def config(name: str) -> Response:
    """What the administrator of an LMS has to enter there, for one platform."""
    platform = _of_config(name)
    return _page("lti_config.html", name=name, platform=platform, here=_addresses_of_ours())


@bp.get("/config/<name>.json")
def config_json(name: str) -> Response:
    """The same as the metadata of a client (1EdTech Dynamic Registration, openid-registration)."""
    _of_config(name)
    here = _addresses_of_ours()
    tool = "https://purl.imsglobal.org/spec/lti-tool-configuration"
    messages = [{"type": kind.value, "target_link_uri": here["launch"]} for kind in Message]
    return as_json(
        {
            "application_type": "web",
            "client_name": "calbridge",
            "response_types": ["id_token"],
            "grant_types": ["implicit", "client_credentials"],
            "initiate_login_uri": here["login"],
            "redirect_uris": [here["launch"]],
            "jwks_uri": here["keys"],
            "token_endpoint_auth_method": "private_key_jwt",
            "id_token_signed_response_alg": "RS256",
            "scope": "",
            tool: {
                "domain": here["domain"],
                "target_link_uri": here["launch"],
                "claims": ["iss", "sub", "name"],
                "messages": messages,
            },
        }
    )


def _of_config(name: str) -> Platform:
    platform = _platforms().get(name)
    if platform is None:
        raise LaunchRefused(f"The configuration has no [lti.{name[:40]}].", 404)
    return platform


def _addresses_of_ours() -> Mapping[str, str]:
    base = access.base_url()
    paths = {name: f"{base}/lti/{name}" for name in ("login", "launch", "keys")}
    return {**paths, "domain": urlsplit(base).netloc}


# ---------------------------------------------------------------------------------------------------------- the edges


def _refused(refusal: LaunchRefused) -> Response:
    """A sentence to whoever came, and one to the log, without what the LMS sent."""
    log.warning(
        "a launch was refused: %s", refusal, extra={"platform": g.get("lti", ""), "address": request.remote_addr}
    )
    response = _page("lti_refused.html", problem=str(refusal))
    response.status_code = refusal.status
    return response


def _framed(response: Response) -> Response:
    """Only the sites of the platform that somebody came from show our pages, and only to those who came from it."""
    platform = _platforms().get(g.get("lti") or sessions.platform())
    policy = response.headers.get("Content-Security-Policy", EVERYWHERE["Content-Security-Policy"])
    if platform and platform.framed_by and _NOBODY_FRAMES in policy:
        sites = f"frame-ancestors 'self' {' '.join(platform.framed_by)}"
        response.headers["Content-Security-Policy"] = policy.replace(_NOBODY_FRAMES, sites)
    return response


def _platforms_of(lms: str) -> list[str]:
    """The names of those that open us from the courses of that connection."""
    return [name for name, platform in _platforms().items() if platform.lms == lms]


def _platforms() -> Mapping[str, Platform]:
    return access.parts().config.lti


def addresses() -> Addresses:
    """The addresses that people from courses have."""
    parts = access.parts()
    return Addresses(parts.engine, parts.feeds, parts.vault, parts.now)


def _logins() -> Logins:
    parts = access.parts()
    return Logins(parts.engine, partial(parts.vault.derived, "lti state"), parts.now)


def _cookie() -> str:
    """With a prefix by which browsers let nobody but us set it; of http they take no such name."""
    return f"{'__Host-' if access.base_url().startswith('https:') else ''}calbridge_lti"


def _page(template: str, **values: Any) -> Response:
    return Response(render_template(template, **values), headers={"Cache-Control": "no-store"})


def _to(place: str, status: int = 303) -> Response:
    response = redirect(place, status)
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[return-value]
