"""Every page there is: what others wrote is text on it and turns nothing around; it is light, and whole as it comes."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.imports.pull.wish import Wish
from app.parts import Parts
from app.people import audit, tokens
from app.store import workers
from bridges.model import CalendarRef, Window
from tests.campus import NOW, calendar, open_campus

INTO = CalendarRef.parse("demo/course/statistics")
WINDOW = Window(NOW, NOW + timedelta(days=90))
SCRIPT, ARABIC, EMOJI = "<script>alert(1)</script>", "محاضرة في التشريح", "🎓 <b>Exam</b> 🧪"
TURNED = "Exam \u202egnp.exe\u202c \u2067شرح"
"""A title whose end is written backwards, and one that leaves an isolate open."""
NAMES = (SCRIPT, ARABIC, EMOJI)
TITLES = (*NAMES, TURNED)
STRANGE = re.compile("[\u0590-\u08ff\u202a-\u202e\u2066-\u2069]")
HEAVIEST = 150_000
"""Bytes of a page with its style and its script."""

PAGES = {
    "pages.start": ["/", "/?search=exam"],
    "admin.overview": ["/admin"],
    "admin.connected": ["/admin/connections"],
    "admin.links": ["/admin/links"],
    "admin.really_unlink": [f"/admin/links/remove?calendar=learn/person/{ARABIC}"],
    "admin.at_work": ["/admin/workers"],
    "admin.settings": ["/admin/settings"],
    "admin.log": ["/admin/log", f"/admin/log?search={SCRIPT}"],
    "keys.every_one": ["/admin/tokens"],
    "keys.really": [f"/admin/tokens/revoke?name={SCRIPT}", f"/admin/tokens/revoke?name={TURNED}"],
    "published.new": ["/admin/feeds/new", f"/admin/feeds/new?title={SCRIPT}&calendar={ARABIC}"],
    "published.one": ["/admin/feeds/secret-0", "/admin/feeds/secret-1", "/admin/feeds/public-1"],
    "published.really_revoke": [f"/admin/feeds/secret-0/revoke?name={SCRIPT}"],
    "published.really_rotate": ["/admin/feeds/secret-1/rotate"],
    "published.really_remove": ["/admin/feeds/secret-0/remove"],
    "subscribe.public": ["/public/public-0/", "/public/public-1/", "/public/public-2/?month=2026-11"],
    "subscribe.listed": ["/public/public-0/list", "/public/public-1/list"],
    "subscribe.secret": ["/feeds/TOKEN/secret-0/"],
    "imports.form": ["/import", f"/import?name={SCRIPT}&calendar={ARABIC}&routes={EMOJI}"],
    "imports.runs": ["/imports", f"/imports?calendar={SCRIPT}"],
    "imports.run": ["/imports/1", "/imports/2", "/imports/3"],
    "imports.undo_plan": ["/imports/1/undo"],
    "imports.batch": ["/imports/batches/1"],
    "subscribed.every_one": ["/subscriptions"],
    "subscribed.one": ["/subscriptions/1", "/subscriptions/2", "/subscriptions/3"],
    "subscribed.edit": ["/subscriptions/1/edit"],
    "subscribed.really": ["/subscriptions/1/remove"],
    "subscribed.new": ["/subscriptions/new"],
    "drifted.every_one": ["/drift", f"/drift?told={SCRIPT}"],
    "doctor.form": ["/doctor"],
    "signin.form": [f"/sign-in?next=/{SCRIPT}"],
}
"""The pages by their endpoints: each has to stand here, or among those that are none."""
NO_PAGES = re.compile(
    r"feeds\.|static$|health\.|pages\.robots$|subscribe\.(secret_)?qr$|lti\.|linking\.|approvals\.|signin\.back$"
    r"|(?!pages|admin|keys|published|subscribe|imports|subscribed|drifted|doctor|signin)\w+\."
)
"""What answers with no page, and pages behind links and other people's sign-ins, which have tests of their own."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """A campus that somebody filled with what is hard to show."""
    parts = open_campus(tmp_path_factory.mktemp("strange"), "fetch.http = true", 'fetch.allow_hosts = ["127.0.0.1"]')
    made = create_app(parts)
    made.config["secret"] = _feeds(parts)
    _imports(parts, made.test_client())
    for number, name in enumerate(NAMES):
        made.config["token"] = tokens.add(parts.engine, name, NOW)
        audit.note(parts.engine, audit.Deed(NOW, name, "POST /somewhere", f"name={TITLES[number]}"))
        wish = Wish(name, f"http://127.0.0.1:8999/{number}.ics", INTO, timedelta(hours=1), 90)
        parts.subscriptions.add(wish)
    workers.begin(parts.engine, "one", NOW)
    workers.beat(parts.engine, "one", [SCRIPT, ARABIC], {}, NOW)
    return made


