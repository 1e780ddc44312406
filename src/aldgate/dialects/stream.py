"""What all decoders of streams do alike: read what is complete, stop when the answer is, and tell an end from a break."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from aldgate.core.errors import UpstreamBroken
from aldgate.core.events import Event


class Reader(Protocol):
    """Cuts bytes into payloads: `sse.EventReader`, `lines.LineReader`."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that are complete now."""
        ...

    def end(self) -> list[bytes]:
        """A last payload that nothing followed."""
        ...


class StreamDecoder(ABC):
    """Implements `ports.Decoder` for a stream of payloads.

    Args:
        reader: Cuts the stream.
    """

    __slots__ = ("_reader", "is_done")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.is_done = False
        """Nothing of the answer is to come any more."""

    def feed(self, piece: bytes) -> list[Event]:
        """See `ports.Decoder`."""
        events: list[Event] = []
        for payload in self._reader.feed(piece):
            if self.is_done:
                break
            self._read(payload, events)
        return events

    def end(self) -> list[Event]:
        """See `ports.Decoder`."""
        events: list[Event] = []
        for payload in self._reader.end():
            if not self.is_done:
                self._read(payload, events)
        if not self.is_done:
            self._close(events)
        return events

    @abstractmethod
    def _read(self, payload: bytes, events: list[Event]) -> None:
        """Add to `events` what a payload tells, and say in `is_done` whether it was the last."""

    def _close(self, events: list[Event]) -> None:
        """The stream ended, and no payload had said that it would: a break, unless the dialect knows better."""
        raise UpstreamBroken("The provider's stream ended before the answer did.")
