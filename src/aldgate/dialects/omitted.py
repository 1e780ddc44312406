"""What an answer holds and the caller's dialect has no place for: named in the text.

A header cannot name it, as it comes too late for a stream.
"""

from __future__ import annotations

from aldgate.core.conversation import Media, Opaque


def omitted(part: Media | Opaque) -> str:
    """Stands in the answer's text where `part` stood: `[image omitted]`, with its address if it has one."""
    address = f": {part.url}" if isinstance(part, Media) and part.url else ""
    return f"[{part.kind} omitted{address}]"
