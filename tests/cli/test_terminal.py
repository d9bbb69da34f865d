"""What reaches a terminal: as wide as that is, in a zone that is named, and harmless whatever titles hold."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from app.cli.terminal import harmless, moment, say, say_json
from app.store import tables
from tests.cli.shell import COURSE, Shell

EVIL = "Bio \u202eevil \x1b[31mred \x9b2J \u2066in\x07"
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printed(text: object, how: object = say) -> str:
    @click.command()
    def command() -> None:
        how(text)  # type: ignore[operator]

    return CliRunner().invoke(command, catch_exceptions=False).stdout


@given(st.text(st.characters(codec=None)))
def test_no_text_can_do_anything_to_a_terminal(text: str) -> None:
    left = set(harmless(text))
    assert not left & BIDI
    assert not {letter for letter in left if unicodedata.category(letter) in {"Cc", "Cs"}} - set("\t\n")
    harmless(text).encode()


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))))
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_letters_of_all_directions_and_joined_emoji_stay() -> None:
    assert harmless("מבוא 👩‍🔬 نیم‌فاصله") == "מבוא 👩‍🔬 نیم‌فاصله"


@given(
    st.recursive(
        st.text(st.characters(codec="utf-8")), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_is_harmless_and_means_the_same(value: object) -> None:
    said = printed(value, say_json)
    assert json.loads(said) == value
    assert harmless(said) == said


def test_a_time_is_told_in_its_zone_which_is_named() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert moment(at, ZoneInfo("Europe/Oslo")) == "2026-07-01 14:00 CEST"
    assert moment("2026-12-01T12:00:00+00:00", ZoneInfo("Europe/Oslo")) == "2026-12-01 13:00 CET"
    assert moment(None, UTC) == "–"


def test_a_table_is_as_wide_as_the_terminal_and_loses_nothing(shell: Shell) -> None:
    title = "Introduction to marine biology 海洋生物学 " * 3
    shell("feed", "add", "long", "--calendar", COURSE, "--title", title)
    status, said = shell.on_a_terminal("feed", "list", "--search", "long", columns=60)
    lines = ESCAPE.sub("", said).split("\r\n")
    assert status == 0
    assert max(map(width, lines)) <= 60
    assert lines[0].split() == ["feed", "calendars", "state", "title"]
    begins = lines[0].index("title")
    shown = "".join(line[begins:] for line in lines[1:] if not line.startswith("…"))
    assert [shown.count(letter) for letter in "海生学"] == [3, 3, 3]


def width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def test_a_title_colours_nothing_and_turns_nothing_round(shell: Shell) -> None:
    shell("feed", "add", "evil", "--calendar", COURSE, "--title", "x")
    with shell.parts().engine.begin() as connection:
        connection.execute(update(tables.feed).where(tables.feed.c.slug == "evil").values(title=EVIL))
    _, said = shell.on_a_terminal("feed", "list", "--search", "evil", columns=200)
    plain = re.sub(r"\x1b\[(?:0|1)m", "", said)
    assert harmless(plain.replace("\r\n", "\n")) == plain.replace("\r\n", "\n")
    assert "Bio �evil �[31mred �2J �in�" in plain
    assert "\x1b" not in shell("feed", "list", "--json").stdout


def test_nothing_is_coloured_in_a_pipe_or_where_no_colour_is_wanted(shell: Shell) -> None:
    assert "\x1b" not in shell("feed", "list").stdout
    _, said = shell.on_a_terminal("refresh", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(?:3[0-7]|38|9[0-7])[0-9;]*m", said)


def test_lists_in_a_pipe_have_tabs_and_no_heading(shell: Shell) -> None:
    first = shell("feed", "list").stdout.splitlines()[0]
    assert first == f"anatomy-i\t{COURSE}\tpublic, on\tAnatomy I"
