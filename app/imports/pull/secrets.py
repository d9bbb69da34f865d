"""What of a subscription nobody may read, in the vault: its address, which is often a credential, and its headers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from app.imports.pull.fetch import Credential
from app.imports.pull.register import Subscription
from bridges.contract import Vault
from bridges.errors import Denied

REST = "/…"
"""Stands for the part of an address that is not shown."""


class Secrets:
    """The secrets of all subscriptions. Each method is Denied where the vault has no key, or another one."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def keep_address(self, subscription: Subscription, url: str) -> None:
        self._vault.put(address_name(subscription.id), url)

    def address(self, subscription: Subscription) -> str:
        """Where it is fetched from, whole. Denied where that is lost."""
        shown = subscription.wish.url
        url = self._vault.get(address_name(subscription.id)) if is_outline(shown) else shown
        if not url:
            raise Denied("The address of this subscription is lost: set it again.")
        return url

    def keep_headers(self, subscription: Subscription, headers: Sequence[Credential]) -> None:
        kept = json.dumps([[one.name, one.value] for one in headers]) if headers else ""
        self._vault.put(headers_name(subscription.id), kept)

    def headers(self, subscription: Subscription) -> Sequence[Credential]:
        """What is sent with each fetch. Denied where it is lost."""
        if not subscription.opened:
            return ()
        kept = self._vault.get(headers_name(subscription.id))
        if not kept:
            raise Denied("The credential of this subscription is lost: remove the subscription and add it again.")
        pairs = json.loads(kept)  # of the first release a single one, without a list around it
        return tuple(Credential(*pair) for pair in ([pairs] if isinstance(pairs[0], str) else pairs))

    def forget(self, subscription: Subscription) -> None:
        for name in names(subscription.id):
            self._vault.put(name, "")


def outline(url: str) -> str:
    """As much of an address as may be shown to anyone, and stored as it is: `https://cal.example.edu/…`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{REST}"


def is_outline(url: str) -> bool:
    """Whether this is no address but the outline of one. Stores of earlier releases have the address itself."""
    return url.endswith(REST)


def address_name(id: int) -> str:
    """What the vault calls the address of the subscription of that number."""
    return f"subscription/{id}/address"


def headers_name(id: int) -> str:
    """What the vault calls its headers."""
    return f"subscription/{id}"


def names(id: int) -> tuple[str, str]:
    """All that the vault may have of it."""
    return address_name(id), headers_name(id)
