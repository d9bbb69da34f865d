"""Where a calendar may be fetched from: what a URL may say, and which addresses a socket may be opened to. Pure.

A name proves nothing until it is resolved, so this is asked twice: about the URL before anything is looked up, and
about every address that its name resolves to, on the very connection that uses it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2000
PORTS = (range(80, 81), range(443, 444), range(8000, 9000))
_SCHEMES = {"https": "https", "webcal": "https", "webcals": "https", "http": "http"}
_USUAL_PORT = {"https": 443, "http": 80}

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")

_UNICAST_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's host, from within: a global address by its looks
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: leads to any IPv4 address
        "3fff::/20",
    )
)


class FetchError(ValueError):
    """A calendar could not be had; the message is a sentence that names the cause.

    `retry_after` is in seconds: what the server asked for, None where it said nothing.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(FetchError):
    """We do not go there, whatever the server says, until a person changes the address or the settings."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed. `url` has a plain ASCII host and no fragment; `host` is a name or an address, no brackets."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Fences:
    """What is open. Hosts are small letters, a name or an address, and may end in a port (`cal.intern:8080`).

    allow_hosts  trusted by the integrator, wherever they resolve to; with a port, there alone, and it is open
    own_hosts    ourselves and the LMSs: nothing there is a calendar for us to pull
    http         whether plain http is open as well
    ports        the ports that are open
    """

    allow_hosts: frozenset[str] = frozenset()
    own_hosts: frozenset[str] = frozenset()
    http: bool = False
    ports: Sequence[range] = PORTS

    def target(self, url: str) -> Target:
        """The URL as it will be asked for. Refused says what is wrong with it."""
        parts = _split(url)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None:
            raise Refused(f"Calendars are not fetched by '{parts.scheme[:20]}': write an https address.")
        if scheme == "http" and not self.http:
            raise Refused("Plain http is not open here: write an https address (or set fetch.http).")
        host, port = _host(parts), _port(parts) or _USUAL_PORT[scheme]
        self._check_host(host, port)
        self._check_port(host, port)
        place = _place(host) if port == _USUAL_PORT[scheme] else f"{_place(host)}:{port}"
        return Target(parts._replace(scheme=scheme, netloc=place, fragment="").geturl(), scheme, host, port)

    def check_answers(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Refused if any address that the host's name resolves to is closed: one bad answer condemns them all."""
        if self.trusts(host, port):
            return
        for address in addresses:
            if not is_public(address):
                raise Refused(f"{host} lies in a closed network: only public addresses are fetched {_UNLESS}.")
            if str(_unwrapped(ip_address(address))) in self.own_hosts:
                raise Refused(f"{host} is this server itself {_UNLESS}.")

    def trusts(self, host: str, port: int) -> bool:
        """Whether the integrator allowed this host by name."""
        return not self.allow_hosts.isdisjoint({host, _place(host), f"{_place(host)}:{port}"})

    def _check_host(self, host: str, port: int) -> None:
        if self.trusts(host, port):
            return
        if host in self.own_hosts:
            raise Refused(f"{host} is this server or one of its LMSs: there is no calendar to pull {_UNLESS}.")
        if host == "localhost" or host.endswith(".localhost"):
            raise Refused(f"{host} is this machine: only public addresses are fetched {_UNLESS}.")
        if is_address(host):
            self.check_answers(host, port, [host])

    def _check_port(self, host: str, port: int) -> None:
        if f"{_place(host)}:{port}" in self.allow_hosts or any(port in ports for ports in self.ports):
            return
        raise Refused(f"Port {port} is not open for calendars (fetch.ports).")


_UNLESS = "(unless fetch.allow_hosts names it)"


def is_public(address: str) -> bool:
    """Whether an address, as text, belongs to the public internet, also after what it wraps is unwrapped."""
    try:
        ip = _unwrapped(ip_address(address))
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip not in _UNICAST_6:
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that the system or the network would talk to; older wrappings are closed as a whole."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL:
        raise Refused(f"The address is longer than {LONGEST_URL} letters.")
    if _NOT_IN_A_URL.search(url):
        raise Refused("The address holds a blank, a backslash or a control character.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Refused("The address is none: write it as https://host/path.ics.") from None
    if "@" in parts.netloc:
        raise Refused("The address holds a name or a password: give them to the subscription instead.")
    return parts


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise Refused("The address names a port that is none.") from None


def _host(parts: SplitResult) -> str:
    """The host in small ASCII letters. What looks like an address in any notation but the plain one is refused."""
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return _address_6(host)
    host = _ascii(host)
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        raise Refused("The address names no host: write it as https://host/path.ics.")
    if _NUMBER.fullmatch(labels[-1]):
        return _address_4(host)
    return host


def _ascii(host: str) -> str:
    """Letters of other scripts are fine; those that only dress up plain ones are not."""
    if host.isascii():
        return host
    if unicodedata.normalize("NFKC", host) != host:
        raise Refused("The address writes its host in letters that stand for others.")
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise Refused("The address names no host: write it as https://host/path.ics.") from None


def _address_4(host: str) -> str:
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise Refused("The address writes a number where four belong: write it as 192.0.2.1.") from None


def _address_6(host: str) -> str:
    try:
        ip = IPv6Address(host)
    except ValueError:
        ip = None
    if ip is None or ip.scope_id:
        raise Refused("The address holds no plain IPv6 address between its brackets.")
    return str(ip)


def is_address(host: str) -> bool:
    """Whether the host is an address already, so that there is nothing to look up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _place(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
