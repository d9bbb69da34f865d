"""Connections as administrators look after them, over a Learn that answers, refuses, is silent or away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.care import connections
from app.config import parse
from app.parts import Parts, open_parts
from app.store.leases import Busy, lease
from tests import stores
from tests.campus import NOW, browser
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import serving
from tests.web.test_linking import link

SECRET = "app-secret"


@pytest.fixture
def learn() -> FakeLearn:
    fake = FakeLearn()
    fake.settings.now = NOW.isoformat()
    fake.add_user("_5_1", "ann", {"_12594_1": "Instructor"})
    fake.visitor = "_5_1"
    return fake


@pytest.fixture
def url(learn: FakeLearn) -> Iterator[str]:
    with serving(learn) as where:
        yield where


def opened(folder: Path, url: str, secret: str = SECRET) -> Parts:
    connection = f'bridge = "blackboard"\nurl = "{url}"\nkey = "app-key"\nsecret = "{secret}"\nzone = "UTC"'
    told = f"{stores.setting(folder / 'x.sqlite3')}\n[lms.learn]\n{connection}\nlinking = true\nbackoff_seconds = 0"
    return open_parts(parse(told, {}), now=lambda: NOW)


@pytest.fixture
def parts(tmp_path: Path, url: str) -> Parts:
    return opened(tmp_path, url)


@pytest.fixture
def client(parts: Parts) -> FlaskClient:
    return browser(parts)


def told(client: FlaskClient) -> str:
    """What the page says after the button was pressed."""
    page = client.post("/admin/connections/learn/try").text
    return re.sub(r"<[^>]+>|\s+", " ", page.partition('role="status"')[2].partition("</p>")[0])


class TestATrial:
    def test_of_one_that_answers_lists_calendars_and_shows_the_weather(self, client: FlaskClient) -> None:
        assert "It answers." in told(client)
        assert "calls left" in client.get("/admin/connections").text

    def test_with_a_wrong_secret_says_where_to_look_and_not_what_it_is(self, tmp_path: Path, url: str) -> None:
        said = told(browser(opened(tmp_path, url, "quite-another-secret")))
        assert "It does not answer as it should." in said
        assert "Look at the key, the secret and the address in [lms.learn]" in said
        assert "quite-another-secret" not in said

    def test_of_one_that_is_away_says_to_try_again(self, tmp_path: Path) -> None:
        said = told(browser(opened(tmp_path, "http://127.0.0.1:9")))
        assert "Try again in some minutes" in said

    def test_of_one_that_fails_is_no_fault_of_ours(self, client: FlaskClient, learn: FakeLearn) -> None:
        learn.faults.append(Fault("status", status=500, times=-1))
        assert "It does not answer as it should." in told(client)

    def test_ends_where_nobody_waits_any_longer(self, parts: Parts, learn: FakeLearn) -> None:
        learn.faults.append(Fault("slow", seconds=1))
        trial = connections.tried(parts, "learn", patience=0.1)
        assert (trial.answers, trial.problem) == (False, "It has not answered within 0 seconds.")

    def test_is_made_once_at_a_time(self, parts: Parts, client: FlaskClient) -> None:
        with lease(parts.engine, "try learn", parts.now), pytest.raises(Busy):
            connections.tried(parts, "learn")
        assert connections.tried(parts, "learn").answers


def test_a_person_who_linked_an_account_is_listed_and_can_be_forgotten(parts: Parts, client: FlaskClient) -> None:
    assert "Nobody has linked an account." in client.get("/admin/links").text
    link(client)
    page = client.get("/admin/links").text
    assert "learn/person/_5_1" in page
    assert (
        "Forget what learn/person/_5_1 has permitted?"
        in client.get("/admin/links/remove?calendar=learn/person/_5_1").text
    )
    assert client.post("/admin/links/remove", data={"calendar": "learn/person/_5_1"}).status_code == 303
    assert "Nobody has linked an account." in client.get("/admin/links").text
    assert client.get("/admin/links/remove?calendar=nonsense").status_code == 400
