"""Credentials for a person who is logged in (IAM Identity Center).

https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from hashlib import sha1
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from aldgate.providers.bedrock.lent import Lent, ask, refused, usable
from aldgate.providers.bedrock.signature import Credentials
from aldgate.upstream.pool import Pool


class _Login(msgspec.Struct, rename="camel"):
    """The file that `aws sso login` writes."""

    access_token: str
    expires_at: Annotated[datetime, Meta(tz=True)]


class _Role(msgspec.Struct, rename="camel"):
    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: int
    """Unix milliseconds."""


class _Roles(msgspec.Struct, rename="camel"):
    role_credentials: _Role


class SingleSignOn:
    """Implements `lent.Lender`: a role of IAM Identity Center for whoever is logged in by `aws sso login`.

    Args:
        pool: Connections to the portal.
        login: The file of the login; see `login_file`.
        account: Id of the account.
        role: Name of the role in it.
        clock: Unix seconds.
    """

    def __init__(self, pool: Pool, login: Path, *, account: str, role: str, clock: Callable[[], float] = time.time) -> None:
        self.pools = (pool,)
        self._login = login
        self._path = f"/federation/credentials?{urlencode({'role_name': role, 'account_id': account})}"
        self._clock = clock

    async def lend(self) -> Lent:
        """See `lent.Lender`."""
        who, hint = "IAM Identity Center", "run `aws sso login`"
        try:
            login = msgspec.json.decode(self._login.read_bytes(), type=_Login)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            raise refused(who, f"nobody is logged in, {hint}") from None
        if login.expires_at.timestamp() <= self._clock() or not usable(login.access_token):
            raise refused(who, f"the login has ended, {hint}")
        headers = {"x-amz-sso_bearer_token": login.access_token, "accept": "application/json"}
        status, answer = await ask(self.pools[0], "GET", self._path, headers)
        if status != 200:
            raise refused(who, f"it refused the login or the role (status {status}), {hint}", status)
        try:
            found = msgspec.json.decode(answer, type=_Roles).role_credentials
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise refused(who, "what it answers is none") from None
        if not usable(found.access_key_id, found.secret_access_key, found.session_token):
            raise refused(who, "what it answers is none")
        return Lent(Credentials(found.access_key_id, found.secret_access_key, found.session_token), found.expiration / 1000)


def login_file(home: Path, session: str) -> Path:
    """Where the login of a session stands, named by the session, or in older profiles by its start URL."""
    return home / ".aws" / "sso" / "cache" / f"{sha1(session.encode(), usedforsecurity=False).hexdigest()}.json"
