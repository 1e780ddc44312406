"""Passwords: argon2id hashes (RFC 9106), made and checked in threads, a few at once: each takes 64 MiB and much time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from aldgate.core.errors import Shedding

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE = 2
MOST_WAITING = 64

T = TypeVar("T")


class Passwords:
    """Makes and checks hashes.

    Args:
        at_once: How many are worked on at the same time.
        most_waiting: More are refused.
    """

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most = at_once + most_waiting
        self._here = 0

    async def hash(self, password: str) -> str:
        """The hash of a password, with the parameters that hold now.

        Raises:
            Shedding: Too many wait already.
        """
        return await self._work(lambda: _hasher().hash(password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether this is the password of the hash. Without a hash it is not, and to find that out takes as long.

        Raises:
            Shedding: Too many wait already.
        """
        is_it = await self._work(lambda: _is_it(password, hashed, _nobodys()))
        return is_it and bool(hashed)

    async def _work(self, work: Callable[[], T]) -> T:
        if self._here >= self._most:
            raise Shedding("Too many log in at once; try again shortly.", retry_after_s=1)
        self._here += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._here -= 1


def _is_it(password: str, hashed: str | None, otherwise: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # only who logs in needs it

    try:
        return _hasher().verify(hashed or otherwise, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe())
