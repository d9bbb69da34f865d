"""The catalogues hold every text of the pages, and say in each language what the code says, with the same places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import flask_wtf.csrf  # type: ignore[import-untyped]
import pytest
import werkzeug.exceptions
from babel.messages.catalog import Catalog, Message
from jinja2 import Environment, nodes

from app.web.language import LANGUAGES, SOURCE, catalogue
from app.web.sentences import SENTENCES
from tests.languages import WEB, catalogue_of, extracted, strings

OTHERS = sorted(set(LANGUAGES) - {SOURCE})
TEMPLATES = sorted((WEB / "templates").glob("*.html"))

every_language = pytest.mark.parametrize("language", OTHERS)
every_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)


@cache
def texts() -> Catalog:
    return extracted()


@cache
def stored(language: str) -> Catalog:
    return catalogue_of(language)


def key(message: Message) -> tuple[str | None, str]:
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def keys(catalog: Catalog) -> set[tuple[str | None, str]]:
    return {key(message) for message in catalog if message.id}


def translated(language: str) -> list[Message]:
    return [message for message in stored(language) if message.id]


def test_there_is_a_catalogue_for_each_language_and_for_no_other() -> None:
    assert sorted(path.parts[-3] for path in WEB.glob("translations/*/LC_MESSAGES/messages.po")) == OTHERS


@every_language
def test_no_text_is_missing_and_none_is_left_over(language: str) -> None:
    """`python -m tests.languages` brings the catalogues in step; then what is empty wants a translation."""
    assert sorted(map(str, keys(texts()) - keys(stored(language)))) == []
    assert sorted(map(str, keys(stored(language)) - keys(texts()))) == []
    assert not stored(language).obsolete


@every_language
def test_every_text_is_translated_in_all_its_forms(language: str) -> None:
    known = {key(message): message for message in texts()}
    assert [key(each) for each in translated(language) if not all(strings(each)) or each.fuzzy] == []
    for each in translated(language):
        assert each.pluralizable == known[key(each)].pluralizable
        assert len(strings(each)) == (stored(language).num_plurals if each.pluralizable else 1)


PLACE = re.compile(r"%\(\w+\)s|%%|\{\w*\}")
TAG = re.compile(r"<[^<>]+>")


@every_language
@pytest.mark.parametrize("what", [PLACE, TAG], ids=["places", "tags"])
def test_a_translation_has_the_places_and_the_tags_of_its_text(language: str, what: re.Pattern[str]) -> None:
    for each in translated(language):
        sources = [each.id] if isinstance(each.id, str) else list(each.id)
        wanted = [sorted(what.findall(source)) for source in sources]
        for form in strings(each):
            assert sorted(what.findall(form)) in wanted, form


@every_language
def test_a_translation_is_one_and_ends_as_its_text_does(language: str) -> None:
    """Whole sentences are never left in English, and blanks and full stops are where they are in the text."""
    for each in translated(language):
        text = key(each)[1]
        for form in strings(each):
            assert form == form.strip()
            assert (text[-1] in ".?!:") == (form[-1] in ".?!:"), form
            assert form != text or len(PLACE.sub("", TAG.sub("", text)).split()) < 4, form


@every_language
def test_what_is_served_is_what_the_file_says(language: str) -> None:
    message = next(each for each in translated(language) if isinstance(each.id, str) and not each.context)
    assert catalogue(language).gettext(str(message.id)) == message.string


# --------------------------------------------------------------------------------------------------- templates


NAMES = {
    *("calbridge", "ICS", "JSON", "MB", "kB", "Outlook", "Google", "Calendar", "Thunderbird", "Android", "UTC"),
    *("noopener", "noreferrer", "API", "OpenAPI", "LTI", "LMS"),
}
"""What is called the same in all of our languages."""
SPOKEN = ("aria-label", "alt", "title", "placeholder", "value", "data-copied")
"""Attributes that people read or hear."""
AS_WRITTEN = {"code", "pre", "script", "style", "textarea"}
"""What stands in these is written so for programs."""
WORD = re.compile(r"[A-Za-zÀ-ž]{2,}")
EXAMPLE = re.compile(r"https?://\S*|lms/\w+/\w+|[\w-]*[*=./_]\S*|timetable-office|home|hold")
"""What a field may show as an example of what is to be written there."""


class Words(HTMLParser):
    """The words of a template that no catalogue knows: those that stand in it outside of any expression."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in {"input", "meta", "link", "img", "br", "hr", "option"}:
            self.within.append((tag, tag in AS_WRITTEN or given.get("lang") == "en"))
        if any(skipped for _, skipped in self.within):
            return
        for name in SPOKEN:
            if not (tag == "input" and name == "value") and not (tag in {"option", "button"} and name == "value"):
                self.look(EXAMPLE.sub("", given.get(name) or ""))

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self.within) - 1, -1, -1):
            if self.within[place][0] == tag:
                del self.within[place:]
                return

    def handle_data(self, data: str) -> None:
        if not any(skipped for _, skipped in self.within):
            self.look(data)

    def look(self, text: str) -> None:
        self.found += [word for word in WORD.findall(text) if word not in NAMES]


