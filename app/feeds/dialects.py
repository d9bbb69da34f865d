"""What a calendar program gets otherwise than all others, for those who ask with `?for=`: each with its reason. Pure.

An address without `for` gives the same bytes to everybody, whoever asks: between us and a reader there are caches, and
Outlook's and Google's servers fetch for many people at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard
from zoneinfo import ZoneInfo

from app.feeds.feed import Form
from app.feeds.policies import Cancelled, Policies
from app.ics.render import clean, clean_url, escaped, fold, in_utc
from bridges.markup import paragraphs_of
from bridges.model import AllDay, Event, Status, Timed, When

FOR: Mapping[str, Form] = {"outlook": Form.OUTLOOK, "google": Form.GOOGLE, "apple": Form.APPLE}
"""The forms by what is asked for."""
CALENDARS = frozenset({Form.ICS, Form.JCAL, *FOR.values()})
"""All that are iCalendar streams, or are made of one."""
ROOMY = frozenset({Form.JCAL, Form.APPLE})
"""Those of them whose readers take more than 1 MB."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise for the programs that read this form."""

    form: Form
    what: str
    reason: str
    source: str


DIFFERENCES = (
    Difference(
        Form.OUTLOOK,
        "X-MICROSOFT-CDO-BUSYSTATUS: FREE, TENTATIVE or BUSY",
        "TRANSP knows no tentative, and counts before STATUS where it stands",
        "MS-OXCICAL 2.1.3.1.1.20.23 (STATUS), .25 (TRANSP), .31 (X-MICROSOFT-CDO-BUSYSTATUS)",
    ),
    Difference(
        Form.OUTLOOK,
        "X-ALT-DESC: the text as HTML, whose links can be clicked",
        "only Outlook reads it, and elsewhere it takes room of the 1 MB that Google takes",
        "MS-OXCICAL 2.1.3.1.1.20.27; calendarize#521",
    ),
    Difference(
        Form.OUTLOOK,
        "cancelled=show says it in the title too",
        "Outlook shows STATUS:CANCELLED as if the event took place",
        "outlookcaldavsynchronizer#105",
    ),
    Difference(
        Form.OUTLOOK,
        "a deadline has a DTEND, which is its DTSTART",
        "Exchange fails to import an event that has neither DTEND nor DURATION; RFC 5545 would have none",
        "MS-OXCICAL 2.1.3.1.1.20.8 (DTEND: one); MS-STANXICAL on RFC 5545 section 3.6.1",
    ),
    Difference(
        Form.GOOGLE,
        "cancelled=show and both say it in the title alone",
        "Google takes STATUS:CANCELLED for a deletion, and the event is gone",
        "hackgreenville PR 498",
    ),
    Difference(
        Form.GOOGLE,
        "no alarms, no colours",
        "Google's readers have reminders and colours of their own, and 1 MB is all that Google takes",
        "seminars#777, ical-relay#212",
    ),
    Difference(
        Form.APPLE,
        "the link is told as URL alone, not in the text again",
        "Apple shows URL; Google does not, so that others get it in the text as well",
        "ics#276",
    ),
    Difference(
        Form.APPLE,
        "texts are never cut",
        "Apple has no limit of 1 MB",
        "clients' own behaviour: no report of one",
    ),
)


def shown_in(form: Form, policies: Policies, zone: ZoneInfo) -> ZoneInfo:
    """The zone of a stream's times: some programs misread a VTIMEZONE, and are told UTC where somebody asked for it."""
    return ZoneInfo("UTC") if policies.utc and form in CALENDARS else zone


def spoken(form: Form, policies: Policies) -> Policies:
    """The policies as those are meant that read this form."""
    shown = policies.cancelled
    if form is Form.OUTLOOK and shown is Cancelled.SHOW:
        return replace(policies, cancelled=Cancelled.BOTH)
    if form is Form.GOOGLE:
        shown = Cancelled.MARK if shown in (Cancelled.SHOW, Cancelled.BOTH) else shown
        return replace(policies, cancelled=shown, alarm=None, colour="")
    return policies


def worded(form: Form, event: Event) -> Event:
    """The event with its link in the text, for those who are shown no URL."""
    url = clean_url(event.url)
    if form is Form.APPLE or not url or url in (known := clean(event.text)):
        return event
    return replace(event, text=f"{known}\n\n{url}" if known else url)


def extra(form: Form, event: Event, free: bool) -> str:
    """Further lines of the VEVENT, each with its CRLF. `free`: the event keeps nobody busy."""
    if form is not Form.OUTLOOK:
        return ""
    lines = [f"X-MICROSOFT-CDO-BUSYSTATUS:{_busy(event, free)}"]
    if _deadline(event.when):
        lines.append(f"DTEND:{in_utc(event.when.start)}")
    if html := paragraphs_of(clean(event.text), links=True):
        lines.append(fold(f"X-ALT-DESC;FMTTYPE=text/html:{escaped(f'<html><body>{html}</body></html>')}"))
    return "".join(f"{line}\r\n" for line in lines)


def _busy(event: Event, free: bool) -> str:
    if free or isinstance(event.when, AllDay) or _deadline(event.when):
        return "FREE"
    return "TENTATIVE" if event.status is Status.TENTATIVE else "BUSY"


def _deadline(when: When) -> TypeGuard[Timed]:
    return isinstance(when, Timed) and when.start == when.end
