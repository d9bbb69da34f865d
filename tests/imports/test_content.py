"""Files whose UIDs are new each time: their events are known again by what they are, and nothing is doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.imports.deciding.content import identified
from app.imports.deciding.plan import BY_CONTENT, Create, Delete, Desired, Entry, Plan, State, Unread, Update, make_plan
from app.imports.subscription import Match, Mode
from bridges.contract import SinkRules
from bridges.model import Event, OccurrenceId, RemoteRef
from tests.imports.bench import HERE, NOW, SCOPE, at, day, single, slot
from tests.imports.lms import KINDS

Ledger = Mapping[OccurrenceId, Entry]
File = Mapping[OccurrenceId, Event]


def planned(
    file: File,
    ledger: Ledger,
    match: Match = Match.CONTENT,
    *,
    mode: Mode = Mode.REPLACE,
    unread: Unread = Unread(),  # noqa: B008 - a value
    rules: SinkRules = KINDS["keys are spent"],
) -> Plan:
    """As an import decides it."""
    wanted = identified(
        {id: Desired(event) for id, event in file.items()},
        ledger,
        source="upload",
        scope=SCOPE,
        now=NOW,
        match=match,
        loosely=mode is Mode.REPLACE and unread == Unread(),
    )
    assert len(wanted) == len(file), "two events came under one identity"
    return make_plan(
        wanted,
        ledger,
        calendar=HERE,
        source="upload",
        scope=SCOPE,
        rules=rules,
        now=NOW,
        unread=unread,
        grace=None if mode is Mode.ADD else 1,
    )


def after(ledger: Ledger, plan: Plan) -> dict[OccurrenceId, Entry]:
    """The ledger when the plan was carried out."""
    left = dict(ledger)
    for change in plan.changes:
        id = change.id
        if isinstance(change, Create):
            assert id not in left or not left[id].live, "an entry was overwritten"
            left[id] = Entry(
                id, "upload", change.generation, State.PRESENT, RemoteRef(str(id)), change.event, change.days
            )
        elif isinstance(change, Update):
            left[id] = replace(left[id], event=change.event, days=change.days)
        else:
            left[id] = replace(left[id], state=State.DELETED)
    return left


def written(*events: Event, match: Match = Match.CONTENT) -> dict[OccurrenceId, Entry]:
    return after({}, planned(named("old", events), {}, match))


def named(how: str, events: Sequence[Event]) -> File:
    """A file whose UIDs nobody has seen before."""
    return {single(f"{how} {number}"): event for number, event in enumerate(events)}


def standing(ledger: Ledger) -> Counter[Event]:
    return Counter(entry.event for entry in ledger.values() if entry.live)


def deeds(plan: Plan) -> list[str]:
    return [type(change).__name__.lower() for change in plan.changes]


TERM = [at(24 * n, title) for n in range(1, 20) for title in ("Anatomy", "Ethics")] + [day(3)]


@pytest.mark.parametrize("before", [Match.UID, Match.CONTENT])
def test_the_same_file_with_other_uids_writes_nothing(before: Match) -> None:
    plan = planned(named("new", TERM), written(*TERM, match=before))
    assert (plan.changes, plan.unchanged) == ((), len(TERM))


def test_uids_that_are_numbers_by_place_mean_nothing() -> None:
    """The first lesson was taken out, and each of the others has the UID of the one before it."""
    plan = planned(named("old", TERM[1:]), written(*TERM, match=Match.UID))
    assert deeds(plan) == ["delete"]
    assert plan.changes[0].event == TERM[0]


@pytest.mark.parametrize("hours", [1, -1, 2.5])
def test_a_lesson_that_moved_within_its_day_is_one_update(hours: float) -> None:
    moved = at(24 * 2 + hours, TERM[2].title)
    plan = planned(named("new", [*TERM[:2], moved, *TERM[3:]]), written(*TERM))
    (change,) = plan.changes
    assert isinstance(change, Update)
    assert (change.before.event, change.event) == (TERM[2], moved)


def test_a_lesson_with_another_title_in_the_same_place_at_the_same_time_is_one_update() -> None:
    was, becomes = (replace(at(5, title), place="Room 1") for title in ("Anatomy", "Anatomy (Prof. Lie)"))
    assert deeds(planned(named("new", [becomes]), written(was))) == ["update"]


def test_of_several_on_one_day_the_nearest_moved() -> None:
    ledger = written(at(1), at(5), at(9))
    plan = planned(named("new", [at(1), at(8)]), ledger)
    assert deeds(plan) == ["update", "delete"]
    assert (plan.updates[0].before.event, plan.deletes[0].event) == (at(9), at(5))


def test_equal_lessons_at_one_time_are_as_many_as_the_file_says() -> None:
    twice = [at(1), at(1)]
    ledger = written(*twice, at(3))
    assert standing(ledger)[at(1)] == 2
    assert planned(named("new", [*twice, at(3)]), ledger).changes == ()
    assert deeds(planned(named("new", [at(1), at(3)]), ledger)) == ["delete"]
    assert deeds(planned(named("new", [*twice, at(1), at(3)]), ledger)) == ["create"]


def test_a_uid_that_is_stable_still_wins() -> None:
    file = {single("a"): at(1), single("b"): at(5)}
    ledger = after({}, planned(file, {}, Match.UID))
    plan = planned({single("a"): at(29, "Another title"), single("b"): at(5)}, ledger)
    (change,) = plan.changes
    assert isinstance(change, Update)
    assert change.id == single("a")


def test_members_of_a_series_are_known_one_by_one() -> None:
    ledger = after({}, planned({slot("a", n): at(24 * n) for n in (1, 2, 3)}, {}, Match.UID))
    file = {slot("z", 1): at(24), slot("z", 2): at(49), slot("z", 3): at(72)}
    assert deeds(planned(file, ledger)) == ["update"]


def test_what_could_not_be_read_may_be_any_event() -> None:
    ledger = written(at(1), at(5))
    plan = planned(named("new", [at(2)]), ledger, unread=Unread(all=True))
    assert deeds(plan) == ["create"]


def test_in_a_calendar_that_only_grows_nothing_is_taken_for_something_else() -> None:
    plan = planned(named("new", [at(2)]), written(at(1)), mode=Mode.ADD)
    assert deeds(plan) == ["create"]


def test_what_is_over_stays_where_it_was() -> None:
    plan = planned(named("new", [at(3)]), written(at(-3)))
    assert deeds(plan) == ["create"]


def test_what_another_import_wrote_is_another_event() -> None:
    other = {id: replace(entry, source="other") for id, entry in written(at(1)).items()}
    plan = planned(named("new", [at(1)]), other)
    assert deeds(plan) == ["create"]
    assert plan.changes[0].id not in other


def test_what_a_person_deleted_there_is_known_under_a_new_uid_too() -> None:
    ledger = {id: replace(entry, state=State.DISMISSED) for id, entry in written(at(1)).items()}
    assert planned(named("new", [at(1)]), ledger).changes == ()


def test_what_comes_back_gets_its_name_again_and_a_key_that_is_not_spent() -> None:
    ledger = written(at(1), at(5))
    without = after(ledger, planned(named("new", [at(5)]), ledger))
    (change,) = planned(named("newer", [at(1), at(5)]), without).changes
    assert isinstance(change, Create)
    assert (change.id in ledger, change.generation) == (True, 1)


def test_to_match_by_uid_again_doubles_nothing() -> None:
    file = named("stable", TERM)
    ledger = after({}, planned(file, {}))
    assert planned(file, ledger, Match.UID).changes == ()
    moved = {**file, single("stable 0"): at(25, "Anatomy")}
    assert deeds(planned(moved, ledger, Match.UID)) == ["update"]


def test_by_uid_what_was_named_by_content_may_be_what_could_not_be_read() -> None:
    ledger = after({}, planned(named("stable", TERM), {}))
    assert planned({}, ledger, Match.UID, unread=Unread(frozenset({"stable 3"}), nameless=True)).changes == ()


def test_a_file_that_forges_our_names_makes_no_two_entries_of_one() -> None:
    ledger = written(at(1), at(5))
    forged = {id: at(9, "Forged") for id in ledger}
    for match in Match:
        left = after(ledger, planned({**forged, single("x"): at(1)}, ledger, match))
        assert standing(left) == Counter([*forged.values(), at(1)])


events = st.lists(
    st.one_of(
        st.builds(at, st.integers(-5, 40), st.sampled_from(["Anatomy", "Ethics"])),
        st.builds(day, st.integers(-1, 3)),
        st.builds(lambda hours, place: replace(at(hours), place=place), st.integers(1, 9), st.sampled_from("AB")),
    ),
    max_size=12,
)
numbers = count()


def renamed(file: Sequence[Event], how: str) -> File:
    return named(how if how != "new" else f"new {next(numbers)}", file)


@settings(max_examples=300, deadline=None)
@given(first=events, uids=st.sampled_from(["old", "new"]), order=st.randoms(use_true_random=False))
def test_no_renaming_and_no_order_of_a_file_writes_anything(first: list[Event], uids: str, order: object) -> None:
    for before in Match:
        ledger = written(*first, match=before)
        shuffled = list(first)
        order.shuffle(shuffled)  # type: ignore[attr-defined]
        assert planned(renamed(shuffled, uids), ledger).changes == ()


@settings(max_examples=300, deadline=None)
@given(files=st.lists(st.tuples(events, st.sampled_from(["old", "new"]), st.sampled_from(Match)), max_size=6))
def test_any_row_of_files_leaves_what_the_last_one_says(files: list[tuple[list[Event], str, Match]]) -> None:
    """By whatever match, and with whatever UIDs; what was over when it was dropped stays."""
    ledger: dict[OccurrenceId, Entry] = {}
    for file, uids, match in files:
        dropped = standing(ledger)
        ledger = after(ledger, planned(renamed(file, uids), ledger, match))
        extra = standing(ledger) - Counter(file)
        assert standing(ledger) - extra == Counter(file)
        assert all(event in dropped and SCOPE.span(event.when)[1] < NOW for event in extra)
        again = planned(renamed(file, "new" if match is Match.CONTENT else uids), ledger)
        assert again.changes == ()


@settings(max_examples=200, deadline=None)
@given(first=events, second=events, order=st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_the_file(
    first: list[Event], second: list[Event], order: object
) -> None:
    ledger = written(*first)
    file = list(renamed(second, "new").items())
    plans = [planned(dict(file), ledger)]
    order.shuffle(file)  # type: ignore[attr-defined]
    plans.append(planned(dict(file), dict(reversed(ledger.items()))))
    assert plans[0].changes == plans[1].changes


def test_new_names_are_ours() -> None:
    assert all(id.uid.startswith(BY_CONTENT) for id in written(*TERM))


def test_ten_thousand_lessons_of_one_title_on_one_day_are_no_trouble() -> None:
    """Quadratic pairing would take minutes."""
    many = [replace(at(1), text=str(n)) for n in range(10_000)]
    ledger = written(*many)
    plan = planned(named("new", [replace(at(2), text=str(n)) for n in range(10_000)]), ledger)
    assert (len(plan.updates), len(plan.changes)) == (10_000, 10_000)


def test_deletes_are_never_more_than_the_file_lacks() -> None:
    plan = planned(named("new", TERM[:-1]), written(*TERM))
    assert [type(change) for change in plan.changes] == [Delete]
