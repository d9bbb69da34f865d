"""The pages of feeds for those who publish them: a new one, what it shows, who may read it by which secret address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, Response, request, url_for
from werkzeug.datastructures import MultiDict

from app.feeds.clients import last_day, said
from app.feeds.feed import Feed
from app.feeds.narrow import Wish
from app.feeds.policies import COLOURS, Cancelled, Policies, Privacy
from app.parts import slug_of
from app.web.door import access
from app.web.language import gettext, lazy
from app.web.links import secret_links
from app.web.pages import overview
from app.web.pages.admin import page, sure, to, unstored
from bridges.errors import BridgeError
from bridges.model import CalendarRef

bp = Blueprint("published", __name__, url_prefix="/admin/feeds")

ONE = "/<slug>"
DAYS = ("back", "ahead")
LISTS = {"kind": "kind", "category": "category", "titles": "title", "rename": "rename", "tag": "tag"}
"""Fields of the form, and the policies they are: a feed has a title of its own."""
WORDS = ("privacy", "cancelled", "alarm", "colour")
SWITCHES = ("utc", "cors", "gzip", "learningspace")
PRIVACY = {
    Privacy.FULL: lazy("all of each event"),
    Privacy.NO_DESCRIPTION: lazy("no descriptions"),
    Privacy.BUSY_ONLY: lazy("only that one is busy"),
}
CANCELLED = {
    Cancelled.OMIT: lazy("are left out"),
    Cancelled.MARK: lazy("say so in their title"),
    Cancelled.SHOW: lazy("are marked for programs"),
    Cancelled.BOTH: lazy("say so in their title and to programs"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """One secret address of a feed, without itself."""

    name: str
    until: str
    looked: str
    shows: str
    parent: str | None


@bp.get("/new")
def new() -> str:
    """A form for one more feed."""
    return _form(request.args, "")


@bp.post("")
def add() -> Response:
    """Publish it, and read it at once; a secret one's address is on the answer to this alone."""
    feeds, given = access.parts().feeds, request.form
    try:
        title = given.get("title", "").strip()
        slug = given.get("slug", "").strip() or slug_of(title)
        public = given.get("public") == "yes"
        added, secret = feeds.add(slug, title, *_calendars(given), public=public, settings=_settings(given))
    except (ValueError, BridgeError) as error:
        return Response(_form(given, str(error)), 422)
    feeds.refresh(added.slug)
    feeds.build(added.slug)
    return _told(added, secret) if secret else to(url_for("published.one", slug=added.slug))


@bp.get(ONE)
def one(slug: str) -> str:
    """One feed: how it stands, what it shows, who reads it."""
    return _one(access.parts().feeds.by_slug(slug))


@bp.post(ONE)
def change(slug: str) -> Response:
    """What it shows from now on."""
    feeds = access.parts().feeds
    feed = feeds.by_slug(slug)
    try:
        feeds.set(slug, _settings(request.form))
    except ValueError as error:
        return Response(_one(feed, str(error), request.form), 422)
    return to(url_for("published.one", slug=slug, told="kept"))


@bp.post(f"{ONE}/addresses")
def give_out(slug: str) -> Response:
    """One more secret address, for a reader or a device, shown on the answer to this alone."""
    feeds = access.parts().feeds
    feed, given = feeds.by_slug(slug), request.form
    chosen = [str(one) for one in feed.calendars if str(one) in given.getlist("calendar")]
    wish = {
        "name": given.get("name", "").strip(),
        "until": given.get("until", "").strip() or None,
        "calendars": [] if len(chosen) == len(feed.calendars) else chosen,
        "privacy": given.get("at_most", Privacy.FULL.value),
    }
    try:
        asked = Wish.of(wish, access.parts().config.zone)
        made = feeds.add_token(slug, asked.name, asked.until, asked.narrow)
    except ValueError as error:
        return Response(_one(feed, str(error)), 422)
    return _told(feed, made, asked.name)


@bp.get(f"{ONE}/revoke")
def really_revoke(slug: str) -> str:
    """Whether it is meant."""
    name = request.args.get("name", "")
    return sure(
        gettext("Take back the address “%(name)s”?", name=name),
        gettext("Calendars that read it see no more of the feed, nor do those that were made from it. Others go on."),
        gettext("Take it back"),
        url_for("published.revoke", slug=slug),
        url_for("published.one", slug=slug),
        name=name,
    )


@bp.post(f"{ONE}/revoke")
def revoke(slug: str) -> Response:
    access.parts().feeds.revoke(slug, request.form.get("name", ""))
    return to(url_for("published.one", slug=slug))


