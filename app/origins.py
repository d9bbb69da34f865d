"""Where each setting came from: the configuration's own file, another file, the environment, systemd. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Where(StrEnum):
    DEFAULT = "default"
    FILE = "file"
    """The configuration, or the file that it names in place of the value."""
    ENVIRONMENT = "environment"
    CREDENTIAL = "credential"
    """What systemd hands over (LoadCredential=)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`name` is the file's path, the variable's or the credential's name; empty for a default."""

    where: Where
    name: str = ""

    def __str__(self) -> str:
        return f"{self.where} {self.name}".rstrip()


DEFAULT = Origin(Where.DEFAULT)
_ELSEWHERE = {"env": Where.ENVIRONMENT, "file": Where.FILE, "credential": Where.CREDENTIAL}


def told_elsewhere(value: Any) -> Origin | None:
    """Where the value is to be taken from, if it is one of `{ env = … }`, `{ file = … }`, `{ credential = … }`."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((key, name),) = value.items()
    return Origin(_ELSEWHERE[key], name) if key in _ELSEWHERE and isinstance(name, str) else None


def origins(tree: Mapping[str, Any], file: str) -> Mapping[str, Origin]:
    """Of each value that the configuration `file` tells, by its path (`server.port`); all others are defaults.

    `tree` is the file as it was read, before the values that stand elsewhere are filled in.
    """
    return dict(_walked(tree, "", Origin(Where.FILE, file)))


def _walked(value: Any, path: str, here: Origin) -> Iterator[tuple[str, Origin]]:
    if (elsewhere := told_elsewhere(value)) is not None:
        yield path, elsewhere
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walked(item, f"{path}.{key}".lstrip("."), here)
    else:
        yield path, here
