"""Reads a provider's stream of `GenerateContentResponse`s (https://ai.google.dev/api/generate-content#v1beta.models.streamGenerateContent)."""

from __future__ import annotations

from aldgate.core.events import Event, Failed
from aldgate.dialects.gemini.chunks import Reading, decode
from aldgate.dialects.gemini.frames import MAX_EVENT_BYTES
from aldgate.dialects.sse import EventReader
from aldgate.dialects.stream import StreamDecoder


class Decoder(StreamDecoder):
    """Reads the stream. Why the answer finished is told at its end: content may follow where the reason stands.

    `is_done` says that the provider reported an error; otherwise only the body's end says that all has come.
    """

    def __init__(self) -> None:
        super().__init__(EventReader(MAX_EVENT_BYTES))
        self._reading = Reading()

    def _read(self, payload: bytes, events: list[Event]) -> None:
        events += self._reading.events(decode(payload))
        self.is_done = bool(events) and isinstance(events[-1], Failed)

    def _close(self, events: list[Event]) -> None:
        if not self._reading.is_finished:
            super()._close(events)
        events += self._reading.finished()
