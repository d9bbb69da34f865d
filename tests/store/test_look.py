"""Somebody who checks a configuration learns whether its store can be used, and which file or folder is in the way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.config import ConfigError, parse
from app.parts import open_parts
from app.store.engine import open_engine
from app.store.look import seen
from app.store.migrate import migrate
from tests.postgresql import schema

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def a_mere_user() -> Iterator[None]:
    """Within, this process is nobody in particular: an administrator is kept out by no file's mode."""
    before = os.getresuid()
    if before[0] == 0:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(*before)


def test_a_store_that_is_not_there_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    assert "is not there yet" in seen(f"sqlite:///{tmp_path}/cal.sqlite3")
    assert not list(tmp_path.iterdir())


def test_a_store_in_shape_says_so_and_one_without_tables_what_helps(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/cal.sqlite3"
    (tmp_path / "cal.sqlite3").touch()
    assert "at the first start, or by migrate" in seen(url)
    migrate(open_engine(url))
    assert seen(url) == f"{tmp_path}/cal.sqlite3 answers, and is in shape"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"store.url: there is no folder {tmp_path}/none"):
        seen(f"sqlite:///{tmp_path}/none/cal.sqlite3")


def test_a_folder_that_is_read_only_is_named(open_folder: Path) -> None:
    if os.getuid():
        open_folder.chmod(0o555)
    with a_mere_user(), pytest.raises(ValueError, match=f"store.url: the folder {open_folder} cannot be written to"):
        seen(f"sqlite:///{open_folder}/cal.sqlite3")


def test_a_file_that_is_read_only_is_named(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    file = open_folder / "cal.sqlite3"
    file.touch(mode=0o444)
    file.chmod(0o444)
    with a_mere_user(), pytest.raises(ValueError, match=f"the file {file} cannot be read and written"):
        seen(f"sqlite:///{file}")


def test_whoever_starts_learns_it_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path}/none"):
        open_parts(parse(f'store.url = "sqlite:///{tmp_path}/none/cal.sqlite3"', {}))


def test_a_postgresql_is_told_with_its_host_and_without_its_password() -> None:
    with schema() as url:
        assert seen(url) == "postgresql at 127.0.0.1, database test, answers, and gets the shape that is needed " + (
            "at the first start, or by migrate"
        )
    with pytest.raises(ValueError, match="cannot be used") as caught:
        seen("postgresql+psycopg://cal:hunter-2@127.0.0.1:1/cal")
    assert "hunter-2" not in str(caught.value)
