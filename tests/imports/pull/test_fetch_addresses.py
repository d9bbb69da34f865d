"""Where no calendar is fetched from: hostile addresses, however written, and resolvers that change their mind."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from app.imports.pull import addresses, fetch
from app.imports.pull.addresses import Fences, is_public
from app.imports.pull.fetch import Fetched, FetchError, FetchSettings, Refused, check_address, fetch_calendar
from tests.fakes.web import HOST, LECTURE, Canary, Names, Web, answer, canary, onward, serving

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
PUBLIC = "93.184.216.34"

CLOSED = [
    *["127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"],
    *["100.64.0.1", "100.100.100.200", "192.0.0.192", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"],
    *["255.255.255.255", "168.63.129.16", "192.0.2.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"],
    *["::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1"],
    *["fd00:ec2::254", "5f00::1", "2001:db8::1", "ff02::1", "fec0::1", "::ffff:0:127.0.0.1", "3fff::1"],
]
"""Addresses as a resolver may answer them, and as a URL may hold them."""

OPEN = [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]

ODD = [
    *["127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "0", "0x", "1.2.3.4.5"],
    *["127.0.0.01", "256.0.0.1", "①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"],
    *["ｌocalhost", "localhost", "LOCALHOST", "localhost.", "a.localhost", "[fe80::1%25eth0]", "[::1%251]", "[v1.x]"],
    *["[::1", "user@127.0.0.1", "user:pass@cal.example.edu", "cal.example.edu@127.0.0.1", "%31%32%37.0.0.1", "a..b"],
    *["", ".", "-a.example", "a_b-.example", "x" * 64 + ".example", "a.example:0", "a.example:22", "a.example:99999"],
    *["a.example:8o", "a.example\\@127.0.0.1", "a.example#@127.0.0.1", "a.example?@127.0.0.1/"],
    *["a.example\t", "a.ex\x01ample", "a b.example", "exa\u200dmple.org/\x00"],
]
"""Hosts that are refused by their looks, before anything is looked up: or the ASCII half of one that leads nowhere."""

SCHEMES = ["file", "ftp", "gopher", "data", "jar", "unix", "javascript", "ldap", "dict", "", "HTTP", "ws"]


@pytest.fixture
def bird() -> Iterator[Canary]:
    with canary() as bird:
        yield bird
    assert bird.visits == 0


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


def fences(*allowed: str) -> Fences:
    return Fences(allow_hosts=frozenset(allowed), http=True, ports=(range(1, 65536),))


def refused(url: str, names: Names, *allowed: str) -> str:
    settings = FetchSettings(fences(*allowed), total=5)
    with pytest.raises(Refused) as caught:
        fetch_calendar(url, settings=settings, now=NOW, resolver=names)
    return str(caught.value)


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", CLOSED)
def test_a_closed_address_is_refused_in_the_url_and_behind_a_name(address: str, bird: Canary) -> None:
    assert not is_public(address)
    refused(f"http://{literal(address)}:{bird.port}/", Names())
    for answers in ([address], [PUBLIC, address], [address, PUBLIC]):
        names = Names({"evil.example": [answers, answers]})
        assert "closed network" in refused(f"http://evil.example:{bird.port}/", names)
        with pytest.raises(Refused, match="closed network"):
            check_address(f"http://evil.example:{bird.port}/", FetchSettings(fences()), names)
    with pytest.raises(Refused):
        check_address(f"http://{literal(address)}:{bird.port}/", FetchSettings(fences()), Names())


@pytest.mark.parametrize("address", CLOSED)
def test_a_closed_address_is_refused_at_each_hop(address: str, web: Web, bird: Canary) -> None:
    names = Names({HOST: [["127.0.0.1"]], "evil.example": [[address]], "half.example": [[PUBLIC, address]]})
    for host in (literal(address), "evil.example", "half.example"):
        for hop in (1, 2, 5):
            for step in range(1, hop):
                web.replies[f"/{step}"] = onward(f"/{step + 1}")
            web.replies[f"/{hop}"] = onward(f"http://{host}:{bird.port}/")
            refused(web.url("/1"), names, f"{HOST}:{web.port}")
            assert len(web.asked) == hop
            web.asked.clear()


@pytest.mark.parametrize("hop", [1, 2, 5])
@pytest.mark.parametrize("host", ODD)
def test_an_odd_notation_is_refused_before_anything_is_looked_up(host: str, hop: int, web: Web) -> None:
    usual = replace(fences(f"{HOST}:{web.port}"), ports=addresses.PORTS)
    settings, names = FetchSettings(usual, total=5), Names()
    for url in (f"http://{host}/", f"https://{host}"):
        try:
            check_address(url, settings, Names())
        except Refused:
            assert names.asked == []
            continue
        except FetchError:
            pass
        assert usual.target(url).host == "a.example"  # the rest is a query or a fragment: nobody connects to it
    for step in range(1, hop):
        web.replies[f"/{step}"] = onward(f"/{step + 1}")
    web.replies[f"/{hop}"] = onward(f"http://{host}/".encode().decode("latin-1"))
    with pytest.raises(FetchError):
        fetch_calendar(web.url("/1"), settings=settings, now=NOW, resolver=names)
    assert set(names.asked) <= {HOST, "a.example"}


@pytest.mark.parametrize("url", ["https://a.ex\nample/", "https://a.example/\r\nHost: b", "\thttps://a.example/"])
def test_line_breaks_are_not_smoothed_over(url: str) -> None:
    with pytest.raises(Refused, match="control character"):
        Fences().target(url)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_schemes_are_refused(scheme: str) -> None:
    with pytest.raises(Refused):
        Fences().target(f"{scheme}://cal.example.edu/c.ics")


@pytest.mark.parametrize("scheme", ["https", "webcal", "webcals", "HTTPS", "WebCal"])
def test_webcal_is_https(scheme: str) -> None:
    target = Fences().target(f"{scheme}://Cal.Example.edu/c.ics?a=b#c")
    assert target.url == "https://cal.example.edu/c.ics?a=b"
    assert (target.host, target.port) == ("cal.example.edu", 443)


def test_http_is_open_only_by_setting() -> None:
    with pytest.raises(Refused, match=r"fetch\.http"):
        Fences().target("http://cal.example.edu/")
    assert Fences(http=True).target("http://cal.example.edu/").port == 80


@pytest.mark.parametrize(
    ("port", "is_open"), [(80, True), (443, True), (8000, True), (8999, True), (9000, False), (22, False), (25, False)]
)
def test_only_some_ports_are_open(port: int, is_open: bool) -> None:
    url = f"https://cal.example.edu:{port}/"
    if is_open:
        assert Fences().target(url).port == port
    else:
        with pytest.raises(Refused, match="is not open"):
            Fences().target(url)
        assert Fences(allow_hosts=frozenset({f"cal.example.edu:{port}"})).target(url).port == port


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str) -> None:
    assert is_public(address)
    fences().check_answers("cal.example.edu", 443, [address])


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("høgskole.no", "xn--hgskole-q1a.no"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("a_b.example", "a_b.example"),
    ],
)
def test_names_in_other_scripts_are_names(written: str, host: str) -> None:
    assert Fences().target(f"https://{written}/c.ics").url == f"https://{host}/c.ics"


def test_an_address_that_is_too_long_is_none() -> None:
    with pytest.raises(Refused, match="longer"):
        Fences().target("https://cal.example.edu/" + "x" * 2000)


def test_we_and_the_lms_are_no_sources_unless_allowed() -> None:
    own = frozenset({"cal.example.edu", "learn.example.edu", "93.184.216.34"})
    closed = Fences(own_hosts=own)
    for url in ("https://cal.example.edu/", "https://LEARN.example.edu:443/", f"https://{PUBLIC}/"):
        with pytest.raises(Refused):
            closed.target(url)
    with pytest.raises(Refused, match="this server itself"):
        closed.check_answers("other.example", 443, ["8.8.8.8", PUBLIC])
    with pytest.raises(Refused, match="this server itself"):
        closed.check_answers("other.example", 443, [f"::ffff:{PUBLIC}"])
    opened = replace(closed, allow_hosts=frozenset({"learn.example.edu"}))
    assert opened.target("https://learn.example.edu/").host == "learn.example.edu"


def test_an_allowed_host_is_open_wherever_it_resolves_to(web: Web) -> None:
    web.replies["/c.ics"] = answer(200, LECTURE)
    for host, allowed in ((HOST, HOST), ("127.0.0.1", "127.0.0.1"), ("localhost", f"localhost:{web.port}")):
        settings = FetchSettings(fences(allowed), total=5)
        names = Names({HOST: [["127.0.0.1"]], "localhost": [["127.0.0.1"]]})
        url = web.url("/c.ics", host=host)
        assert isinstance(fetch_calendar(url, settings=settings, now=NOW, resolver=names), Fetched)
        assert check_address(url, settings, names).host == host


def test_a_host_that_is_allowed_with_a_port_is_open_there_alone() -> None:
    allowed = fences("intern.example:8080")
    names = Names({"intern.example": [["10.0.0.1"]]})
    assert check_address("http://intern.example:8080/", FetchSettings(allowed), names).port == 8080
    for url in ("http://intern.example/", "http://intern.example:8081/", "http://10.0.0.1:8080/"):
        with pytest.raises(Refused, match="closed network"):
            check_address(url, FetchSettings(allowed), names)


def test_an_allowed_address_in_brackets() -> None:
    allowed = Fences(allow_hosts=frozenset({"[fd00::1]:9000"}), http=True)
    assert allowed.target("http://[fd00::1]:9000/").url == "http://[fd00::1]:9000/"
    with pytest.raises(Refused):
        allowed.target("http://[fd00::2]:8000/")


def test_the_guard_is_the_same_at_submission() -> None:
    names = Names({"evil.example": [[PUBLIC, "10.0.0.1"]], "good.example": [[PUBLIC]]})
    with pytest.raises(Refused, match="closed network"):
        check_address("https://evil.example/", FetchSettings(), names)
    with pytest.raises(Refused):
        check_address("https://169.254.169.254/latest/meta-data", FetchSettings(), names)
    assert check_address("webcal://good.example/c.ics", FetchSettings(), names).url == "https://good.example/c.ics"


def test_a_resolver_that_changes_its_mind_gains_nothing(bird: Canary) -> None:
    """S1: the name is looked up once for a connection, and the socket goes where the check went."""
    names = Names()
    settings = FetchSettings(fences(), total=5)
    for turn in range(500):
        names.answers = {"evil.example": [[PUBLIC], ["127.0.0.1"]] if turn % 2 else [["127.0.0.1"], [PUBLIC]]}
        with pytest.raises(FetchError):
            fetch_calendar(f"http://evil.example:{bird.port}/", settings=settings, now=NOW, resolver=names)
    assert len(names.asked) == 500
    assert bird.visits == 0


def test_each_hop_is_looked_up_and_checked_anew(web: Web, bird: Canary) -> None:
    web.replies["/1"] = onward(f"http://evil.example:{bird.port}/")
    names = Names({HOST: [["127.0.0.1"]], "evil.example": [["127.0.0.1"]]})
    assert check_address("https://cal.example.edu/", FetchSettings(), Names({"cal.example.edu": [[PUBLIC]]}))
    assert "closed network" in refused(web.url("/1"), names, HOST)


_PIECES = [
    "http://",
    "https:",
    "//",
    "@",
    "#",
    "?",
    "\\",
    "[",
    "]",
    "%",
    ".",
    ":",
    "80",
    "127.0.0.1",
    "::1",
    "localhost",
]
_PIECES += ["a.example", "①", "。", "ｌ", "ß", "\u200d", "\ud800", "\n", " ", "0x7f", "%2e", "xn--", ";", "&", "é"]


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
def test_whatever_is_written_is_refused_or_means_one_host_to_everyone(text: str) -> None:
    """The host that passes the fences is the one that is dialled: there are no two ways to read what comes out."""
    for url in (text, f"http://{text}"):
        try:
            target = fences().target(url)
        except Refused:
            continue
        prepared = requests.Request("GET", target.url).prepare()
        dialled = urllib3.util.parse_url(str(prepared.url))
        assert (dialled.host or "").strip("[]") == target.host
        assert (dialled.port or 80 if target.scheme == "http" else dialled.port or 443) == target.port
        assert dialled.auth is None


def _expressions() -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    for module in (addresses, fetch):
        yield from (value for value in vars(module).values() if isinstance(value, re.Pattern))


@pytest.mark.parametrize("expression", list(_expressions()), ids=lambda expression: str(expression.pattern))
def test_no_expression_takes_long(expression: re.Pattern[str] | re.Pattern[bytes]) -> None:
    letters = ["a", "\\", '"', ";", ":", ",", " ", "0", "-", "=", "type=", "0x", "_-", 'type="', "a-"]
    for piece in letters:
        text = (piece * 50_000)[:50_000]
        began = time.thread_time()
        for search in (expression.search, expression.fullmatch):
            search(text if isinstance(expression.pattern, str) else text.encode())  # type: ignore[arg-type]
        assert time.thread_time() - began < 0.1
