"""The settings that hold, each with its value, what it is for and where it came from; secrets are never among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from app.config import Config, secrets_of, sections_of
from app.origins import DEFAULT, Origin

HIDDEN = "…"
"""What stands in place of a secret."""
SHORTEST = 6
"""Letters of a secret that is looked for within other values: a shorter one would be found in everything."""
_SCHEME = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*"
_PASSWORD = re.compile(rf"({_SCHEME}(?<!http)(?<!https)://[^/@\s:]*):\S+@", re.IGNORECASE)
"""Of a database or a cache: clients read it up to the last @, whatever stands in it."""
_USERINFO = re.compile(r"(https?://[^/@\s:?#]*):[^/\s?#]+@", re.IGNORECASE)
_USER = re.compile(r"(https?://)[^/@\s:?#]+@", re.IGNORECASE)
"""Alone, it is a token as often as a name."""
_QUERY = re.compile(rf"({_SCHEME}://[^?#\s]*[?#])\S+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, by its path in the file. `value` is made of JSON's kinds; that of a secret is HIDDEN, or empty where
    none is set."""

    path: str
    value: Any
    origin: Origin
    about: str = ""
    secret: bool = False

    def to_json(self) -> dict[str, Any]:
        origin = {"where": self.origin.where.value, "name": self.origin.name}
        return {"path": self.path, "value": self.value, "origin": origin, "about": self.about, "secret": self.secret}


def effective(config: Config) -> Sequence[Setting]:
    """All settings, in the order of config.example.toml; those of each LMS and LTI platform at the end."""
    secrets = long_secrets(config)
    home = Setting("zone", config.zone.key, origin_of(config, "zone"), "The home zone.")
    found = [home, *(each for name, section in sections_of(config).items() for each in _of(config, name, section))]
    for name, connection in sorted(config.connections.items()):
        path = f"lms.{name}"
        found.append(Setting(f"{path}.bridge", connection.bridge, origin_of(config, f"{path}.bridge"), "Which LMS."))
        found += _of(config, path, connection.settings)
    for name, platform in sorted(config.lti.items()):
        found += _of(config, f"lti.{name}", platform)
    return [_without(each, secrets) for each in found]


def long_secrets(config: Config) -> Sequence[str]:
    """The secrets that are looked for within other texts."""
    return [secret for secret in secrets_of(config) if len(secret) >= SHORTEST]


def origin_of(config: Config, path: str) -> Origin:
    """Where the value at this path came from; of a table, where the first of its values did."""
    within = (origin for told, origin in config.origins.items() if told == path or told.startswith(f"{path}."))
    return next(within, DEFAULT)


def _of(config: Config, path: str, section: BaseModel) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        value, where = getattr(section, name), f"{path}.{name}"
        secret = isinstance(value, SecretStr)
        shown = (HIDDEN if value.get_secret_value() else "") if isinstance(value, SecretStr) else _plain(value)
        yield Setting(where, shown, origin_of(config, where), field.description or "", secret)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _without(setting: Setting, secrets: Sequence[str]) -> Setting:
    value = _censored(setting.value, secrets)
    return setting if value == setting.value else Setting(setting.path, value, setting.origin, setting.about, True)


def _censored(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {key: _censored(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_censored(item, secrets) for item in value]
    return censored(value, secrets) if isinstance(value, str) else value


def censored(text: str, secrets: Sequence[str]) -> str:
    """The text without these secrets, and without passwords and queries of addresses: links may hold a key there."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for password in (_PASSWORD, _USERINFO):
        text = password.sub(rf"\1:{HIDDEN}@", text)
    for rest, end in ((_USER, "@"), (_QUERY, "")):
        text = rest.sub(rf"\1{HIDDEN}{end}", text)
    return text
