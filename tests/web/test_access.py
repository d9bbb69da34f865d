"""Who may write: this machine's own user while no token exists, and nobody without a token afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parts import Parts
from app.people import tokens
from tests.campus import NOW, browser, open_campus

WRITE = "/api/feeds/{}/refresh"


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


@pytest.fixture
def write(campus: Parts) -> str:
    return WRITE.format(campus.feeds.list()[0].slug)


def test_the_person_at_the_machine_may_write(campus: Parts, write: str) -> None:
    assert browser(campus).post(write).status_code == 200


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "192.0.2.7"),
        ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1"),
        ({"Forwarded": "for=192.0.2.7"}, "127.0.0.1"),
        ({"Host": "rebound.example"}, "127.0.0.1"),
        ({"Origin": "https://evil.example"}, "127.0.0.1"),
        ({"Origin": "null"}, "127.0.0.1"),
        ({"Sec-Fetch-Site": "cross-site"}, "127.0.0.1"),
    ],
    ids=["a stranger", "behind a proxy", "behind another", "a rebound name", "a foreign page", "no page", "a fetch"],
)
def test_without_a_token_nobody_else_may(campus: Parts, write: str, headers: dict[str, str], address: str) -> None:
    client = browser(campus)
    answer = client.post(write, headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == 403
    assert client.get("/api/feeds", headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code == 403


def test_a_token_that_nobody_made_is_told_as_such(campus: Parts) -> None:
    refused = browser(campus).get("/api/feeds", headers={"Authorization": "Bearer made-up"})
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "another site" not in refused.get_data(as_text=True)


def test_once_a_token_exists_everybody_needs_one(campus: Parts, write: str) -> None:
    token = tokens.add(campus.engine, "office", NOW)
    client = browser(campus)
    refused = client.post(write)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.post(write, headers={"Authorization": f"Bearer {token}x"}).status_code == 401
    assert client.post(write, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert (
        client.post(
            write, headers={"Authorization": f"Bearer {token}"}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
        ).status_code
        == 200
    )


def test_a_revoked_token_opens_nothing(campus: Parts, write: str) -> None:
    token = tokens.add(campus.engine, "office", NOW)
    tokens.add(campus.engine, "other", NOW)
    assert tokens.revoke(campus.engine, "office")
    assert browser(campus).post(write, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_tokens_are_not_kept(campus: Parts, tmp_path: Path) -> None:
    token = tokens.add(campus.engine, "office", NOW)
    campus.engine.dispose()
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_two_tokens_may_not_share_a_name(campus: Parts) -> None:
    tokens.add(campus.engine, "office", NOW)
    with pytest.raises(ValueError, match="office"):
        tokens.add(campus.engine, "office", NOW)


def test_feeds_stay_readable_for_everybody(campus: Parts) -> None:
    tokens.add(campus.engine, "office", NOW)
    slug = campus.feeds.list()[0].slug
    answer = browser(campus).get(
        f"/public/{slug}.ics",
        headers={"Authorization": "Bearer sent-by-the-client"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.status_code == 200
