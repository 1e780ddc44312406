"""AWS Signature Version 4 of a request: host, date, token and the body's digest.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """Who signs. `session_token` belongs to credentials that are lent for a time."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id!r}, ***)"


def canonical_path(path: str) -> str:
    """A path as it is signed: what goes over the wire, encoded once more."""
    return quote(path, safe="/-_.~")


class Signer:
    """Signs requests to one host. What a day's signatures have in common is computed once.

    Attributes:
        credentials: May be replaced at any time; requests signed before stay valid for five minutes.

    Args:
        credentials: See above.
        host: The `Host` header's value.
        region: As in `eu-west-1`.
        service: As AWS names it for signing.
        clock: Unix seconds.
    """

    def __init__(
        self, credentials: Credentials, host: str, region: str, service: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.credentials = credentials
        self._host = host
        self._region = region
        self._service = service
        self._clock = clock
        self._key: tuple[str, Credentials, bytes] | None = None

    def lines(self, method: str, path: str, query: str, body: bytes) -> str:
        """The header lines to send, each with its line end.

        Args:
            method: In upper case.
            path: In canonical form, see `canonical_path`.
            query: In canonical form: encoded, sorted, without `?`.
            body: What is sent.
        """
        credentials = self.credentials
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        token = credentials.session_token
        names = "host;x-amz-date;x-amz-security-token" if token else "host;x-amz-date"
        token_line = f"x-amz-security-token:{token}\n" if token else ""
        request = (
            f"{method}\n{path}\n{query}\nhost:{self._host}\nx-amz-date:{now}\n{token_line}\n{names}\n{sha256(body).hexdigest()}"
        )
        scope = f"{now[:8]}/{self._region}/{self._service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(now[:8], credentials), to_sign.encode(), "sha256").hex()
        return (
            f"x-amz-date: {now}\r\n"
            + (f"x-amz-security-token: {token}\r\n" if token else "")
            + f"authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _signing_key(self, day: str, credentials: Credentials) -> bytes:
        if self._key is not None and self._key[0] == day and self._key[1] is credentials:
            return self._key[2]
        key = ("AWS4" + credentials.secret_access_key).encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = (day, credentials, key)
        return key
