"""Whether an id_token is true: signed by its platform, meant for us, of now, and the answer to this very question.

Security Framework 1.0, section 5.1.3, and OpenID Connect Core 1.0, section 3.1.3.7. Platforms sign with RS256; another
algorithm is refused before any key is looked for, so that none can be made to fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from app.lti.claims import LaunchRefused
from app.lti.keys import Keys
from app.lti.platform import Platform

ALGORITHM = "RS256"
LEEWAY = timedelta(minutes=1)
"""How far two clocks may lie apart."""
OLDEST = timedelta(minutes=10)
"""How long ago the LMS may have signed."""


def opened(id_token: str, platform: Platform, keys: Keys, nonce: str, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that is true. LaunchRefused says what is wrong with any other."""
    kid = _key_id(id_token)
    key = keys.key(platform.jwks_url, kid)
    try:
        claims = jwt.decode(id_token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError) as error:
        raise LaunchRefused("The launch was not signed by the LMS, or was changed on its way.") from error
    check(claims, platform, nonce, now)
    return claims


def check(claims: Mapping[str, Any], platform: Platform, nonce: str, now: datetime) -> None:
    """LaunchRefused where the claims are not for us, not of now, or answer another question. `now` is aware."""
    if claims.get("iss") != platform.issuer:
        raise LaunchRefused("The launch comes from another LMS than it says.")
    _check_audience(claims, platform.client_id)
    _check_time(claims, now)
    if not compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise LaunchRefused("The launch answers another sign-in than the one that was begun here.")


def _key_id(id_token: str) -> str:
    """Which key it says it was signed with. LaunchRefused where it says none, or names another algorithm."""
    try:
        header = jws.extract_compact(id_token.encode()).headers()
    except (JoseError, ValueError, TypeError) as error:
        raise LaunchRefused("The LMS sent something else than a signed launch.", 400) from error
    if header.get("alg") != ALGORITHM:
        raise LaunchRefused(f"The launch is not signed by {ALGORITHM}.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise LaunchRefused("The launch does not say which key of the LMS it is signed with.")
    return kid


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    meant = [audience] if isinstance(audience, str) else audience
    if not isinstance(meant, list) or client_id not in meant:
        raise LaunchRefused("The launch is meant for another tool.")
    party = claims.get("azp")
    if party != client_id and (party is not None or len(meant) > 1):
        raise LaunchRefused("The launch was made out to another tool.")


def _check_time(claims: Mapping[str, Any], now: datetime) -> None:
    ends, signed = _moment(claims, "exp"), _moment(claims, "iat")
    moment = now.timestamp()
    if ends + LEEWAY.total_seconds() <= moment:
        raise LaunchRefused("The launch has run out: open calbridge again from the course.")
    if signed - LEEWAY.total_seconds() > moment:
        raise LaunchRefused("The launch comes from the future: the clock of the LMS, or of this server, is wrong.")
    if signed + (OLDEST + LEEWAY).total_seconds() <= moment:
        raise LaunchRefused("The launch is too old: open calbridge again from the course.")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:  # nor what is no number
        raise LaunchRefused(f"The launch does not say when it was made, or until when it holds ('{name}').", 400)
    return float(value)