def _feeds(parts: Parts) -> str:
    """A public and a secret feed of each name, and a token of the first secret one."""
    secret = ""
    for number, name in enumerate(NAMES):
        parts.feeds.add(f"public-{number}", name, INTO, public=True, settings=[f"tag=demo/*=>{EMOJI}"])
        _, token = parts.feeds.add(f"secret-{number}", name, INTO, public=False)
        parts.feeds.add_token(f"secret-{number}", SCRIPT)
        parts.feeds.add_token(f"secret-{number}", ARABIC)
        secret = secret or str(token)
    return secret


def _event(file: str, numbered: tuple[int, str]) -> str:
    number, title = numbered
    told = f"SUMMARY:{title}\nLOCATION:{title}\nDESCRIPTION:{title}"
    return f"UID:{file}{number}\n{told}\nDTSTART:202611{10 + number}T100000Z"


def _imports(parts: Parts, client: FlaskClient) -> None:
    """Run 1 was imported and people changed it, run 2 is held, run 3 a preview; batch 1 is a preview."""
    first, second, third = (calendar(*map(partial(_event, each), enumerate(TITLES))) for each in "abc")
    parts.imports.run(first, INTO, WINDOW, source=SCRIPT)
    held = calendar(
        f"UID:n\nSUMMARY:{ARABIC}\nDTSTART:20261102T100000Z", "UID:m\nSUMMARY:y\nDTSTART;TZID=<i>:20261102T100000"
    )
    parts.imports.run(held, INTO, WINDOW, source=SCRIPT)
    form = {"calendar": str(INTO), "name": ARABIC, "from": "2026-10-20", "to": "2026-12-31"}
    client.post("/imports", data={"file": (io.BytesIO(second), "t.ics"), **form})
    routes = f"title:*=>{INTO}\ntitle:nothing=>demo/course/{SCRIPT}"
    more = {"routes": routes, "name": EMOJI}
    client.post("/imports", data={"file": (io.BytesIO(third), "t.ics"), **form, **more})
    sink = parts.sink("demo")
    for each in parts.source("demo").read(INTO, WINDOW):
        if each.event.title in TITLES:
            sink.update(INTO, each.ref, sink.fit(replace(each.event, text=f"{each.event.title}!")))
    parts.drifts.check(INTO)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody with a token that may see all of it."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {app.config['token']}"
    return client


def every_path() -> list[str]:
    return [path for paths in PAGES.values() for path in paths]


def shown(client: FlaskClient, path: str) -> str:
    answer = client.get(path.replace("TOKEN", client.application.config["secret"]))
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), path
    return answer.text


def shared(app: Flask) -> int:
    """Bytes of style and script, which a browser fetches once for all pages."""
    return sum((Path(str(app.static_folder)) / f"calbridge.{kind}").stat().st_size for kind in ("css", "js"))


