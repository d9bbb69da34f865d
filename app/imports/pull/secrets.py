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
        self._vault.put(_address(subscription), url)

    def address(self, subscription: Subscription) -> str:
        """Where it is fetched from, whole. Denied where that is lost."""
        url = self._vault.get(_address(subscription)) if is_outline(subscription.wish.url) else subscription.wish.url
        if not url:
            raise Denied("The address of this subscription is lost: set it again.")
        return url

    def keep_headers(self, subscription: Subscription, headers: Sequence[Credential]) -> None:
        kept = json.dumps([[one.name, one.value] for one in headers]) if headers else ""
        self._vault.put(_headers(subscription), kept)

    def headers(self, subscription: Subscription) -> Sequence[Credential]:
        """What is sent with each fetch. Denied where it is lost."""
        if not subscription.opened:
            return ()
        kept = self._vault.get(_headers(subscription))
        if not kept:
            raise Denied("The credential of this subscription is lost: remove the subscription and add it again.")
        pairs = json.loads(kept)  # of the first release a single one, without a list around it
        return tuple(Credential(*pair) for pair in ([pairs] if isinstance(pairs[0], str) else pairs))

    def forget(self, subscription: Subscription) -> None:
        for name in (_address(subscription), _headers(subscription)):
            self._vault.put(name, "")


def outline(url: str) -> str:
    """As much of an address as may be shown to anyone, and stored as it is: `https://cal.example.edu/…`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{REST}"


def is_outline(url: str) -> bool:
    """Whether this is no address but the outline of one. Stores of earlier releases have the address itself."""
    return url.endswith(REST)


def _address(subscription: Subscription) -> str:
    return f"subscription/{subscription.id}/address"


def _headers(subscription: Subscription) -> str:
    return f"subscription/{subscription.id}"
