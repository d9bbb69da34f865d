"""The one door to HTTP: status → error, retries, pauses, deadlines, paging, and what it never lets out."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from bridges.contract import PlainMeter, Quota, Tools
from bridges.errors import BridgeError, Denied, Gone, NotSent, Rejected, Transient
from bridges.http import Answer, Forbidden, Limits, LmsHttp, _cut
from tests.fakes.wsgi import hang_up, session_to

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOST = "https://lms.example.edu"
NOW = datetime(2025, 3, 10, 9, tzinfo=UTC)


@dataclass
class Script:
    """A server that answers as it was told, one answer per request, the last one for ever."""

    answers: list[Response | None] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(Request(environ))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            hang_up(environ)
        assert answer is not None
        return answer(environ, start_response)


@dataclass
class Door:
    http: LmsHttp
    server: Script
    meter: PlainMeter
    pauses: list[float]

    def tell(self, *answers: Response | None) -> None:
        self.server.answers = list(answers)


def door(limits: Limits | None = None, **more: Any) -> Door:
    server, meter, pauses = Script(), PlainMeter(), list[float]()
    tools = Tools(now=lambda: NOW, session=session_to({HOST: server}), meter=meter)
    return Door(LmsHttp(HOST, tools, limits=limits, sleep=pauses.append, **more), server, meter, pauses)


def says(data: Any, status: int = 200, **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(data), status, fields, content_type="application/json")


OK = {"fine": True}
BUSY = Response("", 503)
PAGE = "<html><body>Sign in <input type=password></body></html>"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (401, Denied),
        (402, Transient),
        (403, Forbidden),
        (404, Gone),
        (405, Rejected),
        (408, Transient),
        (409, Rejected),
        (410, Gone),
        (422, Rejected),
        (425, Transient),
        (429, Transient),
        (500, Transient),
        (502, Transient),
        (503, Transient),
        (301, Denied),
        (302, Transient),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_status_is_one_error(status: int, error: type[BridgeError], method: str) -> None:
    lms = door()
    lms.tell(says({"message": "because of this"}, status))
    with pytest.raises(BridgeError) as caught:
        lms.http.get("/x") if method == "GET" else lms.http.write(method, "/x", body={})
    assert type(caught.value) is error
    assert str(caught.value).startswith("lms.example.edu ")
    assert caught.value.raw.startswith(str(status))
    assert len(lms.server.seen) == (3 if method == "GET" and error is Transient else 1)


def test_a_403_without_quota_is_transient() -> None:
    lms = door()
    lms.tell(says({}, 403, X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset="120"))
    with pytest.raises(Transient) as caught:
        lms.http.write("POST", "/x")
    assert caught.value.retry_after == 120
    assert lms.meter.last == Quota(0, 0, NOW + timedelta(seconds=120))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("17", 17),
        ("0", 0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e3", None),
        ("1000000000", 900),
        ("9" * 5000, 900),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 900),
        ("Mon, 10 Mar 2025 09:00:45 -0000", 45),
        ("Mon, 99 Mar 2025 09:00:45 GMT", None),
    ],
)
def test_retry_after_is_read_and_capped(told: str, seconds: float | None) -> None:
    lms = door()
    lms.tell(says({}, 429, Retry_After=told))
    with pytest.raises(Transient) as caught:
        lms.http.write("POST", "/x")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("120", 120),
        (str(int(NOW.timestamp()) + 60), 60),
        ("90000", 900),
        ("999999999", None),
        ("-1", None),
        ("x", None),
    ],
)
def test_a_quota_resets_after_a_duration_or_at_an_epoch(reset: str, seconds: float | None) -> None:
    lms = door()
    lms.tell(says({}, 429, X_Rate_Limit_Limit="100", X_Rate_Limit_Remaining="0", X_Rate_Limit_Reset=reset))
    with pytest.raises(Transient) as caught:
        lms.http.write("POST", "/x")
    assert caught.value.retry_after == seconds


def test_a_read_waits_as_told_and_goes_on() -> None:
    lms = door()
    lms.tell(says({}, 429, Retry_After="4"), says(OK))
    assert lms.http.get("/x") == OK
    assert 4 <= lms.pauses[0] <= 4.4
    assert lms.meter.calls == len(lms.server.seen) == 2


def test_a_long_wait_is_the_callers() -> None:
    lms = door()
    lms.tell(says({}, 429, Retry_After="60"))
    with pytest.raises(Transient) as caught:
        lms.http.get("/x")
    assert (caught.value.retry_after, len(lms.server.seen), lms.pauses) == (60, 1, [])


def test_pauses_grow_and_are_never_hot() -> None:
    lms = door(Limits(tries=5, backoff=1.0, patience=100, total=1000))
    lms.tell(says({}, 503, Retry_After="0"))
    with pytest.raises(Transient):
        lms.http.get("/x")
    assert len(lms.server.seen) == 5
    assert all(0.5 * 2**n <= pause <= 1.5 * 2**n for n, pause in enumerate(lms.pauses))


def test_an_empty_quota_is_not_asked_again_until_it_resets() -> None:
    lms = door()
    lms.meter.note(Quota(100, 0, NOW + timedelta(hours=2)))
    with pytest.raises(Transient) as caught:
        lms.http.get("/x")
    assert (caught.value.retry_after, lms.server.seen, lms.meter.calls) == (900, [], 0)
    lms.meter.note(Quota(100, 0, NOW))
    lms.tell(says(OK))
    assert lms.http.get("/x") == OK


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(PAGE, 200, content_type="text/html"), Denied),
        (Response("<html>Maintenance", 200, content_type="application/json"), Transient),
        (Response("\n<!DOCTYPE html>", 404, content_type="text/html"), Transient),
        (Response("", 200), Transient),
        (Response('{"cut": ', 200), Transient),
        (Response(b"\xff\xfe\xfa", 200), Transient),
        (Response("[" * 100_000, 200), Transient),
        (None, Transient),
    ],
)
def test_what_is_no_data_is_never_taken_for_data(answer: Response | None, error: type[BridgeError]) -> None:
    lms = door()
    lms.tell(answer)
    with pytest.raises(error):
        lms.http.get("/x")


def test_a_write_may_be_answered_with_nothing() -> None:
    lms = door()
    lms.tell(Response("", 204))
    assert lms.http.write("DELETE", "/x") is None


def test_a_body_has_a_cap_also_when_it_is_packed() -> None:
    lms = door(Limits(body=10_000, tries=1))
    packed = gzip.compress(b" " * 5_000_000)
    assert len(packed) < 10_000
    lms.tell(Response(packed, 200, {"Content-Encoding": "gzip"}))
    with pytest.raises(Transient, match="more than 10000 bytes"):
        lms.http.get("/x")


def test_packed_answers_are_read() -> None:
    lms = door()
    lms.tell(Response(gzip.compress(json.dumps(OK).encode()), 200, {"Content-Encoding": "gzip"}))
    assert lms.http.get("/x") == OK


def test_raw_is_cut_and_tells_no_secrets() -> None:
    lms = door()
    secrets = {"access_token": "canary-1", "client_secret": "canary-2", "message": "x" * 5000}
    lms.tell(Response(f"{json.dumps(secrets)} refresh_token=canary-3& Authorization: Bearer canary-4-canary-4", 400))
    with pytest.raises(Rejected) as caught:
        lms.http.write("POST", "/x")
    assert "canary" not in caught.value.raw
    assert len(caught.value.raw) <= 1000


def test_the_words_of_the_lms_are_part_of_the_sentence() -> None:
    lms = door()
    lms.tell(says({"message": "User _5_1 is\nnot enrolled."}, 400))
    with pytest.raises(Rejected, match=r"^lms\.example\.edu refused this: User _5_1 is not enrolled\.$"):
        lms.http.write("POST", "/x")


def test_redirects_are_not_followed() -> None:
    lms = door()
    lms.tell(Response("", 308, {"Location": "https://elsewhere.example/"}))
    with pytest.raises(Denied, match=r"has moved to https://elsewhere\.example/"):
        lms.http.get("/x")
    assert len(lms.server.seen) == 1


def pages_of(*following: str | None) -> list[Response | None]:
    return [says({"n": n, "paging": {"nextPage": url}} if url else {"n": n}) for n, url in enumerate(following)]


def test_pages_are_followed_as_given() -> None:
    lms = door()
    lms.tell(*pages_of("/x?offset=1", f"{HOST}/x?offset=2", None))
    assert [page["n"] for page in lms.http.pages("/x", {"limit": 1})] == [0, 1, 2]
    assert [request.full_path for request in lms.server.seen] == ["/x?limit=1", "/x?offset=1", "/x?offset=2"]


@pytest.mark.parametrize(
    "following",
    [
        "/x?limit=1",
        "//elsewhere.example/x",
        "https://elsewhere.example/x",
        "http://lms.example.edu/x",
        "//[",
        "//h:99999",
    ],
)
def test_a_listing_stays_on_its_host_and_has_an_end(following: str) -> None:
    lms = door()
    lms.tell(*pages_of(following))
    with pytest.raises(Transient):
        list(lms.http.pages("/x", {"limit": 1}))
    assert len(lms.server.seen) == 1


def test_a_listing_that_never_ends_is_ended() -> None:
    lms = door(Limits(pages=4))
    lms.tell(*pages_of(*(f"/x?{n}" for n in range(9))))
    with pytest.raises(Transient):
        list(lms.http.pages("/x"))
    assert len(lms.server.seen) == 4


@pytest.mark.parametrize("page", [[], None, "x"])
def test_a_page_is_an_object(page: Any) -> None:
    lms = door(Limits(tries=1))
    lms.tell(says(page))
    with pytest.raises(Transient):
        list(lms.http.pages("/x"))


class Badge:
    """Signs with a number that goes up with each renewal."""

    def __init__(self, renewals: int) -> None:
        self.number, self.left = 0, renewals

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Badge {self.number}"
        return request

    def renew(self, request: requests.PreparedRequest, refusal: Answer) -> bool:
        self.number, self.left = self.number + 1, self.left - 1
        return self.left >= 0


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_401_is_renewed_once(method: str) -> None:
    lms = door(auth=Badge(5))
    lms.tell(says({}, 401), says(OK))
    answer = lms.http.get("/x") if method == "GET" else lms.http.write(method, "/x", body={"a": 1})
    assert answer == OK
    assert [request.headers["Authorization"] for request in lms.server.seen] == ["Badge 0", "Badge 1"]
    assert lms.server.seen[0].data == lms.server.seen[1].data
    lms.tell(says({}, 401))
    with pytest.raises(Denied):
        lms.http.get("/x")
    assert len(lms.server.seen) == 4


def test_a_401_that_nothing_can_renew_is_denied() -> None:
    lms = door(auth=Badge(0))
    lms.tell(says({}, 401))
    with pytest.raises(Denied):
        lms.http.get("/x")
    assert len(lms.server.seen) == 1


def test_the_environment_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    lms = door()
    lms.tell(says(OK))
    assert lms.http.get("/x") == OK
    assert lms.http._session.trust_env is False


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A loopback port where every caller, once heard, is talked to like this."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line:
                line.recv(65536)
                try:
                    talk(line)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        done.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def silent_body(line: socket.socket) -> None:
    line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    time.sleep(0.3)
    line.sendall(b" ")
    time.sleep(0.5)


def silent(line: socket.socket) -> None:
    time.sleep(0.8)


def dripping_body(line: socket.socket) -> None:
    line.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    drip(line)


def dripping_chunk(line: socket.socket) -> None:
    line.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n")
    drip(line)


def dripping_head(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(line)


def drip(line: socket.socket) -> None:
    for _ in range(20):
        line.sendall(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("talk", [silent, silent_body, dripping_body, dripping_chunk, dripping_head])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_ends_at_its_deadline(talk: Callable[[socket.socket], None], method: str) -> None:
    with raw_server(talk) as url:
        tools = Tools(now=lambda: NOW, session=requests.Session)
        http = LmsHttp(url, tools, limits=Limits(read=5.0, total=0.5, backoff=0.01))
        began = time.monotonic()
        with pytest.raises(Transient):
            http.get("/x") if method == "GET" else http.write(method, "/x", body={})
        assert time.monotonic() - began <= 0.7


def reset(line: socket.socket) -> None:
    line.sendall(HEAD + b"Content-Length: 10\r\n\r\n{")


def longer(line: socket.socket) -> None:
    line.sendall(HEAD + b"Content-Length: 3\r\nConnection: close\r\n\r\n{}")


def broken_chunks(line: socket.socket) -> None:
    line.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n5\r\n")


def no_http(line: socket.socket) -> None:
    line.sendall(b"220 mail ready\r\n")


@pytest.mark.parametrize("talk", [reset, longer, broken_chunks, no_http])
def test_what_is_cut_off_is_transient(talk: Callable[[socket.socket], None]) -> None:
    with raw_server(talk) as url:
        http = LmsHttp(url, Tools(now=lambda: NOW, session=requests.Session), limits=Limits(backoff=0.01))
        with pytest.raises(Transient):
            http.get("/x")
        with pytest.raises(Transient):
            http.write("POST", "/x", body={})


def test_nobody_at_home_is_transient() -> None:
    with raw_server(silent) as url:
        pass
    http = LmsHttp(url, Tools(now=lambda: NOW, session=requests.Session), limits=Limits(backoff=0.01))
    with pytest.raises(Transient):
        http.get("/x")


def test_secrets_in_signed_addresses_and_envelopes_are_told_to_no_log() -> None:
    signed = "GET /d2l/api?x_a=app&x_b=user&x_c=SECRET1&x_d=SECRET2&x_t=1"
    envelope = "<o:Username>u</o:Username><o:Password Type='text'>SECRET3</o:Password><Password>SECRET4</Password>"
    raw = Answer(500, {}, f"{signed} {envelope}".encode()).raw
    assert "SECRET" not in raw
    assert "x_a=app" in raw
    assert "<o:Username>u<" in raw


@pytest.mark.parametrize("piece", ["<password ", "<a:password", "password=", "x_c=", "<", "Bearer ", "x"])
def test_looking_for_secrets_takes_no_long_time(piece: str) -> None:
    begun = time.process_time()
    assert _cut(piece * (50_000 // len(piece)))
    assert time.process_time() - begun < 0.5


def test_what_never_left_is_said_to() -> None:
    meter = PlainMeter()
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    http = LmsHttp(url, Tools(now=lambda: now, session=requests.Session, meter=meter))
    with pytest.raises(NotSent, match="could not be reached"):
        http.write("POST", "/events", body={})
    meter.note(Quota(10, 0, now + timedelta(hours=1)))
    with pytest.raises(NotSent, match="used up") as caught:
        http.write("POST", "/events", body={})
    assert caught.value.retry_after == 900


def test_what_has_not_changed_is_not_sent_again() -> None:
    lms = door()
    lms.tell(says(OK, ETag='"1"', Last_Modified="Mon, 10 Mar 2025 08:00:00 GMT"), Response(status=304), says({}, 404))
    since = {"If-None-Match": '"1"', "If-Modified-Since": "Mon, 10 Mar 2025 08:00:00 GMT"}
    assert lms.http.get_changed("/x", {}) == (OK, since)
    assert lms.http.get_changed("/x", since) is None
    assert lms.server.seen[1].headers["If-None-Match"] == '"1"'
    with pytest.raises(Gone):
        lms.http.get_changed("/x", since)
