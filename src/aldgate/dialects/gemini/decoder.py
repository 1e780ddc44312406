"""Reads a provider's stream of `GenerateContentResponse`s (https://ai.google.dev/api/generate-content#v1beta.models.streamGenerateContent)."""

from __future__ import annotations

from aldgate.core.errors import UpstreamBroken
from aldgate.core.events import Event, Failed
from aldgate.dialects.gemini.chunks import Reading, decode
from aldgate.dialects.gemini.frames import MAX_EVENT_BYTES
from aldgate.dialects.sse import EventReader


class Decoder:
    """Implements `ports.Decoder`. Why the answer finished is told at the end: content may follow where the reason stands."""

    def __init__(self) -> None:
        self._reader = EventReader(MAX_EVENT_BYTES)
        self._reading = Reading()
        self.is_done = False
        """The provider reported an error; otherwise only the body's end says that all has come."""

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete now; see `ports.Decoder`."""
        return self._events(self._reader.feed(piece))

    def end(self) -> list[Event]:
        """What was held back, and how it ended; see `ports.Decoder`."""
        events = self._events(self._reader.end())
        if self.is_done:
            return events
        if not self._reading.reason:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        return [*events, self._reading.finished()]

    def _events(self, payloads: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for payload in payloads:
            if self.is_done:
                break
            events += self._reading.events(decode(payload))
            self.is_done = bool(events) and isinstance(events[-1], Failed)
        return events
