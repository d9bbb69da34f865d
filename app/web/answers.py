"""What a program is answered with."""

from __future__ import annotations

from flask import Response, json


def as_json(data: object, status: int = 200) -> Response:
    """The data as a JSON body."""
    return Response(json.dumps(data), status, content_type="application/json")
