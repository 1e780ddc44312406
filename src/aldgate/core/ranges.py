"""Byte ranges and conditions of requests (RFC 9110, 13 and 14): which part of a content a reader gets."""

from __future__ import annotations

import re

import msgspec

MOST_RANGES = 16
"""A request for more parts is one for the whole (14.2: who is asked too much may ignore it)."""
_RANGE = re.compile(r"\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*")


class Span(msgspec.Struct, frozen=True):
    """Bytes from `start` on, `length` of them, at least one."""

    start: int
    length: int

    def of(self, size: int) -> str:
        """As `Content-Range` has it."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def spans(header: str | None, size: int) -> list[Span] | None:
    """The parts that `Range` asks for; None: the whole; empty: there are no such bytes, which is a 416.

    Args:
        header: What it says. What is not understood, or asks for too much, is ignored.
        size: Bytes there are.
    """
    unit, equals, wanted = (header or "").partition("=")
    parts = wanted.split(",")
    if not equals or unit.strip().lower() != "bytes" or len(parts) > MOST_RANGES:
        return None
    found: list[Span] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, size - int(suffix)), size
        else:
            start, end = int(first), min(int(last) + 1, size) if last else size
            if last and int(last) < start:
                return None
        if start < end:
            found.append(Span(start, end - start))
    # Parts that overlap would make the answer larger than the whole: nobody needs that (14.2).
    return None if sum(span.length for span in found) > size else found


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether a reader has this already: `If-None-Match` names it (13.1.2; compared weakly)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))


def is_same(if_range: str | None, etag: str) -> bool:
    """Whether the part that is asked for continues this content: `If-Range` names it, or is not there (13.1.5)."""
    return if_range is None or if_range.strip() == etag
