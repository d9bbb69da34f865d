"""SOAP 1.1 over the one door to HTTP: signed envelopes out, answers parsed with care, faults as the next step to take.

XML is built and parsed by lxml. An answer with a DOCTYPE is refused, so there are no entities to expand and nothing
to load; libxml2 itself bounds depth (256), attributes and the length of a text, and LmsHttp bounds the whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from lxml import etree
from lxml.builder import ElementMaker

from bridges.errors import BridgeError, Denied, Rejected, Transient
from bridges.http import Answer, Limits, LmsHttp

if TYPE_CHECKING:
    from bridges.contract import Tools

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
PASSWORD_TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"  # noqa: S105 - a type's name
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

_S = ElementMaker(namespace=ENVELOPE, nsmap={"s": ENVELOPE})
_W = ElementMaker(namespace=WSS, nsmap={"wsse": WSS})
_U = ElementMaker(namespace=WSU, nsmap={"wsu": WSU})

SIGN_IN_FAULTS = frozenset(
    {
        "accessdenied",
        "failedauthentication",
        "failedcheck",
        "invalidsecurity",
        "invalidsecuritytoken",
        "messageexpired",
        "securitytokenunavailable",
        "unsupportedsecuritytoken",
    }
)
CALLER_FAULTS = frozenset({"client", "sender", "actionnotsupported", "deserializationfailed", "mustunderstand"})

Element = etree._Element
"""An XML element, as lxml spells the type."""


class ServerFault(Transient):
    """The service broke on this call and said so; after a write it may have been done all the same."""


@dataclass(frozen=True, slots=True)
class Account:
    """A WS-Security UsernameToken in clear text (inside TLS), and how it is written.

    typed            the password says that it is text (`Type`)
    must_understand  the header is marked so
    lifetime         a Timestamp is sent that ends so long after now; None: no Timestamp
    """

    username: str
    password: str = field(repr=False)
    typed: bool = True
    must_understand: bool = False
    lifetime: timedelta | None = None


class Pace:
    """At most so many calls a second (0: as they come), for all threads of one connection."""

    def __init__(self, per_second: float, sleep: Callable[[float], None]) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            pause, self._next = self._next - now, max(now, self._next) + self._interval
        if pause > 0:
            self._sleep(pause)


class SoapService(LmsHttp):
    """The operations behind one URL. Raises the errors of bridges.errors; ServerFault is the one that it adds."""

    def __init__(
        self,
        url: str,
        account: Account,
        tools: Tools,
        *,
        limits: Limits,
        pace: Pace,
        keep_alive: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        super().__init__(f"{parts.scheme}://{parts.netloc}", tools, limits=limits, sleep=sleep)
        self._endpoint = self._url(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        self._account = account
        self._now = tools.now
        self._pace = pace
        self._connection = {} if keep_alive else {"Connection": "close"}

    def call(self, action: str, body: Element, *, repeat: bool) -> Element:
        """What stands first in the Body of the answer. `repeat`: a read, tried again where that may help."""
        envelope = _S.Envelope(_S.Header(self._security()), _S.Body(body))
        request = requests.Request(
            "POST",
            self._endpoint,
            data=etree.tostring(envelope, encoding="utf-8", xml_declaration=True),
            headers={
                "Content-Type": "text/xml; charset=utf-8",
                "SOAPAction": f'"{action}"',
                "Accept": "text/xml",
                **self._connection,
            },
        )
        self._pace.wait()
        answer: Element | None = self._call(request, repeat=repeat)
        if answer is None:
            raise Transient(f"{self.host} answered with nothing where data should be.")
        return answer

    def _security(self) -> Element:
        account = self._account
        password = _W.Password(account.password, **({"Type": PASSWORD_TEXT} if account.typed else {}))
        header = _W.Security(_W.UsernameToken(_W.Username(account.username), password))
        if account.lifetime is not None:
            header.insert(0, _timestamp(self._now(), account.lifetime))
        if account.must_understand:
            header.set(f"{{{ENVELOPE}}}mustUnderstand", "1")
        return header

    def _decoded(self, answer: Answer) -> Element:
        try:
            said = _said(answer.body)
        except ValueError as error:
            if "html" in answer.headers.get("Content-Type", "").lower():
                raise self._page(answer) from error
            raise Transient(f"{self.host} sent an answer that is cut or is no SOAP.", raw=answer.raw) from error
        if local(said) == "Fault":
            raise self._fault(said, answer)
        return said

    def _error(self, answer: Answer) -> BridgeError:
        """A fault speaks for itself, whatever its status; everything else is read as everywhere."""
        try:
            said = _said(answer.body)
        except ValueError:
            return super()._error(answer)
        return self._fault(said, answer) if local(said) == "Fault" else super()._error(answer)

    def _fault(self, fault: Element, answer: Answer) -> BridgeError:
        text = " ".join(value(fault, "faultstring").split())[:300].rstrip(".")
        code = value(fault, "faultcode").rpartition(":")[2].partition(".")[0].strip().lower()
        if code in SIGN_IN_FAULTS:
            return Denied(f"{self.host} does not accept our sign-in: {text}.", raw=answer.raw)
        if code in CALLER_FAULTS:
            return Rejected(f"{self.host} refused this: {text}.", raw=answer.raw)
        return ServerFault(f"{self.host} failed at this: {text}.", raw=answer.raw)


def parse(text: bytes | str) -> Element:
    """The root of an XML document from outside. ValueError for what is not well-formed, has a DOCTYPE or is a bomb."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode() if isinstance(text, str) else text, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a DOCTYPE is not welcome")
    return root


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname


def first(element: Element, *path: str) -> Element | None:
    """The first child of that name, and its child, and so on; namespaces are not looked at."""
    for name in path:
        found = next((child for child in element if local(child) == name), None)
        if found is None:
            return None
        element = found
    return element


def value(element: Element, name: str) -> str:
    """The text of a child; "" where there is none or it is nil."""
    child = first(element, name)
    return "" if child is None or child.get(NIL) in ("true", "1") else child.text or ""


def below(element: Element, *names: str) -> Iterator[Element]:
    """Every descendant with one of the names and children of its own."""
    return (each for each in element.iter() if local(each) in names and len(each))


def _timestamp(now: datetime, lifetime: timedelta) -> Element:
    return _U.Timestamp(_U.Created(f"{now:%Y-%m-%dT%H:%M:%SZ}"), _U.Expires(f"{now + lifetime:%Y-%m-%dT%H:%M:%SZ}"))


def _said(body: bytes) -> Element:
    """What stands first in the Body. ValueError where there is no such thing."""
    root = parse(body)
    content: Any = first(root, "Body") if root.tag == f"{{{ENVELOPE}}}Envelope" else None
    if content is None or not len(content):
        raise ValueError("no SOAP 1.1")
    said: Element = content[0]
    return said
