"""What the API's document says in words: to begin with, of its rooms, of usual refusals, and of headers."""

from __future__ import annotations

from collections.abc import Mapping

from app.web.api.once import REPLAYED

ROOMS: Mapping[str, str] = {
    "Imports": "Calendar files go into the LMS occurrence by occurrence; each import is a run.",
    "Batches": "One file into many calendars: the runs of one routed import, taken as one.",
    "Feeds": "Calendars of the LMS as addresses that calendar programs subscribe to.",
    "Subscriptions": "Calendars elsewhere that are pulled on a rhythm.",
    "Drift": "What people made in the LMS of what imports wrote.",
    "Looks": "What is told of any calendar file or feed.",
    "House": "Connections, workers, tokens, settings, and who did what.",
}
INTRODUCTION = """\
Everything that the pages of calbridge can do.

**Who calls.** Send an API token as `Authorization: Bearer …` (`calbridge token add NAME --scope read|import|admin`);
each scope holds those before it. A browser that is signed in sends its session's cookie instead, and with whatever
writes the header `X-CSRFToken` of one of our pages. While no token, no account and no identity provider was set up,
this machine's own user needs neither.

**Errors** are problem+json (RFC 9457): `detail` is a sentence that says what is wrong, where, and what to do.

**Once.** Send an `Idempotency-Key` (a UUID, a new one for each request) with a POST: sent again with the same key,
after a lost answer for example, it is not done again, and is answered as it was (`Idempotency-Replayed: true`). The
same key with another request is refused (422); while the first is under way the second is told so (409). Keys are kept
for {hours} hours. What may come out otherwise the next time is not kept: 401, 403, 409, 429 and all from 500 on.

**Limits.** {limit} `RateLimit` and `RateLimit-Policy` tell what is left (`r`) and in how many seconds the next minute
begins (`t`). Beyond it you are answered 429 with `Retry-After`. Feeds are not limited.

**Lists** come in parts: `limit` and `offset`, or `before` where new ones come in front; the header `Link`
(`rel="next"`) has the address of the next part, and is missing at the end.

A calendar is called `lms/kind/id` everywhere, as in `learn/course/_12594_1`. Times are ISO 8601 with an offset.
"""
REFUSALS: Mapping[int, str] = {
    400: "What was sent cannot be understood: `detail` says why.",
    401: "A token is needed, or this one is none of ours.",
    403: "Whoever calls may not do this.",
    404: "There is no such thing.",
    405: "What stands in the address makes it another one, which has no such method.",
    409: "It cannot be done as things stand, or somebody else is at it: ask again in a moment.",
    413: "What was sent is larger than is taken (`imports.max_bytes`).",
    422: "It is understood, and can never be done here; or the Idempotency-Key was sent with another request.",
    429: "Too many requests: wait as `Retry-After` says.",
    503: "The LMS or the database is away: nothing was done, ask again later.",
}
HEADERS: Mapping[str, str] = {
    "RateLimit-Policy": 'How much one caller may ask: `"minute";q=600;w=60`.',
    "RateLimit": 'What is left (`r`), and for how many seconds (`t`): `"minute";r=598;t=41`.',
    "Retry-After": "After how many seconds to ask again.",
    "Location": "Where to find what was made, or to ask how far it is.",
    "Link": 'The address of the next part, as `</api/feeds?offset=100>; rel="next"`; missing at the end.',
    "WWW-Authenticate": "How to say who calls.",
    REPLAYED: "`true` where it was done before, and this is the answer of that time.",
}
