"""The house over the API: connections, workers, settings, tokens, administrators, links; and who may see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.parts import Parts
from app.people import accounts, tokens
from app.store import workers
from tests.campus import NOW, browser, open_campus

MAIL = """
[lms.mail]
bridge = "imip"
host = "127.0.0.1"
port = 9
sender = "calbridge@example.edu"
[lms.here]
bridge = "local"
demo = true
"""


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def bearer(campus: Parts, scope: tokens.Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.add(campus.engine, f'a {scope} one', NOW, scope)}"}


def test_connections_are_told_and_tried(client: FlaskClient) -> None:
    told: Any = client.get("/api/connections").json
    (one,) = told["connections"]
    assert (one["name"], one["bridge"], one["reads"], one["writes"]) == ("demo", "local", True, True)
    assert one["quota"]["sky"] == "unknown"
    trial: Any = client.post("/api/connections/demo/test").json
    assert (trial["answers"], trial["calendars"]) == (True, 4)
    assert client.post("/api/connections/nowhere/test").status_code == 422


def test_one_that_lists_no_calendars_hides_no_others(tmp_path: Path) -> None:
    client = browser(open_campus(tmp_path, MAIL))
    listed: Any = client.get("/api/calendars").json
    assert {one["ref"].partition("/")[0] for one in listed["calendars"]} == {"here"}
    assert client.get("/api/calendars?lms=mail").status_code == 422
    trial: Any = client.post("/api/connections/mail/test").json
    assert (trial["answers"], bool(trial["advice"])) == (False, True)


def test_calendars_are_looked_for_and_come_in_parts(client: FlaskClient) -> None:
    found: Any = client.get("/api/calendars?search=simulation").json
    assert [one["ref"] for one in found["calendars"]] == ["demo/room/simulation-1"]
    part = client.get("/api/calendars?limit=3")
    assert part.headers["Link"] == '</api/calendars?limit=3&offset=3>; rel="next"'
    assert "Link" not in client.get("/api/calendars?limit=3&offset=3").headers


def test_workers_are_told(campus: Parts, client: FlaskClient) -> None:
    workers.begin(campus.engine, "one", NOW)
    workers.beat(campus.engine, "one", ["read demo/course/anatomy-1"], {}, NOW)
    (one,) = client.get("/api/workers").json["workers"]  # type: ignore[index]
    assert (one["silent"], one["doing"]) == (False, ["read demo/course/anatomy-1"])


def test_settings_are_told_with_where_they_came_from(client: FlaskClient) -> None:
    told: Any = client.get("/api/settings?limit=1000").json
    settings = {one["path"]: one for one in told["settings"]}
    assert settings["api.per_minute"]["value"] == 600
    assert settings["store.url"]["origin"]["where"] == "file"
    assert settings["store.key"]["secret"] is True


def test_a_token_is_made_works_is_listed_without_itself_and_is_killed(client: FlaskClient) -> None:
    made: Any = client.post("/api/tokens", json={"name": "office", "scope": "admin"})
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    header = {"Authorization": f"Bearer {made.json['token']}"}
    assert client.get("/api/tokens").status_code == 401
    listed = client.get("/api/tokens", headers=header)
    assert [one["name"] for one in listed.json["tokens"]] == ["office"]  # type: ignore[index]
    assert made.json["token"] not in listed.text
    assert client.post("/api/tokens", json={"name": "office"}, headers=header).status_code == 400
    assert client.post("/api/tokens", json={"name": "x", "scope": "root"}, headers=header).status_code == 400
    assert client.delete("/api/tokens/nobody", headers=header).status_code == 404
    assert client.delete("/api/tokens/office", headers=header).status_code == 204
    assert client.get("/api/tokens").status_code == 200  # it was the only one: the machine is its own user's again


def test_administrators_are_put_listed_and_removed(campus: Parts) -> None:
    client, header = browser(campus), bearer(campus, tokens.Scope.ADMIN)
    put = client.put("/api/admins/ada", json={"password": "four words make one"}, headers=header)
    assert (put.status_code, put.data) == (204, b"")
    assert accounts.check(campus.engine, "ada", "four words make one", NOW)
    assert client.get("/api/admins", headers=header).json["admins"][0]["name"] == "ada"  # type: ignore[index]
    short = client.put("/api/admins/ada", json={"password": "short"}, headers=header)
    assert (short.status_code, "12 letters" in short.json["detail"]) == (400, True)  # type: ignore[index]
    assert client.delete("/api/admins/ada", headers=header).status_code == 204
    assert client.delete("/api/admins/ada", headers=header).status_code == 404


def test_links_are_listed_and_those_that_nobody_has_are_refused(client: FlaskClient) -> None:
    assert client.get("/api/links").json == {"links": [], "offset": 0, "of": 0}
    assert client.delete("/api/links?calendar=demo/person/ada").status_code == 422
    assert client.delete("/api/links?calendar=ada").status_code == 400
    assert client.delete("/api/links").status_code == 400


@pytest.mark.parametrize("path", ["/api/tokens", "/api/admins", "/api/links", "/api/settings", "/api/audit"])
def test_who_may_do_what_is_seen_by_administrators_alone(campus: Parts, path: str) -> None:
    client = browser(campus)
    asked = {scope: client.get(path, headers=bearer(campus, scope)).status_code for scope in tokens.Scope}
    assert asked == {tokens.Scope.READ: 403, tokens.Scope.IMPORT: 403, tokens.Scope.ADMIN: 200}
