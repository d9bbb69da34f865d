"""A plan that waits is told of by mail, and the link takes a yes or a no to this plan, once, in time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.config import parse
from app.imports.record.runs import Ending
from app.imports.run import Outcome
from app.notices.ticket import opened, sealed, ticket_for
from app.parts import Parts, open_parts
from app.people import tokens
from bridges.model import CalendarRef, Window
from tests import stores
from tests.campus import NOW, browser, calendar, open_campus
from tests.fakes.smtp import FakeRelay

HERE = CalendarRef.parse("demo/course/anatomy-1")
WINDOW = Window(NOW, NOW + timedelta(days=60))
ADMIN = "boss@example.edu"
URL = "https://cal.example.edu"


class Clock:
    """Told, not asked."""

    now: datetime = NOW


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as relay:
        yield relay


@pytest.fixture
def campus(tmp_path: Path, relay: FakeRelay, clock: Clock) -> Iterator[Parts]:
    mail = ['security = "none"', 'sender = "calbridge@example.edu"', f'to = ["{ADMIN}", "two@example.edu"]']
    lines = [f'server.public_url = "{URL}"', "[mail]", 'host = "127.0.0.1"', f"port = {relay.port}", *mail]
    text = "\n".join([stores.setting(tmp_path / "campus.sqlite3"), *lines])
    parts = open_parts(parse(text, {}), now=lambda: clock.now)
    yield parts
    parts.close()


@pytest.fixture
def client(campus: Parts) -> FlaskClient:
    return browser(campus)


def events(count: int, title: str = "Tide talk", first: int = 0) -> bytes:
    starts = [NOW + timedelta(days=1, hours=number) for number in range(count)]
    return calendar(
        *(
            f"UID:{number}\nSUMMARY:{title} {number}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDURATION:PT45M"
            for number, start in enumerate(starts)
            if number >= first
        )
    )


def held(parts: Parts, left: int = 1) -> Outcome:
    """An import that would delete most of what it wrote."""
    parts.imports.run(events(12), HERE, WINDOW)
    outcome = parts.imports.run(events(12, first=12 - left), HERE, WINDOW)
    assert outcome.state is Ending.HELD
    return outcome


def work(parts: Parts) -> list[str]:
    return [said for _, said in parts.notices.run()]


def text(relay: FakeRelay, number: int = -1) -> str:
    body: str = relay.mail_to(ADMIN)[number].get_content()
    return body.replace("\r\n", "\n")


def link(relay: FakeRelay) -> str:
    found = re.search(rf"^{URL}(/approve/\S+)$", text(relay), re.MULTILINE)
    assert found, text(relay)
    return found[1]


def standing(parts: Parts) -> int:
    return sum(found.event.title.startswith("Tide talk") for found in parts.source("demo").read(HERE, WINDOW))


def test_a_held_plan_is_told_of_once_to_every_administrator(campus: Parts, relay: FakeRelay) -> None:
    run = held(campus).run_id
    assert work(campus) == ["sent"]
    assert work(campus) == []
    (received,) = relay.received
    assert received.recipients == (ADMIN, "two@example.edu")
    said = text(relay)
    assert "11 deleted" in said
    assert "- " in said.partition("Why it waits:")[2]
    assert said.count("Tide talk") == 10
    assert "… and 1 more" in said
    assert "2026-10-21 11:30 (Europe/Oslo)" in said
    assert f"calbridge run show, approve or cancel {run}" in said
    assert received.message["Subject"] == "calbridge: 'upload' into demo/course/anatomy-1 waits for your yes"
    assert received.message.get_content_type() == "text/plain"


def test_to_look_changes_nothing(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    outcome = held(campus)
    work(campus)
    for _ in range(3):
        page = client.get(link(relay))
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert client.head(link(relay)).status_code == 200
    assert "Approve" in page.text
    assert outcome.objections[0].replace("'", "&#39;") in page.text
    assert (campus.imports.get(outcome.run_id or 0).state, standing(campus)) == (Ending.HELD, 12)


def test_a_yes_carries_it_out_and_uses_the_link_up(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    held(campus)
    work(campus)
    assert client.post(link(relay), data={"answer": "yes"}).status_code == 200
    assert standing(campus) == 1
    again = client.post(link(relay), data={"answer": "yes"})
    assert (again.status_code, client.get(link(relay)).status_code) == (410, 410)
    assert "waits for nobody any more (Imported)" in again.text


def test_a_no_ends_it(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    run = held(campus).run_id
    work(campus)
    assert "Rejected" in client.post(link(relay), data={"answer": "no"}).text
    assert (campus.imports.get(run or 0).state, standing(campus)) == (Ending.CANCELLED, 12)
    assert client.post(link(relay), data={"answer": "yes"}).status_code == 410
    assert standing(campus) == 12


def test_neither_yes_nor_no_is_nothing(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    held(campus)
    work(campus)
    assert client.post(link(relay)).status_code == 400
    assert standing(campus) == 12


def test_the_link_is_the_credential_whoever_has_it(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    tokens.add(campus.engine, "office", NOW)
    run = held(campus).run_id
    work(campus)
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.post(f"/imports/{run}/approve", environ_overrides=elsewhere).status_code == 401
    assert client.post(link(relay), data={"answer": "yes"}, environ_overrides=elsewhere).status_code == 200
    assert standing(campus) == 1


def test_a_plan_that_changed_needs_another_yes(campus: Parts, relay: FakeRelay, client: FlaskClient) -> None:
    held(campus)
    work(campus)
    old = link(relay)
    campus.imports.run(events(12, first=10), HERE, WINDOW)
    assert client.post(old, data={"answer": "yes"}).status_code == 410
    assert work(campus) == ["sent"]
    assert "10 deleted" in text(relay)
    client.post(link(relay), data={"answer": "yes"})
    assert standing(campus) == 2


def test_a_link_of_another_plan_of_the_same_run_is_not_good(
    campus: Parts, relay: FakeRelay, client: FlaskClient
) -> None:
    held(campus)
    work(campus)
    key = campus.notices.key()
    ticket = opened(link(relay).split("/")[2], key)
    assert ticket is not None
    other = type(ticket)(ticket.run, "0" * 64, ticket.until)
    answer = client.post(f"/approve/{sealed(other, key)}/plan", data={"answer": "yes"})
    assert (answer.status_code, standing(campus)) == (410, 12)
    assert "has changed since this mail" in answer.text


def test_a_forged_link_and_one_for_another_purpose_are_not_good(
    campus: Parts, relay: FakeRelay, client: FlaskClient
) -> None:
    held(campus)
    work(campus)
    good = link(relay)
    ticket = opened(good.split("/")[2], campus.notices.key())
    assert ticket is not None
    swapped = good.replace(".", ".A", 1)
    forged = [f"/approve/{sealed(ticket, b'another key')}/plan", swapped, "/approve/x/plan", "/approve/a.b.c/plan"]
    forged.append(f"/approve/{sealed(ticket, campus.vault.derived('link cookie'))}/plan")
    for each in forged:
        assert client.get(each).status_code == 410
        assert client.post(each, data={"answer": "yes"}).status_code == 410
    assert standing(campus) == 12


def test_a_link_is_over_when_the_plan_is(campus: Parts, relay: FakeRelay, client: FlaskClient, clock: Clock) -> None:
    held(campus)
    work(campus)
    clock.now += timedelta(hours=25)
    answer = client.post(link(relay), data={"answer": "yes"})
    assert (answer.status_code, standing(campus)) == (410, 12)
    assert "waits for nobody any more (Waited too long)" in answer.text


def test_a_ticket_is_over_at_its_time_whatever_the_run_says(campus: Parts) -> None:
    run = campus.imports.get(held(campus).run_id or 0)
    ticket = ticket_for(run)
    assert run.expires_at is not None
    assert ticket.is_good(run, run.expires_at - timedelta(seconds=1))
    assert not ticket.is_good(run, run.expires_at)


def test_a_mail_that_cannot_be_sent_is_tried_again_and_the_plan_stays(
    campus: Parts, relay: FakeRelay, clock: Clock
) -> None:
    run = held(campus).run_id
    relay.says["DATA"] = "451 4.3.0 Not today"
    assert "Not today" in work(campus)[0]
    assert work(campus) == []
    assert campus.imports.get(run or 0).state is Ending.HELD
    relay.says.clear()
    clock.now += timedelta(minutes=2)
    assert work(campus) == ["sent"]
    assert len(relay.mail_to(ADMIN)) == 1


def test_a_mail_whose_answer_is_lost_comes_again_under_the_same_name(
    campus: Parts, relay: FakeRelay, clock: Clock
) -> None:
    held(campus)
    relay.lost = 1
    work(campus)
    clock.now += timedelta(minutes=2)
    work(campus)
    first, second = relay.mail_to(ADMIN)
    assert first["Message-ID"] == second["Message-ID"]


def test_what_is_over_before_it_could_be_sent_is_not_sent(campus: Parts, relay: FakeRelay, clock: Clock) -> None:
    run = held(campus).run_id
    relay.says["DATA"] = "451 4.3.0 Not today"
    work(campus)
    relay.says.clear()
    campus.imports.cancel(run or 0)
    clock.now += timedelta(minutes=2)
    assert work(campus) == ["it is over"]
    assert relay.received == []


def test_no_title_and_no_name_can_make_a_header_or_a_line(campus: Parts, relay: FakeRelay) -> None:
    evil = "x\\nBcc: spy@example.org\\n\\nhttps://evil.example"
    source = "up\x1b[2J\r\nBcc: spy@example.org"
    campus.imports.run(events(12, title=evil), HERE, WINDOW, source=source)
    campus.imports.run(events(12, title=evil, first=11), HERE, WINDOW, source=source)
    work(campus)
    (received,) = relay.received
    assert received.message["Bcc"] is None
    assert received.recipients == (ADMIN, "two@example.edu")
    assert not re.search(r"^(Bcc|https://evil)|\x1b", f"{text(relay)}{received.message['Subject']}", re.MULTILINE)


def test_without_a_host_nothing_is_sent(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    held(parts)
    assert work(parts) == []
    assert browser(parts).get("/approve/x/plan").status_code == 410
    parts.close()
