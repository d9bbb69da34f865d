"""The API is called by its document, with what nobody thought of: nothing fails, and nothing is answered untold."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Response

from app.web.api.openapi import document
from tests.web.fuzz import ENDLESS, Fuzz, fuzzing

EXAMPLES, SEED = 4, 20261020


@pytest.mark.slow
def test_no_call_fails_and_no_answer_is_one_that_the_document_does_not_tell_of(tmp_path: Path) -> None:
    with fuzzing(tmp_path) as fuzz:
        faults = list(fuzz.faults(EXAMPLES, SEED))
        told = {status for _, status in fuzz.answers}
    assert not faults, "\n\n".join(f"{name}: {fault}" for name, fault in faults)
    assert {200, 400, 401, 403, 404} <= told
    assert len({name for name, _ in fuzz.answers}) >= 55 - len(ENDLESS)


class TestWhatWouldBeFound:
    """An application that fails, or answers what it does not tell, is found to do so."""

    @pytest.fixture
    def the_document_tells_of_every_answer(self) -> None:
        """For once it does not."""

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Response("{}", 500, content_type="application/json"), "ServerError"),
            (Response("{}", 418, content_type="application/json"), "UndefinedStatusCode"),
            (Response('{"workers": 3}', 200, content_type="application/json"), "JsonSchemaError"),
            (Response("<p>", 200, content_type="text/html"), "UndefinedContentType"),
        ],
        ids=["it fails", "another status", "another shape", "another type"],
    )
    def test_it_is(self, tmp_path: Path, answer: Response, said: str) -> None:
        with fuzzing(tmp_path) as fuzz:
            document(fuzz.app)  # as it was
            fuzz.app.view_functions["house.workers"] = lambda **_: answer
            assert said in self.found(fuzz)

    def found(self, fuzz: Fuzz) -> str:
        return next(fault for name, fault in fuzz.faults(2, SEED, only="listWorkers") if name == "listWorkers")