def _parsed(template: Path) -> nodes.Template:
    env = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    return env.parse(template.read_text("utf-8"))


def _shown(node: nodes.Node) -> Iterator[str]:
    """The texts that an expression may come to as they stand in it."""
    match node:
        case nodes.Const(value=str(text)):
            yield text
        case nodes.CondExpr() | nodes.Or() | nodes.And() | nodes.Concat():
            for child in node.iter_child_nodes(exclude=("test",)):
                yield from _shown(child)


def _html(template: Path) -> str:
    """The template without its expressions, but for the texts that stand in them."""
    shown = (node for output in _parsed(template).find_all(nodes.Output) for node in output.nodes)
    return "".join(node.data if isinstance(node, nodes.TemplateData) else "|".join(_shown(node)) for node in shown)


@every_template
def test_no_word_of_a_template_stands_outside_of_the_catalogues(template: Path) -> None:
    words = Words()
    words.feed(_html(template))
    assert words.found == []


def test_the_test_finds_what_it_looks_for(tmp_path: Path) -> None:
    file = tmp_path / "x.html"
    file.write_text(
        '<p>{{ _("told") }} bare <b title="{{ "lost" if x else y }}">{% if a %}gone{% endif %}</b></p>'
        "{{ field(1, 'two words') }} <code>kept</code>"
        '<p lang="en">{% trans %}well{% endtrans %} kept</p>',
        "utf-8",
    )
    words = Words()
    words.feed(_html(file))
    assert words.found == ["bare", "lost", "gone"]
    assert list(_said(_parsed(file))) == ["two words"]


TOLD = {"_", "gettext", "ngettext", "pgettext", "url_for"}


def _said(node: nodes.Node) -> Iterator[str]:
    """The texts of several words that stand in calls and lists, and in none that translates them."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in TOLD:
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and re.search(r"\w{2} \w{2}", node.value):
        yield node.value
    for child in node.iter_child_nodes():
        yield from _said(child)


@every_template
def test_no_text_of_a_template_is_handed_on_as_it_is(template: Path) -> None:
    assert list(_said(_parsed(template))) == []


# ----------------------------------------------------------------------------------------- sentences of the core


COMPOSED = re.compile(
    r"%\(num\)s (event|write)s?|%\(writes\)s writes in|of which|comes twice|Somebody (changed|deleted) it in"
    r"|The quota is back|It asks us to wait|%\(host\)s (broke off|fell silent|sends an answer|does not take calls)"
    r"|shows no certificate|is this server itself|calls a day, of the|it cannot be empty"
    r"|Is there such a course|Blackboard opens|rule with BYWEEKNO|sends us on to|about %\(at\)s on"
)
"""Sentences that the core puts together of several pieces; what it makes of them other tests show."""
GAP = "\0"


def _forms(path: Path) -> Iterator[str]:
    """The texts of a module, with a gap where something is filled in."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{[^{}]*\}", GAP, node.value)
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else GAP for each in node.values)


@cache
def _written() -> list[list[str]]:
    """The texts of the core and of what refuses requests for us, each as the pieces between its gaps."""
    root = WEB.parent.parent
    files = [
        path for folder in ("app", "bridges") for path in (root / folder).rglob("*.py") if path.parts[-2] != "sentences"
    ]
    files += [Path(werkzeug.exceptions.__file__), Path(flask_wtf.csrf.__file__)]
    forms = {form for path in files for form in _forms(path)}
    return [form.split(GAP) for form in forms if " " in form.strip(GAP + " ") or re.search("[a-z]{4}", form)]


def _fits(pieces: list[str], shown: str) -> bool:
    """Whether filling the gaps can give this text."""
    return max(pieces, key=len) in shown and bool(re.fullmatch(".*?".join(map(re.escape, pieces)), shown, re.DOTALL))


def test_every_sentence_of_the_core_is_one_that_the_core_says() -> None:
    """A sentence that is changed in the core without its pattern would quietly stay English."""
    lost = []
    for form in (form for sentence in SENTENCES for form in (sentence.one, sentence.many) if form):
        shown = re.sub(r"%\(\w+\)s", "\1", form).replace("%%", "%")
        own = len(shown.replace("\1", ""))
        fit = (pieces for pieces in _written() if sum(map(len, pieces)) >= own / 2 and _fits(pieces, shown))
        if not COMPOSED.search(form) and next(fit, None) is None:
            lost.append(form)
    assert lost == []


def test_no_sentence_stands_twice() -> None:
    assert len({sentence.one for sentence in SENTENCES}) == len(SENTENCES)


def test_errors_are_raised_in_english() -> None:
    """Programs, logs and commands read them too; a page tells them in its language."""
    for path in sorted(WEB.rglob("*.py")):
        assert not re.search(r"\braise \w+\(\s*(lazy|n?gettext)\(", path.read_text("utf-8")), path.name
        assert not re.search(r"\banswer\(\s*[\w.]+,\s*n?gettext\(", path.read_text("utf-8")), "lazy, that is"
