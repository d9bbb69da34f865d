"""What every test of the web face lives under."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.described import held_to_the_document


@pytest.fixture(autouse=True)
def the_document_tells_of_every_answer() -> Iterator[None]:
    with held_to_the_document():
        yield
