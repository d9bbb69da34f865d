"""The configuration: everything that is wrong is said at once, and the example is the code's own."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import bridges
from app.config import ConfigError, config_path, example, load, parse

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


def test_without_a_configuration_a_demo_campus_stands_in() -> None:
    config = load(None, {})
    assert config.demo
    assert config.connections["demo"].bridge == "local"
    assert config.server.host == "127.0.0.1"


def test_everything_that_is_wrong_is_told_at_once_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            """
            zone = "Europe/Atlantis"
            colour = "blue"
            [server]
            port = "many"
            [lms.a]
            brigde = "local"
            [lms.b]
            bridge = "canvas"
            [lms.c]
            bridge = "blackboard"
            key = "k"
            """,
            {},
        )
    said = "\n".join(caught.value.problems)
    for part in (
        "zone: no time zone is called 'Europe/Atlantis'",
        "colour: no such key",
        "server.port:",
        "lms.a.bridge: missing",
        "lms.b.bridge: no bridge is called 'canvas'",
        "lms.c.url: missing",
        "lms.c.secret: missing",
    ):
        assert part in said


def test_a_fault_never_shows_the_value_that_was_given() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('[lms.a]\nbridge = "blackboard"\nurl = 7\nkey = "k"\nsecret = ["hunter2"]', {})
    assert "hunter2" not in str(caught.value)


def test_values_may_stand_in_the_environment_or_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "zone").write_text("America/New_York\n")
    config = parse(f'zone = {{ file = "{tmp_path}/zone" }}\n[server]\nhost = {{ env = "HOST" }}', {"HOST": "::1"})
    assert (config.zone.key, config.server.host) == ("America/New_York", "::1")


@pytest.mark.parametrize("file", ["zone", "calbridge_zone"])
def test_values_may_be_handed_over_by_systemd_alone_or_of_a_folder(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("America/New_York\n")
    config = parse('zone = { credential = "zone" }', {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.zone.key == "America/New_York"


@pytest.mark.parametrize(
    ("name", "folder", "said"),
    [
        ("absent", True, "No such file"),
        ("../zone", True, "that is no name"),
        ("zone", False, "CREDENTIALS_DIRECTORY is not set"),
    ],
)
def test_a_credential_that_is_not_there_is_a_fault(tmp_path: Path, name: str, folder: bool, said: str) -> None:
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)} if folder else {}
    with pytest.raises(ConfigError, match=f"zone: the credential {name} cannot be read: .*{said}"):
        parse(f'zone = {{ credential = "{name}" }}', environment)


@pytest.mark.parametrize(
    "lms",
    [
        'bridge = "blackboard"\nurl = "http://learn.example.edu"\nkey = "k"\nsecret = "s"\nzone = "Europe/Oslo"',
        'bridge = "brightspace"\nurl = "http://lms.example.edu"\nzone = "Europe/Oslo"',
        'bridge = "itslearning"\nwrite_url = "http://x.example/a.svc"\nread_url = "https://x.example/a.svc"',
        'bridge = "learningspace"\nurl = "http://sim.example.edu"',
    ],
)
def test_no_lms_is_reached_unencrypted_over_the_network(lms: str) -> None:
    with pytest.raises(ConfigError, match="https://"):
        parse(f"[lms.a]\n{lms}", {})


def test_a_secret_that_is_nowhere_is_a_fault_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"server\.host: the environment has no HOST"):
        parse('[server]\nhost = { env = "HOST" }', {})


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(ConfigError, match="line 1"):
        parse("zone = Oslo", {})


def test_a_missing_file_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("/nowhere/config.toml", {})


def test_the_environment_names_the_file() -> None:
    assert config_path({"CALBRIDGE_CONFIG": "/etc/calbridge.toml"}) == "/etc/calbridge.toml"


def test_the_example_file_is_the_codes_own() -> None:
    assert EXAMPLE.read_text("utf-8") == example(), "write it anew: calbridge check-config --example"


def test_the_example_says_the_defaults() -> None:
    config, defaults = parse(example(), {}), load(None, {})
    assert (config.zone, config.server, config.feeds) == (defaults.zone, defaults.server, defaults.feeds)
    assert (config.store, config.imports) == (defaults.store, defaults.imports)


def test_the_examples_tables_are_whole_once_their_hashes_are_gone() -> None:
    tables = example().partition("\n# [lms.")
    text = "".join(line.removeprefix("# ") + "\n" for line in (tables[1] + tables[2]).splitlines())
    told = tomllib.loads(text)
    assert set(told["lms"]) == {f"my-{bridge}" for bridge in bridges.REGISTRY}
    assert set(told["lti"]) == {"my-lms"}


def test_a_port_may_be_written_as_a_number() -> None:
    assert parse('fetch.ports = [443, "8000-8001"]', {}).fetch.open_ports == (range(443, 444), range(8000, 8002))
    with pytest.raises(ConfigError, match=r"fetch\.ports"):
        parse("fetch.ports = [true]", {})
