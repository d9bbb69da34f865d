"""The command line: serve, feeds, imports, refresh, expand, tokens. Each command loads only what it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

if TYPE_CHECKING:
    from threading import Event

    from app.imports.outcome import Outcome
    from app.imports.report import Report
    from app.parts import Parts

NOTHING_READ = 2
THREADS = 16
"""Requests under way at a time: one that waits for an LMS must not keep cached feeds from being served."""


@contextmanager
def told() -> Iterator[None]:
    """What the program raises on purpose: said as a sentence on standard error, with exit status 2."""
    from app.feeds.feed import Unknown
    from app.store.leases import Busy
    from bridges.errors import BridgeError

    try:
        yield
    except (Unknown, BridgeError, Busy, ValueError) as error:  # a ConfigError and a NotACalendar are ValueErrors
        click.echo(f"calbridge: {error}", err=True)
        sys.exit(NOTHING_READ)


def parts() -> Parts:
    """The parts, as the configuration says."""
    from app.config import config_path, load
    from app.parts import open_parts

    path: str | None = click.get_current_context().find_root().obj
    return open_parts(load(path or config_path(os.environ), os.environ))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config", "path", type=click.Path(dir_okay=False), help="The configuration (default: ./config.toml).")
@click.version_option(package_name="calbridge")
@click.pass_context
def main(context: click.Context, path: str | None) -> None:
    """An iCalendar bridge and feed server for learning-management systems."""
    context.obj = path


@main.command()
@click.option("--host", help="The address to listen on (server.host).")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on (server.port).")
@click.option(
    "--worker/--no-worker", default=True, help="Also do what is due, as 'calbridge work' does (default: yes)."
)
def serve(host: str | None, port: int | None, worker: bool) -> None:
    """Serve feeds, pages and the API, and read what is due in the background."""
    with told():
        joined = parts()
        server = joined.config.server
        _listen(joined, host or server.host, port or server.port, worker)


def _listen(joined: Parts, host: str, port: int, worker: bool) -> None:
    from app import tokens
    from app.web.access import is_loopback

    if not is_loopback(f"[{host}]" if ":" in host else host) and not tokens.any_made(joined.engine):
        raise ValueError(
            f"on {host} others can reach this server, and whatever writes needs a token then: "
            "make one first with 'calbridge token add NAME'"
        )
    path: str | None = click.get_current_context().find_root().obj
    if path:
        os.environ["CALBRIDGE_CONFIG"] = os.path.abspath(path)
    joined.engine.dispose()  # the worker is another process: no connection is carried over
    click.echo(f"calbridge serves http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops it)")
    with _worker() if worker else nullcontext():
        _serve(host, port)


@contextmanager
def _worker() -> Iterator[None]:
    """A worker in a process of its own, so that a long reading never holds up a request."""
    command = [sys.executable, "-P", "-m", "app.cli", "work", "--tied"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603 - our own words alone
        try:
            yield
        finally:
            process.terminate()


def _serve(host: str, port: int) -> None:
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "wsgi:app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.error,
    ).serve()


@main.command("work")
@click.option("--tied", is_flag=True, hidden=True, help="Say only what goes wrong, and stop when standard input ends.")
def work_command(tied: bool) -> None:
    """Read calendars and pull subscriptions when they are due, until stopped. Any number may run, on any host."""
    import logging
    import signal
    from threading import Event, Thread

    from app.work import work

    logging.basicConfig(level=logging.WARNING if tied else logging.INFO, format="%(levelname)s %(message)s")
    stop = Event()
    if tied:  # a server that was killed leaves no worker behind
        Thread(target=_until_the_end_of_input, args=(stop,), daemon=True).start()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with told():
        joined = parts()
        if not tied:
            click.echo("calbridge works (Ctrl-C stops it)")
        work(joined.refreshes, joined.now, stop)
        joined.close()


def _until_the_end_of_input(stop: Event) -> None:
    sys.stdin.read()
    stop.set()


@main.command("check-config")
@click.option("--example", is_flag=True, help="Print config.example.toml instead.")
def check_config(example: bool) -> None:
    """Tell everything that is wrong with the configuration."""
    from app import config

    if example:
        click.echo(config.example(), nl=False)
        return
    with told():
        path: str | None = click.get_current_context().find_root().obj
        path = path or config.config_path(os.environ)
        loaded = config.load(path, os.environ)
        said = f"{path} is in order" if path else "no configuration: the defaults, with a demo campus"
        click.echo(f"{said}. Connections: {', '.join(sorted(loaded.connections))}")


@main.command()
@click.argument("lms", required=False)
def calendars(lms: str | None) -> None:
    """List the calendars that the connections see (or that of one LMS)."""
    with told():
        joined = parts()
        if lms:
            _say_calendars(joined, lms)
            return
        failed = [name for name in sorted(joined.config.connections) if not _tried_calendars(joined, name)]
        sys.exit(1 if failed else 0)


def _tried_calendars(joined: Parts, lms: str) -> bool:
    """One connection that is away, or that lists nothing, does not hide the others."""
    from bridges.errors import BridgeError

    try:
        _say_calendars(joined, lms)
    except BridgeError as error:
        click.echo(f"{lms}: {error}", err=True)
        return False
    return True


def _say_calendars(joined: Parts, lms: str) -> None:
    for calendar in joined.calendars(lms):
        click.echo(f"{calendar.ref}\t{'writable' if calendar.writable else 'read-only'}\t{calendar.name}")


@main.group()
def feed() -> None:
    """The feeds that calendar programs subscribe to."""


@feed.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def feed_list(as_json: bool) -> None:
    """Every feed, its calendar and its state."""
    from app.feeds.serve import HEAVY

    with told():
        feeds = parts().feeds
        for one in feeds.list():
            size = feeds.size(one)
            calendars = [str(calendar) for calendar in one.calendars]
            if as_json:
                facts = {"slug": one.slug, "title": one.title, "calendar": calendars[0], "calendars": calendars}
                more = {"public": one.public, "enabled": one.enabled, "policies": one.policies.to_json(), "bytes": size}
                click.echo(json.dumps({**facts, **more}, ensure_ascii=False))
            else:
                state = f"{'public' if one.public else 'secret'}, {'on' if one.enabled else 'off'}"
                click.echo(f"{one.slug}\t{' '.join(calendars)}\t{state}\t{one.title}")
            if size >= HEAVY:
                click.echo(
                    f"calbridge: '{one.slug}' has {size / 1e6:.1f} MB, and Google loses events of feeds above 1 MB: "
                    f"show fewer days, as in 'feed set {one.slug} ahead=90'",
                    err=True,
                )


@feed.command("add")
@click.argument("slug")
@click.option(
    "--calendar",
    "calendars",
    required=True,
    multiple=True,
    help="Which calendar: lms/kind/id, as 'calbridge calendars' lists them. Several are joined under one address; "
    "lms/person/NAME joins that person's.",
)
@click.option("--title", help="The feed's name in calendar programs (default: the slug).")
@click.option("--public", is_flag=True, help="Anyone who knows the name may read it: no secret in its address.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What is shown, as in 'feed set'.")
def feed_add(slug: str, calendars: tuple[str, ...], title: str | None, public: bool, settings: tuple[str, ...]) -> None:
    """Publish calendars as the feed SLUG."""
    with told():
        joined = parts()
        refs = [joined.named(calendar) for calendar in calendars]
        for ref in refs:
            joined.source(ref.lms)
        added, token = joined.feeds.add(slug, title or slug, *refs, public=public, settings=settings)
        _say_links(joined, added.slug, token)


@feed.command("set")
@click.argument("slug")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
def feed_set(slug: str, settings: tuple[str, ...]) -> None:
    """Decide what the feed SLUG shows, and print all that is not as usual. KEY= brings back the usual.

    \b
    back, ahead     days before and after today, fewer than are read
    kind, category, title
                    patterns to show, separated by |, as in title='OSCE*|*exam*'; !pattern leaves out
    rename          old title=>new title, several separated by |
    privacy         full, no-description, busy-only
    cancelled       omit, mark, show, both
    alarm           minutes before the start, or none
    colour          a colour's name, such as teal
    learningspace   on: answer at /w/api/v2/public_calendar.ics and .json, too, in LearningSpace's shape
    cors            on: scripts of any web page may read it
    """
    with told():
        for key, value in parts().feeds.set(slug, settings).to_json().items():
            said = "|".join(value) if isinstance(value, list) else "on" if value is True else value
            click.echo(f"{key}={said}")


@feed.command("rotate")
@click.argument("slug")
def feed_rotate(slug: str) -> None:
    """Give the feed a new secret address; the old ones are dead at once."""
    with told():
        joined = parts()
        _say_links(joined, slug, joined.feeds.rotate(slug))


@feed.group("token")
def feed_token() -> None:
    """A feed's secret addresses: one for each reader or device."""


