"""The pages of subscriptions: the whole life of one, and no page with its address in it."""

from __future__ import annotations

import re
from typing import Any

from tests.test_refresh import Campus
from tests.web.test_subscriptions import campus, client

__all__ = ["campus", "client"]  # fixtures
ONE = "/subscriptions/1"


def add(client: Any, campus: Campus, **more: str) -> Any:
    given = {"url": campus.url, "calendar": "Anatomy I", "name": "<b>timetable</b>", "every_minutes": "60"}
    return client.post("/subscriptions", data={**given, "ahead_days": "365", "include": "a*\nMarine*", **more})


def said(answer: Any) -> str:
    return str(re.findall(r'role="alert"[^>]*>([^<]*)<', answer.text)[0])


def test_the_whole_life_of_one(client: Any, campus: Campus) -> None:
    assert add(client, campus).headers["Location"] == ONE
    assert campus.parts.subscriptions.get(1).wish.rules.include == ("a*", "Marine*")
    assert "not read yet" in client.get("/subscriptions").text
    assert client.post(f"{ONE}/run").status_code == 303
    page = client.get(ONE).text
    assert "1 created" in page
    assert '<span class="state fine">fine</span>' in page
    client.post(f"{ONE}/disable")
    assert "switched off" in client.get("/subscriptions").text
    client.post(f"{ONE}/enable")
    assert "switched off" not in client.get(ONE).text
    assert client.post(ONE, data={"url": "", "every_minutes": "90", "include": ""}).status_code == 303
    wish = campus.parts.subscriptions.get(1).wish
    assert (wish.every.total_seconds(), wish.rules.include) == (5400, ())
    assert campus.parts.vault.get("subscription/1/address") == campus.url
    assert "Remove it" in client.get(f"{ONE}/remove").text
    assert client.post(f"{ONE}/remove").headers["Location"] == "/subscriptions"
    assert client.get(ONE).status_code == 404


def test_no_page_shows_the_address_or_runs_the_name(client: Any, campus: Campus) -> None:
    add(client, campus)
    client.post(f"{ONE}/run")
    for path in ("/subscriptions", ONE, f"{ONE}/edit", f"{ONE}/remove"):
        page = client.get(path).text
        assert "geheim" not in page, path
        assert "&lt;b&gt;timetable" in page, path
        assert "<b>" not in page, path


def test_what_is_wrong_is_said_beside_the_form_with_what_was_written(client: Any, campus: Campus) -> None:
    refused = add(client, campus, every_minutes="1")
    assert (refused.status_code, "every_minutes" in said(refused)) == (422, True)
    assert 'value="365"' in refused.text
    assert add(client, campus, calendar="Alchemy").status_code == 422
    assert campus.parts.subscriptions.list() == []
