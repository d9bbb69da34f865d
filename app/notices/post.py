"""Hands one letter to the mail relay that the configuration names."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app.config import Mail
from app.notices.letters import Letter
from bridges.errors import BridgeError
from bridges.relay import Relay, RelaySettings


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
    shared = mail.model_dump(include=set(RelaySettings.model_fields))
    try:
        with Relay(RelaySettings(**shared, skip_refused=True)) as relay:
            relay.connect()
            relay.send(message, mail.to)
    except BridgeError as error:
        raise NotPosted(str(error)) from error
