"""Fetching a calendar: what counts as one, what is said of all else, and that no server takes our time or memory."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.imports.pull.addresses import Fences
from app.imports.pull.fetch import (
    Credential,
    Fetched,
    FetchError,
    FetchSettings,
    Missing,
    NotModified,
    Refused,
    Validators,
    check_address,
    check_urllib3,
    fetch_calendar,
)
from tests.fakes.web import CERTIFICATE, HOST, LECTURE, Names, Reply, Web, answer, onward, serving

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
EVERY_PORT = (range(1, 65536),)
MICROSOFT = "outlook.office365.com"
NAMES = {HOST: [["127.0.0.1"]], MICROSOFT: [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


def settings(**changed: object) -> FetchSettings:
    hosts = frozenset({HOST, MICROSOFT, "other.test"})
    fences = Fences(allow_hosts=hosts, http=True, ports=EVERY_PORT)
    return replace(FetchSettings(fences, "calbridge/1 (+https://cal.example.edu)", total=5), **changed)  # type: ignore[arg-type]


def fetch(
    url: str,
    using: FetchSettings | None = None,
    *,
    validators: Validators | None = None,
    credential: Credential | None = None,
    agent: str = "",
) -> Fetched | NotModified:
    return fetch_calendar(
        url,
        settings=using or settings(),
        now=NOW,
        validators=validators or Validators(),
        credentials=[credential] if credential else [],
        agent=agent,
        resolver=Names({name: list(answers) for name, answers in NAMES.items()}),
    )


def said(web: Web, reply: Reply, using: FetchSettings | None = None) -> str:
    """The sentence that a reply leads to."""
    web.replies["/c.ics"] = reply
    with pytest.raises(FetchError) as caught:
        fetch(web.url("/c.ics"), using)
    assert str(caught.value)[-1] in ".?"
    return str(caught.value)


def test_a_calendar_comes_whole_with_its_validators_and_hash(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, LECTURE, 'ETag: "1"', "Last-Modified: Tue, 20 Oct 2026 08:00:00 GMT")
    fetched = fetch(web.url("/c.ics"))
    assert isinstance(fetched, Fetched)
    assert fetched.body == LECTURE
    assert fetched.validators == Validators('"1"', "Tue, 20 Oct 2026 08:00:00 GMT")
    assert len(fetched.hash) == 64
    assert "BEGIN" not in repr(fetched)


def test_the_body_decides_not_its_content_type(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, b"\xef\xbb\xbf" + LECTURE, "Content-Type: text/html")
    assert isinstance(fetch(web.url("/c.ics")), Fetched)
    web.replies["/c.ics"] = answer(200, LECTURE.decode().encode("utf-16"))
    assert isinstance(fetch(web.url("/c.ics")), Fetched)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_calendar_is_unpacked(web: Web, pack: Callable[[bytes], bytes]) -> None:
    name = "gzip" if pack is gzip.compress else "deflate"
    web.replies["/c.ics"] = answer(200, pack(LECTURE), f"Content-Encoding: {name}")
    fetched = fetch(web.url("/c.ics"))
    assert isinstance(fetched, Fetched)
    assert fetched.body == LECTURE


def test_what_we_say_of_ourselves(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, LECTURE)
    fetch(web.url("/c.ics"))
    headers = web.asked[0].headers
    assert headers["user-agent"] == "calbridge/1 (+https://cal.example.edu)"
    assert headers["host"] == f"{HOST}:{web.port}"
    assert headers["accept-encoding"] == "gzip, deflate"
    assert "text/calendar" in headers["accept"]
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(200, b""), "empty body"),
        (answer(200, b" \r\n"), "empty body"),
        (answer(200, b"\xef\xbb\xbf"), "empty body"),
        (answer(204), "no body (204)"),
        (answer(304), "no body (304)"),
        (answer(206, LECTURE, "Content-Range: bytes 0-99/200"), "only a part"),
        (answer(203, LECTURE), "203 instead"),
        (answer(200, b"<!doctype html><p>Hello", "Content-Type: text/html"), "a web page"),
        (answer(200, b"\xef\xbb\xbf <html><input type='password'>"), "a login page"),
        (answer(200, b'{"error": "no"}'), "something else than a calendar"),
        (answer(200, LECTURE[: len(LECTURE) // 2]), "cut short"),
        (answer(200, LECTURE[: len(LECTURE) // 2], length=len(LECTURE)), "broke off before"),
        (answer(200, LECTURE, length=len(LECTURE) + 1), "broke off before"),
        (answer(200, LECTURE, "Transfer-Encoding: chunked", length=-1), "broke"),
        (answer(200, b"nonsense", "Content-Encoding: gzip"), "cannot be unpacked"),
        (answer(200, gzip.compress(LECTURE)[:-20], "Content-Encoding: gzip"), "cut short"),
        (answer(200, LECTURE, *(f"X-{number}: y" for number in range(200))), "broke off"),
        (answer(200, LECTURE, "X-Long: " + "y" * 100_000), "broke off"),
        (answer(401), "wants a sign-in"),
        (answer(403), "still shared"),
        (answer(429), "too often"),
        (answer(500), "out of order (500)"),
        (answer(418), "418 instead"),
        (b"SSH-2.0-OpenSSH_9\r\n", "broke off"),
        (b"", "broke off"),
    ],
)
def test_what_is_no_whole_calendar_is_a_sentence_and_never_a_calendar(web: Web, reply: bytes, words: str) -> None:
    assert words in said(web, reply)


@pytest.mark.parametrize(("status", "for_ever"), [(404, False), (410, True)])
def test_a_calendar_that_is_not_there_is_missing(web: Web, status: int, for_ever: bool) -> None:
    web.replies["/c.ics"] = answer(status, b"<html>")
    with pytest.raises(Missing) as caught:
        fetch(web.url("/c.ics"))
    assert caught.value.for_ever is for_ever


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120),
        ("Tue, 20 Oct 2026 09:31:00 GMT", 60),
        ("Tue, 20 Oct 2026 09:31:00", 60),
        ("Mon, 19 Oct 2026 09:31:00 GMT", 0),
        ("1" * 40, 86400),
        ("-5", None),
        ("soon", None),
    ],
)
def test_retry_after_is_understood_and_capped(web: Web, told: str, seconds: float | None) -> None:
    web.replies["/c.ics"] = answer(503, b"", f"Retry-After: {told}")
    with pytest.raises(FetchError) as caught:
        fetch(web.url("/c.ics"))
    assert caught.value.retry_after == seconds


def test_validators_are_sent_and_a_304_is_believed(web: Web) -> None:
    web.replies["/c.ics"] = answer(304)
    asked = Validators('W/"7"', "Tue, 20 Oct 2026 08:00:00 GMT")
    assert fetch(web.url("/c.ics"), validators=asked) == NotModified()
    assert web.asked[0].headers["if-none-match"] == 'W/"7"'
    assert web.asked[0].headers["if-modified-since"] == "Tue, 20 Oct 2026 08:00:00 GMT"


def test_a_validator_that_no_header_can_carry_is_forgotten(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, LECTURE, "ETag: \xe9", "Last-Modified: " + "x" * 501)
    fetched = fetch(web.url("/c.ics"))
    assert isinstance(fetched, Fetched)
    assert fetched.validators == Validators()


# S2: redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web: Web, status: int) -> None:
    web.replies["/old.ics"] = onward("/c.ics", status)
    web.replies["/c.ics"] = answer(200, LECTURE)
    assert isinstance(fetch(web.url("/old.ics")), Fetched)


def test_five_redirects_are_followed_and_no_sixth(web: Web) -> None:
    for hop in range(21):
        web.replies[f"/{hop}"] = onward(f"/{hop + 1}")
    assert "more than 5" in said(web, onward("/0"))
    assert len(web.asked) == 6
    web.replies["/4"] = answer(200, LECTURE)
    assert isinstance(fetch(web.url("/c.ics")), Fetched)


def test_a_circle_is_left_at_once(web: Web) -> None:
    web.replies["/there"] = onward("/c.ics")
    assert "in a circle" in said(web, onward("/there"))
    assert len(web.asked) == 2


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://calendars.test/", "gopher://x/", "data:text/calendar,x"])
def test_no_redirect_leads_out_of_http(web: Web, to: str) -> None:
    assert "not fetched by" in said(web, onward(to))


@pytest.mark.parametrize("to", ["http://[", "https://user:pass@calendars.test/", "//", "http://x:99999/"])
def test_a_redirect_to_nowhere_is_a_sentence(web: Web, to: str) -> None:
    assert "sends us" in said(web, onward(to))


def test_credentials_stay_at_their_origin(web: Web) -> None:
    web.replies["/c.ics"] = onward("/again")
    web.replies["/again"] = onward(web.url("/d.ics", host="other.test"))
    web.replies["/d.ics"] = answer(200, LECTURE)
    fetch(web.url("/c.ics"), credential=Credential.basic("ada", "pässword"))
    sent = [asked.headers.get("authorization") for asked in web.asked]
    assert sent == ["Basic YWRhOnDDpHNzd29yZA==", "Basic YWRhOnDDpHNzd29yZA==", None]


def test_another_header_may_open_a_source_and_none_is_shown(web: Web) -> None:
    web.replies["/c.ics"] = answer(401)
    credential = Credential("X-Api-Key", "opensesame")
    with pytest.raises(FetchError) as caught:
        fetch(web.url("/c.ics?token=geheim"), credential=credential)
    assert web.asked[0].headers["x-api-key"] == "opensesame"
    assert "opensesame" not in repr(credential)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("Host", "x"), ("A b", "x"), ("X-Key", "a\r\nHost: b"), ("X-Key", "")])
def test_no_credential_bends_the_request(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        Credential(name, value)


def test_https_keeps_its_name_and_is_not_left_for_http(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    trusting = settings(ca_file=str(tmp_path / "ca.pem"))
    with serving(tls=True) as web:
        web.replies["/c.ics"] = answer(200, LECTURE)
        web.replies["/down"] = onward(web.url("/c.ics", scheme="http"))
        for scheme in ("https", "webcal", "webcals"):
            assert isinstance(fetch(web.url("/c.ics", scheme=scheme), trusting), Fetched)
        assert web.names == [HOST] * 3
        assert web.asked[0].headers["host"] == f"{HOST}:{web.port}"
        with pytest.raises(Refused, match="to plain http"):
            fetch(web.url("/down", scheme="https"), trusting)
        with pytest.raises(FetchError, match="no certificate that we can trust"):
            fetch(web.url("/c.ics", scheme="https"))
        with pytest.raises(FetchError, match="no certificate that we can trust"):
            fetch(web.url("/c.ics", host="other.test", scheme="https"), trusting)


# S3: the environment


def test_the_environment_has_no_say(web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {HOST} login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    web.replies["/c.ics"] = answer(200, LECTURE)
    assert isinstance(fetch(web.url("/c.ics")), Fetched)
    assert "authorization" not in web.asked[0].headers


# S4: bombs


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """200 MB of nothing in 200 KB."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(2**20)
    return b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()