@feed_token.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="Whose it is, such as 'phone'.")
@click.option("--until", help="The last day on which it opens the feed (default: no end).")
def feed_token_add(slug: str, name: str, until: str | None) -> None:
    """Make one more secret address for the feed SLUG; it is shown only now."""
    with told():
        joined = parts()
        zone = joined.config.zone
        last = _bound(until, zone) if until else None
        if last is not None and not isinstance(last, datetime):
            last = datetime.combine(last + timedelta(days=1), time(), zone)
        _say_links(joined, slug, joined.feeds.add_token(slug, name, last))


@feed_token.command("list")
@click.argument("slug")
def feed_token_list(slug: str) -> None:
    """The feed's tokens: name, until when, who used it last and when that one will have seen a change made now."""
    from app.feeds.clients import rhythm_of

    with told():
        joined = parts()
        for one in joined.feeds.tokens(slug):
            until = f"until {one.until.astimezone(joined.config.zone):%Y-%m-%d %H:%M}" if one.until else "no end"
            used = (
                f"{one.client}, {one.used_at.astimezone(joined.config.zone):%Y-%m-%d %H:%M}"
                if one.used_at
                else "never used"
            )
            rhythm = rhythm_of(one.client)
            if one.used_at and rhythm:
                used += f", looks again by about {(one.used_at + rhythm).astimezone(joined.config.zone):%Y-%m-%d %H:%M}"
            click.echo(f"{one.name}\t{until}\t{used}")


