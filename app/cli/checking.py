"""`check-config`: whether the settings are in order, what they reach, and what is dangerous about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from app.cli.common import config_file
from app.cli.terminal import complain, say

if TYPE_CHECKING:
    from app.config import Config


@click.command("check-config")
@click.option("--example", is_flag=True, help="Print config.example.toml instead.")
def check_config(example: bool) -> None:
    """Tell everything that is wrong with the configuration, and whether the store that it names can be used.

    Example: calbridge --config /etc/calbridge/config.toml check-config
    """
    from app import config
    from app.store.look import seen

    if example:
        click.echo(config.example(), nl=False)
        return
    path = config_file()
    loaded = config.load(path, os.environ)
    said = f"{path} is in order" if path else "no configuration: the defaults, with a demo campus"
    say(f"{said}. Connections: {', '.join(sorted(loaded.connections))}")
    warn(loaded)
    say(f"the store: {seen(loaded.store.url)}")
    for section, url in (("jobs", loaded.jobs.url), ("cache", loaded.cache.url)):
        if url and not url.startswith("sqlite"):
            say(f"{section}: {answering(section, url)}")


def answering(section: str, url: str) -> str:
    """Where that Redis is, without its password. ValueError where it does not answer."""
    from urllib.parse import urlsplit

    from app.redis import faults, pool

    where = urlsplit(url)
    name = f"Redis at {where.hostname or where.path}" + (f":{where.port}" if where.port else "")
    connections = pool(url)
    from redis import Redis  # pool has said so where it is not installed

    try:
        Redis(connection_pool=connections).ping()
    except faults() as error:
        raise ValueError(f"{section}.url: {name} does not answer: {error}") from None
    return f"{name} answers"


def warn(config: Config) -> None:
    """Say on standard error what is dangerous about these settings."""
    from app.care.cautions import cautions

    path = config_file()
    text, mode = "", 0
    if path:
        with open(path, encoding="utf-8") as file:
            text, mode = file.read(), os.fstat(file.fileno()).st_mode
    for caution in cautions(config, text, mode):
        complain(f"careful: {caution}")
