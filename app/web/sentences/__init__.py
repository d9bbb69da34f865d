"""The sentences that the core composes and that pages show, as patterns for `app.web.spoken` and the catalogues.

Each stands here as the code that makes it writes it; a test holds them together. `%(why)s`, `%(then)s` and `%(events)s`
are places of another sentence, `%(list)s` of several with commas, and `%(num)s` is the number that decides between the
two forms of `counted`.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.web.sentences import asking, doctoring, fetching, importing, launching, publishing, reading, writing
from app.web.sentences.sentence import Sentence

SENTENCES: Sequence[Sentence] = (
    *reading.SENTENCES,
    *importing.SENTENCES,
    *fetching.SENTENCES,
    *publishing.SENTENCES,
    *writing.SENTENCES,
    *asking.SENTENCES,
    *doctoring.SENTENCES,
    *launching.SENTENCES,
)
"""All of them."""
