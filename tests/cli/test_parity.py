"""Whatever the API can do, a command can do."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from app import create_app
from app.cli import main
from tests.campus import open_campus

NUMBER = "<int(max=2147483647):{}>"
RUN, BATCH, ID = (NUMBER.format(name) for name in ("run", "batch", "id"))
DOCUMENTATION = {"GET /", "GET /openapi.json"}
"""What describes the API itself: a person at a shell has --help."""

COMMANDS = {
    "GET /admins": "admin list",
    "PUT /admins/<name>": "admin set",
    "DELETE /admins/<name>": "admin remove",
    "GET /audit": "audit",
    "GET /calendars": "calendars",
    "GET /connections": "connections",
    "POST /connections/<lms>/test": "check-connections",
    "POST /doctor": "doctor",
    "GET /drift": "drift list",
    f"POST /drift/{ID}/accept": "drift accept",
    f"POST /drift/{ID}/restore": "drift restore",
    "POST /drift/check": "drift --into",
    "POST /drift/policy": "drift set --policy",
    "POST /drift/rhythm": "drift set --every",
    "POST /explain": "explain",
    "GET /feeds": "feed list",
    "POST /feeds": "feed add",
    "GET /feeds/<slug>": "feed show",
    "GET /feeds/<slug>/preview": "feed preview --as",
    "PATCH /feeds/<slug>": "feed set",
    "DELETE /feeds/<slug>": "feed remove",
    "POST /feeds/<slug>/disable": "feed disable",
    "POST /feeds/<slug>/enable": "feed enable",
    "POST /feeds/<slug>/refresh": "refresh",
    "POST /feeds/<slug>/rotate": "feed rotate",
    "GET /feeds/<slug>/tokens": "feed token list",
    "POST /feeds/<slug>/tokens": "feed token add",
    "DELETE /feeds/<slug>/tokens": "feed token revoke",
    "POST /feeds/revoke-every-token": "feed token revoke-all --everywhere",
    "POST /imports": "import",
    "GET /imports": "run list",
    f"GET /imports/{RUN}": "run show",
    f"GET /imports/{RUN}/<any(changes, done, left, refused):what>": "run listed",
    f"POST /imports/{RUN}/approve": "run approve",
    f"POST /imports/{RUN}/cancel": "run cancel",
    f"GET /imports/{RUN}/events": "run watch",
    f"POST /imports/{RUN}/pause": "run pause",
    f"POST /imports/{RUN}/resume": "run resume",
    f"POST /imports/{RUN}/retry": "run retry",
    f"POST /imports/{RUN}/undo": "undo",
    f"GET /imports/batches/{BATCH}": "batch show",
    f"POST /imports/batches/{BATCH}/approve": "batch approve",
    f"POST /imports/batches/{BATCH}/cancel": "batch cancel",
    f"POST /imports/batches/{BATCH}/undo": "batch undo",
    "POST /imports/purge": "purge",
    "GET /links": "link list",
    "DELETE /links": "link remove",
    "DELETE /people": "erase-person",
    "GET /settings": "settings",
    "GET /subscriptions": "subscription list",
    "POST /subscriptions": "subscription add",
    f"GET /subscriptions/{ID}": "subscription show",
    f"PATCH /subscriptions/{ID}": "subscription set",
    f"DELETE /subscriptions/{ID}": "subscription remove",
    f"POST /subscriptions/{ID}/disable": "subscription disable",
    f"POST /subscriptions/{ID}/enable": "subscription enable",
    f"GET /subscriptions/{ID}/history": "subscription history",
    f"POST /subscriptions/{ID}/run": "subscription run",
    "GET /tokens": "token list",
    "POST /tokens": "token add",
    "DELETE /tokens/<name>": "token revoke",
    "GET /waiting": "waiting",
    "GET /workers": "workers",
}
"""What of the API (under /api) is which command; a new call fails here until somebody has given it one."""


def operations(folder: Path) -> set[str]:
    rules = create_app(open_campus(folder)).url_map.iter_rules()
    calls = {
        f"{method} {re.sub('^/api', '', str(rule))}"
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if str(rule).startswith("/api/")
    }
    return calls - DOCUMENTATION


def test_each_call_of_the_api_has_a_command(tmp_path: Path) -> None:
    assert operations(tmp_path) == COMMANDS.keys()


@pytest.mark.parametrize("words", COMMANDS.values())
def test_each_of_these_commands_is_there(words: str) -> None:
    found: click.Command = main
    for word in words.split():
        if word.startswith("--"):
            assert word in {name for parameter in found.params for name in parameter.opts}
        else:
            assert isinstance(found, click.Group)
            found = found.commands[word]
