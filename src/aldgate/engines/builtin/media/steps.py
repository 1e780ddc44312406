"""What a builtin model does, step by step, so that it can be watched, slowed down and stopped between any two steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Mapping
from typing import Any

import msgspec

from aldgate.core.generation import NO_OPTIONS, Generated, Generation, Progress
from aldgate.core.levels import Operation


class Made(msgspec.Struct, frozen=True):
    """A file that was made, whole or as it comes."""

    data: bytes | AsyncIterable[bytes]
    mime: str
    name: str
    facts: Mapping[str, Any] = NO_OPTIONS


Step = Progress | Made | Generated
Work = Generator[Step] | AsyncGenerator[Step]
"""A generator's steps are each a short stretch of computing, done in a thread; an asynchronous one's wait for something."""


class MediaModel(msgspec.Struct, frozen=True):
    """One of the builtin models.

    Attributes:
        needs: Libraries that must be installed.
        begin: Checks what is asked, and gives the work. Raises `InvalidRequest` where it asks for too much, or for what there is
            not.
    """

    name: str
    operations: frozenset[Operation]
    needs: tuple[str, ...]
    begin: Callable[[Generation], Work]
