"""The client's address and scheme are what our own proxies say, and never what a client says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from app import create_app
from app.config import ConfigError, parse
from app.parts import Parts
from app.people import accounts
from app.web.door.guesses import MOST
from app.web.proxied import Proxied
from tests.campus import open_campus

OURS = ("127.0.0.1", "10.1.0.0/16", "fd00::/8")


def seen(peer: str, proxies: tuple[str, ...] = OURS, **headers: str) -> Any:
    """What an application behind is told of a request that `peer` sends."""
    app = Flask("seen")
    app.add_url_rule("/", view_func=lambda: {"address": request.remote_addr, "scheme": request.scheme})
    app.wsgi_app = Proxied(app.wsgi_app, proxies)  # type: ignore[method-assign]
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get("/", headers=sent, environ_overrides={"REMOTE_ADDR": peer})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.1.200.3", "192.0.2.7", "192.0.2.7"),
        ("fd00::5", "2001:db8::1", "2001:db8::1"),
        ("::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, 10.1.0.9", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7:41234", "192.0.2.7"),
        ("127.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("127.0.0.1", "10.1.0.9", "10.1.0.9"),
        ("127.0.0.1", "192.0.2.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("192.0.2.66", "127.0.0.1", "192.0.2.66"),
        ("192.0.2.66", "192.0.2.7", "192.0.2.66"),
    ],
)
def test_the_client_is_the_last_one_that_is_no_proxy_of_ours(peer: str, forwarded: str, address: str) -> None:
    assert seen(peer, X_Forwarded_For=forwarded).json["address"] == address


def test_nobody_is_believed_unless_the_configuration_says_so() -> None:
    answer = seen("127.0.0.1", (), X_Forwarded_For="192.0.2.7", X_Forwarded_Proto="https")
    assert answer.json == {"address": "127.0.0.1", "scheme": "http"}


@pytest.mark.parametrize(("told", "scheme"), [("https", "https"), ("http, HTTPS", "https"), ("gopher", "http")])
def test_the_scheme_is_what_the_proxy_next_to_us_saw(told: str, scheme: str) -> None:
    answer = seen("127.0.0.1", X_Forwarded_For="192.0.2.7", X_Forwarded_Proto=told)
    assert answer.json["scheme"] == scheme
    assert ("Strict-Transport-Security" in answer.headers) == (scheme == "https")


def test_a_stranger_cannot_say_what_the_scheme_is() -> None:
    assert seen("192.0.2.66", X_Forwarded_Proto="https").json["scheme"] == "http"


def test_what_is_no_network_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('server.proxies = ["nginx"]', {})
    assert caught.value.problems == ["server.proxies: 'nginx' is no address and no network: write 10.1.0.0/16"]


class TestInTheApplication:
    @pytest.fixture
    def campus(self, tmp_path: Path) -> Parts:
        return open_campus(tmp_path, 'server.proxies = ["127.0.0.1"]')

    def guess(self, web: Any, client: str) -> TestResponse:
        found: TestResponse = web.get(f"/feeds/{'A' * 43}/none.ics", headers={"X-Forwarded-For": client})
        return found

    def test_who_guesses_through_the_proxy_waits_and_nobody_else_does(self, campus: Parts) -> None:
        web = create_app(campus).test_client()
        answers = [self.guess(web, "192.0.2.66").status_code for _ in range(MOST + 1)]
        assert answers == [404] * MOST + [429]
        assert self.guess(web, "192.0.2.7").status_code == 404

    @pytest.mark.parametrize("client", ["127.0.0.1", "192.0.2.7", "::1", ""])
    def test_no_client_of_the_proxy_is_the_person_at_this_machine(self, campus: Parts, client: str) -> None:
        web = create_app(campus).test_client()
        assert web.get("/api/feeds").status_code == 200
        assert web.get("/api/feeds", headers={"X-Forwarded-For": client}).status_code == 403

    def test_a_page_of_ours_over_https_is_not_taken_for_another_sites(self, campus: Parts) -> None:
        accounts.put(campus.engine, "ada", "correct horse battery", campus.now())
        web = create_app(campus).test_client()
        headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Origin": "https://cal.example.edu"}
        sign_in = {"name": "ada", "password": "correct horse battery"}
        answer = web.post("/sign-in", data=sign_in, headers=headers | {"Host": "cal.example.edu"})
        assert answer.status_code == 303
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
