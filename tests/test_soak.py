"""Short forms of the long proofs, over real lines: `python -m tests.soak` has the long ones."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.soak import crowd, killed
from tests.soak.line import Fate, Moment
from tests.soak.sites import KINDS, Doubled, opened
from tests.soak.story import holds, importing, plainly, term


def silent(_text: str) -> None:
    """Nobody watches."""


@pytest.mark.parametrize("sink", KINDS)
def test_an_import_killed_at_random_moments_ends_with_each_lesson_once(sink: str) -> None:
    said = killed.at_random(sink, kills=3, events=25, seed=5, lost=0.1, say=silent, pace=0.4)
    assert "3 kills that hit" in said


@pytest.mark.parametrize(
    ("sink", "moment"),
    [
        ("blackboard", Moment.RECEIPT),
        ("brightspace", Moment.COMMIT),
        ("itslearning", Moment.HALF),
        ("imip", Moment.ANSWER),
    ],
)
def test_an_lms_that_kills_its_importer_ends_with_each_lesson_once(sink: str, moment: Moment) -> None:
    said = killed.by_the_lms(sink, events=10, requests=[4], say=silent, moments=[moment])
    assert ": 0 kills" not in said


@pytest.mark.parametrize("sink", ["local", "itslearning"])
def test_an_import_killed_at_a_commit_ends_with_each_lesson_once(sink: str) -> None:
    said = killed.at_commits(sink, events=8, say=silent, stride=17)
    assert ": 0 kills" not in said


@pytest.mark.parametrize("sink", ["brightspace", "imip"])
def test_lost_answers_are_settled(sink: str) -> None:
    said = killed.ambiguous(sink, events=8, every=[5], say=silent)
    assert ": 0 answers" not in said


@pytest.mark.parametrize("size", [2, 4])
def test_of_several_at_once_one_writes_and_the_others_say_busy(size: int) -> None:
    said = crowd.at_once("sqlite", size, rounds=1, events=5, seed=3, say=silent)
    assert "'done'" in said


def test_the_verdict_sees_what_is_lost_and_what_is_doubled(tmp_path: Path) -> None:
    with opened("blackboard", tmp_path, Fate(random.Random(0))) as site:
        whole = term(5)
        chapter = importing(site, whole.first, "first", whole)
        assert plainly(site, chapter.commands[0]) == 0
        holds(site, chapter.lessons, "first")
        with pytest.raises(AssertionError, match="lacks"):
            holds(site, chapter.lessons + Counter(["another"]), "first")  # type: ignore[list-item]
        created = json.loads((tmp_path / "journal").read_text().splitlines()[0])
        with (tmp_path / "journal").open("a") as journal:
            journal.write(json.dumps(created | {"id": "_another_1"}) + "\n")
        with pytest.raises(Doubled):
            site.standing()
