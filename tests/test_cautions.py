"""Whoever sets calbridge up so that others could read its secrets is told, at each start."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from app.care.cautions import cautions
from app.cli import main
from app.config import parse
from tests.redis import a_redis

SECRET = 'store.key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk="'


def told(text: str, mode: int = 0o100640, **environment: str) -> str:
    return "\n".join(cautions(parse(text, environment), text, mode))


def test_a_usual_configuration_is_nothing_to_worry_about() -> None:
    assert told("") == ""
    assert told('server.host = "0.0.0.0"\nserver.public_url = "https://cal.example.edu"') == ""
    assert told('server.public_url = "http://localhost:8600"') == ""


@pytest.mark.parametrize("secret", [SECRET, 'store.url = "postgresql://cal:hunter-2@db/cal"'])
def test_a_file_that_everybody_may_read_should_hold_no_secret(secret: str) -> None:
    assert "chmod o-r" in told(secret, 0o100644)
    assert told(secret, 0o100640) == ""
    assert told("zone = 'Europe/Oslo'", 0o100644) == ""


def test_a_secret_that_stands_elsewhere_may_be_named_in_a_file_that_everybody_reads() -> None:
    assert told('store.key = { env = "KEY" }', 0o100644, KEY="k" * 43 + "=") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('server.public_url = "http://cal.example.edu"', "server.public_url is http://…"),
        ('server.host = "0.0.0.0"', "without TLS in front"),
        ("fetch.http = true", "fetch.http is on"),
    ],
)
def test_what_travels_unencrypted_is_told(text: str, said: str) -> None:
    assert said in told(text)


def test_check_config_says_it_and_shows_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'store.url = "sqlite:///{tmp_path}/cal.sqlite3"\n{SECRET}\n')
    file.chmod(0o644)
    result = CliRunner().invoke(main, ["--config", str(file), "check-config"])
    assert result.exit_code == 0
    assert "careful: everybody on this machine can read" in result.stderr
    assert "kkkk" not in result.output


def test_check_config_says_whether_redis_answers(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = 'store.url = "sqlite:///{folder}/cal.sqlite3"\n{section}.url = "{url}"\n'
    for section in ("jobs", "cache"):
        file.write_text(text.format(folder=tmp_path, section=section, url="redis://:hunter-2@127.0.0.1:1/0"))
        result = CliRunner().invoke(main, ["--config", str(file), "check-config"])
        assert result.exit_code == 2
        assert f"{section}.url: Redis at 127.0.0.1:1 does not answer" in result.stderr
        assert "hunter-2" not in result.output
    with a_redis(tmp_path) as url:
        file.write_text(text.format(folder=tmp_path, section="cache", url=url))
        result = CliRunner().invoke(main, ["--config", str(file), "check-config"])
    assert f"cache: Redis at {urlsplit(url).netloc} answers" in result.stdout


def test_of_an_issuer_of_many_schools_a_deployment_is_wanted() -> None:
    lti = (
        'lms = "demo"\nissuer = "https://blackboard.com"\nclient_id = "x"\n'
        'auth_login_url = "https://developer.blackboard.com/a"\njwks_url = "https://developer.blackboard.com/k"'
    )
    text = f'server.public_url = "https://cal.example.edu"\n[lti.learn]\n{lti}'
    (said,) = cautions(parse(text, {}), "", 0)
    assert "lti.learn.deployments names none" in said
    assert not list(cautions(parse(f'{text}\ndeployments = ["d-1"]', {}), "", 0))
