"""Pages speak the language of their reader; programs are answered in English, whoever asks."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st

from app import create_app
from app.config import Server
from app.imports.deciding.forecast import Forecast
from app.imports.deciding.plan import Desired, Entry, Spared, State
from app.imports.record.report import spared_note
from app.parts import Parts
from app.web.language import COOKIE, LANGUAGES, chosen, gettext
from app.web.pages import shown
from app.web.spoken import listed, plain, spoken
from bridges.model import AllDay, CalendarRef, Event, Kind, OccurrenceId, RemoteRef, Timed
from tests.campus import EXAM, LECTURES, NOW, calendar, open_campus

OSLO = ZoneInfo("Europe/Oslo")
HEAD = {"de": "Kalender zum Abonnieren", "nb": "Kalendere å abonnere på", "sv": "Kalendrar att prenumerera på"}
ENGLISH = "Calendars to subscribe to"
SCRIPT = "<script>alert(1)</script>"
TITLES = (SCRIPT, "محاضرة ‮rtl", "🎓 %(name)s 100%")

PIECES = (
    "a: ",
    "'",
    "; the event was left out",
    "The file is ",
    ". ",
    " of ",
    "7",
    "%(why)s",
    "<b>",
    "there is no run ",
)

every_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A campus with a feed, a run, a subscription and a secret address, each of a hostile name."""
    parts = open_campus(tmp_path_factory.mktemp("campus"), "[server]", 'language = "en"')
    for number, title in enumerate(TITLES):
        parts.feeds.add(f"odd-{number}", title, CalendarRef("demo", Kind.INSTITUTION), public=True)
    return parts


@pytest.fixture(scope="module")
def app(campus: Parts) -> Flask:
    return create_app(campus)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def asking(*tags: str) -> dict[str, str]:
    return {"Accept-Language": ", ".join(tags)}


# -------------------------------------------------------------------------------------------------- which language


def test_a_page_speaks_what_the_browser_asks_for(client: FlaskClient) -> None:
    for language, head in HEAD.items():
        page = client.get("/", headers=asking(f"{language}-XX", "en;q=0.5"))
        assert head in page.text
        assert f'<html lang="{language}">' in page.text
        assert page.headers["Content-Language"] == language
        assert {"Accept-Language", "Cookie"} <= set(page.vary)


def test_a_browser_that_prefers_none_of_ours_gets_the_next_one_that_it_takes(client: FlaskClient) -> None:
    assert HEAD["sv"] in client.get("/", headers=asking("fi", "de;q=0.3", "sv;q=0.7", "en;q=0.1")).text
    assert ENGLISH in client.get("/", headers=asking("fi", "de;q=0")).text
    assert ENGLISH in client.get("/", headers=asking("*")).text
    assert ENGLISH in client.get("/", headers=asking(";;q=,,x")).text


@pytest.mark.parametrize("tag", ["no", "nb-NO", "nn", "nn-NO", "NB"])
def test_norwegians_are_understood_by_whatever_name(client: FlaskClient, tag: str) -> None:
    assert HEAD["nb"] in client.get("/", headers=asking(tag, "en;q=0.9")).text


def test_a_choice_is_kept_and_goes_before_the_browsers(client: FlaskClient) -> None:
    first = client.get("/?lang=sv", headers=asking("de"))
    assert HEAD["sv"] in first.text
    (cookie,) = (each for each in first.headers.getlist("Set-Cookie") if each.startswith(COOKIE))
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    again = client.get("/", headers=asking("de"))
    assert HEAD["sv"] in again.text
    assert "Set-Cookie" not in again.headers
    assert HEAD["nb"] in client.get("/?lang=nb").text
    assert HEAD["nb"] in client.get("/").text


