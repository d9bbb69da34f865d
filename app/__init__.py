"""calbridge, the near bank: calendars, decisions, memory, web. `create_app` is the one joint with Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.parts import Parts


def create_app(parts: Parts) -> Flask:
    """The web face of these parts: a Flask application with nothing global behind it.

    It takes the parts, and not the configuration, since commands and the worker join the same parts without Flask.
    Flask is loaded here and not with the package, so that a command or a script that reads a calendar starts fast.
    """
    from app.web import flask_app

    return flask_app(parts)
