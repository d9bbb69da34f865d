"""The dashboard and the alert rules that we ship ask for figures, labels and commands that there are."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner

from app.cli import main
from app.feeds.feed import Form
from app.imports.pull.wish import Wish
from app.parts import Parts
from app.store import workers
from app.store.quota import StoreMeter
from bridges.contract import Quota
from bridges.model import CalendarRef, Kind, Window
from tests.campus import LECTURES, NOW, browser, calendar, open_campus
from tests.deploy.nginx import free_port
from tests.deploy.served import calbridge

DEPLOY = Path(__file__).parent.parent.parent / "app" / "deploy"
FIGURE = re.compile(r"calbridge_[a-z_]+")
COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


@pytest.fixture
def told(tmp_path: Path) -> dict[str, set[str]]:
    """Each figure of a calbridge where something of everything happened, with the names of its labels."""
    campus = open_campus(tmp_path, "fetch.http = true", 'fetch.allow_hosts = ["127.0.0.1"]')
    happen(campus)
    web = browser(campus)
    web.get("/public/anatomy-i.ics")
    web.post("/api/imports")
    found: dict[str, set[str]] = {}
    for line in web.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, labels = line.rsplit(" ", 1)[0].partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def happen(campus: Parts) -> None:
    term = Window(NOW, NOW.replace(year=2027))
    campus.imports.run(calendar(LECTURES), COURSE, term)
    campus.imports.run(calendar(), COURSE, term)
    campus.feeds.snapshot_for_public("anatomy-i", Form.ICS)
    campus.subscriptions.add(Wish("timetable", "http://127.0.0.1:8999/x.ics", COURSE, timedelta(hours=1), 90))
    workers.begin(campus.engine, "one", NOW)
    workers.beat(campus.engine, "one", (), {("read", "done"): workers.Count(3, 0.5)}, NOW)
    campus.bridge("demo")
    StoreMeter(campus.engine, "learn", campus.now).note(Quota(1000, 700, NOW.replace(hour=23)))


def test_whatever_is_asked_for_is_told_and_has_these_labels(told: dict[str, set[str]]) -> None:
    for file in ("alerts.yaml", "grafana-dashboard.json"):
        for expression in expressions(file):
            assert "calbridge" in expression
            assert set(FIGURE.findall(expression)) <= set(told), f"/metrics does not tell that: {expression}"
            for name, labels in re.findall(r"(calbridge_[a-z_]+)\{([^}]*)\}", expression):
                assert set(re.findall(r"(\w+)[=!]~?\"", labels)) <= told[name], expression


def test_whatever_is_told_is_shown(told: dict[str, set[str]]) -> None:
    """But when a process began, and how many were asked at once, are the library's."""
    shown = set(FIGURE.findall(text("grafana-dashboard.json") + text("alerts.yaml")))
    assert {name for name in told if name.startswith("calbridge_") and not name.endswith("_created")} <= shown


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]
        for command in re.findall(r"`calbridge ([^`]*)`", rule["annotations"]["action"]):
            require_help(shlex.split(command))


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text("grafana-dashboard.json"))["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        taken |= cells


def rules() -> list[Any]:
    return [rule for group in yaml.safe_load(text("alerts.yaml"))["groups"] for rule in group["rules"]]


def expressions(file: str) -> list[str]:
    if file == "alerts.yaml":
        return [rule["expr"] for rule in rules()]
    panels = json.loads(text(file))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def require_help(words: list[str]) -> None:
    """The command that these words name exists; what it would be given is left out."""
    assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0, words


def test_whichever_process_is_asked_tells_what_all_have_counted(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with calbridge(tmp_path, port, "--workers", "2"):
        for _ in range(10):
            assert requests.get(f"{url}/public/anatomy-i.ics", timeout=20).ok
        told = {requests.get(f"{url}/metrics", timeout=20).text for _ in range(6)}
    lines = [re.findall(r'calbridge_answers_total\{status="200",what="feed"\} (.*)', each) for each in told]
    assert lines == [["10.0"]] * len(told)