@pytest.mark.parametrize("wrong", ["xx", "", "../de", "DE", "de-DE", SCRIPT, "de%00", "de&lang=xx"])
def test_a_choice_that_is_none_changes_nothing(client: FlaskClient, wrong: str) -> None:
    page = client.get("/", query_string={"lang": wrong}, headers=asking("sv"))
    assert (page.status_code, HEAD["sv"] in page.text) == (200, True)
    assert "Set-Cookie" not in page.headers
    assert SCRIPT not in page.text
    client.set_cookie(COOKIE, wrong)
    assert HEAD["sv"] in client.get("/", headers=asking("sv")).text


def test_over_https_the_choice_travels_over_https_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    parts = open_campus(tmp_path_factory.mktemp("https"), "[server]", 'public_url = "https://cal.example.edu"')
    assert "; Secure" in create_app(parts).test_client().get("/?lang=de").headers["Set-Cookie"]


def test_whoever_asks_for_nothing_gets_the_schools_language(tmp_path_factory: pytest.TempPathFactory) -> None:
    school = create_app(open_campus(tmp_path_factory.mktemp("school"), "[server]", 'language = "nb"')).test_client()
    assert HEAD["nb"] in school.get("/").text
    assert HEAD["nb"] in school.get("/", headers=asking("fi")).text
    assert ENGLISH in school.get("/", headers=asking("en-GB")).text


def test_every_language_can_be_the_schools() -> None:
    assert get_args(Server.model_fields["language"].annotation) == tuple(LANGUAGES)


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1)), max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_whatever_is_asked_for_one_of_ours_is_chosen(accepted: list[tuple[str, float]], asked: str, kept: str) -> None:
    assert chosen(asked, kept, accepted, "nb") in LANGUAGES


def test_the_menu_leads_to_this_very_page_without_a_script(client: FlaskClient) -> None:
    page = client.get("/public/anatomy-i/?month=2026-12&lang=de").text
    links = re.findall(r'<a href="([^"]+)" hreflang="(\w+)" lang="(\w+)"( aria-current="true")?>([^<]+)</a>', page)
    assert [(code, lang, name) for _, code, lang, _, name in links] == [(c, c, n) for c, n in LANGUAGES.items()]
    assert [code for _, code, _, here, _ in links if here] == ["de"]
    assert [link for link, *_ in links] == [f"?month=2026-12&amp;lang={code}" for code in LANGUAGES]


def test_the_menu_of_an_answer_to_a_form_leads_to_a_page(client: FlaskClient) -> None:
    judged = client.post("/doctor", data={}, headers=asking("de"))
    assert 'href="?lang=sv"' in judged.text
    nowhere = client.post("/imports/99/approve", headers=asking("de"))
    assert nowhere.status_code == 404
    assert 'href="/?lang=sv"' in nowhere.text


# -------------------------------------------------------------------------------------------------- which pages


def pages(app: Flask) -> list[str]:
    """Every page that has an address without a name in it, and one of each kind that has."""
    found = [
        str(rule)
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.arguments and not str(rule).startswith(("/api", "/static"))
    ]
    return [
        *sorted(found),
        "/api/",
        "/public/anatomy-i/",
        "/public/anatomy-i/list",
        "/nowhere",
        "/imports/99",
        "/link/demo",
    ]


@every_language
def test_every_page_is_shown_in_every_language(app: Flask, language: str) -> None:
    client, spoke = app.test_client(), 0
    for path in pages(app):
        page = client.get(path, headers=asking(language))
        if page.mimetype == "text/html" and page.status_code not in (301, 302, 303, 308):
            assert f'<html lang="{language}"' in page.text, path
            assert page.headers["Content-Language"] == language, path
            assert page.status_code != 500, path
            spoke += 1
    assert spoke > 15


ENGLISH_WORDS = re.compile(r"\b(the|of|is|are|were|not|with|this|that|and|has|which|your|you)\b", re.IGNORECASE)


