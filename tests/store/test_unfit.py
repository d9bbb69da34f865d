"""What one engine would take and the other not: the same is said and done on both."""

from __future__ import annotations

from pathlib import Path

from tests.campus import browser, calendar, open_campus
from tests.store.test_backup import COURSE, TERM


def test_a_uid_longer_than_an_index_takes_is_imported_and_known_again(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    uid = "".join(f"{number:x}-" for number in range(3000))
    body = calendar(f"UID:{uid}\nSUMMARY:a\nDTSTART:20261021T100000Z", "UID:b\nSUMMARY:b\nDTSTART:20261021T100000Z")
    first, again = (parts.imports.run(body, COURSE, TERM).report for _ in range(2))
    assert first
    assert again
    assert (first.created, again.unchanged, again.created) == (2, 2, 0)
    parts.close()


def test_a_nul_in_a_name_is_refused_and_no_fault_of_ours(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    query = {"calendar": str(COURSE), "name": "a\0b"}
    answer = browser(parts).post(
        "/api/imports", query_string=query, data=calendar("UID:b"), content_type="text/calendar"
    )
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    parts.close()
