"""Provider credentials that users brought: sealed in the store, opened for the principals of their users, shown to nobody."""

from __future__ import annotations

import logging
import secrets
import time

import msgspec

from aldgate.core.errors import InvalidRequest, NotFound
from aldgate.core.principals import OwnCredential, Principal
from aldgate.core.users import StoredOwnCredential
from aldgate.gate.principals.user_store import UserStore
from aldgate.gate.principals.vault import CannotOpen, Vault

SHOWN_CHARACTERS = 4
LONGEST = 4_096

log = logging.getLogger("aldgate")


class OwnCredentials:
    """Keeps them and hands them to who makes calls.

    Args:
        vault: Seals them, each for its user and provider.
    """

    def __init__(self, store: UserStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def save(self, user: str, provider: str, secret: str) -> StoredOwnCredential:
        """Keep a credential in place of the user's earlier one at this provider.

        Raises:
            InvalidRequest: No header can carry it.
        """
        secret = secret.strip()
        if not secret.isascii() or not secret.isprintable() or " " in secret or not 8 <= len(secret) <= LONGEST:
            raise InvalidRequest(f"An API key is 8 to {LONGEST} visible characters.", param="api_key")
        kept = StoredOwnCredential(
            id="own-" + secrets.token_hex(12),
            user=user,
            provider=provider,
            sealed=self._vault.seal(secret, _place(user, provider)),
            hint=secret[-SHOWN_CHARACTERS:] if len(secret) >= 4 * SHOWN_CHARACTERS else "",
            created_at=time.time(),
        )
        await self._store.save_own_credential(kept)
        return kept

    async def of(self, user: str) -> list[StoredOwnCredential]:
        """A user's, by provider."""
        return await self._store.own_credentials(user)

    async def delete(self, user: str, provider: str) -> None:
        """Forget one.

        Raises:
            NotFound: There is none.
        """
        if not await self._store.delete_own_credential(user, provider):
            raise NotFound(f"You have no credential for `{provider[:100]}`.")

    async def bring(self, principal: Principal) -> Principal:
        """The principal with what its user brought, if that is anything."""
        if principal.user is None or not (kept := await self._store.own_credentials(principal.user)):
            return principal
        own = {each.provider: OwnCredential(each.id, secret) for each in kept if (secret := self.open(each)) is not None}
        return msgspec.structs.replace(principal, own=own or None)

    def open(self, kept: StoredOwnCredential) -> str | None:
        """The secret; None, and a line in the log, if no key opens it any more."""
        try:
            return self._vault.open(kept.sealed, _place(kept.user, kept.provider))
        except CannotOpen as error:
            log.warning("a user's credential cannot be used: %s", error, extra={"user": kept.user, "provider": kept.provider})
            return None

    async def seal_anew(self) -> tuple[int, int]:
        """Seal with the first key what was sealed with others. Returns how many were, and how many no key opens."""
        sealed = lost = 0
        for kept in await self._store.own_credentials():
            if self._vault.is_current(kept.sealed):
                continue
            secret = self.open(kept)
            if secret is None:
                lost += 1
                continue
            fresh = self._vault.seal(secret, _place(kept.user, kept.provider))
            await self._store.save_own_credential(msgspec.structs.replace(kept, sealed=fresh), again=True)
            sealed += 1
        return sealed, lost


def _place(user: str, provider: str) -> str:
    return f"own credential\0{user}\0{provider}"