class Left(HTMLParser):
    """What a page shows beside what others wrote (<bdi>), what is code, and what is marked as English."""

    def __init__(self) -> None:
        super().__init__()
        self.within: list[tuple[str, bool]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"input", "meta", "link", "img", "br", "hr"}:
            foreign = tag in {"bdi", "code", "pre", "textarea", "option"} or dict(attrs).get("lang") == "en"
            self.within.append((tag, foreign))

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(foreign for _, foreign in self.within) and ENGLISH_WORDS.search(data):
            self.found.append(data.strip())


@pytest.mark.parametrize("language", HEAD)
def test_no_page_is_left_half_in_english(app: Flask, language: str) -> None:
    client = app.test_client()
    for path in pages(app):
        page = client.get(path, headers=asking(language))
        if page.mimetype == "text/html":
            left = Left()
            left.feed(page.text)
            assert left.found == [], path


@every_language
def test_titles_of_others_are_text_in_every_language(client: FlaskClient, language: str) -> None:
    file = calendar(*(f"UID:u{n}\nSUMMARY:{t}\nDTSTART:20261021T101500Z" for n, t in enumerate(TITLES)), "UID:broken")
    sent = {"url": "", "calendar": "demo/course/anatomy-1", "name": SCRIPT[:40]}
    plan = client.post("/imports", data={**sent, "file": (BytesIO(file), "x.ics")})
    shown = ["/", "/public/odd-0/", "/public/odd-1/", "/public/odd-2/list", plan.headers["Location"], "/imports"]
    for path in shown:
        page = client.get(path, headers=asking(language)).text
        assert SCRIPT not in page, path
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get(shown[4], headers=asking(language)).text
    start = client.get("/", headers=asking(language)).text
    assert "🎓 %(name)s 100%" in start
    assert TITLES[1] in start


@every_language
def test_a_page_behind_a_secret_speaks_too_and_its_menu_tells_the_secret_to_nobody(
    campus: Parts, client: FlaskClient, language: str
) -> None:
    _, token = campus.feeds.add(f"secret-{language}", "Secret", CalendarRef("demo", Kind.INSTITUTION), public=False)
    page = client.get(f"/feeds/{token}/secret-{language}/?lang={language}")
    assert f'<html lang="{language}">' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    menu = page.text.partition("<footer>")[2]
    assert token is not None
    assert token not in menu
    assert "?lang=" in menu
    wrong = client.get(f"/feeds/{'x' * 43}/secret-{language}/", headers=asking(language))
    assert (wrong.status_code, wrong.headers["Content-Language"]) == (404, language)


