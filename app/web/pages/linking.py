"""Linking: a person signs in at the LMS, and from then on calbridge may act there in that person's name.

It begins with a POST, which is for those who may write. The way back is open to everybody and bound to the browser
that began: by a signed cookie with a random state, from which the PKCE verifier is derived and so never leaves us.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from urllib.parse import quote

from flask import Blueprint, Response, after_this_request, make_response, render_template, request
from itsdangerous import BadSignature, URLSafeSerializer

from app.web.door import access
from app.web.language import lazy
from app.web.problems import answer
from bridges.errors import Denied

COOKIE = "calbridge_link"
PATIENCE = timedelta(minutes=10)
"""How long a person may take to sign in."""

bp = Blueprint("linking", __name__, url_prefix="/link/<lms>")


@bp.get("")
def start(lms: str) -> str:
    """What linking means, and the button that begins it. What there is to link at is for those alone who may write."""
    mine = access.may_write()
    if mine:
        access.parts().linkable(lms).sign_in_url(_back(lms), "", "")  # Denied here already, and not behind the button
    return render_template("link.html", lms=lms, needs_token=not mine)


@bp.post("")
def begin(lms: str) -> Response:
    """Send the person on to the LMS.

    By a Refresh and not by a redirect: browsers hold the page's form-action against wherever a form is redirected to,
    and an LMS sends people on to sign-in pages that nobody can list.
    """
    state = secrets.token_urlsafe(32)
    url = access.parts().linkable(lms).sign_in_url(_back(lms), state, _verifier(state))
    response = _unstored(render_template("link.html", lms=lms, url=url))
    response.headers["Refresh"] = f"0; url={url}"
    response.set_cookie(
        COOKIE,
        _signer().dumps([lms, state, (access.parts().now() + PATIENCE).timestamp()]),
        max_age=PATIENCE,
        secure=access.base_url().startswith("https:"),
        httponly=True,
        samesite="Lax",
    )
    return response


@bp.get("/callback")
def callback(lms: str) -> Response:
    """Where the LMS sends the person back to, with `state` and either `code` or `error`. The cookie is good once."""
    after_this_request(_forget)
    if not _began_here(lms):
        return answer(
            400,
            lazy(
                "This sign-in was not begun in this browser, or too long ago. Begin again at %(page)s.", page=_page(lms)
            ),
        )
    error, code = request.args.get("error", ""), request.args.get("code", "")
    if error == "access_denied":
        return answer(
            403,
            lazy(
                "You did not permit it, so nothing was linked. Begin again at %(page)s if you want to.", page=_page(lms)
            ),
        )
    if error or not code:
        word = error if re.fullmatch(r"[a-z_]{1,40}", error) else lazy("nothing that we understand")
        return answer(
            422, lazy("'%(lms)s' answered the sign-in with: %(word)s. Nothing was linked.", lms=lms, word=word)
        )
    calendar = access.parts().linkable(lms).link(_back(lms), code, _verifier(request.args["state"]))
    return _unstored(render_template("link.html", lms=lms, calendar=calendar))


def _forget(response: Response) -> Response:
    response.delete_cookie(COOKIE)
    return response


def _unstored(page: str) -> Response:
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(lms: str) -> str:
    return f"{access.base_url()}/link/{quote(lms, safe='')}"


def _back(lms: str) -> str:
    """The callback's address as the LMS gets it. Denied where a name that anyone can make up would be all we have."""
    if not access.parts().config.server.public_url and not access.is_loopback(request.host):
        raise Denied("The address that the LMS sends people back to is not known: set server.public_url.")
    return f"{_page(lms)}/callback"


def _began_here(lms: str) -> bool:
    """Whether this browser holds the cookie of this very sign-in, and in time."""
    try:
        where, state, until = _signer().loads(request.cookies.get(COOKIE, ""))
    except (BadSignature, ValueError):
        return False
    same = hmac.compare_digest(state.encode(), request.args.get("state", "").encode())
    return same and where == lms and access.parts().now().timestamp() < until


def _signer() -> URLSafeSerializer:
    key = access.parts().vault.derived("link cookie")
    return URLSafeSerializer(key, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"})


def _verifier(state: str) -> str:
    key = access.parts().vault.derived("link verifier")
    return base64.urlsafe_b64encode(hmac.digest(key, state.encode(), hashlib.sha256)).rstrip(b"=").decode()