def test_a_bomb_is_left_at_the_cap(web: Web, bomb: bytes) -> None:
    web.replies["/c.ics"] = answer(200, bomb, "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="more than 15,728,640 bytes"):
            fetch(web.url("/c.ics"))
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_redirect_or_an_error_is_not_even_unpacked(web: Web, bomb: bytes) -> None:
    web.replies["/c.ics"] = onward("/d.ics", 302, bomb, "Content-Encoding: gzip")
    web.replies["/d.ics"] = answer(500, bomb, "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="out of order"):
            fetch(web.url("/c.ics"))
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", ", ".join(["gzip"] * 30), "exi"])
def test_other_ways_to_pack_are_refused(web: Web, encoding: str) -> None:
    assert "packs its answer" in said(web, answer(200, LECTURE, f"Content-Encoding: {encoding}"))


def test_encodings_in_several_headers_are_a_chain_as_well(web: Web) -> None:
    assert "packs its answer" in said(web, answer(200, LECTURE, *["Content-Encoding: gzip"] * 3))


def test_a_plain_body_without_end_is_left_at_the_cap(web: Web) -> None:
    def endless(line: socket.socket) -> None:
        line.sendall(answer(200, b"", length=-1))
        while True:
            line.sendall(bytes(65536))

    assert "more than 100,000 bytes" in said(web, endless, settings(max_bytes=100_000))


def test_urllib3_below_the_floor_is_refused() -> None:
    check_urllib3()
    check_urllib3("3.0.0")
    with pytest.raises(RuntimeError, match="too old"):
        check_urllib3("2.6.9")


# S5: slow servers


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """The head at once, then one byte after the other."""

    def reply(line: socket.socket) -> None:
        line.sendall(head)
        while True:
            line.sendall(b"X")
            time.sleep(0.02)

    return reply


def silent(line: socket.socket) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize(
    "reply",
    [drip(b""), drip(b"HTTP/1.1 200 OK\r\nX-"), drip(answer(200, b"BEGIN", length=9999)), drip(answer(200, length=-1))],
)
def test_a_drip_is_cut_off_at_the_deadline(web: Web, reply: Reply) -> None:
    began = time.monotonic()
    assert "within 0.3 seconds" in said(web, reply, settings(total=0.3))
    assert time.monotonic() - began < 1


def test_a_silence_is_cut_off(web: Web) -> None:
    assert "fell silent" in said(web, silent, settings(read=0.2))
    assert "within 0.2 seconds" in said(web, silent, settings(total=0.2))
    with pytest.raises(FetchError, match=r"within 0\.2 seconds"):
        fetch(web.url("/", scheme="https"), settings(total=0.2))  # the server never takes up TLS


def test_the_deadline_holds_for_redirects_together(web: Web) -> None:
    def slow(to: str) -> Callable[[socket.socket], None]:
        def reply(line: socket.socket) -> None:
            time.sleep(0.15)
            line.sendall(onward(to))

        return reply

    for hop in range(6):
        web.replies[f"/{hop}"] = slow(f"/{hop + 1}")
    began = time.monotonic()
    assert "within 0.4 seconds" in said(web, onward("/0"), settings(total=0.4))
    assert time.monotonic() - began < 0.8


def test_a_slow_look_up_is_not_waited_for() -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(1)
        return ["127.0.0.1"]

    began = time.monotonic()
    with pytest.raises(FetchError, match="could not be looked up in time"):
        fetch_calendar("http://calendars.test/", settings=settings(total=0.2), now=NOW, resolver=slow)
    assert time.monotonic() - began < 0.6


def test_a_closed_port_is_a_sentence(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(FetchError, match="does not take calls"):
        fetch(f"http://{HOST}:{port}/")


def test_an_unknown_name_is_a_sentence_at_submission_too() -> None:
    for ask in (
        lambda: fetch("http://nowhere.test/"),
        lambda: check_address("http://nowhere.test/", settings(), Names()),
    ):
        with pytest.raises(FetchError, match=r"nowhere\.test could not be found"):
            ask()


# S9: Microsoft


def test_microsoft_is_asked_by_the_agent_that_it_likes(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, LECTURE)
    for host, agent in ((MICROSOFT, ""), (HOST, "microsoft"), (HOST, "mine/1"), (MICROSOFT, "mine/1")):
        fetch(web.url("/c.ics", host=host), agent=agent)
    preset = "Mozilla/5.0 (Linux) Chrome/139 calbridge/1 (+https://cal.example.edu)"
    assert [asked.headers["user-agent"] for asked in web.asked] == [preset, preset, "mine/1", "mine/1"]


@pytest.mark.parametrize("reply", [answer(500), answer(400), onward("/owa/auth/errorfe.aspx?httpCode=500")])
def test_microsofts_refusal_names_the_setting(web: Web, reply: bytes) -> None:
    web.replies["/c.ics"] = reply
    with pytest.raises(FetchError, match=r"Microsoft answers [45]00 to this user agent: set the subscription's agent"):
        fetch(web.url("/c.ics", host=MICROSOFT), agent="mine/1")
    with pytest.raises(FetchError, match="even to the agent that it likes"):
        fetch(web.url("/c.ics", host=MICROSOFT))


# causes, in a sentence


def issued(host: str, first: datetime, last: datetime) -> str:
    """A key and a certificate of its own, valid from `first` to `last`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, first, last)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem).decode()


FAR_PAST, PAST, FAR_FUTURE = (datetime(year, 1, 1, tzinfo=UTC) for year in (2001, 2002, 2124))


@pytest.mark.parametrize(
    ("host", "first", "last", "why"),
    [
        (HOST, FAR_PAST, PAST, "it has expired"),
        (HOST, FAR_FUTURE - (PAST - FAR_PAST), FAR_FUTURE, "it is not valid yet"),
        ("other.test", PAST, FAR_FUTURE, "it is another name's"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(
    tmp_path: Path, host: str, first: datetime, last: datetime, why: str
) -> None:
    pem = issued(host, first, last)
    (tmp_path / "ca.pem").write_text(pem[pem.index("-----BEGIN CERT") :])
    with serving(tls=True, pem=pem) as web, pytest.raises(FetchError, match=f"no certificate that we can trust: {why}"):
        fetch(web.url("/c.ics", scheme="https"), settings(ca_file=str(tmp_path / "ca.pem")))


def test_each_kind_of_waiting_has_words_of_its_own(web: Web) -> None:
    assert "fell silent for more than 0.2 seconds" in said(web, silent, settings(read=0.2))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        with pytest.raises(FetchError, match=f"{HOST} did not take our call within 0.2 seconds"):
            fetch(f"http://{HOST}:{port}/", settings(connect=0.2))
        for other in others:
            other.close()


def test_the_usual_limits_are_those_that_were_promised() -> None:
    assert (FetchSettings().connect, FetchSettings().read, FetchSettings().total) == (10, 20, 30)
    assert FetchSettings().max_bytes == 15 * 2**20


@pytest.mark.parametrize(
    "page",
    [
        b"<html><form><input type=password></form>",
        b"<html><head><title>Sign in to your account</title></head>",
        b"<!doctype html><title>University log on</title>",
        b"<html><form method=post><input type=hidden name=SAMLRequest>",
    ],
)
def test_a_redirect_to_a_sign_in_names_both_servers(web: Web, page: bytes) -> None:
    web.replies["/login?key=geheim"] = answer(200, page)
    sentence = said(web, onward(web.url("/login?key=geheim", host="other.test")))
    assert sentence == f"{HOST} sends us on to other.test, which shows a login page instead of the calendar."


def test_a_wait_that_was_asked_for_is_told(web: Web) -> None:
    for seconds, words in (("90", "90 seconds"), ("600", "10 minutes"), ("18000", "5.0 hours")):
        assert said(web, answer(429, b"", f"Retry-After: {seconds}")).endswith(
            f"(429). It asks us to wait for {words}."
        )


def test_what_only_looks_whole_is_cut(web: Web) -> None:
    inside = LECTURE[: LECTURE.index(b"END:VEVENT")] + b"DESCRIPTION:END:VCALENDAR\r\n"
    for body in (inside, LECTURE + LECTURE[:-60]):
        assert "cut short" in said(web, answer(200, body))
    web.replies["/c.ics"] = answer(200, LECTURE + LECTURE)
    assert isinstance(fetch(web.url("/c.ics")), Fetched)
