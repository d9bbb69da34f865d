"""Answers that go wrong on their way, after the work was done: what every fake does alike."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug.wrappers import Request, Response

from tests.fakes.wsgi import hang_up


def lost(_fault: object, request: Request, response: Response) -> Response:
    """Nothing of the answer arrives."""
    hang_up(request.environ)
    return response


def half(_fault: object, request: Request, response: Response) -> Response:
    """The connection breaks in the middle of the body."""
    data = response.get_data()

    def pieces() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        hang_up(request.environ)

    return streamed(response, pieces(), len(data))


def short(_fault: object, request: Request, response: Response) -> Response:
    """The body ends before Content-Length says so."""
    data = response.get_data()
    return streamed(response, iter([data]), len(data) + 10)


def cut(_fault: object, request: Request, response: Response) -> Response:
    """Half of the body, as if it were whole."""
    response.set_data(response.get_data()[: len(response.get_data()) // 2])
    return response


def streamed(response: Response, pieces: Iterator[bytes], length: int) -> Response:
    """The answer with these pieces for a body, said to be so long."""
    response.response = pieces
    response.headers["Content-Length"] = str(length)
    return response
