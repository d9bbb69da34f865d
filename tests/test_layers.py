"""Who may import whom. Lazy and type-only imports count."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VALUES = {"bridges.model", "bridges.errors"}
PROMISES = VALUES | {"bridges.contract"}
HALLWAY = PROMISES | {"app.ics", "app.store"}
LMS = {f"bridges.{name}" for name in ("local", "blackboard", "brightspace", "imip", "itslearning", "learningspace")}
COMMON = {"bridges.text", "bridges.times", "bridges.markup", "bridges.settings"}
OVER_HTTP = PROMISES | {"bridges.http"}

# room → (ours, of the world outside); the longest name that fits counts, and a room may import itself
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "bridges": ({"bridges.contract"}, {"pydantic", "sqlalchemy"}),
    "bridges.model": (set(), set()),
    "bridges.errors": (set(), set()),
    "bridges.contract": (VALUES, {"requests"}),
    "bridges.http": (PROMISES, {"requests", "urllib3"}),
    "bridges.settings": (set(), {"pydantic"}),
    "bridges.text": ({"bridges.model"}, set()),
    "bridges.times": (VALUES, set()),
    "bridges.markup": (set(), {"nh3"}),
    "bridges.local": (PROMISES | COMMON, {"sqlalchemy", "pydantic"}),
    "bridges.blackboard": (OVER_HTTP | COMMON, {"pydantic", "requests"}),
    "bridges.brightspace": (OVER_HTTP | COMMON | {"bridges.valence"}, {"pydantic"}),
    "bridges.valence": (OVER_HTTP, {"requests"}),
    "bridges.imip": (PROMISES | COMMON | {"bridges.invitations", "bridges.letters", "bridges.relay"}, {"pydantic"}),
    "bridges.invitations": (VALUES | {"bridges.letters", "bridges.markup"}, {"icalendar"}),
    "bridges.letters": (VALUES, set()),
    "bridges.relay": (VALUES | {"bridges.settings", "bridges.text"}, {"pydantic"}),
    "bridges.itslearning": (OVER_HTTP | COMMON | {"bridges.soap"}, {"lxml", "pydantic"}),
    "bridges.soap": (OVER_HTTP, {"lxml", "requests"}),
    "bridges.learningspace": (OVER_HTTP | COMMON, {"pydantic", "requests"}),
    "app": ({"app.parts", "app.web"}, {"flask"}),
    "app.config": ({"bridges", "app.zonerules", "app.origins", "app.lti.platform"}, {"pydantic", "pydantic_core"}),
    "app.origins": (set(), set()),
    "app.care.settings": ({"app.config", "app.origins"}, {"pydantic"}),
    "app.care.weather": ({"bridges.contract", "app.imports.deciding.forecast"}, set()),
    "app.care.connections": (
        PROMISES | {"app.config", "app.parts", "app.care.settings", "app.store", "app.care.weather"},
        {"sqlalchemy"},
    ),
    "app.care.status": ({"app.care.connections", "app.parts", "app.store", "app.care.weather"}, {"sqlalchemy"}),
    "app.care.waiting": ({"bridges.model", "app.imports", "app.parts"}, set()),
    "app.people.tokens": ({"app.store"}, {"sqlalchemy"}),
    "app.ics": ({"bridges.model"}, {"icalendar", "dateutil"}),
    "app.store": (PROMISES, {"sqlalchemy", "alembic", "cryptography"}),
    "app.imports": (HALLWAY | {"app.zonerules"}, {"sqlalchemy"}),
    "app.imports.spool": ({"bridges.model"}, set()),
    "app.imports.deciding.plan": ({"bridges.model", "bridges.contract", "app.imports.spool"}, set()),
    "app.imports.deciding.guard": (
        {"bridges.model", "bridges.contract", "app.imports.deciding.plan", "app.imports.spool"},
        set(),
    ),
    "app.imports.pull": (HALLWAY | {"app.imports"}, {"sqlalchemy"}),
    "app.imports.pull.addresses": (set(), set()),
    "app.imports.pull.dial": ({"app.imports.pull.addresses"}, {"requests", "urllib3"}),
    "app.imports.pull.fetch": ({"app.imports.pull.addresses", "app.imports.pull.dial"}, {"requests", "urllib3"}),
    "app.feeds": (HALLWAY | {"bridges.markup"}, {"sqlalchemy", "cachetools"}),
    "app.notices": (HALLWAY | {"app.config", "app.imports", "bridges.relay"}, {"sqlalchemy", "itsdangerous"}),
    "app.doctor": ({"app.ics"}, set()),
    "app.doctor.look": ({"app.doctor", "app.imports.pull"}, set()),
    "app.care.erasure": ({"bridges.model", "app.imports", "app.store"}, {"sqlalchemy"}),
    "app.care.retention": ({"app.config", "app.imports", "app.store"}, {"sqlalchemy"}),
    "app.redis": (set(), {"redis"}),
    "app.jobs": ({"bridges.model", "app.redis"}, {"huey"}),
    "app.refresh": ({"bridges.model", "app.feeds", "app.imports", "app.jobs", "app.store"}, {"sqlalchemy"}),
    "app.parts": (
        HALLWAY
        | {
            "app.config",
            "app.feeds",
            "app.imports",
            "app.refresh",
            "app.notices",
            "app.care.retention",
            "app.care.erasure",
            "bridges",
        }
        | {"app.jobs", "app.redis"},
        {"sqlalchemy", "alembic", "requests"},
    ),
    "app.lti": (
        {"bridges.model", "bridges.settings", "app.feeds", "app.ics.render", "app.imports.pull", "app.store"},
        {"sqlalchemy", "itsdangerous", "joserfc"},
    ),
    "app.lti.platform": ({"bridges.settings"}, {"pydantic"}),
    "app.web": (
        PROMISES
        | {"app.config", "app.parts", "app.feeds", "app.imports", "app.people.tokens", "app.ics", "app.doctor"}
        | {
            "app.store.leases",
            "app.store.trouble",
            "app.care.erasure",
            "app.watch.metrics",
            "app.people.accounts",
            "app.people.audit",
            "app.notices",
            "app.care.connections",
            "app.care.settings",
            "app.care.waiting",
            "app.care.weather",
            "app.people.answered",
        }
        | {"app.store.values", "app.store.workers", "app.store.slices"},
        {"flask", "werkzeug", "cachetools", "itsdangerous", "structlog", "sqlalchemy", "babel", "markupsafe"},
    ),
    "app.cli": (
        PROMISES
        | {
            "app.config",
            "app.parts",
            "app.feeds",
            "app.imports",
            "app.ics",
            "app.doctor",
            "app.people.tokens",
            "app.web",
            "app.work",
            "app.jobs",
            "app.watch.traces",
            "app.tied",
            "app.watch.logs",
            "app.people.accounts",
            "app.people.audit",
            "app.care.connections",
            "app.care.settings",
            "app.care.waiting",
            "app.care.weather",
        }
        | {"app.store.leases", "app.store.trouble", "app.store.workers", "app.care.erasure", "app.care.status"}
        | {"app.store.engine", "app.store.migrate", "app.store.names", "app.store.slices", "app.store.values"},
        {"click", "granian", "sqlalchemy", "alembic", "rich"},
    ),
    "app.cli.store": (
        {"app.cli", "app.config", "app.parts", "app.store", "bridges"},
        {"click", "sqlalchemy", "alembic"},
    ),
    "app.cli.checking": (
        {"app.cli", "app.config", "app.care.settings", "app.care.cautions", "app.store.look", "app.redis"},
        {"click", "redis"},
    ),
    "app.care.cautions": ({"app.config"}, set()),
    "app.watch.traces": ({"app.watch.logs"}, {"flask", "opentelemetry", "requests", "sqlalchemy"}),
    "app.tied": (set(), set()),
    "app.zonerules": (set(), {"tzdata"}),
    "app.watch.logs": (set(), {"structlog"}),
    "app.people.audit": ({"app.store"}, {"sqlalchemy"}),
    "app.people.accounts": ({"app.store"}, {"sqlalchemy", "argon2"}),
    "app.people.answered": ({"app.store"}, {"sqlalchemy", "cryptography"}),
    "app.web.api.calls": ({"app.web"}, {"flask", "pydantic", "werkzeug"}),
    "app.web.api.openapi": ({"app.web"}, {"flask", "pydantic", "werkzeug"}),
    "app.web.api.shapes": (
        VALUES
        | {
            "app.web.api.shapes",
            "app.feeds",
            "app.ics",
            "app.imports",
            "app.doctor",
            "app.people.tokens",
            "app.care.weather",
        }
        | {"app.origins"},
        {"pydantic"},
    ),
    "app.web.api.limited": ({"app.config", "app.redis", "app.web"}, {"flask"}),
    "app.web.door.pace": ({"app.redis", "app.web.door.guesses"}, {"cachetools"}),
    "app.web.pages.month": (set(), set()),
    "app.web.language": (set(), {"flask", "werkzeug", "babel"}),
    "app.web.door.lti": (
        {"app.people.audit", "app.feeds", "app.lti", "app.parts", "app.web", "bridges.model", "bridges.settings"},
        {"flask"},
    ),
    "app.web.pages.subscribe": ({"app.feeds", "app.web"}, {"flask", "segno", "werkzeug"}),
    "app.web.door.callers": ({"bridges.model"}, set()),
    "app.web.door.session": (
        {"app.people.accounts", "app.parts", "app.web.door.callers"},
        {"flask", "flask_wtf", "itsdangerous", "markupsafe"},
    ),
    "app.web.door.signin": (
        {"app.people.accounts", "app.config", "app.parts", "app.web"},
        {"flask", "authlib", "joserfc", "requests"},
    ),
    "app.watch.metrics": ({"app.store"}, {"sqlalchemy", "prometheus_client"}),
    "app.web.health": ({"app.web", "app.store"}, {"flask", "sqlalchemy"}),
    "app.work": ({"app.refresh", "app.jobs", "app.watch.logs", "app.store", "app.watch.traces"}, {"sqlalchemy"}),
    "wsgi": ({"app", "app.config", "app.watch.logs", "app.parts", "app.tied", "app.watch.traces"}, set()),
}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _name(path): path
    for folder in ("app", "bridges")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
} | {"wsgi": ROOT / "wsgi.py"}


def _within(module: str, rooms: set[str]) -> bool:
    """A room named exactly, or one above it that is not itself a whole bank."""
    return any(module == room or (module.startswith(room + ".") and room not in {"app", "bridges"}) for room in rooms)


def _room(module: str) -> str:
    return max((room for room in ROOMS if module == room or module.startswith(room + ".")), key=len)


@cache
def _imports(module: str) -> frozenset[str]:
    """Every module that this one imports, anywhere in its text."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    return frozenset(name for node in ast.walk(tree) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute here"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in MODULES else str(node.module)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = _room(module)
    ours, outside = ROOMS[room]
    for name in _imports(module):
        top = name.partition(".")[0]
        if name in MODULES or top in {"app", "bridges"}:
            itself = name == room or (name.startswith(room + ".") and room not in {"app", "bridges"})
            assert itself or _within(name, ours), f"{module} may not import {name}"
        else:
            assert top in outside or top in sys.stdlib_module_names, f"{module} may not import {name}"


def test_nothing_imports_in_a_circle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path[path.index(module) :], module))
        if module not in done:
            for name in sorted(_imports(module) & MODULES.keys()):
                visit(name, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def _calls(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_the_clock_is_read_in_one_place() -> None:
    clocks = {"datetime.now", "datetime.utcnow", "date.today", "datetime.today", "time.time"}
    readers = {module for module in MODULES if clocks & set(_calls(module))}
    assert readers == {"app.parts"}


def test_bridges_know_no_other_lms() -> None:
    for module in LMS:
        assert not (_imports(module) & (LMS - {module}))


def test_requests_leave_through_one_door_on_each_bank() -> None:
    """Others may name its types, or sign a request; only the doors send one."""
    sends = ("ession.send", "adapter.send", "requests.get", "requests.post", "requests.request", "urlopen")
    senders = {module for module in MODULES if any(call.endswith(sends) for call in _calls(module))}
    assert senders == {"bridges.http", "app.imports.pull.fetch"}
