"""The settings that hold: each with where it came from, and none with a secret in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.care.settings import HIDDEN, Setting, censored, effective
from app.config import Config, load, parse
from app.origins import DEFAULT, Origin, Where, origins

LEARN = """
zone = "Europe/Berlin"
server.port = { env = "PORT" }
server.public_url = "https://cal.example.edu"
store.url = "postgresql+psycopg://cal:pass%40word1@db.example.edu/cal"
[imports]
ahead_days = 90
[lms.learn]
bridge = "blackboard"
url = "https://learn.example.edu"
key = "the-key"
secret = { env = "LEARN_SECRET" }
zone = "UTC"
[lti.moodle]
lms = "learn"
[lms.sim]
bridge = "learningspace"
url = "https://sim.example.edu/api/public_calendar.json?key=geheimnis"
zone = "UTC"
"""
ENVIRONMENT = {"PORT": "9000", "LEARN_SECRET": "a-long-secret"}


@pytest.fixture
def config() -> Config:
    return parse(f'store.key = "{"k" * 43}="\n{LEARN}', ENVIRONMENT, "/etc/cal.toml")


def one(config: Config, path: str) -> Setting:
    return next(each for each in effective(config) if each.path == path)


@pytest.mark.parametrize(
    ("path", "value", "origin"),
    [
        ("zone", "Europe/Berlin", Origin(Where.FILE, "/etc/cal.toml")),
        ("server.port", 9000, Origin(Where.ENVIRONMENT, "PORT")),
        ("server.host", "127.0.0.1", DEFAULT),
        ("imports.ahead_days", 90, Origin(Where.FILE, "/etc/cal.toml")),
        ("lms.learn.url", "https://learn.example.edu", Origin(Where.FILE, "/etc/cal.toml")),
        ("lms.learn.secret", HIDDEN, Origin(Where.ENVIRONMENT, "LEARN_SECRET")),
        ("lms.learn.linking", False, DEFAULT),
    ],
)
def test_each_says_what_holds_and_where_that_came_from(
    config: Config, path: str, value: object, origin: Origin
) -> None:
    found = one(config, path)
    assert (found.value, found.origin) == (value, origin)


def test_every_key_of_the_configuration_is_there_with_what_it_is_for(config: Config) -> None:
    found = effective(config)
    assert len({each.path for each in found}) == len(found)
    assert all(each.about for each in found)
    some = {"log.level", "feeds.embed", "mail.password", "lms.sim.url", "lti.moodle.lms"}
    assert some <= {each.path for each in found}


def test_no_secret_stands_in_any_of_it(config: Config) -> None:
    told = json.dumps([each.to_json() for each in effective(config)])
    for secret in ("a-long-secret", "pass%40word1", "pass@word1", "geheimnis", "k" * 43):
        assert secret not in told
    assert one(config, "store.url").value == f"postgresql+psycopg://cal:{HIDDEN}@db.example.edu/cal"
    assert one(config, "store.url").secret


def test_a_secret_that_is_not_set_is_told_so(config: Config) -> None:
    assert (one(config, "mail.password").value, one(config, "mail.password").secret) == ("", True)


def test_a_file_and_a_credential_are_named_and_not_read_out(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text("UTC\n")
    (tmp_path / "level").write_text("debug\n")
    text = f'zone = {{ file = "{tmp_path}/zone" }}\nlog.level = {{ credential = "level" }}'
    (tmp_path / "config.toml").write_text(text)
    config = load(tmp_path / "config.toml", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert str(one(config, "zone").origin) == f"file {tmp_path}/zone"
    assert str(one(config, "log.level").origin) == "credential level"


def test_without_a_configuration_all_is_as_usual() -> None:
    assert {each.origin for each in effective(load(None, {}))} == {DEFAULT}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:pa/ss@word@cache:6379/1", f"redis://:{HIDDEN}@cache:6379/1"),
        ("redis://cache:6379/1?password=hunter", f"redis://cache:6379/1?{HIDDEN}"),
        ("postgresql+psycopg://db/cal?user=cal&password=hunter", f"postgresql+psycopg://db/cal?{HIDDEN}"),
        ("https://cal:hunter@lms.example.edu/x", f"https://cal:{HIDDEN}@lms.example.edu/x"),
        ("https://a-token@lms.example.edu/x", f"https://{HIDDEN}@lms.example.edu/x"),
        ("HTTPS://lms.example.edu/x?key=hunter", f"HTTPS://lms.example.edu/x?{HIDDEN}"),
        ("https://lms.example.edu/x#key=hunter", f"https://lms.example.edu/x#{HIDDEN}"),
        ("https://lms.example.edu:8443/~a@b", "https://lms.example.edu:8443/~a@b"),
        ("redis://cache:6379/1", "redis://cache:6379/1"),
    ],
)
def test_of_an_address_nothing_is_shown_that_may_open_it(address: str, shown: str) -> None:
    """Also a password too short to be looked for elsewhere, or one that its client reads otherwise than URLs are."""
    assert censored(f"cannot reach {address} (x@y)", ()) == f"cannot reach {shown} (x@y)"


_TREE = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.fixed_dictionaries({"env": st.just("NAME")})),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, min_size=1, max_size=3),
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), _TREE, max_size=3))
def test_each_value_that_is_told_has_one_origin(tree: dict[str, object]) -> None:
    found = origins(tree, "file.toml")

    def leaves(value: object, path: str) -> list[str]:
        if isinstance(value, dict) and set(value) != {"env"}:
            return [leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}".lstrip("."))]
        return [path]

    assert sorted(found) == sorted(leaves(tree, "")) if tree else found == {}


@given(
    st.text("abc:/@?=&. ", max_size=20), st.text("xyz", min_size=6, max_size=12), st.text("abc:/@?=&. ", max_size=20)
)
def test_a_secret_is_taken_out_wherever_it_stands(before: str, secret: str, after: str) -> None:
    assert secret not in censored(f"{before}{secret}{after}", [secret])
