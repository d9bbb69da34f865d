"""Log lines say what happened, with the ids of request and job, and never what opens something."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import parse, secrets_of
from app.watch.logs import about, configure, redacted

TOKEN = "Zk3_aB9-" * 5 + "xyz"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What configure() sends somewhere; the root logger is as it was afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"GET /feeds/{TOKEN}/biology.ics", f"GET /feeds/{TOKEN[:6]}…/biology.ics"),
        (f"token=cb_{TOKEN}&x=1", f"token=cb_{TOKEN[:3]}…&x=1"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer •••"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic •••"),
        ("fetching https://cal.example.edu/private/abc.ics?key=1 now", "fetching https://cal.example.edu/… now"),
        ("webcal://me:word@cal.example.edu:8443/x.ics", "webcal://cal.example.edu:8443/…"),
        ("http://[broken", "an address"),
        ("https://cal.example.edu", "https://cal.example.edu"),
        ("nothing to hide: 12 events of biology", "nothing to hide: 12 events of biology"),
        ("sha256 " + "ab" * 32, "sha256 " + "ab" * 32),
    ],
)
def test_what_opens_something_is_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_secret_of_the_configuration_is_taken_out_wherever_it_stands(before: str, after: str) -> None:
    assert "hunter-2-secret" not in redacted(f"{before}hunter-2-secret{after}", ["hunter-2-secret"])


def test_every_secret_of_the_configuration_is_known() -> None:
    config = parse(
        """
        store.url = "postgresql+psycopg://cal:database-word@db/cal"
        store.key = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk="
        [lms.learn]
        bridge = "blackboard"
        url = "https://learn.example.edu"
        key = "application"
        secret = { env = "LEARN" }
        zone = "Europe/Oslo"
        """,
        {"LEARN": "learn-word"},
    )
    assert set(secrets_of(config)) == {"database-word", "k" * 43 + "=", "learn-word"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_holds_a_secret(written: io.StringIO, form: str) -> None:
    """Not in the message, not in its arguments, not in what it carries along, not in a traceback."""
    configure("debug", form, ["database-word"], written)
    log = logging.getLogger("test")
    log.warning("cannot reach %s", f"https://cal.example.edu/{TOKEN}.ics", extra={"token": TOKEN})
    try:
        raise ValueError(f"wrong password database-word for {TOKEN}")
    except ValueError:
        log.exception("it failed")
    text = written.getvalue()
    assert "cal.example.edu" in text
    assert "ValueError" in text
    assert TOKEN not in text
    assert "database-word" not in text


def test_json_lines_say_when_who_and_within_what(written: io.StringIO) -> None:
    configure("info", "json", (), written)
    with about(job="subscription 7"):
        logging.getLogger("app.work").info("done: %s", "æ", extra={"ms": 12})
    logging.getLogger("app.work").info("after")
    within, after = map(json.loads, written.getvalue().splitlines())
    assert within["event"] == "done: æ"
    assert (within["level"], within["logger"], within["job"], within["ms"]) == (
        "info",
        "app.work",
        "subscription 7",
        12,
    )
    assert within["timestamp"].endswith("Z")
    assert "job" not in after


def test_a_line_break_in_a_message_cannot_forge_a_line(written: io.StringIO) -> None:
    configure("info", "json", (), written)
    logging.getLogger("test").info("title: %s", 'a\n{"event": "forged"}')
    assert len(written.getvalue().splitlines()) == 1


def test_libraries_that_tell_addresses_are_quiet(written: io.StringIO) -> None:
    configure("debug", "text", (), written)
    logging.getLogger("urllib3.connectionpool").debug("GET /learn/api/token")
    assert written.getvalue() == ""
