"""Long work: told of on standard error, for a person or for a log, and ended by Ctrl-C without harm."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from app.cli.progress import NOW_AND_THEN, lines
from tests.campus import calendar
from tests.cli.shell import COURSE, Shell
from tests.fakes.blackboard import FakeLearn, Fault
from tests.fakes.wsgi import serving

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

EVENTS = 40


class Watched:
    """A site before which somebody waits for the first events to be written."""

    def __init__(self, site: FakeLearn) -> None:
        self.site = site
        self.begun = Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if len(self.site.items) >= 3:
            self.begun.set()
        return self.site(environ, start_response)


@contextmanager
def slow_site(tmp_path: Path) -> Iterator[tuple[Shell, Watched]]:
    watched = Watched(FakeLearn())
    with serving(watched) as url:
        yield Shell(tmp_path, watched.site.connection(url)), watched


def timetable(shell: Shell) -> list[str]:
    events = [f"UID:e{n}\nSUMMARY:Lesson {n}\nDTSTART:20300401T{n % 24:02}{n % 60:02}00Z" for n in range(EVENTS)]
    file = shell.write("timetable.ics", calendar(*events))
    window = ["--from", "2030-03-01", "--to", "2030-05-01"]
    return ["import", file, "--into", "learn/course/_12594_1", "--name", "timetable", *window]


def test_ctrl_c_ends_an_import_with_a_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with slow_site(tmp_path) as (shell, watched):
        watched.site.faults.append(Fault("slow", times=-1, seconds=0.1))
        words = shell.command(*timetable(shell))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert watched.begun.wait(60)
            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=60)
        assert (process.returncode, said) == (130, "")
        assert "calbridge: stopped. Run the same command again" in complained
        assert "Traceback" not in complained
        written = len(watched.site.items)
        assert 0 < written < EVENTS
        watched.site.faults.clear()
        again = shell(*timetable(shell))
        assert (again.exit_code, len(watched.site.items)) == (0, EVENTS), again.output


def test_a_person_sees_a_bar_and_may_have_none(shell: Shell) -> None:
    status, said = shell.on_a_terminal("refresh")
    assert status == 0
    assert "reading feeds" in said
    assert "4 of 4" in said
    status, said = shell.on_a_terminal("refresh", "--quiet")
    assert (status, "reading feeds" in said) == (0, False)


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    at = 0.0
    told = lines("writing", lambda: at)
    for done in range(100):
        at += 1
        told(done + 1, 4_000)
    assert capsys.readouterr().err.splitlines() == [f"writing: {15 * n} of 4,000" for n in range(1, 7)]
    assert NOW_AND_THEN == 15


def test_what_is_done_soon_says_nothing(shell: Shell) -> None:
    assert shell("refresh").stderr == ""


def test_a_backup_tells_how_far_it_is(shell: Shell) -> None:
    from app.store.backup import backup, restore
    from app.store.engine import open_engine
    from app.store.tables import import_change, import_run

    parts = shell.parts()
    change = {"run_id": 1, "calendar": COURSE, "slot": ""}
    with parts.engine.begin() as connection:
        run = {"id": 1, "source": "x", "calendar": COURSE, "started_at": parts.now(), "state": "done"}
        connection.execute(import_run.insert().values(run | {"body_hash": "", "read_count": 0}))
        connection.execute(import_change.insert(), [change | {"uid": str(n)} for n in range(3_000)])
    told: list[tuple[int, int]] = []
    file = shell.folder / "b.backup"
    backup(parts.engine, file, parts.now(), progress=lambda done, of: told.append((done, of)))
    assert len(told) >= 6
    assert told == sorted(told)
    assert all(0 < done <= of for done, of in told)
    told.clear()
    restore(open_engine(f"sqlite:///{shell.folder / 'new.sqlite3'}"), file, progress=lambda *at: told.append(at))
    assert len(told) >= 6
    assert all(0 < done <= of == file.stat().st_size for done, of in told)


def test_who_watches_a_run_may_stop_without_stopping_it(shell: Shell) -> None:
    from app.store.tables import import_run

    parts = shell.parts()
    run = {"id": 1, "source": "x", "calendar": COURSE, "started_at": parts.now(), "state": "queued"}
    with parts.engine.begin() as connection:
        connection.execute(import_run.insert().values(run | {"body_hash": "", "read_count": 0, "background": True}))
    status, said = shell.on_a_terminal("run", "watch", "1", until="run 1")
    assert status == 130
    assert "calbridge: stopped. The run goes on without you: calbridge run watch 1" in said
    assert parts.imports.get(1).state == "queued"
