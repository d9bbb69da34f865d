"""The document of the API: it lacks nothing, its examples are what happens, and answers are held to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask import Response
from flask.testing import FlaskClient

from app.people import tokens
from app.web import uploads
from app.web.api.shapes.common import MOST
from app.web.api.shapes.runs import Upload
from app.web.api.words import ROOMS
from tests.campus import NOW, browser, open_campus
from tests.fakes.web import LECTURE, answer, serving
from tests.test_refresh import Campus
from tests.web.described import path_of, require_told
from tests.web.story import EXAMPLES, Teller, steps

Call = tuple[str, str, dict[str, Any]]


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return browser(open_campus(tmp_path))


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/api/openapi.json").get_json()
    return told


@pytest.fixture
def calls(document: dict[str, Any]) -> list[Call]:
    return [(path, method, call) for path, calls in document["paths"].items() for method, call in calls.items()]


def test_no_way_into_the_api_is_missing(client: FlaskClient, calls: list[Call]) -> None:
    rules = {
        (path_of(rule.rule), method.lower())
        for rule in client.application.url_map.iter_rules()
        if rule.rule.startswith("/api")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, method, _ in calls} == rules


def test_every_call_says_what_it_is_for_who_may_and_how_it_is_refused(calls: list[Call]) -> None:
    names = [call["operationId"] for _, _, call in calls]
    assert len(names) == len({*names})
    for path, method, call in calls:
        assert 3 <= len(call["summary"]) <= 120, call["summary"]
        assert call["description"].endswith((".", ")")), call["description"]
        assert call["tags"][0] in ROOMS
        assert "429" in call["responses"]
        if path not in ("/api/", "/api/openapi.json"):
            assert {"400", "401", "403"} <= {*call["responses"]}
            (scope,) = call["security"][0]["token"]
            assert scope in {*tokens.Scope}
            assert call["security"][1] == {"session": [scope]}
        for status, told in call["responses"].items():
            if status >= "400":
                assert {"application/problem+json", "application/json"} & {*told["content"]}, (path, method, status)
        keys = [place for place in call["parameters"] if place["name"] == "Idempotency-Key"]
        assert bool(keys) is (method == "post")


def test_every_list_comes_in_parts_that_have_an_end(calls: list[Call]) -> None:
    lists = [call for _, _, call in calls if "Link" in call["responses"].get("200", {}).get("headers", {})]
    assert len(lists) >= 14
    for call in lists:
        (limit,) = [place["schema"] for place in call["parameters"] if place["name"] == "limit"]
        assert limit["maximum"] <= 1000
        assert {"offset", "before"} & {place["name"] for place in call["parameters"]}


def test_every_shape_that_is_named_is_there_and_is_a_schema(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    named = {word.split('"')[0] for word in text.split("#/components/schemas/")[1:]}
    assert named == {*schemas} & named
    assert {*schemas} == named
    for schema in schemas.values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_whoever_comes_may_read_how_to_call(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    tokens.add(parts.engine, "office", NOW)
    stranger = {"REMOTE_ADDR": "192.0.2.7"}
    client = browser(parts)
    for path in ("/api/openapi.json", "/api/"):
        assert client.get(path, environ_overrides=stranger).status_code == 200
    assert client.get("/api", environ_overrides=stranger).headers["Location"].endswith("/api/")
    assert client.get("/api/feeds", environ_overrides=stranger).status_code == 401


def test_the_page_shows_every_call_and_loads_nothing_from_elsewhere(client: FlaskClient, calls: list[Call]) -> None:
    page = client.get("/api/").text
    for path, method, call in calls:
        assert f'id="{call["operationId"]}"' in page, (path, method)
    assert 'src="http' not in page
    assert len(page) < 150_000


def test_the_fields_of_an_upload_are_those_that_are_taken() -> None:
    told = {field.alias or name for name, field in Upload.model_fields.items()}
    assert told | {"token", "csrf_token"} == uploads.FIELDS


def test_each_call_wants_the_scope_that_it_says(tmp_path: Path, calls: list[Call]) -> None:
    parts = open_campus(tmp_path)
    order = [None, *tokens.Scope]
    bearers = {scope: f"Bearer {tokens.add(parts.engine, scope, NOW, scope)}" for scope in tokens.Scope}
    client = browser(parts)
    for path, method, call in calls:
        for way in call["security"][:1]:
            needed = order.index(way["token"][0])
            for lesser in order[:needed]:
                headers = {"Authorization": bearers[lesser]} if lesser else {}
                refused = client.open(re.sub("{.*?}", "1", path), method=method.upper(), headers=headers)
                assert refused.status_code == (403 if lesser else 401), (method, path, lesser)


@pytest.mark.parametrize(("method", "path", "may"), [("GET", "/api/doctor", "POST"), ("PUT", "/api/feeds/x", "PATCH")])
def test_a_method_that_is_none_here_is_answered_with_those_that_are(
    client: FlaskClient, method: str, path: str, may: str
) -> None:
    refused = client.open(path, method=method)
    assert (refused.status_code, refused.content_type) == (405, "application/problem+json")
    assert may in refused.headers["Allow"]


def test_readme_tells_the_figures_that_hold(tmp_path: Path) -> None:
    readme = (EXAMPLES.parents[2] / "README.md").read_text("utf-8")
    config = open_campus(tmp_path).config
    assert f"{config.api.per_minute} times a minute (`api.per_minute`)" in readme
    assert f"for {config.keep.answers_hours} hours\n  (`keep.answers_hours`)" in readme
    assert f"of {MOST:,} at most" in readme


class TestExamples:
    """The document's examples are sent, in the order of a day, and are answered as the document says."""

    @pytest.fixture
    def teller(self, tmp_path: Path) -> Iterator[Teller]:
        with serving() as web:
            web.replies["/c.ics?key=geheim"] = answer(200, LECTURE)
            yield Teller(Campus(tmp_path, web))

    def test_each_call_has_one_and_is_answered_so(self, teller: Teller) -> None:
        examples: dict[str, Any] = json.loads(EXAMPLES.read_text("utf-8"))
        told: set[str] = set()
        for step in steps():
            real, made = teller.tell(step)
            assert real.status_code == step.comes_to, f"{step.name}: {real.text[:500]}"
            if step.name not in told:
                assert made == examples[step.name], f"{step.name}: write them anew: python -m tests.web.story"
                told.add(step.name)
        names = {call["operationId"] for calls in teller.document["paths"].values() for call in calls.values()}
        assert told == names

    def test_the_document_shows_them(self, teller: Teller) -> None:
        shown = {call["operationId"]: call for calls in teller.document["paths"].values() for call in calls.values()}
        examples: dict[str, Any] = json.loads(EXAMPLES.read_text("utf-8"))
        for name, example in examples.items():
            call = shown[name]
            places = {place["name"]: place.get("example") for place in call["parameters"]}
            for field, value in {**example.get("path", {}), **example.get("query", {})}.items():
                assert places[field] == value, (name, field)
            if "body" in example:
                kind = "text/calendar" if isinstance(example["body"], str) else "application/json"
                assert call["requestBody"]["content"][kind]["example"] == example["body"]
            if "answer" in example:
                content = call["responses"][str(example["status"])]["content"]["application/json"]
                assert content["example"] == example["answer"]


