"""The doctor's verdict on our own feeds, of every kind: nothing to mend, but for what the plain form cannot have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import requests

from app.doctor.examine import examine
from app.doctor.finding import Client, Severity
from tests.clients.published import Published, every_kind

FOR = {Client.OUTLOOK: "?for=outlook", Client.GOOGLE: "?for=google", Client.APPLE: "?for=apple", Client.THUNDERBIRD: ""}

MEANT = {"html"}
"""The campus has a title that speaks of `<b>`, and it is to be shown so."""


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Published]]:
    with every_kind(tmp_path_factory.mktemp("campus")) as feeds:
        yield feeds


def faults(body: bytes, client: Client) -> dict[str, str]:
    """The findings that are no mere notes, with the first place of each."""
    found = [one for one in examine(body).verdict(client).findings if one.rule.id not in MEANT]
    return {one.rule.id: one.spots[0].what for one in found if one.rule.severity > Severity.NOTE}


@pytest.mark.parametrize("client", Client)
def test_what_a_program_is_told_to_subscribe_to_has_no_fault(feeds: Sequence[Published], client: Client) -> None:
    for feed in feeds:
        ending = "" if "?" in feed.url else FOR[client]
        if "?for=" in feed.url and f"?for={client}" not in feed.url:
            continue
        body = requests.get(feed.url + ending, timeout=30).content
        assert faults(body, client) == {}, feed.name


def test_the_plain_form_has_no_fault_but_that_a_deadline_has_no_end(feeds: Sequence[Published]) -> None:
    for feed in feeds:
        if "?" not in feed.url:
            for client in Client:
                told = faults(feed.body(), client)
                assert told.keys() <= ({"endless", "cancelled"} if client is Client.OUTLOOK else set()), feed.name
