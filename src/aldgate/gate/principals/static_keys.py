"""Keys that the operator wrote into the environment. Only their digests are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aldgate.core.errors import GatewayError
from aldgate.core.levels import Level
from aldgate.core.policies import Policy
from aldgate.core.principals import ADMIN, Principal
from aldgate.ports import Standing


class StaticKeys:
    """A `ports.Resolver` of keys that live as long as the configuration names them.

    Args:
        digest: The keyed digest of a secret: what a look-up takes tells nothing of how near a guess was.
        callers: Secret, name and policy of each.
        admin: A secret of who may do everything; empty: none.
    """

    carrier = b""

    def __init__(
        self, digest: Callable[[bytes], bytes], callers: Iterable[tuple[bytes, str, Policy]], admin: bytes = b""
    ) -> None:
        self._digest = digest
        self._known: dict[bytes, Principal] = {}
        for secret, name, policy in callers:
            digested = digest(secret)
            self._known[digested] = Principal.of("key", Level("key", f"env-{digested.hex()[:24]}", name, policy))
        self._by_id = {principal.id: principal for principal in self._known.values()}
        if admin:
            self._known[digest(admin)] = ADMIN

    async def look_up(self, secret: bytes) -> Standing | None:
        """See `ports.Resolver`."""
        principal = self._known.get(self._digest(secret))
        if principal is None:
            return None
        return Standing(principal, float("inf") if principal.expires_at is None else principal.expires_at)

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """See `ports.Resolver`."""
        principal = self._by_id.get(principal_id)
        return None if principal is None else (principal, None)
