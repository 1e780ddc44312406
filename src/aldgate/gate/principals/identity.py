"""Authenticate: from a secret to a principal, by its keyed digest. Warm calls cost one digest and one look-up."""

import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

import msgspec

from aldgate.core.errors import ExpiredKey, GatewayError, MissingKey, RevokedKey, UnknownKey
from aldgate.core.levels import Level
from aldgate.core.principals import ADMIN, Principal
from aldgate.ports import Resolver, Standing
from aldgate.storage import Credential, Store, StoredAccount, StoredKey

Dress = Callable[[Principal], Awaitable[Principal]]

CACHE_SIZE = 100_000
LONGEST_SECRET = 16_384


class Identity:
    """The one cache of principals.

    Args:
        store: Where credentials are kept.
        pepper: Keys the digests, so that a stolen database verifies no guess.
        admin_digest: Digest of the admin key; empty while nobody has it.
        now: Unix seconds.
        resolvers: Know credentials other than keys.
        dress: Puts what the user of a key brings with them to its principal.
    """

    def __init__(
        self,
        store: Store,
        pepper: bytes,
        admin_digest: bytes,
        now: Callable[[], float] = time.time,
        resolvers: Sequence[Resolver] = (),
        dress: Dress | None = None,
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._admin_digest = admin_digest
        self._now = now
        self._known: dict[bytes, Standing] = {}
        self._resolvers = resolvers
        self.generation = 0
        """Another one whenever somebody may have changed: what was known before has to be asked anew."""
        self.on_change: Callable[[], None] | None = None
        """Told when somebody may have changed, for who acts on more than the next call."""
        self._dress = dress

    def digest(self, secret: bytes) -> bytes:
        """The keyed digest under which a secret is kept: BLAKE2b, whose keyed mode is a MAC (RFC 7693)."""
        return blake2b(secret, key=self._pepper, digest_size=32).digest()

    def appoint(self, admin_digest: bytes) -> None:
        """From now on the secret with this digest is the admin key."""
        self._admin_digest = admin_digest
        self.forget()

    def known(self, secret: bytes) -> Principal | None:
        """The principal of a secret seen before, None if the store must be asked.

        Raises:
            UnknownKey: Nobody's.
            ExpiredKey: Its time is over.
            RevokedKey: It was withdrawn.
        """
        known = self._known.get(self.digest(secret))
        if known is None:
            return None
        if known.error is not None:
            raise _again(known.error)
        if self._now() >= known.expires_at:
            if known.is_renewed:
                return None
            raise ExpiredKey("This API key has expired.")
        return known.principal

    async def identify(self, secret: bytes) -> Principal:
        """The principal of any secret.

        Raises:
            MissingKey: The secret is empty.
            UnknownKey: Nobody's; so are `ExpiredKey` and `RevokedKey` as in `known`.
            StoreUnavailable: The database did not answer. This is never shown as a 401.
        """
        if not secret:
            raise MissingKey("No API key was sent. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.")
        if len(secret) > LONGEST_SECRET:
            raise UnknownKey("This API key is not known here.")
        while (principal := self.known(secret)) is None:
            digest, known_then = self.digest(secret), self._known
            known = await self._look_up(secret, digest)
            if known_then is self._known:  # else a key was changed meanwhile, and this may be what it was before
                self._remember(digest, known)
        return principal

    async def standing(self, principal_id: str) -> Principal:
        """The principal with this id, for what is done in its name while it is away.

        Raises:
            UnknownKey: There is no such key; so are `ExpiredKey` and `RevokedKey` as in `known`.
            StoreUnavailable: The database did not answer.
        """
        principal, refused = await self.look_at(principal_id)
        if refused is not None:
            raise refused
        return principal

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None]:
        """The principal with this id, and why its calls are refused, if they are: `ExpiredKey` or `RevokedKey`.

        `credential`: As in `Principal`; then they are refused, too, if that one is good no longer.

        Raises:
            UnknownKey: There is no such key.
            StoreUnavailable: The database did not answer.
        """
        if principal_id == ADMIN.id:
            is_replaced = credential and not hmac.compare_digest(credential, self._admin_digest)
            return ADMIN, RevokedKey("This admin key was replaced.") if is_replaced else None
        for resolver in self._resolvers:
            if (found := await resolver.look_at(principal_id, credential)) is not None:
                return found
        key = await self._store.get_key(principal_id)
        if key is None:
            raise UnknownKey("This API key is not known here.")
        above = () if key.owner is None else await self._store.lineage(key.owner)
        principal = await self._dressed(principal_of(key, above))
        if key.revoked_at is not None:
            return principal, RevokedKey("This API key was revoked.")
        if principal.expires_at is not None and self._now() >= principal.expires_at:
            return principal, ExpiredKey("This API key has expired.")
        return principal, closed(above) or await self._replaced(credential)

    async def _replaced(self, digest: bytes) -> GatewayError | None:
        """Why a secret of a key that is good is not, if it is not: the key was rotated."""
        if not digest:
            return None
        found = await self._store.find_credential(digest)
        is_good = found is not None and (found.expires_at is None or self._now() < found.expires_at)
        return None if is_good else RevokedKey("This API key has another secret by now.")

    async def _look_up(self, secret: bytes, digest: bytes) -> Standing:
        carrier, is_carried, carried = secret.partition(b"\0")
        if is_carried:
            return await self._resolve(carrier, carried)
        if hmac.compare_digest(digest, self._admin_digest):
            return Standing(msgspec.structs.replace(ADMIN, credential=digest))
        credential = await self._store.find_credential(digest)
        if credential is None:
            return await self._resolve(b"", secret)
        if credential.key.revoked_at is not None:
            return Standing(error=RevokedKey("This API key was revoked."))
        principal = await self._dressed(principal_of(credential.key, credential.above))
        principal = msgspec.structs.replace(principal, credential=digest)
        return Standing(principal, _end(credential, principal), closed(credential.above))

    async def _dressed(self, principal: Principal) -> Principal:
        return principal if self._dress is None or principal.user is None else await self._dress(principal)

    async def _resolve(self, carrier: bytes, secret: bytes) -> Standing:
        for resolver in self._resolvers:
            if resolver.carrier == carrier and (found := await resolver.look_up(secret)) is not None:
                return found
        return Standing(error=UnknownKey("This API key is not known here."))

    def _remember(self, digest: bytes, known: Standing) -> None:
        while len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]
        self._known[digest] = known

    def forget(self) -> None:
        """A key was made, changed or revoked: look everybody up anew."""
        self._known = {}
        self.generation += 1
        if self.on_change is not None:
            self.on_change()


def principal_of(key: StoredKey, above: tuple[StoredAccount, ...] = ()) -> Principal:
    """The principal a key stands for."""
    return Principal.of("key", level_of(key), tuple(account.level for account in above), key.expires_at)


def level_of(key: StoredKey) -> Level:
    """What a key is in the chain that leads to its principal."""
    return Level("key", key.id, key.name, key.policy)


def closed(above: tuple[StoredAccount, ...]) -> GatewayError | None:
    """Why nothing is let through under these accounts, if it is not: one of them is disabled."""
    disabled = next((account for account in above if account.disabled_at is not None), None)
    return disabled and RevokedKey(f"The {disabled.kind} `{disabled.name}` of this API key is disabled.")


def _end(credential: Credential, principal: Principal) -> float:
    ends = [at for at in (credential.expires_at, principal.expires_at) if at is not None]
    return min(ends) if ends else float("inf")


def _again(error: GatewayError) -> GatewayError:
    # A fresh exception each time: a cached one would collect tracebacks for ever.
    return type(error)(error.message)
