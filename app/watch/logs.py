"""Logs: a line for each thing that happened, as text or JSON, with the ids of request and job, and without secrets.

Every module logs with the standard library; structlog shapes what comes out, and the last step before it leaves takes
out whatever opens something: tokens, keys, and of addresses all but the host.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, TextIO
from urllib.parse import urlsplit

import structlog

SHOWN = 6
"""Letters of a token that may be seen: enough to tell two apart, and no help to a guesser."""

_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?:cb_)?[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_ADDRESS = re.compile(r"(?i)\b(?:https?|webcals?)://[^\s\"'<>\\)\]]+")
_SHORTEST_SECRET = 6


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without whatever opens something: `secrets`, tokens of ours, credentials, and the rest of addresses."""
    for secret in secrets:
        text = text.replace(secret, "•••")
    text = _ADDRESS.sub(lambda found: _host_of(found[0]), text)
    text = _BEARER.sub(lambda found: f"{found[1]} •••", text)
    return _TOKEN.sub(lambda found: found[0][:SHOWN] + "…", text)


def _host_of(address: str) -> str:
    """The path of a calendar's address is often its only lock."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address"
    rest = "/…" if len(parts.path) > 1 or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{rest}"


def configure(level: str, form: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` (standard error). `level` as logging names it, `form` text or json.

    `secrets` are those of the configuration; short ones are no secrets but words.
    """
    known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True)
    stream = stream or sys.stderr
    before: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: structlog.types.Processor = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    if form == "json":
        shown = structlog.processors.JSONRenderer(ensure_ascii=False)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *before],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            shown,
            _last(known),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("urllib3", "alembic"):  # they tell each step at INFO and DEBUG, addresses included
        logging.getLogger(name).setLevel(logging.WARNING)


def _last(secrets: Iterable[str]) -> Callable[[Any, str, MutableMapping[str, Any] | str], str]:
    def redact(_logger: Any, _method: str, rendered: MutableMapping[str, Any] | str) -> str:
        return redacted(str(rendered), secrets)

    return redact


about = structlog.contextvars.bound_contextvars
"""`with about(job="…"):` whatever is logged within the block says so."""
