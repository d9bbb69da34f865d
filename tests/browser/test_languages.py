"""The languages of the pages in a real browser, chosen by links that need no JavaScript."""

from __future__ import annotations

from pathlib import Path

from app.web.language import LANGUAGES, SOURCE, catalogue
from tests.browser.stage import assert_sound, require, served, walk
from tests.browser.test_walks import WAYS

PATHS = ("/", "/public/anatomy-i/", "/import", "/subscriptions/new", "/doctor", "/sign-in", "/admin/")
OTHERS = {code: name for code, name in LANGUAGES.items() if code != SOURCE}


def test_a_language_that_is_chosen_is_spoken_everywhere_and_fits_every_window(tmp_path: Path) -> None:
    require()
    with served(tmp_path) as house:
        told = walk("languages", address=house.address, paths=PATHS, languages=list(OTHERS.items()))
    assert_sound(told)
    first = next(iter(OTHERS))
    for way in WAYS:
        for code in OTHERS if way == "plain" else [first]:
            chosen = told[way]["found"][code]
            assert chosen["address"].endswith(f"/public/anatomy-i/?month=2096-11&lang={code}")
            assert chosen["spoken"] == [code] * len(PATHS)
    assert told["desktop"]["found"]["copied"] == told["phone"]["found"]["copied"] == catalogue(first).gettext("Copied")
