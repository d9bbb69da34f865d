"""What is held for a person's yes, and what is not."""

from __future__ import annotations

from app.imports.deciding.guard import Guard, ReadingFacts
from app.imports.deciding.plan import Desired, Entry, State, make_plan
from bridges.model import OccurrenceId, RemoteRef
from tests.imports.bench import HERE, NOW, SCOPE, at, single
from tests.imports.lms import KINDS

REUSABLE = KINDS["keys come back"]


def names(first: int, last: int) -> list[str]:
    return [f"event {n}" for n in range(first, last)]


def objections(
    written: list[str], wanted: list[str], *, previous: int | None = None, others: int = 0, guard: Guard | None = None
) -> list[str]:
    """What the guard says to a file that wants these UIDs where those were written; `others` by another import."""
    ledger = {single(uid): standing(single(uid), "upload") for uid in written}
    ledger |= {single(f"other {n}"): standing(single(f"other {n}"), "other") for n in range(others)}
    desired = {single(uid): _desired(uid) for uid in wanted}
    plan = make_plan(desired, ledger, calendar=HERE, source="upload", scope=SCOPE, rules=REUSABLE, now=NOW)
    facts = ReadingFacts(len(wanted), frozenset(wanted), previous, desired.keys())
    return (guard or Guard()).objections(plan, ledger.values, facts)


def _desired(uid: str) -> Desired:
    return Desired(at(1, _title(uid)))


def _title(uid: str) -> str:
    """An exporter that gives new UIDs puts a sign before the old ones."""
    return uid.removeprefix("new ")


def standing(id: OccurrenceId, source: str) -> Entry:
    return Entry(id, source, 0, State.PRESENT, RemoteRef(str(id)), at(1, _title(id.uid)))


def test_a_first_import_and_an_ordinary_change_run() -> None:
    assert objections([], names(0, 50)) == []
    assert objections(names(0, 50), names(1, 51), previous=50) == []


def test_an_empty_file_is_held_where_it_would_delete() -> None:
    (text,) = objections(["a"], [], previous=1)
    assert text == "The file holds no event at all, and 1 event would be deleted."
    assert objections([], []) == []


def test_more_than_the_share_and_the_count_is_held() -> None:
    (text,) = objections(names(0, 20), names(0, 9))
    assert text == "It would delete 11 of the 20 events that earlier imports of 'upload' wrote."
    assert objections(names(0, 20), names(0, 10)) == []
    assert objections(names(0, 7), names(0, 2)) == []
    assert objections(names(0, 7), names(0, 2), guard=Guard(count=4))


def test_what_others_wrote_does_not_dilute_the_share() -> None:
    assert objections(names(0, 20), names(0, 9), others=500)


def test_a_file_far_smaller_than_last_time_is_held() -> None:
    """The rest of the last file lay outside the window, so that few of what is in it go."""
    (text,) = objections(names(0, 20), names(0, 12), previous=100)
    assert text == "The file holds 12 events; last time it held 100."
    assert objections(names(0, 20), names(0, 12), previous=24) == []


def test_another_file_under_the_same_name_is_held() -> None:
    (text,) = objections(names(0, 3), names(10, 13), previous=3)
    assert "a name of its own" in text


def test_a_file_of_only_new_events_that_deletes_nothing_runs() -> None:
    assert objections([], names(10, 13), previous=3, others=9) == []


def renamed(uids: list[str]) -> list[str]:
    return [f"new {uid}" for uid in uids]


def test_a_file_whose_uids_are_new_and_whose_events_are_not_is_held_with_a_way_out() -> None:
    (text,) = objections(names(0, 40), [*renamed(names(0, 38)), *names(100, 102)], previous=40)
    assert text.startswith(
        "Of the file's 40 events, 40 came under a UID that was not there before, and 38 of these stand"
    )
    assert "--match content" in text


def test_new_uids_are_a_reason_also_where_nothing_would_be_deleted() -> None:
    """In a calendar that only grows they would double everything."""
    written = names(0, 3)
    ledger = {single(uid): standing(single(uid), "upload") for uid in written}
    desired = {single(uid): _desired(uid) for uid in renamed(written)}
    facts = ReadingFacts(3, frozenset(renamed(written)), 3, desired.keys())
    plan = make_plan(desired, ledger, calendar=HERE, source="upload", scope=SCOPE, rules=REUSABLE, now=NOW, grace=None)
    assert not plan.deletes
    assert "match=content" in Guard().objections(plan, ledger.values, facts)[0]


def test_a_few_new_uids_and_new_events_like_the_old_ones_are_no_reason() -> None:
    assert objections(names(0, 50), [*names(5, 50), *renamed(names(0, 5))], previous=50) == []
    assert objections(names(0, 50), [*names(0, 50), *renamed(names(0, 50))], previous=50) == []
