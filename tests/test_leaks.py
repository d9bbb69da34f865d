"""One busy day of a calbridge under DEBUG, with a secret of every kind; afterwards none of them stands anywhere."""

from __future__ import annotations

import base64
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from click.testing import CliRunner

from app.cli import main
from app.watch.logs import SHOWN
from tests.campus import EXAM, LECTURES, calendar
from tests.deploy.nginx import free_port
from tests.fakes import web as pages
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.smtp import CERTIFICATE, FakeRelay
from tests.fakes.wsgi import serving

COURSE = "learn/course/_12594_1"
PATIENCE = 45.0
SETTINGS = """
zone = "Europe/Oslo"
server.port = {port}
server.public_url = "http://127.0.0.1:{port}"
log = {{ level = "debug", form = "json" }}
store = {{ url = "sqlite:///{folder}/cal.sqlite3", key = {{ env = "STORE_KEY" }} }}
fetch = {{ http = true, allow_hosts = ["127.0.0.1"], ports = ["1-65535"] }}

[signin]
issuer = "http://127.0.0.1:9"
client_id = "calbridge"
client_secret = "{client}"

[mail]
host = "localhost"
port = {relay}
ca_file = "{folder}/relay.pem"
user = "calbridge"
password = {{ file = "{folder}/mail-password" }}
sender = "calbridge@example.edu"
to = ["admin@example.edu"]

"""


def secret() -> str:
    """No two alike, and nothing like it in any text."""
    return secrets.token_urlsafe(24)


@dataclass
class Day:
    """What was said to anybody: `said` by what said it. `known` are the secrets, each by what it opens."""

    folder: Path
    port: int
    environment: dict[str, str]
    known: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def shell(self, *words: str, typed: str = "", kept: bool = True) -> str:
        """A command's output, which is kept to be looked through unless it shows a secret on purpose."""
        result = CliRunner().invoke(main, words, env=self.environment, input=typed, catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        if kept:
            self.said[" ".join(words)] = result.stdout
        self.said[f"{words[:2]} on standard error"] = result.stderr
        return result.stdout

    def ask(self, method: str, path: str, **what: object) -> requests.Response:
        answer = requests.request(method, f"http://127.0.0.1:{self.port}{path}", timeout=30, **what)  # type: ignore[arg-type]
        self.said[f"{len(self.said)}: {method} {path.partition('?')[0][:14]}"] = f"{answer.headers}\n{answer.text}"
        return answer

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.known['API token']}"}

    def write(self, file: bytes) -> None:
        headers = {**self.bearer(), "Content-Type": "text/calendar"}
        self.ask("POST", f"/api/imports?calendar={COURSE}", data=file, headers=headers)

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, "what was waited for did not come\n" + self.log()
            time.sleep(0.2)

    def log(self) -> str:
        return "".join((self.folder / name).read_text("utf-8") for name in ("serve.out", "serve.err"))


@contextmanager
def serve(day: Day) -> Iterator[None]:
    command = [sys.executable, "-m", "app.cli", "serve"]
    with (
        (day.folder / "serve.out").open("wb") as out,
        (day.folder / "serve.err").open("wb") as err,
        subprocess.Popen(command, env=day.environment, stdout=out, stderr=err) as process,
    ):
        try:
            day.until(lambda: is_ready(day.port))
            yield
        finally:
            process.terminate()


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def learn() -> FakeLearn:
    return FakeLearn(secret=secret())


@pytest.fixture
def relay() -> FakeRelay:
    return FakeRelay(security="starttls", login=("calbridge", secret()))


@pytest.fixture
def day(tmp_path: Path, learn: FakeLearn, relay: FakeRelay) -> Iterator[Day]:
    """A configuration whose secrets stand in each of the places where they may."""
    with ExitStack() as stack:
        site = stack.enter_context(serving(learn))
        stack.enter_context(relay)
        assert relay.login
        known = {
            "application at the LMS": learn.secret,
            "mail": relay.login[1],
            "store key": base64.b64encode(secrets.token_bytes(32)).decode(),
            "client at the provider": secret(),
            "administrator": secret(),
            "header of a subscription": secret(),
            "path of a subscription": secret(),
            "path of a subscription that fails": secret(),
            "what is guessed": secret(),
        }
        port = free_port()
        (tmp_path / "mail-password").write_text(known["mail"])
        (tmp_path / "relay.pem").write_text(CERTIFICATE)
        text = SETTINGS.format(
            port=port, folder=tmp_path, relay=relay.port, client=known["client at the provider"]
        ) + learn.connection(site)
        (tmp_path / "config.toml").write_text(text)
        environment = {
            **os.environ,
            "CALBRIDGE_CONFIG": str(tmp_path / "config.toml"),
            "STORE_KEY": known["store key"],
            "CALBRIDGE_PASSWORD": known["administrator"],
        }
        yield Day(tmp_path, port, environment, known)


