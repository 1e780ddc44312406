"""What callers would like of how they are answered: the header `Prefer` (RFC 7240)."""

from __future__ import annotations

from collections.abc import Mapping

LATER = b"respond-async"


def is_later(headers: Mapping[bytes, bytes], background: object = None) -> bool:
    """Whether who asks does not wait for the answer: by `Prefer: respond-async` (section 4.1), or `"background": true`."""
    if background is True:
        return True
    prefer = headers.get(b"prefer")
    return prefer is not None and any(each.partition(b";")[0].strip().lower() == LATER for each in prefer.split(b","))
