"""Lists in parts: the part that is asked for, and the address of the one after it (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, request

from app.store.slices import Part, Slice
from app.web.answers import as_json
from app.web.api.shapes.common import Paged, Searched

T = TypeVar("T")


def slice_of(asked: Paged) -> Slice:
    """What was asked for, as the store takes it."""
    return Slice(asked.limit, asked.offset, asked.search if isinstance(asked, Searched) else "")


def part_of(items: Sequence[T], asked: Paged) -> Part[T]:
    """The part of what is in hand."""
    return Part(items[asked.offset : asked.offset + asked.limit], len(items), asked.offset)


def as_part(name: str, part: Part[T], told: Callable[[T], Any], **more: Any) -> Response:
    """The part as JSON, under that name, with the address of the next one."""
    answer = as_json({**more, name: [told(item) for item in part.items], "offset": part.offset, "of": part.of})
    return with_next(answer, {"offset": part.offset + len(part.items)} if part.more and part.items else None)


def with_next(answer: Response, ahead: Mapping[str, Any] | None) -> Response:
    """The answer with the address that it goes on at: this one, with other values; None where it does not go on."""
    if ahead is not None:
        query = [(name, value) for name, value in request.args.items(multi=True) if name not in ahead]
        answer.headers["Link"] = f'<{request.path}?{urlencode([*query, *ahead.items()])}>; rel="next"'
    return answer