@pytest.mark.slow
def test_no_secret_stands_anywhere_after_a_busy_day(day: Day, learn: FakeLearn, relay: FakeRelay) -> None:
    with pages.serving() as web:
        set_up(day, web)
        with serve(day):
            feeds_are_read(day)
            people_come_and_go(day)
            calendars_are_imported(day, relay)
            day.until(lambda: '"fine"' in day.ask("GET", "/api/subscriptions", headers=day.bearer()).text)
            the_lms_fails(day, learn)
            for path in ("/metrics", "/api/audit", "/api/feeds", "/api/imports", "/", "/readyz"):
                assert day.ask("GET", path, headers=day.bearer()).ok
    for words in ("check-config", "feed list", "subscription list", "subscription show 1", "run list", "token list"):
        day.shell(*words.split())
    day.said["the log"] = day.log()
    day.said["the store"] = dumped(day.folder / "cal.sqlite3")
    assert '"level": "warning"' in day.said["the log"]
    day.said["the mail"] = "".join(mail.get_content() for mail in relay.mail_to("admin@example.edu"))
    assert report(day) == ""
    assert "/approve/" not in day.said["the log"]


def set_up(day: Day, web: pages.Web) -> None:
    """Those commands whose output is a secret, shown this once, and the subscriptions."""
    office = day.shell("token", "add", "office", kept=False)
    day.known["API token"] = re.findall(r"cb_[A-Za-z0-9_-]{43}", office)[0]
    feed = day.shell("feed", "add", "biology", "--calendar", COURSE, "--title", "Biology", kept=False)
    day.known["feed"] = re.findall(r"/feeds/([A-Za-z0-9_-]{43})/", feed)[0]
    day.shell("admin", "set", "ada")
    good, bad = (day.known[f"path of a subscription{which}"] for which in ("", " that fails"))
    web.replies[f"/{good}/x.ics"] = pages.answer(200, pages.LECTURE, "Content-Type: text/calendar")
    for name, path in (("good", good), ("bad", bad)):
        words = ("subscription", "add", web.url(f"/{path}/x.ics", "127.0.0.1"), "--into", COURSE, "--name", name)
        typed = f"{day.known['header of a subscription']}\n" * 2
        day.shell(*words, "--header", "X-Key", typed=typed, kept=False)


def feeds_are_read(day: Day) -> None:
    token, guess = day.known["feed"], day.known["what is guessed"]
    day.until(lambda: day.ask("GET", f"/feeds/{token}/biology.ics").ok)
    tag = day.ask("GET", f"/feeds/{token}/biology.json").headers["ETag"]
    assert day.ask("GET", f"/feeds/{token}/biology.json", headers={"If-None-Match": tag}).status_code == 304
    for path in (f"{token}/biology.ics?key={token}", f"{token}/none.ics", f"{token}/biology.xml", f"{guess}/x.ics"):
        assert not day.ask("GET", f"/feeds/{path}").ok
    day.ask("GET", f"/nowhere/{token}", headers={"Referer": f"http://127.0.0.1/feeds/{token}/biology.ics"})


def people_come_and_go(day: Day) -> None:
    for password in (day.known["administrator"], day.known["what is guessed"]):
        day.ask("POST", "/sign-in", data={"name": "ada", "password": password}, allow_redirects=False)
    day.ask("GET", "/sign-in/provider", allow_redirects=False)
    day.ask("GET", f"/sign-in/back?code={day.known['what is guessed']}&state=x", allow_redirects=False)
    wrong = {"Authorization": f"Bearer {day.known['what is guessed']}"}
    assert day.ask("GET", "/api/feeds", headers=wrong).status_code == 401


def calendars_are_imported(day: Day, relay: FakeRelay) -> None:
    """The second plan would delete too much, waits, and is written about."""
    day.write(calendar(LECTURES, EXAM))
    day.write(calendar())
    day.until(lambda: any("/approve/" in mail.get_content() for mail in relay.mail_to("admin@example.edu")))


def the_lms_fails(day: Day, learn: FakeLearn) -> None:
    for fault in (Fault("status", times=3, status=500), Fault("html", page="login")):
        learn.faults.append(fault)
        day.ask("POST", "/api/feeds/biology/refresh", headers=day.bearer())
    learn.secret = secret()
    body = calendar(LECTURES)
    day.ask(
        "POST", f"/api/imports?calendar={COURSE}", data=body, headers={**day.bearer(), "Content-Type": "text/calendar"}
    )


def dumped(file: Path) -> str:
    with sqlite3.connect(file) as connection:
        return "\n".join(connection.iterdump())


IN_THE_STORE = {"path of a subscription", "path of a subscription that fails"}
"""A worker has to find what it is to fetch; whoever has the store has these addresses."""


def report(day: Day) -> str:
    """A line for each secret that is told somewhere."""
    places = {about: found(day, about) - ({"the store"} if about in IN_THE_STORE else set()) for about in day.known}
    return "\n".join(f"the secret of {about} is in {sorted(where)}" for about, where in places.items() if where)


def found(day: Day, about: str) -> set[str]:
    """Where more of it is told than tells two apart; as it is, or as an address or a header would hold it."""
    word = day.known[about]
    forms = {word[:-2], word[SHOWN + 2 :], quote(word, safe=""), base64.b64encode(word.encode()).decode()}
    return {where for where, text in day.said.items() if any(form in text for form in forms)}
