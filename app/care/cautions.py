"""What is set up so that others could read what they should not: said at each start, and by check-config. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from app.config import Config, secrets_of

SHARED_ISSUERS = {"https://blackboard.com"}
"""What LMSs call themselves that are the same at every school."""


def cautions(config: Config, text: str, mode: int) -> Iterator[str]:
    """One sentence for each. `text` and `mode` (as of stat) are those of the configuration's file; "" and 0 without."""
    if mode & stat.S_IROTH and any(secret in text for secret in secrets_of(config)):
        yield "everybody on this machine can read the configuration, and it holds secrets: chmod o-r, or move them"
    public, server = urlsplit(config.server.public_url), config.server
    if public.scheme == "http" and not _is_here(public.hostname or ""):
        yield f"server.public_url is {public.scheme}://…: whoever listens on the way can read feeds and passwords"
    if not _is_here(server.host) and public.scheme != "https":
        yield (
            f"server.host is {server.host} and server.public_url is no https address: "
            "without TLS in front, whoever listens on the way can read feeds and passwords"
        )
    if config.fetch.http:
        yield "fetch.http is on: whoever listens on the way can read the calendars that are pulled, and change them"
    for name, platform in config.lti.items():
        if platform.issuer in SHARED_ISSUERS and not platform.deployments:
            yield (
                f"lti.{name}.deployments names none, and {platform.issuer} is the issuer of many schools: "
                "whichever of them deploys your client id may open calbridge, and import as a teacher"
            )


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
