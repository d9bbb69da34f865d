"""Who may do what: API tokens, made and revoked here, and the administrators who sign in with a password."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from app.people import accounts, tokens
from app.people.tokens import Scope
from app.web.door import access
from app.web.language import gettext
from app.web.pages.admin import page, sure, to, unstored

bp = Blueprint("keys", __name__, url_prefix="/admin/tokens")

LONGEST_NAME = 100


@bp.get("")
def every_one() -> str:
    """All tokens, without themselves, and all administrators."""
    return _shown()


@bp.post("")
def make() -> Response:
    """A new token, shown on the answer to this alone."""
    name, parts = request.form.get("name", "").strip(), access.parts()
    try:
        _check(name)
        made = tokens.add(parts.engine, name, parts.now(), Scope(request.form.get("scope", Scope.READ)))
    except ValueError as error:
        return unstored(_shown(str(error), name), 422)
    return unstored(page("admin_token.html", name=name, secret=made))


@bp.get("/revoke")
def really() -> str:
    """Whether it is meant."""
    name = request.args.get("name", "")
    return sure(
        gettext("Revoke the token “%(name)s”?", name=name),
        gettext("Whatever uses it is refused from now on. A token cannot be brought back."),
        gettext("Revoke it"),
        url_for("keys.revoke"),
        url_for("keys.every_one"),
        name=name,
    )


@bp.post("/revoke")
def revoke() -> Response:
    tokens.revoke(access.parts().engine, request.form.get("name", ""))
    return to(url_for("keys.every_one"))


def _check(name: str) -> None:
    """ValueError where the name is none, or where the first token would lock out whoever makes it."""
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise ValueError(f"A token needs a name, of {LONGEST_NAME} letters at most.")
    if _would_lock_out():
        raise ValueError("Make an administrator first: from the first token on, these pages ask everybody to sign in.")


def _would_lock_out() -> bool:
    """With the first token this machine's own user needs a sign-in too."""
    return not tokens.any_made(access.parts().engine) and not access.sign_in_is_possible()


def _shown(problem: str = "", name: str = "") -> str:
    parts = access.parts()
    return page(
        "admin_tokens.html",
        tokens=tokens.every_one(parts.engine),
        administrators=accounts.every_one(parts.engine),
        issuer=parts.config.signin.issuer,
        scopes=[*Scope],
        problem=problem,
        name=name,
        locks_out=_would_lock_out(),
    )