@feed_token.command("revoke")
@click.argument("slug")
@click.argument("name")
def feed_token_revoke(slug: str, name: str) -> None:
    """Kill the feed's token called NAME; the others go on."""
    with told():
        if not parts().feeds.revoke(slug, name):
            raise ValueError(f"'{slug}' has no token called '{name}'")


@feed_token.command("revoke-all")
@click.argument("slug")
def feed_token_revoke_all(slug: str) -> None:
    """Kill all of the feed's tokens."""
    with told():
        click.echo(f"{parts().feeds.revoke(slug)} revoked")


@feed.command("enable")
@click.argument("slug")
def feed_enable(slug: str) -> None:
    """Answer at the feed's links again."""
    with told():
        parts().feeds.enable(slug)


@feed.command("disable")
@click.argument("slug")
def feed_disable(slug: str) -> None:
    """Answer 404 at the feed's links until it is enabled again."""
    with told():
        parts().feeds.disable(slug)


def _say_links(joined: Parts, slug: str, token: str | None) -> None:
    from app.web.links import links_of, secret_links

    server = joined.config.server
    base = server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"
    for _, link in secret_links(slug, token, base) if token else links_of(joined.feeds.by_slug(slug), base):
        click.echo(link)
    if token:
        click.echo("The address is the credential and is shown only now; 'feed rotate' makes a new one.", err=True)


@main.command()
@click.argument("slugs", nargs=-1)
def refresh(slugs: tuple[str, ...]) -> None:
    """Read the calendars of these feeds (default: of all) from their LMS now."""
    from app.feeds.feed import Did

    with told():
        joined = parts()
        failed = False
        for slug in slugs or [one.slug for one in joined.feeds.list() if one.enabled]:
            outcome = joined.feeds.refresh(slug)
            failed |= outcome.did is Did.FAILED
            click.echo(f"{slug}\t{outcome.did}\t{outcome.problem}".rstrip())
        sys.exit(1 if failed else 0)


