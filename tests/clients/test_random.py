"""Whatever an event holds: icalendar, libical and ical.js see the same events, letter for letter, and as many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.ics.render import Cover, Published, clean_url, render
from bridges.model import AllDay, Event, Status, Timed, When
from tests.clients import libical
from tests.clients.campus import STRINGS, ZONES
from tests.clients.published import sayable
from tests.clients.readers import ICAL_JS, by_icalendar, in_node, of_node
from tests.clients.seen import Seen, differences, written
from tests.clients.test_readers import needs

STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXAMPLES, AT_ONCE = 100, 12
"""About six hundred events; .ci/run has a minute for all of this folder."""

texts = st.one_of(
    st.text(max_size=120),
    st.text("\\\\;,:\"'\n\r\t aé\x85\u2028\u2029\0\x1b\N{BEAR FACE}\N{ZERO WIDTH JOINER}\ud83d", max_size=200),
    st.sampled_from(sorted(STRINGS)),
    st.lists(st.sampled_from(["BEGIN:VEVENT", "END:VCALENDAR", "\r\n", "\u2028", "\\", ",", ";", "\n "])).map("".join),
)
moments = st.datetimes(datetime(2025, 6, 1), datetime(2028, 6, 1)).map(
    lambda each: each.replace(tzinfo=UTC, microsecond=0)
)
whens: st.SearchStrategy[When] = st.one_of(
    st.builds(lambda start, seconds: Timed(start, start + timedelta(0, seconds)), moments, st.integers(0, 800_000)),
    st.builds(
        lambda start, length: AllDay(start, start + timedelta(length)),
        st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        st.integers(1, 300),
    ),
)
events = st.builds(
    Event,
    title=texts,
    when=whens,
    text=texts,
    place=texts,
    categories=st.lists(texts, max_size=3).map(tuple),
    url=st.just("") | texts.map(lambda text: f"https://lms.example.edu/{text}"),
    status=st.sampled_from(Status),
)


def seen(number: int, event: Event) -> Seen:
    return Seen(
        f"{number}@x",
        written(event.when.start),
        written(event.when.end),
        sayable(event.title),
        sayable(event.text),
        sayable(event.place),
        tuple(filter(None, map(sayable, event.categories))),
        clean_url(event.url),
        event.status.upper(),
    )


def test_three_readers_see_every_letter_of_every_event() -> None:
    needs("node", ICAL_JS, *([] if libical.library() else ["libical3"]))
    bodies: dict[str, bytes] = {}
    expected: dict[str, Sequence[Seen]] = {}
    names = map(str, count())

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(
        items=st.lists(events, min_size=1, max_size=AT_ONCE),
        zone=st.sampled_from(ZONES),
        title=texts.map(lambda text: f"Feed {text}"),
    )
    def in_this_process(items: Sequence[Event], zone: str, title: str) -> None:
        published = [Published(f"{number}@x", event, STAMP, STAMP) for number, event in enumerate(items)]
        body = render(Cover(title, ZoneInfo(zone), timedelta(hours=1), 2026, 2027), published)
        wanted = [seen(number, event) for number, event in enumerate(items)]
        assert differences(wanted, by_icalendar(body)) == []
        assert differences(map(libical.as_libical_shows, wanted), libical.read(body, blanks=True)) == []
        name = next(names)
        bodies[name], expected[name] = body, wanted

    in_this_process()
    told = of_node(in_node(bodies))  # Node.js starts once for all
    assert [lines for name, wanted in expected.items() if (lines := differences(wanted, told[name]))] == []
    assert sum(map(len, told.values())) > EXAMPLES
