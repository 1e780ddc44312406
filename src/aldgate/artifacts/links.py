"""Links that anybody who has one may follow, until they expire: signed with a secret of this installation."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from math import ceil
from urllib.parse import urlencode

from aldgate.core.errors import LinkInvalid

MOST_DIGITS = 12


class Links:
    """Makes and checks them.

    Args:
        secret: Signs; whoever has another cannot make any.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def path(self, artifact_id: str, expires_at: float) -> str:
        """The path of an artifact with its signature, good until `expires_at` (Unix seconds)."""
        return f"/v1/artifacts/{artifact_id}?{self.query(artifact_id, expires_at)}"

    def query(self, artifact_id: str, expires_at: float) -> str:
        """What makes the path of something a link to it."""
        expires = ceil(expires_at)
        return urlencode({"expires": expires, "signature": self._signature(artifact_id, str(expires))})

    def check(self, artifact_id: str, expires: str, signature: str, now: float) -> None:
        """See that a link was made here for this artifact, and is still good.

        Raises:
            LinkInvalid: It was not, or has expired.
        """
        is_ours = hmac.compare_digest(self._signature(artifact_id, expires).encode(), signature.encode())
        is_number = expires.isascii() and expires.isdigit() and len(expires) <= MOST_DIGITS
        if not is_ours or not is_number or int(expires) <= now:
            raise LinkInvalid("The link has expired, or is not one that was given out.")

    def _signature(self, artifact_id: str, expires: str) -> str:
        signed = f"artifact\n{artifact_id}\n{expires}".encode()
        return urlsafe_b64encode(hmac.digest(self._secret, signed, sha256)).rstrip(b"=").decode()
