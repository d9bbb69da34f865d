"""Imports in the background over HTTP: accepted at once, watched, steered, and their refusals tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from app.web.api.events import MOST_LISTENERS, stream
from tests.campus import EXAM, LECTURES, browser, calendar, open_campus
from tests.imports.attended import attended
from tests.imports.slow import until

QUERY = "calendar=demo/course/statistics&from=2026-10-20&to=2026-12-31"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    parts = open_campus(tmp_path)
    yield parts
    parts.close()


@pytest.fixture
def client(parts: Parts) -> FlaskClient:
    return browser(parts)


def send(client: FlaskClient, data: bytes, query: str = "") -> Any:
    return client.post(f"/api/imports?{QUERY}&{query}", data=data, content_type="text/calendar")


def work(parts: Parts, client: FlaskClient, run: int) -> None:
    with attended(parts.imports, Event(), pause=0.02):
        until(lambda: parts.imports.get(run).over)


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Each event's name and data."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_it_is_accepted_at_once_and_done_by_a_worker(parts: Parts, client: FlaskClient) -> None:
    accepted = send(client, calendar(LECTURES, EXAM), "background=true")
    assert (accepted.status_code, accepted.json["state"]) == (202, "queued")
    assert accepted.headers["Location"] == f"/api/imports/{accepted.json['run']}"
    work(parts, client, accepted.json["run"])
    done: Any = client.get(accepted.headers["Location"]).json
    assert (done["state"], done["report"]["created"], done["progress"]["done"]) == ("done", 4, 4)


def test_a_dry_run_is_no_background_work(client: FlaskClient) -> None:
    refused = send(client, calendar(EXAM), "background=true&dry_run=true")
    assert (refused.status_code, "dry run" in refused.json["detail"]) == (400, True)


def test_the_plan_says_what_it_will_cost(client: FlaskClient) -> None:
    forecast = send(client, calendar(LECTURES, EXAM), "dry_run=true").json["forecast"]
    assert (forecast["writes"], forecast["calls_left"], forecast["fits"]) == (4, None, True)
    assert forecast["text"].startswith("4 writes, done about ")


def test_its_events_tell_how_far_it_is_and_how_it_ended(parts: Parts, client: FlaskClient) -> None:
    run = send(client, calendar(LECTURES, EXAM), "background=true").json["run"]
    worker = Thread(target=work, args=(parts, client, run))
    told = stream(parts.imports, run, sleep=lambda _: worker.join() if worker.is_alive() else worker.start())
    text = "".join(told)
    worker.join()
    (first, queued), *_, (last, ended) = events(text)
    assert (first, queued["state"]) == ("progress", "queued")
    assert (last, ended["state"], ended["created"]) == ("end", "done", 4)


def test_a_stream_ends_by_itself_and_is_never_silent_for_long(parts: Parts, client: FlaskClient) -> None:
    run = send(client, calendar(EXAM), "background=true").json["run"]
    slept: list[float] = []
    blocks = list(stream(parts.imports, run, sleep=slept.append))
    assert sum(slept) == 600
    assert blocks[1:] == [": still here\n\n"] * 39


def test_listeners_are_few_and_make_room_when_they_go(client: FlaskClient) -> None:
    run = send(client, calendar(EXAM), "background=true").json["run"]
    listening = [client.get(f"/api/imports/{run}/events", buffered=False) for _ in range(MOST_LISTENERS)]
    assert {each.status_code for each in listening} == {200}
    assert listening[0].content_type == "text/event-stream"
    refused = client.get(f"/api/imports/{run}/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    listening[0].close()
    again = client.get(f"/api/imports/{run}/events", buffered=False)
    assert again.status_code == 200
    for each in (*listening, again):
        each.close()
    assert client.get("/api/imports/99/events").status_code == 404


def test_it_is_paused_resumed_and_cancelled(parts: Parts, client: FlaskClient) -> None:
    run = send(client, calendar(LECTURES), "background=true").json["run"]
    paused = client.post(f"/api/imports/{run}/pause")
    assert (paused.status_code, paused.json["state"]) == (200, "paused")  # type: ignore[index]
    assert client.post(f"/api/imports/{run}/pause").status_code == 409
    resumed = client.post(f"/api/imports/{run}/resume")
    assert (resumed.status_code, resumed.headers["Location"]) == (202, f"/api/imports/{run}")
    assert client.post(f"/api/imports/{run}/cancel").json["state"] == "cancelled"  # type: ignore[index]
    for verb in ("pause", "resume", "cancel"):
        assert client.post(f"/api/imports/{run}/{verb}").status_code == 409
        assert client.post(f"/api/imports/99/{verb}").status_code == 404


def test_what_was_refused_is_listed_and_may_be_tried_again(client: FlaskClient) -> None:
    run = send(client, calendar(EXAM)).json["run"]
    assert client.get(f"/api/imports/{run}/refused").json["refused"] == []  # type: ignore[index]
    assert client.post(f"/api/imports/{run}/retry").status_code == 409
    assert client.get("/api/imports/99/refused").status_code == 404


def test_nobody_purges_what_never_was(client: FlaskClient) -> None:
    answer = client.post("/api/imports/purge?calendar=demo/course/statistics&name=misspelt")
    assert (answer.status_code, "misspelt" in answer.json["detail"]) == (404, True)  # type: ignore[index]