class TestHolding:
    """Every test of the web face holds what is answered to the document; here it is seen to."""

    @pytest.fixture(autouse=True)
    def known(self, client: FlaskClient) -> None:
        client.get("/api/feeds")

    def answered(self, client: FlaskClient, body: object, status: int = 200, kind: str = "application/json") -> None:
        with client.application.test_request_context("/api/workers"):
            require_told("/api/workers", "GET", Response(json.dumps(body), status, content_type=kind))

    def test_what_fits_is_let_through(self, client: FlaskClient) -> None:
        self.answered(client, {"workers": [], "offset": 0, "of": 0})

    @pytest.mark.parametrize(
        ("body", "status", "kind"),
        [
            ({"workers": [], "offset": 0, "of": 0, "more": 1}, 200, "application/json"),
            ({"workers": [], "offset": 0}, 200, "application/json"),
            ({"workers": [], "offset": "0", "of": 0}, 200, "application/json"),
            ({"workers": [], "offset": 0, "of": 0}, 201, "application/json"),
            ({"workers": [], "offset": 0, "of": 0}, 200, "text/html"),
            ({"title": "x", "status": 200, "detail": ""}, 400, "application/problem+json"),
        ],
        ids=["a field too many", "one too few", "one of another kind", "another status", "another type", "no problem"],
    )
    def test_what_does_not_is_found(self, client: FlaskClient, body: object, status: int, kind: str) -> None:
        with pytest.raises(AssertionError):
            self.answered(client, body, status, kind)
