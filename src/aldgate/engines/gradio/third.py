"""The queue of Gradio 3: a WebSocket per call.

Source: https://github.com/gradio-app/gradio/blob/v3.50.2/gradio/routes.py, `join_queue`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid, UpstreamTimeout
from aldgate.engines.gradio.app import GradioApp
from aldgate.engines.gradio.wire import GradioWire


async def third_messages(
    wire: GradioWire, app: GradioApp, values: list[Any], session: str, timeout_s: float
) -> AsyncGenerator[dict[str, Any]]:
    """Make a call and tell what the app says of it. To leave early is to cancel it, as far as Gradio 3 can.

    Args:
        wire: The app's.
        app: Its function.
        values: What to call it with.
        session: Ours to choose.
        timeout_s: Longest silence: Gradio 3 has no heartbeat.

    Raises:
        UpstreamError: It broke off, was silent, or sent what is no message.
    """
    name = wire.http.name
    async with wire.http.socket("/queue/join", headers=wire.headers) as socket:
        while True:
            try:
                received = await socket.receive(timeout_s)
            except TimeoutError:
                raise UpstreamTimeout(f"The engine `{name}` was silent for too long.") from None
            if not isinstance(received.data, str):
                raise UpstreamBroken(f"The engine `{name}` closed the socket before the call was done.")
            try:
                message = msgspec.json.decode(received.data, type=dict[str, Any])
            except msgspec.DecodeError:
                raise UpstreamInvalid(f"The engine `{name}` sent what is no message of Gradio.") from None
            match message.get("msg"):
                case "send_hash":
                    await socket.send_json({"session_hash": session, "fn_index": app.function})
                case "send_data":
                    asked = {"data": values, "fn_index": app.function, "session_hash": session, "event_data": None}
                    await socket.send_json(asked)
                case _:
                    yield message
