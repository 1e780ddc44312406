"""Seals what must be read again: AES-256-GCM with the id of its key in front, bound to the place where it is kept."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ID_BYTES, _NONCE_BYTES = 8, 12


class CannotOpen(Exception):
    """No key of ours opens it, or it was kept elsewhere."""


class Vault:
    """Seals with the first of its keys, opens with any.

    Args:
        keys: Secrets of any length; at least one.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        raw = [sha256(b"aldgate vault\0" + key).digest() for key in keys]
        self._raw = {blake2b(each, digest_size=_ID_BYTES).digest(): each for each in raw}
        self._first = next(iter(self._raw))

    @cached_property
    def _keys(self) -> dict[bytes, AESGCM]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 20 ms that only who has something sealed pays

        return {key_id: AESGCM(raw) for key_id, raw in self._raw.items()}

    def seal(self, text: str, place: str) -> bytes:
        """Seal a text for a place: elsewhere it does not open."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._keys[self._first].encrypt(nonce, text.encode(), self._first + place.encode())
        return self._first + nonce + sealed

    def open(self, sealed: bytes, place: str) -> str:
        """The text that was sealed for this place.

        Raises:
            CannotOpen: It was sealed with a key that is gone, for another place, or has been tampered with.
        """
        from cryptography.exceptions import InvalidTag

        key_id, nonce = sealed[:_ID_BYTES], sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        key = self._keys.get(key_id)
        if key is None:
            raise CannotOpen("the key that it was sealed with is not there")
        try:
            return key.decrypt(nonce, sealed[_ID_BYTES + _NONCE_BYTES :], key_id + place.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("it was sealed for another place, or has been changed") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the first key."""
        return sealed[:_ID_BYTES] == self._first
