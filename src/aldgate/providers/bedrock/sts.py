"""Credentials of a role, which AWS's Security Token Service lends to whoever may assume it.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from aldgate.providers.bedrock.lent import Base, Lent, ask, refused, usable
from aldgate.providers.bedrock.signature import Credentials, Signer
from aldgate.upstream.pool import Pool

_WHO = "STS"
_FIELD = re.compile(rb"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration|Code)>([^<&]+)</")


class Role(msgspec.Struct, frozen=True):
    """A role, and on what terms it is assumed.

    Attributes:
        arn: Which role.
        session: What its sessions are called in AWS's logs.
        external_id: What the role's owner wants to be told; empty tells nothing.
        duration_s: For how long; empty leaves it to STS.
    """

    arn: str
    session: str = "aldgate"
    external_id: str = ""
    duration_s: str = ""

    def form(self) -> dict[str, str]:
        """What is asked of STS."""
        asked = {"RoleArn": self.arn, "RoleSessionName": self.session}
        if self.external_id:
            asked["ExternalId"] = self.external_id
        if self.duration_s:
            asked["DurationSeconds"] = self.duration_s
        return asked


class AssumedRole:
    """Implements `lent.Lender`: a role that other credentials may assume.

    Args:
        pool: Connections to STS.
        region: Whose STS that is.
        role: The role.
        base: Whose credentials assume it.
    """

    def __init__(self, pool: Pool, region: str, role: Role, base: Base) -> None:
        self.pools = (pool, *base.pools)
        self._base = base
        self._role = role
        self._signer = Signer(Credentials("", ""), pool.origin.host_header, region, "sts")

    async def lend(self) -> Lent:
        """See `lent.Lender`."""
        self._signer.credentials = await self._base.now()
        form = {"Action": "AssumeRole", "Version": "2011-06-15"} | self._role.form()
        body = urlencode(form).encode()
        lines = self._signer.lines("POST", "/", "", body)
        signed = dict(line.split(": ", 1) for line in lines.splitlines())
        return await _assume(self.pools[0], signed, body)


class WebIdentity:
    """Implements `lent.Lender`: a role for a token in a file, which a cluster renews there.

    Args:
        pool: Connections to STS.
        file: Holds the token.
        role: The role.
    """

    def __init__(self, pool: Pool, file: Path, role: Role) -> None:
        self.pools = (pool,)
        self._file = file
        self._form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15"} | role.form()

    async def lend(self) -> Lent:
        """See `lent.Lender`."""
        try:
            token = self._file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise refused(_WHO, f"the token in {self._file} cannot be read ({type(error).__name__})") from None
        return await _assume(self.pools[0], {}, urlencode(self._form | {"WebIdentityToken": token}).encode())


async def _assume(pool: Pool, signed: Mapping[str, str], body: bytes) -> Lent:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "text/xml", **signed}
    status, answer = await ask(pool, "POST", "/", headers, body)
    said = {name.decode(): value.decode("latin-1").strip() for name, value in _FIELD.findall(answer)}
    if status != 200:
        raise refused(_WHO, f"it refused ({said.get('Code', f'status {status}')})", status)
    try:
        lent = Credentials(said["AccessKeyId"], said["SecretAccessKey"], said["SessionToken"])
        until = datetime.fromisoformat(said["Expiration"].replace("Z", "+00:00")).timestamp()
    except (KeyError, ValueError):
        raise refused(_WHO, "what it answers is none") from None
    if not usable(lent.access_key_id, lent.secret_access_key, lent.session_token):
        raise refused(_WHO, "what it answers is none")
    return Lent(lent, until)