class Read(HTMLParser):
    """A page as a browser takes it: its elements, and each text with the elements that it stands in."""

    VOID = frozenset({"meta", "link", "input", "img", "br", "hr", "option"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.texts.append((data, (*self.open, *self.lasting())))

    def lasting(self) -> tuple[str, ...]:
        """An option ends with the next one, written or not."""
        return ("option",) if self.elements and self.elements[-1][0] == "option" else ()


def test_each_page_is_looked_at_here(app: Flask) -> None:
    found = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert {name for name in found if not NO_PAGES.match(name)} == set(PAGES)


@pytest.mark.parametrize("path", every_path(), ids=[str(number) for number, _ in enumerate(every_path())])
class TestEachPage:
    def test_runs_nothing_that_others_wrote(self, client: FlaskClient, path: str) -> None:
        page = Read(shown(client, path))
        for tag, attributes in page.elements:
            assert tag not in {"b", "i", "iframe", "object", "embed", "style"}, tag
            assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
            assert not [name for name in attributes if name.startswith("on") or name == "style"]

    def test_keeps_what_others_wrote_from_turning_the_rest(self, client: FlaskClient, path: str) -> None:
        page = Read(shown(client, path))
        alone = {"bdi", "title", "option", "textarea"}
        assert [text for text, within in page.texts if STRANGE.search(text) and not alone & {*within}] == []

    def test_is_light(self, client: FlaskClient, path: str) -> None:
        assert len(shown(client, path).encode()) + shared(client.application) < HEAVIEST


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/admin/feeds/secret-1/addresses", {"name": f"{ARABIC} {SCRIPT}"}),
        ("/admin/feeds/secret-2/rotate", {}),
        ("/admin/feeds", {"title": f"{ARABIC} {SCRIPT}", "slug": "x", "calendar": str(INTO)}),
        ("/admin/feeds", {"title": f"{ARABIC} {SCRIPT}", "slug": SCRIPT, "calendar": str(INTO)}),
        ("/admin/tokens", {"name": f"{ARABIC} {SCRIPT}", "scope": "read"}),
        ("/admin/tokens", {"name": ARABIC, "scope": "read"}),
        ("/imports", {"calendar": f"{ARABIC}{SCRIPT}"}),
    ],
)
def test_so_are_the_pages_that_answer_a_form(client: FlaskClient, path: str, given: dict[str, str]) -> None:
    answer = client.post(path, data=given)
    assert answer.mimetype == "text/html"
    assert "<script>alert" not in answer.text
    page = Read(
        re.sub(r'<p[^>]*role="alert".*?</p>', "", answer.text, flags=re.DOTALL)
    )  # what it says turns itself alone
    alone = {"bdi", "title", "option", "textarea"}
    assert [text for text, within in page.texts if STRANGE.search(text) and not alone & {*within}] == []


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/", NAMES),
        ("/admin", (SCRIPT,)),
        ("/admin/log", TITLES[:3]),
        ("/admin/tokens", NAMES),
        ("/admin/feeds/secret-0", (SCRIPT, ARABIC)),
        ("/imports/1", TITLES),
        ("/imports/3", TITLES),
        ("/imports/batches/1", TITLES),
        ("/imports/1/undo", TITLES),
        ("/drift", TITLES),
        ("/subscriptions", NAMES),
        ("/public/public-0/", TITLES),
        ("/public/public-0/list", TITLES),
        ("/feeds/TOKEN/secret-0/", TITLES),
    ],
)
def test_titles_are_there_letter_for_letter_without_any_script(
    client: FlaskClient, path: str, titles: tuple[str, ...]
) -> None:
    texts = "\n".join(text for text, _ in Read(shown(client, path)).texts)
    assert [title for title in titles if title not in texts] == []


def test_a_full_list_of_feeds_is_light_too(tmp_path: Path) -> None:
    parts = open_campus(tmp_path)
    for number in range(60):
        parts.feeds.add(f"{'x' * 60}-{number}", f"{ARABIC} " * 5, INTO, public=True)
    app = create_app(parts)
    assert len(app.test_client().get("/").data) + shared(app) < HEAVIEST