@pytest.mark.parametrize(
    "path", ["/", "/public/anatomy-i/", "/public/anatomy-i/list", "/nowhere", "/public/anatomy-i/?lang=de"]
)
def test_no_shared_cache_keeps_a_page_which_others_want_in_another_language(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert not page.cache_control.public
    assert "s-maxage" not in page.cache_control


# ---------------------------------------------------------------------------------------------- what stays English


@every_language
def test_programs_are_answered_in_english(client: FlaskClient, language: str) -> None:
    client.set_cookie(COOKIE, language)
    refused = client.get("/api/imports/99", headers=asking(language))
    assert refused.json is not None
    assert refused.json["detail"] == "there is no run 99"
    assert "Content-Language" not in refused.headers
    missing = client.post("/api/imports?calendar=demo/course/anatomy-1", data={}, headers=asking(language))
    assert missing.json is not None
    assert re.search(r"\b(send|is not taken)\b", missing.json["detail"])


def test_a_feed_is_the_same_for_everybody(client: FlaskClient) -> None:
    for ending in ("ics", "json", "atom"):
        asked = [client.get(f"/public/anatomy-i.{ending}", headers=asking(language)) for language in LANGUAGES]
        assert len({answer.data for answer in asked}) == 1
        assert not any("Content-Language" in answer.headers for answer in asked)


def test_outside_of_any_page_everything_is_english() -> None:
    assert gettext("Calendars to subscribe to") == ENGLISH
    assert plain("there is no run 7") == "there is no run 7"


# ------------------------------------------------------------------------------------------- sentences of the core


def said(app: Flask, language: str, sentence: str) -> str:
    with app.test_request_context("/", headers=asking(language)):
        return str(spoken(sentence))


def test_a_sentence_of_the_core_is_told_in_the_pages_language(app: Flask) -> None:
    assert said(app, "de", "there is no run 7") == "einen Lauf 7 gibt es nicht"
    assert said(app, "en", "there is no run 7") == "there is no run 7"
    assert said(app, "sv", "its start names no time zone, and nobody said which one such times of this source mean; "
                "the event was left out").endswith("; händelsen utelämnades")  # fmt: skip


def test_a_sentence_that_nobody_knows_is_marked_as_english(app: Flask) -> None:
    assert said(app, "nb", "The LMS grumbles.") == '<span lang="en">The LMS grumbles.</span>'
    assert said(app, "en", "The LMS grumbles.") == "The LMS grumbles."


def test_of_several_sentences_each_is_told_as_far_as_it_is_known(app: Flask) -> None:
    told = said(app, "de", "The LMS refused 3 of its events. It grumbles. No route takes 2 of its events.")
    assert told == (
        'Das LMS hat 3 der Termine abgewiesen. <span lang="en">It grumbles.</span> 2 der Termine nimmt keine Route auf.'
    )


def test_the_number_decides_in_other_languages_too(app: Flask) -> None:
    gone = "The file holds no event at all, and {} would be deleted."
    assert "1 Termin." in said(app, "de", gone.format("1 event"))
    assert "12 Termine." in said(app, "de", gone.format("12 events"))
    assert "12 hendelser" in said(app, "nb", gone.format("12 events"))


def test_a_forecast_is_told_piece_by_piece(app: Flask) -> None:
    forecast = Forecast(1240, 62, 6310, 2000, None, NOW + timedelta(hours=2), fits=False)
    with app.test_request_context("/", headers=asking("de")):
        told = str(listed(forecast.sentence(NOW, OSLO)))
        objection = str(spoken(forecast.objection(NOW, OSLO)))
    assert told == (
        "1.240 Schreibvorgänge in 62 Aufrufen, vorerst noch 6.310 Aufrufe übrig, "
        "davon 2.000 für Feeds zurückgehalten, fertig etwa 13:30"
    )
    assert told in objection
    assert "lang=" not in objection


SPECIMENS = (Path(__file__).parent / "sentences.txt").read_text("utf-8").splitlines()
"""Sentences as the core puts them together of several."""


@pytest.mark.parametrize("language", HEAD)
def test_what_the_core_puts_together_is_told_to_the_last_word(app: Flask, language: str) -> None:
    for sentence in SPECIMENS:
        told = said(app, language, sentence)
        assert "lang=" not in told, sentence
        assert not ENGLISH_WORDS.search(told), told


@pytest.mark.parametrize("state", [State.EDITED, State.DISMISSED])
@pytest.mark.parametrize("title", ["Oral", "Exam", None], ids=["changed", "same", "gone"])
def test_why_an_event_is_left_as_people_made_it_is_told(app: Flask, state: State, title: str | None) -> None:
    days = AllDay(date(2026, 12, 11), date(2026, 12, 12))
    entry = Entry(OccurrenceId("exam"), "upload", 0, state, RemoteRef("1"), Event("Exam", days))
    note = spared_note(Spared(entry, None if title is None else Desired(Event(title, days))))
    for language in HEAD:
        assert "Somebody" not in said(app, language, note.reason)
        assert "lang=" not in said(app, language, note.reason)


WRONG = (
    "ftp://x.example/a.ics",
    "https://localhost/a.ics",
    "https://u:p@x.example/a.ics",
    "https://10.0.0.1/a.ics",
    "a b",
)


@pytest.mark.parametrize("address", WRONG)
def test_why_an_address_is_none_is_told(client: FlaskClient, address: str) -> None:
    for language in HEAD:
        sent = {"url": address, "calendar": "demo/course/anatomy-1", "name": "wrong"}
        page = client.post("/imports", data=sent, headers=asking(language), content_type="multipart/form-data")
        assert page.status_code == 422
        (problem,) = re.findall(r'id="problem">(.*?)</p>', page.text)
        assert problem
        assert "lang=" not in problem


def test_a_title_that_looks_like_sentences_does_not_cut_one_in_two(app: Flask) -> None:
    told = said(app, "de", "'Dr. Bell. Room 4.' is no longer in demo/course/anatomy-1")
    assert told == "„Dr. Bell. Room 4.“ steht nicht mehr in demo/course/anatomy-1"


def test_what_others_wrote_into_a_sentence_is_text(app: Flask) -> None:
    told = said(app, "de", f"there is no feed called '{SCRIPT}'")
    assert told == "einen Feed namens „&lt;script&gt;alert(1)&lt;/script&gt;“ gibt es nicht"
    assert said(app, "de", f"there is no feed called '%(slug)s {SCRIPT}%'").count("<") == 0


@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=400).map("".join)))
@example("a: " * 1300)
@example("x" + "; the event was left out" * 45)
def test_whatever_is_said_nothing_breaks_and_nothing_is_markup(text: str) -> None:
    app = Flask(__name__)
    app.config["CALBRIDGE_LANGUAGE"] = "de"
    with app.test_request_context("/"):
        assert "<" not in re.sub(r'<span lang="en">|</span>', "", str(spoken(text)))
        assert current_app is not None


