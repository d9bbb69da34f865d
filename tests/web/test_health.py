"""Machines learn whether we live, whether we are ready and how we do; and strangers do not learn the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from app.feeds.feed import Form
from app.parts import Parts
from app.people import tokens
from app.store import workers
from app.store.engine import writing
from app.store.quota import StoreMeter
from bridges.contract import Quota
from bridges.model import CalendarRef, Kind, Window
from tests import stores
from tests.campus import LECTURES, NOW, browser, calendar, open_campus

COURSE = CalendarRef("demo", Kind.COURSE, "anatomy-1")


@pytest.fixture
def campus(tmp_path: Path) -> Parts:
    return open_campus(tmp_path)


def figures(campus: Parts) -> dict[str, float]:
    """What /metrics says, by name with labels."""
    answer = browser(campus).get("/metrics")
    assert answer.status_code == 200
    lines = (line for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_whoever_asks_learns_that_we_live(campus: Parts) -> None:
    answer = browser(campus).get("/healthz", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.json == {"status": "alive"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_store_in_order_is_ready(campus: Parts) -> None:
    answer = browser(campus).get("/readyz")
    assert answer.status_code == 200
    assert answer.json
    assert (answer.json["status"], answer.json["problems"]) == ("ready", [])
    assert "calbridge work" in answer.json["notes"][0]
    workers.begin(campus.engine, "one", NOW)
    assert browser(campus).get("/readyz").json == {"status": "ready", "problems": [], "notes": []}


def test_a_store_of_another_shape_is_not_ready_and_says_what_to_do(campus: Parts) -> None:
    web = browser(campus)
    with writing(campus.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert answer.json
    assert "calbridge migrate" in answer.json["problems"][0]


def test_a_store_that_is_gone_is_not_ready_but_we_live(campus: Parts, tmp_path: Path) -> None:
    web = browser(campus)
    campus.engine.dispose()
    stores.lose(tmp_path / "campus.sqlite3")
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert "cannot be used" in answer.text
    assert str(tmp_path) not in answer.text
    assert web.get("/healthz").status_code == 200


def test_the_version_is_told(campus: Parts) -> None:
    answer = browser(campus).get("/version").json
    assert answer
    assert answer["name"] == "calbridge"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", answer["version"])


def test_the_figures_tell_readings_quotas_runs_and_subscriptions(campus: Parts) -> None:
    campus.feeds.snapshot_for_public("anatomy-i", Form.ICS)
    campus.imports.run(calendar(LECTURES), COURSE, Window(NOW, NOW.replace(year=2027)))
    campus.bridge("demo")
    meter = StoreMeter(campus.engine, "learn", campus.now)
    meter.note(Quota(1000, 700, NOW.replace(hour=23)))
    meter.spent(30)
    told = figures(campus)
    assert told['calbridge_readings{lms="demo",state="good"}'] == 1
    assert told['calbridge_reading_age_seconds{lms="demo"}'] == 0
    assert told['calbridge_quota_remaining{account="learn"}'] == 670
    assert told['calbridge_quota_limit{account="learn"}'] == 1000
    assert told['calbridge_runs_of_a_day{kind="import",state="done"}'] == 1
    assert told['calbridge_run_seconds{kind="import",quantile="0.95"}'] == 0
    assert told['calbridge_feeds{state="on"}'] == len(campus.feeds.list())
    assert told["calbridge_holds"] == 0


def test_a_held_import_shows_with_the_time_that_is_left_for_it(campus: Parts) -> None:
    term = Window(NOW, NOW.replace(year=2027))
    campus.imports.run(calendar(LECTURES), COURSE, term)
    campus.imports.run(calendar(), COURSE, term)
    told = figures(campus)
    assert told["calbridge_holds"] == 1
    assert told["calbridge_hold_expires_seconds"] == 24 * 3600


def test_answers_are_counted_by_what_was_asked_for(campus: Parts) -> None:
    web = browser(campus)
    tag = web.get("/public/anatomy-i.ics").headers["ETag"]
    for _ in range(3):
        assert web.get("/public/anatomy-i.ics", headers={"If-None-Match": tag}).status_code == 304
    web.get("/feeds/" + "x" * 43 + "/none.ics")
    web.post("/api/imports")
    answer = web.get("/metrics").text
    assert 'calbridge_answers_total{status="304",what="feed"} 3.0' in answer
    assert 'calbridge_answers_total{status="200",what="feed"} 1.0' in answer
    assert 'calbridge_answers_total{status="404",what="feed"} 1.0' in answer
    assert 'calbridge_errors_total{class="BadUpload"} 1.0' in answer


def test_strangers_see_no_figures(campus: Parts) -> None:
    assert browser(campus).get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 403
    token = tokens.add(campus.engine, "prometheus", NOW)
    assert browser(campus).get("/metrics").status_code == 401
    assert browser(campus).get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200


class TestRequestIds:
    def test_every_answer_has_one(self, campus: Parts) -> None:
        web = browser(campus)
        one, other = (web.get("/healthz").headers["X-Request-Id"] for _ in range(2))
        assert one != other

    def test_that_of_a_proxy_is_kept(self, campus: Parts) -> None:
        answer = browser(campus).get("/healthz", headers={"X-Request-Id": "0123-abcd-4567"})
        assert answer.headers["X-Request-Id"] == "0123-abcd-4567"

    @pytest.mark.parametrize("given", ["short", "x" * 65, "has space in it", "<script>alert(1)</script>"])
    def test_what_is_no_id_is_not(self, campus: Parts, given: str) -> None:
        answer = browser(campus).get("/healthz", headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] != given

    def test_the_log_line_has_it_and_no_token(self, campus: Parts, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO", logger="app.web.traced"):
            browser(campus).get(f"/feeds/{'t' * 43}/none.ics")
        [line] = caplog.records
        assert line.getMessage().startswith("GET /feeds/<token>/<slug>.")
        assert vars(line)["status"] == 404
