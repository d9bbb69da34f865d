"""One SMTP server that takes our mail: the connection, the sign-in, and what its answers mean (RFC 5321)."""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridges.errors import BridgeError, Denied, Rejected, Transient
from bridges.settings import LOOPBACK
from bridges.text import on_one_line

log = logging.getLogger(__name__)

PORTS = {"starttls": 587, "tls": 465, "none": 25}

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+")


def _mail_address(text: str) -> str:
    if len(text) > 254 or not ADDRESS.fullmatch(text):
        raise ValueError(f"'{text}' is no plain e-mail address, as in ann@example.edu")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable() or '"' in text:
        raise ValueError("has to be one line without quotation marks")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]
OneLine = Annotated[str, AfterValidator(_one_line)]


class RelaySettings(BaseModel):
    """One mail relay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, description="Name of the SMTP server that takes our mail: smtp.example.edu")
    port: int = Field(0, ge=0, le=65535, description="Its port; 0 is 587 with starttls, 465 with tls, 25 with none")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is encrypted; none is for a server on this machine alone"
    )
    ca_file: str = Field(
        "", description="PEM file of the authority behind the server's certificate, if it is no public one"
    )
    user: str = Field("", description="User name at the server, if it wants one")
    password: SecretStr = Field(SecretStr(""), description="Password that belongs to the user")
    sender: str = Field(description="Address that mail comes from and that bounces go to")
    skip_refused: bool = Field(False, description="Write to the rest of a list when some of its addresses are refused")
    silence_seconds: float = Field(30, gt=0, le=300, description="Longest silence of the server")
    total_seconds: float = Field(60, gt=0, le=900, description="Longest time for signing in, and for one message")

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("security: mail to another machine is encrypted; write starttls or tls")
        return self


class Lost(Transient):
    """The message left, and no answer came."""


class NobodyThere(Rejected):
    """The server refuses the recipients: it would refuse them for every other message, too."""


class Relay:
    """One connection to the SMTP server, made when it is first needed, as a context."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._line: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._line is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._line.quit()
            self._line.close()
            self._line = None

    def connect(self) -> None:
        """Connect, encrypt and sign in, unless that was done. Denied where only a person can help."""
        if self._line is not None:
            return
        try:
            self._line = self._opened()
            with self._in_time():
                self._sign_in(self._line)
        except smtplib.SMTPAuthenticationError as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Denied, "does not accept our sign-in") from error
        except smtplib.SMTPNotSupportedError as error:
            raise Denied(f"{self._settings.host} offers no encryption or no sign-in: {error}") from error
        except smtplib.SMTPResponseException as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Denied, "does not talk to us") from error
        except ssl.SSLCertVerificationError as error:
            raise Denied(f"{self._settings.host} shows no valid certificate: {error.verify_message}.") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{self._settings.host} could not be reached.", raw=repr(error)) from error

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Hand over one message for all recipients. Lost once it was sent and no answer came."""
        with self._in_time():
            self._send(message, recipients)

    def _send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        try:
            self._address(recipients)
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{self._settings.host} broke off.", raw=repr(error)) from error
        try:
            code, answer = self._open_line.data(message.as_bytes())
        except smtplib.SMTPDataError as error:
            raise self._verdict(error.smtp_code, error.smtp_error, Rejected, "refused the message") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Lost(f"{self._settings.host} took the message and did not answer.", raw=repr(error)) from error
        if code != 250:
            raise self._verdict(code, answer, Rejected, "refused the message")

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Cut the connection when the block takes too long: a server that drips is never silent."""
        watch = threading.Timer(self._settings.total_seconds, self._cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _cut(self) -> None:
        sock = self._open_line.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def _open_line(self) -> smtplib.SMTP:
        assert self._line is not None, "connect() comes first"
        return self._line

    def _opened(self) -> smtplib.SMTP:
        settings = self._settings
        port = settings.port or PORTS[settings.security]
        # our own name is told, for the default asks the DNS for it
        ours = settings.sender.rpartition("@")[2]
        if settings.security == "tls":
            context = self._context()
            return smtplib.SMTP_SSL(settings.host, port, ours, timeout=settings.silence_seconds, context=context)
        return smtplib.SMTP(settings.host, port, ours, timeout=settings.silence_seconds)

    def _sign_in(self, line: smtplib.SMTP) -> None:
        if self._settings.security == "starttls":
            line.starttls(context=self._context())
        line.ehlo_or_helo_if_needed()
        if self._settings.user:
            line.login(self._settings.user, self._settings.password.get_secret_value())

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file or None)

    def _address(self, recipients: Sequence[str]) -> None:
        """MAIL and RCPT. One refused address of several stops the message, or is left out, as the settings say."""
        line = self._open_line
        self._expect(line.mail(self._settings.sender), Denied, "does not send mail from our address")
        refused = []
        for address in recipients:
            code, answer = line.rcpt(address)
            if 500 <= code < 600:
                refused.append(f"{address} ({_said(answer)})")
            else:
                self._expect((code, answer), Rejected, f"does not take mail to {address} now")
        if refused and (len(refused) == len(recipients) or not self._settings.skip_refused):
            line.rset()
            raise NobodyThere(f"{self._settings.host} does not take mail to {', '.join(refused)}.")
        if refused:
            log.warning("%s does not take mail to %s", self._settings.host, ", ".join(refused))

    def _expect(self, answer: tuple[int, bytes], kind: type[BridgeError], problem: str) -> None:
        code, words = answer
        if code not in (250, 251):
            error = self._verdict(code, words, kind, problem)
            with suppress(smtplib.SMTPException, OSError):
                self._open_line.rset()
            raise error

    def _verdict(self, code: int, answer: bytes | str, kind: type[BridgeError], problem: str) -> BridgeError:
        """5xx is for ever (RFC 5321 section 4.2.1), save that 530 asks for a sign-in; everything else passes."""
        words = f"{self._settings.host} {problem}: {code} {_said(answer)}."
        if not 500 <= code < 600:
            return Transient(words)
        return Denied(words) if code == 530 else kind(words)


def _said(answer: bytes | str) -> str:
    """The server's own words, on one line."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return on_one_line(text)[:300].rstrip(".")
