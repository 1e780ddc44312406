"""Whoever sits before the caller's application, as OpenAI's dialects name them."""

from __future__ import annotations

import hashlib

MAX_CHARS = 64


def short(user: str | None) -> str | None:
    """`user` in at most 64 characters, as OpenAI bounds it: of a longer one its digest, so that one person stays one.

    Claude Code says who calls in about 150 characters of JSON; some compatible providers tolerate 128, OpenAI 64
    (https://github.com/looplj/axonhub/issues/1669).
    """
    return user if user is None or len(user) <= MAX_CHARS else hashlib.sha256(user.encode()).hexdigest()
