"""Sessions of people who have logged in: a random token, in a cookie or as a key is, and in the store only its digest."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import msgspec

from aldgate.core.errors import BadLogin, ExpiredKey, GatewayError
from aldgate.core.levels import SCOPES_OF_ROLES
from aldgate.core.principals import Principal
from aldgate.core.users import StoredSession, StoredUser
from aldgate.gate.principals.identity import Identity, closed
from aldgate.gate.principals.user_store import UserStore
from aldgate.ports import Standing
from aldgate.storage import StoredAccount

TOKEN_PREFIX = "ags-"
CHECK_S = 60.0
"""How long a session that was looked up is good without being looked up again."""

OVER = "This session is over: it was logged out, ran out, or the password is another one. Log in again."

Bring = Callable[[Principal], Awaitable[Principal]]


class NewSession(msgspec.Struct, frozen=True):
    """A session that has begun; its token is nowhere else. `expires_at` in Unix seconds."""

    token: str
    expires_at: float


class Sessions:
    """Begins sessions, ends them, and knows whose they are.

    Args:
        identity: Digests tokens; forgets what it cached when a session ends.
        bring: Puts what users bring with them to a principal.
        idle_s: Seconds after which a session that nobody uses is over.
        lifetime_s: Seconds after which any is.
        now: Unix seconds.
    """

    def __init__(
        self, store: UserStore, identity: Identity, bring: Bring, *, idle_s: float, lifetime_s: float, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._identity = identity
        self._bring = bring
        self._idle_s = idle_s
        self._lifetime_s = lifetime_s
        self._check_s = min(CHECK_S, idle_s / 2)
        self._now = now

    async def begin(self, user: StoredUser) -> NewSession:
        """Begin a session of somebody who has shown who they are.

        Raises:
            BadLogin: Meanwhile the user was disabled, or got another password.
        """
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now = self._now()
        session = StoredSession(
            digest=self._digest(token), user=user.id, created_at=now, seen_at=now, expires_at=now + self._lifetime_s
        )
        if not await self._store.add_session(session, user.password):
            raise BadLogin("Invalid credentials")
        return NewSession(token, session.expires_at)

    async def end(self, user_id: str, token: str | None = None) -> None:
        """End one session of a user, or all."""
        await self._store.end_sessions(user_id, None if token is None else self._digest(token))
        self._identity.forget()

    def _digest(self, token: str) -> bytes:
        return self._identity.digest(token.encode("utf-8", "surrogateescape"))

    async def standing(self, token: str) -> Standing:
        """What is known of a token."""
        session = await self._store.find_session(self._digest(token))
        now = self._now()
        found = None
        if session is not None and now < min(session.expires_at, session.seen_at + self._idle_s):
            found = await self._store.find_user(session.user)
        if session is None or found is None:
            return Standing(error=ExpiredKey(OVER))
        if now - session.seen_at >= self._check_s / 2:
            await self._store.see_session(session.digest, now)
        above = await self._store.lineage(session.user)
        principal = await self._bring(principal_of_user(above, found[1], session.expires_at))
        principal = msgspec.structs.replace(principal, credential=session.digest)
        until = min(now + self._check_s, principal.expires_at or session.expires_at)
        return Standing(principal, until, closed(above), is_renewed=True)

    async def at(self, user_id: str, digest: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """The user with this id, and why their calls are refused; None: there is no such user.

        `digest`: That of the session they call in; if it has ended, they are refused for that.
        """
        found = await self._store.find_user(user_id)
        if found is None:
            return None
        above = await self._store.lineage(user_id)
        principal, refused = await self._bring(principal_of_user(above, found[1])), closed(above)
        if refused is None and digest and not await self._goes_on(digest):
            refused = ExpiredKey(OVER)
        return principal, refused

    async def _goes_on(self, digest: bytes) -> bool:
        """Whether a session has neither been ended nor come to its end; what runs in it keeps it from being idle."""
        session = await self._store.find_session(digest)
        return session is not None and self._now() < session.expires_at


class SessionResolver:
    """A `ports.Resolver` of session tokens.

    Args:
        carrier: `session`: what came in the cookie; empty: what came as keys do.
    """

    def __init__(self, sessions: Sessions, carrier: bytes) -> None:
        self._sessions = sessions
        self.carrier = carrier

    async def look_up(self, secret: bytes) -> Standing | None:
        """See `ports.Resolver`."""
        token = secret.decode("utf-8", "surrogateescape")
        return await self._sessions.standing(token) if token.startswith(TOKEN_PREFIX) else None

    async def look_at(self, principal_id: str, credential: bytes = b"") -> tuple[Principal, GatewayError | None] | None:
        """See `ports.Resolver`."""
        return await self._sessions.at(principal_id, credential) if principal_id.startswith("user-") else None


def principal_of_user(above: tuple[StoredAccount, ...], user: StoredUser, expires_at: float | None = None) -> Principal:
    """The principal that somebody who has logged in is. `above`: their account behind those above it.

    With a password that somebody else chose they may do nothing but choose another.
    """
    own = above[-1].level
    scopes = frozenset[str]() if user.must_change else SCOPES_OF_ROLES[user.role]
    if own.policy.scopes is not None:
        scopes &= own.policy.scopes
    level = msgspec.structs.replace(own, policy=msgspec.structs.replace(own.policy, scopes=scopes))
    return Principal.of("user", level, tuple(account.level for account in above[:-1]), expires_at)
