"""The far bank: learning-management systems. Knows no ICS, no Flask and nothing of the app.

An LMS is one module, one line in REGISTRY, one table in config.example.toml.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import BaseModel

from bridges.contract import Tools

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


def open_bridge(bridge: str, name: str, settings: BaseModel, tools: Tools) -> Any:
    """A bridge for the connection called `name`; it talks to nobody until it is asked something."""
    return bridge_class(bridge)(name, settings, tools)
