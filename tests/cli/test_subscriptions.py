"""Subscriptions at the command line: added, pulled, shown with their history, switched and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.campus import calendar
from tests.cli.shell import COURSE, Shell, records
from tests.fakes.wsgi import serving

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Source:
    """A calendar elsewhere, which may be away."""

    def __init__(self) -> None:
        self.status = "200 OK"

    def __call__(self, environ: WSGIEnvironment, start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response(self.status, [("Content-Type", "text/calendar")])
        return [calendar("UID:a\nSUMMARY:A\nDTSTART:20300401T100000Z")]


def test_a_subscription_from_end_to_end(tmp_path: Path) -> None:
    source = Source()
    with serving(source) as url:
        shell = Shell(tmp_path, "[fetch]", "http = true", f'allow_hosts = ["{url.removeprefix("http://")}"]')
        words = ["--into", COURSE, "--name", "bio", "--ahead", "3000"]
        (made,) = records(shell("subscription", "add", f"{url}/secret/bio.ics", *words, "--json"))
        assert (made["id"], made["host"], made["standing"]) == (1, "127.0.0.1", "new")
        first = shell("subscription", "run", "1")
        assert (first.exit_code, first.stdout) == (0, "done\t1 created, 0 updated, 0 deleted\n")
        assert shell("subscription", "run", "1").exit_code == 0  # a second look at what may be missing
        assert shell("subscription", "run", "1").stdout.startswith("unchanged\t")
        source.status = "500 No"
        failed = shell("subscription", "run", "1", "--json")
        assert (failed.exit_code, records(failed)[0]["what"]) == (2, "failed")
    assert [one["what"] for one in records(shell("subscription", "history", "1", "--json"))] == [
        *("failed", "unchanged", "done", "done")
    ]
    assert len(shell("subscription", "history", "1", "--limit", "1").stdout.splitlines()) == 1
    shown = shell("subscription", "show", "1").stdout
    assert "standing: failing" in shown
    assert "next_check: 20" in shown
    assert "secret" not in shown + shell("subscription", "list").stdout
    assert records(shell("subscription", "set", "1", "every_minutes=30", "--json"))[0]["every_minutes"] == 30
    assert shell("subscription", "disable", "1").exit_code == 0
    assert shell("subscription", "list", "--search", "BIO").stdout.split("\t")[4] == "off"
    assert shell("subscription", "remove", "1").exit_code == 0
    assert shell("subscription", "show", "1").exit_code == 2