@main.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--into", "calendar", required=True, help="The calendar: lms/kind/id, as 'calbridge calendars' lists them."
)
@click.option("--from", "since", help="The first day to write (default: today).")
@click.option("--to", "until", help="The day after the last one (default: imports.ahead_days ahead).")
@click.option(
    "--name", "source", default="upload", show_default=True, help="Which import this is: each keeps its own events."
)
@click.option(
    "--mode",
    type=click.Choice(["replace", "add"]),
    default="replace",
    show_default=True,
    help="Whether earlier events of this import that the file lacks go, or stay.",
)
@click.option("--include", multiple=True, metavar="PATTERN", help="Only these, as 'title:Lecture*'.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="None of these; 'place:' and 'category:' too.")
@click.option("--rename", "renames", multiple=True, metavar="PATTERN=TITLE", help="New titles; {} is the old one.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def import_file(
    file: BinaryIO,
    calendar: str,
    since: str | None,
    until: str | None,
    source: str,
    mode: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    renames: tuple[str, ...],
    dry_run: bool,
    approve: bool,
    as_json: bool,
) -> None:
    """Write each occurrence of the calendar FILE into an LMS calendar; what is there already is left alone.

    Exit status: 0 done, 2 nothing could be read or written, 3 held for a yes, 4 unfinished (run it again), 5 done but
    for some that were refused.
    """
    from app.imports.rules import Rules, rename
    from app.imports.run import Mode
    from app.imports.window import window_of

    with told():
        joined = parts()
        window = window_of(since, until, joined.now(), joined.config.zone, joined.config.imports.ahead_days)
        outcome = joined.imports.run(
            file.read(),
            joined.named(calendar),
            window,
            source=source,
            mode=Mode(mode),
            rules=Rules(include, exclude, tuple(map(rename, renames))),
            dry_run=dry_run,
            approved=approve,
            progress=None if as_json else _Bar(),
        )
    _tell(outcome, as_json)


@main.command()
@click.argument("run", type=int)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def undo(run: int, dry_run: bool, as_json: bool) -> None:
    """Take back what one RUN did: what it created goes, what it changed returns, what it deleted comes back.

    What another run has changed since is left alone and listed as refused. Exit status as for an import.
    """
    with told():
        outcome = parts().imports.undo(run, dry_run=dry_run, progress=None if as_json else _Bar())
    _tell(outcome, as_json)


@main.command()
@click.option("--into", "calendar", required=True, help="The calendar: lms/kind/id.")
@click.option("--name", "source", required=True, help="The import whose events go, as 'import --name' had it.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken away, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def purge(calendar: str, source: str, dry_run: bool, as_json: bool) -> None:
    """Take away all that one import ever wrote into a calendar, past events too, and nothing else."""
    with told():
        joined = parts()
        ref = joined.named(calendar)
        outcome = joined.imports.purge(ref, source, dry_run=dry_run, progress=None if as_json else _Bar())
    _tell(outcome, as_json)


@main.group()
def run() -> None:
    """The runs of imports: what they did, and those that wait for a yes."""


@run.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
def run_list(as_json: bool, count: int) -> None:
    """The latest runs, newest first."""
    with told():
        for one in parts().imports.latest(count):
            click.echo(json.dumps(one.to_json(), ensure_ascii=False) if as_json else one.to_text())


@run.command("show")
@click.argument("number", metavar="RUN", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def run_show(number: int, as_json: bool) -> None:
    """One RUN with its plan and what became of it."""
    with told():
        one = parts().imports.get(number)
    click.echo(json.dumps(one.to_json(), ensure_ascii=False) if as_json else "\n".join(one.lines()))


@run.command("approve")
@click.argument("number", metavar="RUN", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def run_approve(number: int, as_json: bool) -> None:
    """Say yes to a RUN that waits: it is planned anew from its file and carried out. Exit status as for an import."""
    with told():
        outcome = parts().imports.approve(number, progress=None if as_json else _Bar())
    _tell(outcome, as_json)


@run.command("cancel")
@click.argument("number", metavar="RUN", type=int)
def run_cancel(number: int) -> None:
    """Say no to a RUN that waits."""
    with told():
        click.echo(parts().imports.cancel(number).to_text())


def _tell(outcome: Outcome, as_json: bool) -> None:
    """Print what an import came to, and end with the status that says it."""
    click.echo(json.dumps(outcome.to_json(), ensure_ascii=False) if as_json else outcome.to_text())
    sys.exit(_status(outcome.state, outcome.report))


def _status(state: str, report: Report | None) -> int:
    if report is not None and report.refused and state == "done":
        return 5
    return {"done": 0, "dry": 0, "held": 3, "left": 4}.get(state, NOTHING_READ)


class _Bar:
    """A progress line on a terminal: nothing where nobody looks."""

    def __call__(self, done: int, total: int) -> None:
        if sys.stderr.isatty() and total:
            click.echo(f"\r{done}/{total} written", nl=done == total, err=True)


@main.group()
def subscription() -> None:
    """Calendars elsewhere that are pulled into LMS calendars on a rhythm."""


@subscription.command("add")
@click.argument("url")
@click.option("--into", "calendar", required=True, help="The calendar: lms/kind/id.")
@click.option("--name", required=True, help="What it is called; its imports keep their own events under this name.")
@click.option("--every", type=int, help="Minutes between two looks (default: fetch.every_minutes).")
@click.option("--ahead", type=int, help="How many days ahead to write (default: imports.ahead_days).")
@click.option("--mode", type=click.Choice(["replace", "add"]), default="replace", show_default=True)
@click.option("--agent", default="", help="A user agent of its own, or 'microsoft' for the one that Microsoft likes.")
@click.option("--user", help="Sign in with this name; the password is asked for.")
@click.option("--header", help="Sign in with this header; its value is asked for.")
def subscription_add(
    url: str,
    calendar: str,
    name: str,
    every: int | None,
    ahead: int | None,
    mode: str,
    agent: str,
    user: str | None,
    header: str | None,
) -> None:
    """Pull the calendar at URL (https, webcal) from now on."""
    from app.imports.fetch import Credential
    from app.imports.run import Mode
    from app.imports.subscriptions import Wish

    with told():
        if user and header:
            raise ValueError("a subscription signs in by --user or by --header, not by both")
        joined = parts()
        into = joined.named(calendar)
        joined.sink(into.lms).check_target(into)
        config = joined.config
        pause = timedelta(minutes=every or config.fetch.every_minutes)
        wish = Wish(name, url, into, pause, ahead or config.imports.ahead_days, Mode(mode), agent)
        credential = Credential.basic(user, click.prompt("Password", hide_input=True, err=True)) if user else None
        if header:
            credential = Credential(header, click.prompt(header, hide_input=True, err=True))
        click.echo(joined.subscriptions.add(wish, credential).id)


@subscription.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def subscription_list(as_json: bool) -> None:
    """Every subscription and how it stands; of its address only the host."""
    from app.imports.subscriptions import to_json

    with told():
        for one in parts().subscriptions.list():
            facts = to_json(one)
            words = (one.id, one.wish.source, facts["host"], one.wish.calendar, facts["standing"], one.state.problem)
            click.echo(json.dumps(facts, ensure_ascii=False) if as_json else "\t".join(map(str, words)).rstrip())


@subscription.command("show")
@click.argument("id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def subscription_show(id: int, as_json: bool) -> None:
    """How subscription ID stands, and what happened to it, the newest first."""
    from app.imports.subscriptions import to_json, visit_to_json

    with told():
        subscriptions = parts().subscriptions
        facts = to_json(subscriptions.get(id))
        visits = [visit_to_json(visit) for visit in subscriptions.history(id, 50)]
    if as_json:
        click.echo(json.dumps({**facts, "history": visits}, ensure_ascii=False))
        return
    for name, value in facts.items():
        click.echo(f"{name}: {'' if value is None else value}".rstrip())
    for visit in visits:
        counts = "{created} created, {updated} updated, {deleted} deleted".format_map(visit)
        said = visit["problem"] or (counts if visit["run"] else "")
        click.echo(f"{visit['at']}\t{visit['what']}\t{said}".rstrip())


@subscription.command("run")
@click.argument("id", type=int)
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
def subscription_run(id: int, approve: bool) -> None:
    """Pull subscription ID now.

    Exit status: 0 done or unchanged, 2 nothing could be fetched or written, 3 held for a yes, 4 unfinished or busy.
    """
    with told():
        visit = parts().subscriptions.run(id, approved=approve)
    counts = f"{visit.created} created, {visit.updated} updated, {visit.deleted} deleted"
    click.echo(f"{visit.what}\t{visit.problem or counts}")
    sys.exit({"done": 0, "unchanged": 0, "held": 3, "left": 4, "busy": 4}.get(visit.what, NOTHING_READ))


@subscription.command("remove")
@click.argument("id", type=int)
def subscription_remove(id: int) -> None:
    """Pull subscription ID no longer, and forget it; what it wrote stays in the LMS."""
    with told():
        parts().subscriptions.remove(id)


@subscription.command("enable")
@click.argument("id", type=int)
def subscription_enable(id: int) -> None:
    """Pull subscription ID again, also if it was parked."""
    with told():
        parts().subscriptions.enable(id)


@subscription.command("disable")
@click.argument("id", type=int)
def subscription_disable(id: int) -> None:
    """Pull subscription ID no longer until it is enabled."""
    with told():
        parts().subscriptions.disable(id)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "since", required=True, help="The first day (or a time, ISO 8601).")
@click.option("--to", "until", required=True, help="The day after the last one (or a time, ISO 8601).")
@click.option(
    "--zone", help="The zone of floating times and of the days given (IANA; default: as the configuration says)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def expand(file: Path, since: str, until: str, zone: str | None, as_json: bool) -> None:
    """List every occurrence of FILE within [from, to), sorted by start, then UID. Problems go to standard error."""
    from app.ics import read_occurrences
    from app.ics.listing import line, record

    with told():
        home = _zone(zone)
        reading = read_occurrences(file.read_bytes(), _bound(since, home), _bound(until, home), zone=home)
    for problem in reading.problems:
        click.echo(str(problem), err=True)
    for occurrence in reading.occurrences:
        click.echo(json.dumps(record(occurrence), ensure_ascii=False) if as_json else line(occurrence))
    sys.exit(NOTHING_READ if not reading.occurrences and not reading.events and reading.problems else 0)


def _zone(name: str | None) -> ZoneInfo:
    if name is None:
        from app.config import config_path, load

        return load(click.get_current_context().find_root().obj or config_path(os.environ), os.environ).zone
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called '{name}'; write an IANA name such as Europe/Oslo") from None


def _bound(text: str, zone: tzinfo) -> date | datetime:
    """A date, or a time that is read in the zone where it names none."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is no date: write it as 2026-09-01 (or a time as 2026-09-01T08:00)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


@main.group()
def token() -> None:
    """API tokens: once there is one, whatever writes needs one."""


@token.command("add")
@click.argument("name")
def token_add(name: str) -> None:
    """Make a token called NAME; it is shown only now."""
    from app import tokens

    with told():
        joined = parts()
        click.echo(tokens.add(joined.engine, name, joined.now()))


@token.command("list")
def token_list() -> None:
    """The tokens' names and ages."""
    from app import tokens

    with told():
        for name, made in tokens.names(parts().engine):
            click.echo(f"{name}\t{made:%Y-%m-%d %H:%M}Z")


@token.command("revoke")
@click.argument("name")
def token_revoke(name: str) -> None:
    """Kill the token called NAME."""
    from app import tokens

    with told():
        if not tokens.revoke(parts().engine, name):
            raise ValueError(f"there is no token called '{name}'")


@main.group()
def link() -> None:
    """Accounts that people have linked, at /link/LMS of a running calbridge."""


@link.command("list")
def link_list() -> None:
    """The personal calendars that are open to this calbridge."""
    from app.parts import Linkable

    with told():
        joined = parts()
        for name in sorted(joined.config.connections):
            bridge = joined.bridge(name)
            for calendar in bridge.links() if isinstance(bridge, Linkable) else ():
                click.echo(f"{calendar.ref}\t{calendar.name}")


@link.command("remove")
@click.argument("calendar")
def link_remove(calendar: str) -> None:
    """Forget what the person of CALENDAR permitted (as 'calbridge link list' writes it)."""
    from bridges.model import CalendarRef

    with told():
        ref = CalendarRef.parse(calendar)
        if not parts().linkable(ref.lms).unlink(ref.id):
            raise ValueError(f"nobody has linked '{calendar}'")


if __name__ == "__main__":
    main()
