"""Webhooks as faces see them: which URLs may be named, what became of one, and the secret that receivers check with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aldgate.core.webhooks import Delivery, check_url, secret_of, webhook_of
from aldgate.queueing import WebhookStore


class Hooks:
    """What faces ask of webhooks.

    Args:
        store: Keeps what became of them.
        master: Makes the accounts' secrets.
        allow_private: Private networks, this machine and plain HTTP may be named.
    """

    def __init__(self, store: WebhookStore, master: bytes, *, allow_private: bool) -> None:
        self._store = store
        self._master = master
        self._allow_private = allow_private

    def check(self, extras: Mapping[str, Any]) -> None:
        """See that the webhook of a new job, if it has one, may be called.

        Raises:
            InvalidRequest: It may not.
        """
        url = webhook_of(extras)
        if url is not None:
            check_url(url, allow_private=self._allow_private)

    async def find(self, job_id: str) -> Delivery | None:
        """The webhook of a job that has ended, as it stands."""
        return await self._store.find_delivery(job_id)

    def secret(self, account: str) -> str:
        """What the account's webhooks are signed with, as receivers write it."""
        return secret_of(self._master, account)
