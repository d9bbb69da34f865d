"""A mail relay of the real kind (aiosmtpd) on a loopback port: mailboxes to look into, and bad days to switch on."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as RULES
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBrDCCAVGgAwIBAgIUOcaipJ/HRRn6nCff1jYvq8DbzWUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAzNTMyNFoYDzIxMjYxMDI4
MDM1MzI0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATET/PX8TPhJuIcRzxhIzlicdR3tY/Y65d+15LnRNYexQ3+56bHFfXa
KBurzt6RAA9bebOepjEx0Vy5D2357+S2o38wfTAdBgNVHQ4EFgQULihsqEVxzoA0
4mbQ0gdw3WzTzOcwHwYDVR0jBBgwFoAULihsqEVxzoA04mbQ0gdw3WzTzOcwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDgYDVR0P
AQH/BAQDAgKEMAoGCCqGSM49BAMCA0kAMEYCIQD6DC7t2yxTOaVfOzAmylWvRQX7
mv85InzwDBtgbekv3gIhAKn5PHi0rGPtgWRaRgyUowEk0w5x5bWwHyPSBquZJgt3
-----END CERTIFICATE-----
"""
"""For localhost, signed by itself, made for these tests; the key below protects nothing."""

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIDjTkWMwGPC5mOIl
u/dWw8Yqj34h1vlgLcfxtzT77SChRANCAATET/PX8TPhJuIcRzxhIzlicdR3tY/Y
65d+15LnRNYexQ3+56bHFfXaKBurzt6RAA9bebOepjEx0Vy5D2357+S2
-----END PRIVATE KEY-----
"""


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage


def certificate(folder: Path) -> Path:
    """The certificate as a file, for clients that should trust it."""
    path = folder / "ca.pem"
    path.write_text(CERTIFICATE)
    return path


@dataclass
class FakeRelay:
    """The relay, as a context. Its switches, all changeable while it runs but `security` and `login`:

    security  none, starttls or tls
    login     user and password that a client has to give (with starttls)
    unknown   addresses whose RCPT is refused with 550; domains that begin with @ stand for all their addresses
    says      what MAIL, RCPT or DATA (after the message) is answered with, such as {"DATA": "554 5.6.0 Spam"}
    lost      takes the next message, so many times, and breaks off without an answer
    unheard   breaks off before it takes the next message, so many times
    after     so many messages pass before `lost` and `unheard` strike
    slow      seconds before a message is answered
    journal   a file that gets a line of JSON for each message taken: its recipients, and its text
    """

    security: str = "none"
    login: tuple[str, str] | None = None
    unknown: set[str] = field(default_factory=set)
    says: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    unheard: int = 0
    after: int = 0
    slow: float = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    journal: Path | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def connection(self, url: str) -> str:
        """The table of the configuration that sends mail through this relay, at `url`."""
        where = urlsplit(url)
        return (
            f'[lms.mail]\nbridge = "imip"\nhost = "{where.hostname}"\nport = {where.port}\n'
            f'security = "{self.security}"\nsender = "calendar@example.edu"\n'
        )

    def stop(self) -> None:
        """Take no more connections; the port is dead from now on."""
        if self.running:
            self._run(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def running(self) -> bool:
        return not self._loop.is_closed()

    def mail_to(self, address: str) -> list[EmailMessage]:
        return [each.message for each in self.received if address in each.recipients]

    def knows(self, address: str) -> bool:
        return not {address, address[address.index("@") :]} & self.unknown

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        implicit = _context() if self.security == "tls" else None
        self._server = await self._loop.create_server(self._session, "127.0.0.1", self.port, ssl=implicit)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _session(self) -> SMTP:
        self.connections += 1
        return SMTP(
            self,
            hostname="relay.example.edu",
            tls_context=_context() if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            auth_required=self.login is not None,
            authenticator=self._authenticate,
            loop=self._loop,
        )

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self.login, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.says:
            return self.says["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self.knows(address):
            return f"550 5.1.1 <{address}>: no such user here"
        if "RCPT" in self.says:
            return self.says["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.says:
            return self.says["DATA"]
        strikes, self.after = self.after == 0, max(0, self.after - 1)
        if self.unheard and strikes:
            self.unheard -= 1
            return _hang_up(server)
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, EmailMessage, policy=RULES)
        self.received.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), message))
        if self.journal:
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"to": envelope.rcpt_tos, "message": content.decode("ascii")}) + "\n")
        await asyncio.sleep(self.slow)
        if self.lost and strikes:
            self.lost -= 1
            return _hang_up(server)
        return "250 OK"


def _hang_up(server: SMTP) -> str:
    assert server.transport is not None
    server.transport.close()
    return "250 never heard"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
        both.write(CERTIFICATE + KEY)
        both.flush()
        context.load_cert_chain(both.name)
    return context
