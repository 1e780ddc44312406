"""What a browser gets that comes back from an issuer: a session in a cookie."""

from __future__ import annotations

import msgspec

from aldgate.core.claims import Claims
from aldgate.gate.principals.vouched import VouchedUsers
from aldgate.surfaces.http.credentials import SESSION_COOKIE
from aldgate.surfaces.http.faults import Rendered


class VouchedSignIn:
    """Implements `oidc.SignIn`.

    Args:
        is_secure: Browsers find the gate over TLS, whoever ends it, and so the cookie is for TLS alone.
    """

    def __init__(self, users: VouchedUsers, *, is_secure: bool) -> None:
        self._users = users
        self._secure = b"; Secure" if is_secure else b""

    async def __call__(self, claims: Claims) -> Rendered:
        """See `oidc.SignIn`."""
        session = await self._users.login(claims)
        cookie = b"%b=%b; Path=/; HttpOnly; SameSite=Lax%b" % (SESSION_COOKIE, session.token.encode(), self._secure)
        body = msgspec.json.encode({"status": "ok"})
        return 200, [(b"content-type", b"application/json"), (b"set-cookie", cookie)], body