@bp.get(f"{ONE}/rotate")
def really_rotate(slug: str) -> str:
    """Whether it is meant."""
    return sure(
        gettext("Give “%(feed)s” a new address?", feed=access.parts().feeds.by_slug(slug).title),
        gettext("All of its addresses are dead at once: every calendar that reads it has to be given the new one."),
        gettext("Make a new address"),
        url_for("published.rotate", slug=slug),
        url_for("published.one", slug=slug),
    )


@bp.post(f"{ONE}/rotate")
def rotate(slug: str) -> Response:
    feeds = access.parts().feeds
    feed = feeds.by_slug(slug)
    try:
        return _told(feed, feeds.rotate(slug))
    except ValueError as error:
        return Response(_one(feed, str(error)), 422)


@bp.get(f"{ONE}/remove")
def really_remove(slug: str) -> str:
    """Whether it is meant."""
    return sure(
        gettext("Remove “%(feed)s”?", feed=access.parts().feeds.by_slug(slug).title),
        gettext("The feed and all of its addresses are forgotten. The calendar in the LMS stays as it is."),
        gettext("Remove it"),
        url_for("published.remove", slug=slug),
        url_for("published.one", slug=slug),
    )


@bp.post(f"{ONE}/remove")
def remove(slug: str) -> Response:
    access.parts().feeds.remove(slug)
    return to(url_for("pages.start"))


# ------------------------------------------------------------------------------------------------------ what was asked


def _calendars(given: MultiDict[str, str]) -> Sequence[CalendarRef]:
    """Those that were chosen or written, each on a line of its own. ValueError and bridges.errors say what is wrong."""
    parts = access.parts()
    written = [*given.getlist("calendar"), *given.get("also", "").splitlines()]
    named = [overview.calendar_called(parts, text, to_read=True) for each in written if (text := each.strip())]
    if not named:
        raise ValueError("Choose a calendar.")
    found = [parts.named(name) for name in named]
    for each in found:
        parts.source(each.lms)
    return found


def _settings(given: MultiDict[str, str]) -> list[str]:
    """The policies of the form as `key=value`; what is left empty is as usual, patterns stand on lines of their own."""
    lines = {
        policy: "|".join(filter(None, map(str.strip, given.get(name, "").splitlines())))
        for name, policy in LISTS.items()
    }
    switches = {name: "on" if given.get(name) == "on" else "off" for name in SWITCHES}
    plain = {name: given.get(name, "").strip() for name in (*DAYS, *WORDS)}
    return [f"{name}={value}" for name, value in {**plain, **lines, **switches}.items()]


# ------------------------------------------------------------------------------------------------------- what is shown


def _form(given: MultiDict[str, str], problem: str) -> str:
    listed, silent = overview.readable(access.parts())
    chosen = given if problem else MultiDict({"gzip": "on", **given.to_dict()})
    return page("feed_new.html", listed=listed, silent=silent, given=chosen, problem=problem, **_choices())


def _one(feed: Feed, problem: str = "", given: MultiDict[str, str] | None = None) -> str:
    parts = access.parts()
    return page(
        "feed_one.html",
        feed=feed,
        card=overview.card(parts, feed, access.base_url()),
        addresses=[] if feed.public else _addresses(feed),
        given=_as_form(feed.policies) if given is None else given,
        problem=problem,
        told=request.args.get("told", ""),
        read=parts.config.feeds,
        **_choices(),
    )


def _choices() -> dict[str, object]:
    return {"privacies": PRIVACY, "ways": CANCELLED, "colours": list(COLOURS)}


def _as_form(policies: Policies) -> MultiDict[str, str]:
    """As the form shows them; what is as usual is left empty."""
    kept = policies.to_json()
    lines = {name: "\n".join(kept.get(policy, ())) for name, policy in LISTS.items()}
    plain = {name: str(kept.get(name, "")) for name in (*DAYS, *WORDS)}
    switches = {name: "on" for name in SWITCHES if getattr(policies, name)}
    return MultiDict({**plain, **lines, **switches})


def _addresses(feed: Feed) -> Sequence[Address]:
    parts = access.parts()
    now, zone = parts.now(), parts.config.zone
    end = partial(last_day, zone=zone)
    return [
        Address(each.name, end(each.until), said(each.client, each.used_at, now, zone), each.shows, each.parent)
        for each in parts.feeds.tokens(feed.slug)
    ]


def _told(feed: Feed, secret: str, name: str = "") -> Response:
    """The addresses, at the one moment when their secret is known."""
    base = access.base_url()
    links = secret_links(feed.slug, secret, base)
    how = f"{base}/feeds/{secret}/{feed.slug}/"
    return unstored(page("feed_address.html", feed=feed, links=links, how=how, name=name))
