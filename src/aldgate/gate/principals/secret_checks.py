"""Checks secrets against slow hashes: few at a time, so that guessing cannot eat the machine, and each right one once."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

from aldgate.core.errors import Shedding
from aldgate.core.hashes import is_quick, matches

MOST_PROVEN = 100_000
MOST_WAITING = 64
MOST_OF_ONE = 4
"""Checks under way or waiting for one holder: whoever guesses at one secret leaves places for the others."""


class SecretChecks:
    """Remembers which secret proved to be the one of a hash, so that it is checked slowly once and not after every change.

    Args:
        at_once: Slow checks under way at the same time, each on a core of its own.
    """

    def __init__(self, at_once: int = max(1, (os.cpu_count() or 1) // 2)) -> None:
        # Its size is the bound: a caller who leaves does not end a check, and must not make room for another.
        self._threads = ThreadPoolExecutor(at_once, "secret-checks")
        self._pepper = secrets.token_bytes(32)
        self._proven: dict[str, bytes] = {}
        self._waiting: Counter[str] = Counter()

    async def match(self, holder: str, secret: bytes, hashes: list[str]) -> str | None:
        """The one of a holder's hashes that is of this secret; None: none of them.

        Raises:
            Shedding: Too many secrets are being checked.
        """
        proof = blake2b(secret, key=self._pepper, digest_size=32).digest()
        for hashed in hashes:
            if matches(secret, hashed) if is_quick(hashed) else hmac.compare_digest(self._proven.get(hashed, b""), proof):
                return hashed
        for hashed in hashes:
            if not is_quick(hashed) and hashed not in self._proven and await self._check(holder, secret, hashed):
                self._remember(hashed, proof)
                return hashed
        return None

    async def _check(self, holder: str, secret: bytes, hashed: str) -> bool:
        if self._waiting[holder] >= MOST_OF_ONE or self._waiting.total() >= MOST_WAITING:
            raise Shedding("Too many secrets are being checked; try again shortly.", retry_after_s=1)
        self._waiting[holder] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, matches, secret, hashed)
        finally:
            self._waiting[holder] -= 1
            self._waiting += Counter()  # drops those that are at 0

    def _remember(self, hashed: str, proof: bytes) -> None:
        while len(self._proven) >= MOST_PROVEN:
            del self._proven[next(iter(self._proven))]
        self._proven[hashed] = proof
