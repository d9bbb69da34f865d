"""HTML and plain text, there and back: unchanged, safe, and in time that grows with the text alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.markup import html_of, line_of, paragraphs_of, safe, text_of

PIECES = [
    "<",
    "<a ",
    "<a href='",
    "<a href=\"' ",
    "<!--",
    "<!",
    "</",
    "&",
    "&#",
    "&#1",
    "<p>",
    "<a href=http://x>",
    "<a href=http://x>y",
    "<a href=http://x>y</a>",
    "</a>",
    "<b><i>",
    "<div>",
    "<li>",
    "<script>",
    "<br>",
    "href=",
    "http://",
    "https://x.",
    ".",
    " ",
    "\n",
    "x",
]
"""What parsers have stumbled over, to be repeated."""


class TestText:
    """Plain text in, HTML there, the same plain text back."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "one",
            "a & b < c > d \"e\" 'f' &nbsp; &#10; &copy=1",
            "one\ntwo\n\n\nfive",
            "one  two   three\n  indented",
            "see\nhttps://example.edu/?a=1&copy=2\nthere",
            "a\u2028b\u3000c 👩‍🔬",
        ],
    )
    def test_text_comes_back(self, text: str) -> None:
        assert text_of(html_of(text)) == text

    def test_links_can_be_clicked(self) -> None:
        assert html_of("https://x.example/?a&b") == (
            '<p><a href="https://x.example/?a&amp;b">https://x.example/?a&amp;b</a></p>'
        )

    @pytest.mark.parametrize(
        ("markup", "text"),
        [
            ("<p>Hall B</p>", "Hall B"),
            ("<p>one\n  line</p>\n<p>two<br/>three</p>", "one line\n\ntwo\nthree"),
            ("<ul><li>a</li><li>b <b>c</b></li></ul>", "- a\n- b c"),
            (
                '<a href="https://x.example/1">here</a> &amp; <a href="/d2l/2">there</a>',
                "here (https://x.example/1) & there",
            ),
            ("<script>alert(1)</script><style>p{}</style>seen", "seen"),
            ("plain, no markup", "plain, no markup"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("a<!--[if mso]><xml>no</xml><![endif]-->b<!-- <p> -->c<!doctype html>", "abc"),
            ("<A HREF='https://x.example/?a&amp;b'>x</A><BR>y", "x (https://x.example/?a&b)\ny"),
            ("&#65;&#x42;&#" + "9" * 5000 + ";", "AB\ufffd"),
            (
                "<a href=https://x.example/1>one<a href=https://x.example/2>two</a> three</a>",
                "one (https://x.example/1)two (https://x.example/2) three",
            ),
            ("<a href='mailto:ann@x.example'>ann@x.example</a>", "ann@x.example"),
            ("<a href='mailto:ann@x.example'>Ann</a>", "Ann (mailto:ann@x.example)"),
            ("<a href='javascript:alert(1)'>x</a>", "x"),
            (None, ""),
            (7, ""),
        ],
    )
    def test_markup_is_read_as_a_browser_shows_it(self, markup: Any, text: str) -> None:
        assert text_of(markup) == text

    @given(markup=st.text(st.sampled_from("<>/=\"' aphref!-&;#x1\n")))
    def test_no_markup_is_an_error(self, markup: str) -> None:
        assert "\x00" not in text_of(markup)

    @given(text=st.text(st.sampled_from("<>&;'\" #x/:.?aé🎓")))
    def test_paragraphs_are_safe_and_say_the_same(self, text: str) -> None:
        markup = paragraphs_of(f"https://x.example/ {text}", links=True)
        assert safe(markup) == markup
        assert "".join(text_of(markup).split()) == "".join(f"https://x.example/ {text}".split())

    @pytest.mark.parametrize("line", ["http://[", "https://[x", "http://]", "https://x y", "httpsx://y"])
    def test_what_only_looks_like_an_address_is_a_line_like_another(self, line: str) -> None:
        assert text_of(line_of(line)) == line

    @pytest.mark.parametrize("work", [text_of, safe, html_of, partial(paragraphs_of, links=True)])
    @pytest.mark.parametrize("piece", PIECES)
    def test_no_markup_takes_long(self, work: Callable[[str], str], piece: str) -> None:
        begun = time.process_time()
        work(piece * (50_000 // len(piece)))
        assert time.process_time() - begun < 0.5
