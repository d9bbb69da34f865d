"""Plain text is cleaned, cut and folded once: doing it again changes nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridges.model import Event, Status, Timed
from bridges.text import cleaned, cut, folded, letters, on_one_line, titled, unsaid

NOON = Timed(datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 20, 13, tzinfo=UTC))
CHARACTERS = st.lists(
    st.sampled_from(["a", " ", "é", "e\u0301", "🎓", "👩‍🔬", "👍🏽", "🇩🇪", "🇫🇷", "🏴\U000e0067\U000e007f", "\n"])
).map("".join)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (None, ""),
        (7, ""),
        (" a\r\nb\rc\td \n", "a\nb\nc\td"),
        ("a\x00b\x1fc\x7fd\x85e", "abcde"),
        ("a\ud800b\udfffc", "abc"),
        ("a\u2028b\xa0c👩‍🔬", "a\u2028b\xa0c👩‍🔬"),
    ],
)
def test_text_is_cleaned(text: object, clean: str) -> None:
    assert cleaned(text) == clean


def test_one_line_has_single_blanks() -> None:
    assert on_one_line(" a \r\n\tb\x00 c\xa0d ") == "a b c d"


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("x" * 80, 80, "x" * 80),
        ("x" * 81, 80, "x" * 79 + "…"),
        ("x" * 78 + "e\u0301y", 80, "x" * 78 + "…"),
        ("x" * 75 + "👩‍🔬yy", 80, "x" * 75 + "…"),
        ("x" * 77 + "👍🏽y", 80, "x" * 77 + "…"),
        ("x" * 74 + "🇩🇪🇫🇷", 80, "x" * 74 + "🇩🇪…"),
        ("🎓" * 41, 80, "🎓" * 39 + "…"),
        ("one two", 5, "one…"),
        ("\u0301" * 9, 5, "…"),
    ],
)
def test_a_cut_is_between_characters_as_people_see_them(text: str, limit: int, short: str) -> None:
    assert cut(text, limit) == short


def test_a_cut_may_look_for_the_end_of_a_word() -> None:
    assert cut("Introduction to marine biology", 22, after_word=True) == "Introduction to…"
    assert cut("Introduction to marine biology", 22) == "Introduction to marin…"
    assert cut("a " + "b" * 40, 22, after_word=True) == "a " + "b" * 19 + "…"


@given(text=CHARACTERS, limit=st.integers(1, 60), after_word=st.booleans())
def test_what_was_cut_is_never_cut_again(text: str, limit: int, after_word: bool) -> None:
    short = cut(cleaned(text), limit, after_word=after_word)
    assert letters(short) <= limit
    assert cut(short, limit, after_word=after_word) == short


@given(text=CHARACTERS, lines=st.lists(CHARACTERS.map(on_one_line), max_size=3), limit=st.integers(1, 80))
@example(text="x" * 200, lines=["Place: here"], limit=30)
def test_what_was_folded_stays(text: str, lines: list[str], limit: int) -> None:
    for most in (None, limit):
        once = folded(cleaned(text), lines, most)
        assert folded(once, [], most) == once
        assert most is None or letters(once) <= most


def test_lines_stand_below_the_text_and_outlast_it() -> None:
    assert folded("text", ["Place: here", "", "Link: there"]) == "text\n\nPlace: here\nLink: there"
    assert folded("", ["Place: here"]) == "Place: here"
    assert folded("text", [""]) == "text"
    assert folded("many words " * 9, ["Place: here"], 30) == "many words many…\n\nPlace: here"


def test_an_address_is_said_once() -> None:
    assert unsaid("https://x.example/1", "see https://x.example/1 there") == ""
    assert unsaid(" https://x.example/1\n", "see https://x.example/12") == "https://x.example/1"


def test_a_cancelled_title_says_so_once() -> None:
    event = Event("\x00 ", NOON, status=Status.CANCELLED)
    assert titled(event, "Off: ") == "Off: (untitled)"
    assert titled(Event("Off: Lab", NOON, status=Status.CANCELLED), "Off:") == "Off: Lab"
    assert titled(event, " ") == "(untitled)"
    assert titled(Event("Lab", NOON), "Off:") == "Lab"


@pytest.mark.parametrize("piece", ["\u0301", "🇩", "🏽", "\u200d", "\x00", "\r", " ", "a ", "👩‍"])
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    text = piece * (50_000 // len(piece))
    cut(folded(cleaned(text), [on_one_line(text)], 20_000), 255, after_word=True)
    assert time.process_time() - begun < 0.5
