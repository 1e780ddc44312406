"""An attempt that keeps all an engine tells it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from aldgate.core.generation import NO_OPTIONS, Progress
from aldgate.engines.group import Group


class Saved(NamedTuple):
    data: bytes
    mime: str
    name: str
    facts: Mapping[str, Any]


class RecordedRun:
    def __init__(self, reference: str = "") -> None:
        self.reference = reference or str(uuid4())
        self.handles: list[str] = []
        self.told: list[Progress] = []
        self.files: list[Saved] = []

    async def submitting(self, handle: str) -> None:
        self.handles.append(handle)

    def progress(self, progress: Progress) -> None:
        self.told.append(progress)

    async def save(
        self, data: bytes | AsyncIterable[bytes], *, mime: str, name: str = "", facts: Mapping[str, Any] = NO_OPTIONS
    ) -> None:
        whole = data if isinstance(data, bytes) else b"".join([piece async for piece in data])
        self.files.append(Saved(whole, mime, name, facts))

    @property
    def mimes(self) -> list[str]:
        return [file.mime for file in self.files]

    @property
    def fractions(self) -> list[float]:
        return [told.fraction for told in self.told if told.fraction is not None]


def runs(run: RecordedRun) -> bool:
    """Whether the process of a library runs that an attempt is known by."""
    _, pid, rest = run.handles[0].split("/", 2)
    return Group(int(pid), rest.partition("#")[0]).is_alive
