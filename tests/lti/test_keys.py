"""The keys of a platform: read from where the configuration says alone, and from nothing that is no set of keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from app.imports.pull.fetch import FetchError, FetchSettings
from app.lti.keys import LARGEST, fetched, keys_of
from tests.campus import NOW
from tests.fakes.lti import new_key
from tests.fakes.web import Web, answer, canary, onward, serving

GOOD: dict[str, Any] = dict(new_key().as_dict(private=False))


def told(*keys: Any) -> str:
    return json.dumps({"keys": keys})


@pytest.mark.parametrize(
    "key",
    [
        None,
        7,
        {},
        {**GOOD, "kid": None},
        {**GOOD, "n": "!"},
        {**GOOD, "n": 7},
        {**GOOD, "use": "enc"},
        {**GOOD, "kty": "unheard of"},
        {**OctKey.import_key("a secret of thirty-two letters..").as_dict(), "kid": "one"},
        {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "one"},
        {**GOOD, "n": GOOD["n"][:171]},
    ],
    ids=["null", "number", "empty", "no kid", "no number", "wrong type", "use", "kind", "secret", "curve", "short"],
)
def test_a_key_that_signs_no_launch_is_passed_over(key: Any) -> None:
    assert set(keys_of(told(key, {**GOOD, "kid": "two"}))) == {"two"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', "<html>", "7"])
def test_what_is_no_set_of_keys_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        keys_of(text)


class TestTheWayThere:
    @pytest.fixture
    def web(self) -> Iterator[Web]:
        with serving() as one:
            yield one

    def read(self, web: Web, path: str = "/keys") -> str:
        return fetched(f"http://127.0.0.1:{web.port}{path}", FetchSettings(), NOW)

    def test_they_are_read(self, web: Web) -> None:
        web.replies["/keys"] = answer(200, told(GOOD).encode())
        assert set(keys_of(self.read(web))) == {"one"}

    def test_nobody_is_followed_elsewhere(self, web: Web) -> None:
        with canary() as elsewhere:
            web.replies["/keys"] = onward(f"http://127.0.0.1:{elsewhere.port}/keys")
            with pytest.raises(FetchError):
                self.read(web)
            assert elsewhere.visits == 0

    def test_too_much_is_not_read(self, web: Web) -> None:
        web.replies["/keys"] = answer(200, b"x" * (LARGEST + 1))
        with pytest.raises(FetchError, match="sends more than"):
            self.read(web)

    def test_an_error_is_no_set_of_keys(self, web: Web) -> None:
        web.replies["/keys"] = answer(500, b"{}")
        with pytest.raises(FetchError):
            self.read(web)
