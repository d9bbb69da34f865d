"""Decisions, without an LMS: what is created, updated and deleted, and above all what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.deciding.plan import (
    NOTHING_UNREAD,
    Create,
    Delete,
    Desired,
    Entry,
    Plan,
    State,
    Unread,
    Update,
    make_plan,
    sync_key,
)
from app.imports.record.report import plan_to_json
from bridges.contract import SinkRules
from bridges.model import AllDay, CalendarRef, Event, Kind, OccurrenceId, RemoteRef
from tests.imports.bench import HERE, NOW, SCOPE, at, day, single, slot
from tests.imports.lms import KINDS

REUSABLE, SPENT, VALUES = KINDS.values()

Ledger = dict[OccurrenceId, Entry]


def entry(id: OccurrenceId, event: Event, **facts: object) -> Entry:
    ref = RemoteRef(f"ref {id}")
    return replace(Entry(id, "upload", 0, State.PRESENT, ref, event), **facts)  # type: ignore[arg-type]


def planned(
    desired: dict[OccurrenceId, Event],
    ledger: Ledger,
    rules: SinkRules = REUSABLE,
    unread: Unread = NOTHING_UNREAD,
    overwrite: bool = False,
) -> Plan:
    return make_plan(
        {id: Desired(event) for id, event in desired.items()},
        ledger,
        calendar=HERE,
        source="upload",
        scope=SCOPE,
        rules=rules,
        now=NOW,
        unread=unread,
        overwrite=overwrite,
    )


def ledger_of(*entries: Entry) -> Ledger:
    return {each.id: each for each in entries}


def test_what_is_new_is_created() -> None:
    assert planned({single("a"): at(1)}, {}).changes == (Create(single("a"), at(1)),)


def test_what_is_there_is_left_alone() -> None:
    plan = planned({single("a"): at(1)}, ledger_of(entry(single("a"), at(1))))
    assert (plan.changes, plan.unchanged) == ((), 1)


def test_what_differs_is_updated() -> None:
    plan = planned({single("a"): at(2)}, ledger_of(entry(single("a"), at(1), generation=3)))
    assert plan.changes == (Update(single("a"), RemoteRef("ref a"), at(2), None, Desired(at(1)), 3),)


def test_what_is_missing_is_deleted() -> None:
    plan = planned({}, ledger_of(entry(single("a"), at(1))))
    assert plan.changes == (Delete(single("a"), RemoteRef("ref a"), at(1)),)


@pytest.mark.parametrize(
    ("why", "standing", "unread"),
    [
        ("another import wrote it", entry(single("a"), at(1), source="other"), NOTHING_UNREAD),
        ("it is over", entry(single("a"), at(-2)), NOTHING_UNREAD),
        ("it lies beyond the window", entry(single("a"), at(24 * 61)), NOTHING_UNREAD),
        ("it lies before the window", entry(single("a"), at(-24 * 15)), NOTHING_UNREAD),
        ("its UID could not be read", entry(slot("a", 1), at(1)), Unread(frozenset("a"))),
        ("nobody knows what could not be read", entry(single("a"), at(1)), Unread(all=True)),
        ("it is deleted already", entry(single("a"), at(1), state=State.DELETED), NOTHING_UNREAD),
        ("it was never written", entry(single("a"), at(1), state=State.UNWRITTEN, ref=None), NOTHING_UNREAD),
    ],
)
def test_absence_means_nothing_where(why: str, standing: Entry, unread: Unread) -> None:
    assert planned({}, ledger_of(standing), unread=unread).changes == (), why


def test_what_is_going_on_is_not_over() -> None:
    assert planned({}, ledger_of(entry(single("a"), at(-0.5)))).deletes


@pytest.mark.parametrize(
    ("rules", "state", "generation"),
    [
        (REUSABLE, State.DELETED, 4),
        (SPENT, State.DELETED, 5),
        (SPENT, State.UNWRITTEN, 4),
        (SPENT, State.PENDING_DELETE, 5),
    ],
)
def test_what_comes_back_gets_a_key_that_is_not_spent(rules: SinkRules, state: State, generation: int) -> None:
    plan = planned({single("a"): at(1)}, ledger_of(entry(single("a"), at(1), state=state, generation=4)), rules)
    assert plan.changes == (Create(single("a"), at(1), None, generation),)


def test_days_that_moved_behind_equal_instants_are_a_change() -> None:
    days, later = day(1).when, day(2).when
    assert isinstance(days, AllDay)
    assert isinstance(later, AllDay)
    ledger = ledger_of(entry(single("a"), at(1), days=days))
    wanted = {single("a"): Desired(at(1), later)}
    plan = make_plan(wanted, ledger, calendar=HERE, source="upload", scope=SCOPE, rules=VALUES, now=NOW)
    assert plan.updates


def test_a_single_event_that_became_a_series_and_back() -> None:
    series = {slot("a", n): at(24 * n) for n in (1, 2)}
    plan = planned(dict(series), ledger_of(entry(single("a"), at(1))))
    assert [type(change) for change in plan.changes] == [Create, Create, Delete]
    back = planned({single("a"): at(1)}, ledger_of(*(entry(id, event) for id, event in series.items())))
    assert [type(change) for change in back.changes] == [Create, Delete, Delete]


def test_an_event_that_another_import_wrote_is_matched_and_adopted() -> None:
    plan = planned({single("a"): at(1)}, ledger_of(entry(single("a"), at(1), source="other")))
    assert (plan.changes, plan.unchanged, plan.adopted) == ((), 1, (single("a"),))


def test_writes_come_first_and_by_time() -> None:
    ledger = ledger_of(entry(single("gone"), at(1)), entry(single("moved"), at(2)))
    plan = planned({single("late"): at(9), single("moved"): at(5), single("early"): day(0)}, ledger)
    assert [str(change.id) for change in plan.changes] == ["early", "moved", "late", "gone"]


def test_a_plan_prints_and_becomes_json() -> None:
    ledger = ledger_of(entry(single("gone"), at(1)), entry(single("moved"), at(2)))
    plan = planned({single("moved"): at(5), single("new"): day(0)}, ledger)
    assert str(plan) == "lms/course/one: 1 to create, 1 to update, 1 to delete, 0 unchanged"
    data = plan_to_json(plan)
    assert [change["deed"] for change in data["changes"]] == ["create", "update", "delete"]
    assert data["changes"][1]["before"]["when"] == {
        "start": "2025-03-10T10:00:00+00:00",
        "end": "2025-03-10T11:00:00+00:00",
    }


def test_keys_are_the_same_for_ever_and_differ_in_every_part() -> None:
    there = CalendarRef("lms", Kind.COURSE, "two")
    keys = [
        sync_key("calbridge", HERE, single("a"), 0),
        sync_key("calbridge", HERE, single("a"), 1),
        sync_key("calbridge", HERE, slot("a", 0), 0),
        sync_key("calbridge", there, single("a"), 0),
        sync_key("calbridge", HERE, single("b"), 0),
    ]
    assert len(set(keys)) == 5
    assert str(keys[0]) == "calbridge-50921a6e-b190-575f-b9a8-351ce55f0a01"


ids = st.builds(
    lambda uid, days: single(uid) if days is None else slot(uid, days),
    st.sampled_from("abc"),
    st.none() | st.integers(0, 2),
)
happenings = st.builds(at, st.integers(-24 * 20, 24 * 70), st.sampled_from(["x", "y"])) | st.builds(
    day, st.integers(-20, 70)
)
entries = st.builds(
    lambda event, source, state, generation: (event, source, state, generation),
    happenings,
    st.sampled_from(["upload", "other"]),
    st.sampled_from(list(State)),
    st.integers(0, 2),
)


def drawn(ledger: dict[OccurrenceId, tuple[Event, str, State, int]]) -> Ledger:
    made = {}
    for id, (event, source, state, generation) in ledger.items():
        ref = None if state in {State.UNWRITTEN, State.PENDING_CREATE} else RemoteRef(str(id))
        made[id] = Entry(id, source, generation, state, ref, event)
    return made


def carried_out(plan: Plan, ledger: Ledger) -> Ledger:
    after = dict(ledger)
    for change in plan.changes:
        if isinstance(change, Delete):
            after[change.id] = replace(after[change.id], state=State.DELETED)
        else:
            ref = RemoteRef(str(change.id))
            after[change.id] = Entry(change.id, plan.source, change.generation, State.PRESENT, ref, change.event)
    for id in plan.adopted:
        after[id] = replace(after[id], source=plan.source)
    return after


wanted_events = st.dictionaries(ids, happenings, max_size=6)
ledgers = st.dictionaries(ids, entries, max_size=6).map(drawn)
all_rules = st.sampled_from([REUSABLE, SPENT, VALUES])


@given(wanted_events, ledgers, all_rules)
def test_a_plan_carried_out_leaves_nothing_to_plan(
    desired: dict[OccurrenceId, Event], ledger: Ledger, rules: SinkRules
) -> None:
    after = carried_out(planned(desired, ledger, rules), ledger)
    again = planned(desired, after, rules)
    assert (again.changes, again.adopted) == ((), ())
    assert again.unchanged + sum(each.wanted is not None for each in again.spared) == len(desired)


@given(wanted_events, ledgers, all_rules)
def test_what_people_changed_or_deleted_is_in_no_plan_unless_it_is_to_be_overwritten(
    desired: dict[OccurrenceId, Event], ledger: Ledger, rules: SinkRules
) -> None:
    theirs = {id for id, entry in ledger.items() if entry.state.drifted}
    assert not theirs & {change.id for change in planned(desired, ledger, rules).changes}
    forced = {change.id for change in planned(desired, ledger, rules, overwrite=True).changes}
    assert theirs & desired.keys() <= forced


@given(wanted_events, ledgers, all_rules, st.frozensets(st.sampled_from("abc")))
def test_only_what_is_ours_future_read_and_in_the_window_is_deleted(
    desired: dict[OccurrenceId, Event], ledger: Ledger, rules: SinkRules, unread: frozenset[str]
) -> None:
    for change in planned(desired, ledger, rules, Unread(unread)).deletes:
        gone = ledger[change.id]
        assert gone.source == "upload"
        assert gone.id not in desired
        assert gone.id.uid not in unread
        assert SCOPE.overlaps(gone.event.when)
        assert SCOPE.span(gone.event.when)[1] >= NOW


@given(wanted_events, ledgers)
def test_no_key_is_ever_used_twice_where_keys_are_spent(desired: dict[OccurrenceId, Event], ledger: Ledger) -> None:
    for change in planned(desired, ledger, SPENT).creates:
        before = ledger.get(change.id)
        if before is not None and before.state not in {State.UNWRITTEN, State.PENDING_CREATE}:
            assert change.generation > before.generation


@given(wanted_events, ledgers, all_rules)
def test_order_does_not_depend_on_the_file(
    desired: dict[OccurrenceId, Event], ledger: Ledger, rules: SinkRules
) -> None:
    turned = dict(reversed(desired.items()))
    assert planned(turned, ledger, rules) == planned(desired, ledger, rules)


def test_a_day_that_is_today_is_not_over() -> None:
    assert planned({}, ledger_of(entry(single("a"), day(0)))).deletes
    assert not planned({}, ledger_of(entry(single("a"), day(-1)))).deletes
