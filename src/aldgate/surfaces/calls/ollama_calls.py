"""Ollama's calls, and among them those that ask for nothing but that a model be loaded, or let go of.

Clients send them before and after their work. Where a server of Ollama's answers they go there; elsewhere nothing needs loading.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable

import msgspec

from aldgate.core.calls import Admission, Outcome
from aldgate.dialects.ollama.loading import loading, write_loaded
from aldgate.gate.whole import recorded
from aldgate.surfaces.calls.face import Face
from aldgate.surfaces.http.asgi import Outlet


class OllamaCalls(Face):
    """The face of `/api/chat` or `/api/generate`."""

    def _run(self, admission: Admission, outlet: Outlet) -> Awaitable[Outcome]:
        call = admission.call
        why = loading(call.peek.body, is_chat=self._dialect.name == "ollama") if call.operation == "chat" else None
        if why is None or self._dialect.name in call.backends[admission.deployment.backend].dialects:
            return super()._run(admission, outlet)
        return self._loaded(admission, why, outlet)

    async def _loaded(self, admission: Admission, why: str, outlet: Outlet) -> Outcome:
        """One whole answer, streamed or not, as Ollama gives it; it costs nothing."""
        call, outcome = admission.call, Outcome(200, first_byte_s=0.0)
        self._gate.settle(admission, outcome)
        if self._committed is not None:
            await recorded(self._committed)
        body = msgspec.json.encode(write_loaded(call.peek.model, why, time.time_ns(), is_chat=self._dialect.name == "ollama"))
        length = (b"content-length", b"%d" % len(body))
        own = [(b"x-request-id", call.id.encode()), *self._limits(call.principal)]
        outlet.begin(200, [(b"content-type", b"application/json"), length, *own])
        outlet.end(body)
        return outcome