def test_a_refusal_is_a_page_in_the_readers_language(client: FlaskClient) -> None:
    page = client.get("/imports/99", headers=asking("de"))
    assert (page.status_code, "<h1>Nicht gefunden</h1>" in page.text) == (404, True)
    assert "einen Lauf 99 gibt es nicht" in page.text


@every_language
def test_a_file_with_faults_is_told_of_in_every_language(client: FlaskClient, language: str) -> None:
    file = calendar(LECTURES, EXAM, "UID:lost\nSUMMARY:No start", "UID:odd\nSUMMARY:x\nDTSTART:20261301T250000")
    answer = client.post(
        "/imports",
        data={"calendar": "demo/course/anatomy-1", "name": "faults", "file": (BytesIO(file), "x.ics")},
    )
    page = client.get(answer.headers["Location"], headers=asking(language)).text
    assert 'lang="en"' not in page.partition("<main")[2].partition("</main>")[0]
    assert (language == "en") == ("the event was left out" in page)


# -------------------------------------------------------------------------------------------------- days and numbers


WHEN = {
    "en": ("Wednesday, 21 October 2026", "October 2026", "21 October 2026, 10:15", "1,240", "Mo", "3 days"),
    "de": ("Mittwoch, 21. Oktober 2026", "Oktober 2026", "21. Oktober 2026, 10:15", "1.240", "Mo", "3 Tage"),
    "nb": ("Onsdag 21. oktober 2026", "Oktober 2026", "21. oktober 2026, 10:15", "1\xa0240", "Ma", "3 dager"),
    "sv": ("Onsdag 21 oktober 2026", "Oktober 2026", "21 oktober 2026 10:15", "1\xa0240", "Må", "3 dagar"),
}


@every_language
def test_days_and_numbers_are_those_of_the_language_in_the_calendars_zone(app: Flask, language: str) -> None:
    moment = datetime(2026, 10, 21, 8, 15, tzinfo=UTC)
    days = AllDay(date(2026, 10, 21), date(2026, 10, 24))
    with app.test_request_context("/", headers=asking(language)):
        assert WHEN[language] == (
            shown.day(moment.date()),
            shown.month(moment.date()),
            shown.instant(moment, OSLO),
            shown.number(1240),
            shown.weekdays()[0][1],
            shown.span(days, OSLO),
        )
        assert shown.span(Timed(moment, moment + timedelta(hours=1)), OSLO) == "10:15–11:15"
