"""Credentials from beside the gate: of the container that it runs in, or of the machine.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html and
https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from aldgate.core.errors import UpstreamError
from aldgate.providers.bedrock.lent import Lent, ask, refused, usable
from aldgate.providers.bedrock.signature import Credentials
from aldgate.upstream.pool import Pool

_ROLES = "/latest/meta-data/iam/security-credentials/"
_TOKEN_S = 21_600


class _Document(msgspec.Struct, rename="pascal"):
    """What both answer with."""

    access_key_id: str
    secret_access_key: str
    token: str
    expiration: Annotated[datetime, Meta(tz=True)]


_document = msgspec.json.Decoder(_Document)


class Container:
    """Implements `lent.Lender`: the task role of ECS, or the pod identity of EKS.

    Args:
        pool: Connections to the agent beside the container.
        path: With its query.
        authorization: Reads the `Authorization` header's value anew each time; empty sends none.
    """

    def __init__(self, pool: Pool, path: str, authorization: Callable[[], str]) -> None:
        self.pools = (pool,)
        self._path = path
        self._authorization = authorization

    async def lend(self) -> Lent:
        """See `lent.Lender`."""
        who = "The container's agent"
        try:
            proof = self._authorization()
        except (OSError, UnicodeDecodeError) as error:
            raise refused(who, f"its token cannot be read ({type(error).__name__})") from None
        if proof and not usable(proof):
            raise refused(who, "its token is none that a header can carry")
        headers = {"accept": "application/json"} | ({"authorization": proof} if proof else {})
        return _read(who, *await ask(self.pools[0], "GET", self._path, headers))


class Instance:
    """Implements `lent.Lender`: the role of the EC2 instance, by the second version of its metadata service alone.

    Args:
        pool: Connections to that service.
    """

    def __init__(self, pool: Pool) -> None:
        self.pools = (pool,)

    async def lend(self) -> Lent:
        """See `lent.Lender`."""
        who, (pool,) = "The instance's metadata service", self.pools
        try:
            headers = {"x-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
            status, answer = await ask(pool, "PUT", "/latest/api/token", headers)
        except UpstreamError as error:
            where = "none in the table, the environment or the shared files, and this is no EC2 instance"
            raise refused("Nobody", f"there are {where} ({error.code})") from None
        token = answer.decode("latin-1")
        if status != 200 or not usable(token):
            raise refused(who, f"it grants no session (status {status})", status)
        headers = {"x-aws-ec2-metadata-token": token}
        status, answer = await ask(pool, "GET", _ROLES, headers)
        role = answer.decode("latin-1").partition("\n")[0].strip()
        if status != 200 or not role:
            raise refused(who, f"the instance has no role (status {status})", status)
        return _read(who, *await ask(pool, "GET", _ROLES + quote(role, safe=""), headers))


def _read(who: str, status: int, body: bytes) -> Lent:
    try:
        found = _document.decode(body) if status == 200 else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is None or not usable(found.access_key_id, found.secret_access_key, found.token):
        raise refused(who, f"what it answers is none (status {status})", status)
    return Lent(Credentials(found.access_key_id, found.secret_access_key, found.token), found.expiration.timestamp())
