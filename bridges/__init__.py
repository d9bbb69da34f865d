"""The far bank: learning-management systems. Knows no ICS, no Flask and nothing of the app.

An LMS is one module, one line in REGISTRY, one table in config.example.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from bridges.contract import Tools

if TYPE_CHECKING:
    from sqlalchemy import MetaData

REGISTRY = {
    "local": "bridges.local:LocalBridge",
    "blackboard": "bridges.blackboard:BlackboardBridge",
    "brightspace": "bridges.brightspace:BrightspaceBridge",
    "imip": "bridges.imip:ImipBridge",
    "itslearning": "bridges.itslearning:ItslearningBridge",
    "learningspace": "bridges.learningspace:LearningSpaceBridge",
}
"""Name in the configuration → module:Class. Loaded when a connection of that kind is opened, not before."""


def bridge_class(bridge: str) -> Any:
    """The class registered under this name, with its `Settings` (a pydantic model). KeyError for a name unknown."""
    module, _, name = REGISTRY[bridge].partition(":")
    return getattr(import_module(module), name)


def kept_tables() -> Sequence[MetaData]:
    """The tables that bridges keep in our store, for whoever copies it as a whole."""
    return [import_module("bridges.local").metadata]


def open_bridge(bridge: str, name: str, settings: BaseModel, tools: Tools) -> Any:
    """A bridge for the connection called `name`; it talks to nobody until it is asked something."""
    return bridge_class(bridge)(name, settings, tools)
