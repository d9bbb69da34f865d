"""Who says so: the documents and threads that rules stand on."""

from __future__ import annotations

_OXCICAL = "https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxcical/"
ZONE_RULES = _OXCICAL + "25619839-5b3a-402e-865a-f4fa511db4b2"
OXCICAL = _OXCICAL
STANXICAL = "https://learn.microsoft.com/en-us/openspecs/exchange_standards/ms-stanxical/"


def rfc5545(section: str) -> tuple[str, str]:
    """Source and address of a section of RFC 5545."""
    return f"RFC 5545 section {section}", f"https://www.rfc-editor.org/rfc/rfc5545#section-{section}"


def rfc(number: int, section: str) -> tuple[str, str]:
    return f"RFC {number} section {section}", f"https://www.rfc-editor.org/rfc/rfc{number}#section-{section}"


def oxcical(section: str) -> tuple[str, str]:
    return f"MS-OXCICAL {section}", _OXCICAL


def thread(name: str) -> tuple[str, str]:
    """An issue or a pull request, as owner/repository#number."""
    place, _, number = name.partition("#")
    return name, f"https://github.com/{place}/issues/{number}"
