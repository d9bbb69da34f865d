"""Hands one letter to the mail relay that the configuration names."""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app.config import Mail
from app.notices.letters import Letter

PORTS = {"starttls": 587, "tls": 465, "none": 25}
SILENCE = 30.0
"""Seconds that the relay may be silent."""


class NotPosted(Exception):
    """The relay did not take it: tried again later. Says what it said, a sentence."""


def message_of(letter: Letter, name: str, mail: Mail, now: datetime) -> EmailMessage:
    """The letter as a mail. `name` is always the same for the same letter, so that a repeated one can be told."""
    message = EmailMessage(policy=SMTP)
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.to)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{name}@{mail.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body, cte="quoted-printable")
    return message


def post(message: EmailMessage, mail: Mail) -> None:
    """Send it to everybody in `mail.to`. NotPosted where not one of them gets it."""
    try:
        with _signed_in(mail) as line:
            line.send_message(message, mail.sender, mail.to)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotPosted(f"{mail.host} did not take the mail: {error}") from error


def _signed_in(mail: Mail) -> smtplib.SMTP:
    port = mail.port or PORTS[mail.security]
    ours = mail.sender.rpartition("@")[2]
    if mail.security == "tls":
        line: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, port, ours, timeout=SILENCE, context=_context(mail))
    else:
        line = smtplib.SMTP(mail.host, port, ours, timeout=SILENCE)
    try:
        if mail.security == "starttls":
            line.starttls(context=_context(mail))
        if mail.user:
            line.login(mail.user, mail.password.get_secret_value())
    except BaseException:
        line.close()
        raise
    return line


def _context(mail: Mail) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=mail.ca_file or None)
