"""Has a request with an Idempotency-Key done once: sent again, by the same caller and alike, it gets the same answer.

As draft-ietf-httpapi-idempotency-key-header-07 has it. What may come out otherwise the next time is not kept: that
somebody else is at it (409), that it was too often (429), that a server is away (5xx). While the first is under way the
second is told so; a process that dies over the first is followed as soon as it is missed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import IO

from flask import Response, current_app, request

from app.people.answered import AnotherRequest, Answers, Kept, digest
from app.store.leases import Busy, lease
from app.web.door import access
from app.web.problems import problem

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
LONGEST = 255
UNDER_WAY = timedelta(minutes=30)
"""How long a dead process of another host is waited for."""
BELONGING = ("Content-Type", "Location", "Link", "Cache-Control")
"""The headers that are kept; others are those of the moment."""
IN_MEMORY = 256 * 1024
PIECE = 64 * 1024
FORMS = {"multipart/form-data", "application/x-www-form-urlencoded"}


def once(do: Callable[[], Response]) -> Response:
    """The answer of `do` to the request at hand, or what it was answered when it was sent before."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return do()
    key = sent.strip().strip('"')
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        return problem(400, f"{HEADER}: a key has 1 to {LONGEST} printable letters; a UUID makes a good one")
    parts, name = access.parts(), digest(access.caller_key(), key)
    answers = Answers(parts.engine, lambda: parts.vault.derived("kept answers"), parts.now)
    try:
        with _fingerprint() as asked, lease(parts.engine, f"answer {name}", parts.now, UNDER_WAY):
            return _done(do, answers, name, asked)
    except AnotherRequest as error:
        return problem(422, f"{error}.")
    except Busy as busy:
        if busy.name != f"answer {name}":
            raise
        refusal = problem(409, f"The first request with this {HEADER} is under way: ask again in a moment.")
        refusal.headers["Retry-After"] = "1"
        return refusal


def _done(do: Callable[[], Response], answers: Answers, name: str, asked: str) -> Response:
    known = answers.find(name, asked)
    if known is not None:
        return Response(known.body, known.status, [*known.headers, (REPLAYED, "true")])
    answer = _answered(do)
    if answer.status_code < 500 and answer.status_code not in (401, 403, 409, 429):
        belonging = [(header, answer.headers[header]) for header in BELONGING if header in answer.headers]
        answers.keep(name, asked, Kept(answer.status_code, belonging, answer.get_data()))
    return answer


def _answered(do: Callable[[], Response]) -> Response:
    """An error's answer counts as well; one that nobody foresaw is raised on."""
    try:
        return do()
    except Exception as error:  # noqa: BLE001 - the application's own handlers say which are answers
        return current_app.make_response(current_app.handle_user_exception(error))


@contextmanager
def _fingerprint() -> Iterator[str]:
    """What was asked, whatever its client put between the parts of a form. Within the block it can be read again."""
    told = (request.method, request.path, request.query_string.decode("latin-1"), request.mimetype)
    if request.mimetype in FORMS:
        fields = (digest(str(name), value) for name, value in request.form.items(multi=True))
        files = (digest(str(name), _hash(file.stream)) for name, file in request.files.items(multi=True))
        yield digest(*told, *sorted(fields), *sorted(files))
    elif request.is_json:
        yield digest(*told, hashlib.sha256(request.get_data()).hexdigest())
    else:
        with SpooledTemporaryFile(IN_MEMORY) as body:
            for piece in _pieces(request.stream):
                body.write(piece)
            body.seek(0)
            request.stream = body
            yield digest(*told, _hash(body))


def _hash(stream: IO[bytes]) -> str:
    """Of all of the stream, which stands at its beginning before and after."""
    whole = hashlib.sha256()
    for piece in _pieces(stream):
        whole.update(piece)
    stream.seek(0)
    return whole.hexdigest()


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(PIECE):
        yield piece
