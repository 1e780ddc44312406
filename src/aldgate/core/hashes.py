"""Hashes of secrets that people choose: argon2id, and SHA-256 in hex as older gateways wrote it.

A key of the gate's own making needs neither: it cannot be guessed, and is kept by its keyed digest.
"""

import hmac
import re
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
"""What one hash costs: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id"""
MOST_MEMORY_KIB, MOST_PASSES, MOST_LANES = 262_144, 10, 16
"""What one check may cost: a hash names its own price, and it may come from elsewhere."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,3}),p=([0-9]{1,3})\$[A-Za-z0-9+/]{11,88}\$[A-Za-z0-9+/]{22,88}"
)


def hash_secret(secret: bytes) -> str:
    """The argon2id hash of a secret, with a salt of its own. Takes tens of milliseconds."""
    return _hasher().hash(secret)


def check_hash(text: str) -> None:
    """See that `text` is a hash that `matches` takes.

    Raises:
        ValueError: Says what it should be.
    """
    if _SHA256.fullmatch(text):
        return
    found = _ARGON2ID.fullmatch(text)
    if found is None:
        raise ValueError("write a hash as `aldgate clients hash-secret` prints it, or as 64 hexadecimal digits of SHA-256")
    memory, passes, lanes = map(int, found.groups())
    if memory > MOST_MEMORY_KIB or passes > MOST_PASSES or not 0 < lanes <= MOST_LANES:
        bounds = f"m={MOST_MEMORY_KIB},t={MOST_PASSES},p={MOST_LANES}"
        raise ValueError(f"checking this hash would cost too much; the most is {bounds}")


def is_quick(hashed: str) -> bool:
    """Whether checking a secret against this hash takes no time to speak of."""
    return not hashed.startswith("$")


def matches(secret: bytes, hashed: str) -> bool:
    """Whether it is the hash of this secret. In constant time for SHA-256; argon2id takes tens of milliseconds."""
    if is_quick(hashed):
        return hmac.compare_digest(sha256(secret).hexdigest(), hashed.lower())
    from argon2.exceptions import VerificationError

    try:
        return _hasher().verify(hashed, secret)
    except VerificationError:
        return False


@cache
def _hasher() -> "PasswordHasher":
    # 15 ms and a C library that only secrets of people's own need.
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
