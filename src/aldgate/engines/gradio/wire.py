"""The requests that a Gradio app of version 4 or later answers, and those that 3 shares with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import msgspec

from aldgate.core.errors import UpstreamAuth, UpstreamBroken, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import Input
from aldgate.dialects.sse import EventReader
from aldgate.engines.gradio.app import GradioApp, prefix_of, read_app
from aldgate.engines.gradio.files import Found
from aldgate.engines.http import EngineHttp

MOST_EVENT_BYTES = 32 * 1024 * 1024
MOST_CONFIG_BYTES = 32 * 1024 * 1024
MOST_FILE_BYTES = 4 * 1024**3


class GradioWire:
    """One app.

    Args:
        http: Its address.
        username: Whom to log in as; empty: nobody.
        password: Theirs.
    """

    def __init__(self, http: EngineHttp, username: str = "", password: str = "") -> None:
        self.http = http
        self._login = (username, password)
        self._headers: dict[str, str] = {}

    async def config(self) -> Mapping[str, Any]:
        """What the app is made of. It logs in where the app wants that.

        Raises:
            UpstreamError: It is away, or no Gradio app.
        """
        try:
            config = await self._json("GET", "/config", most_bytes=MOST_CONFIG_BYTES)
        except UpstreamAuth:
            if not self._login[0]:
                raise
            await self._log_in()
            config = await self._json("GET", "/config", most_bytes=MOST_CONFIG_BYTES)
        if not isinstance(config, dict) or "version" not in config:
            raise UpstreamInvalid(f"What answers as the engine `{self.http.name}` is no Gradio app.")
        return cast("Mapping[str, Any]", config)

    async def app(self, endpoint: str | int) -> GradioApp:
        """What the app says of its function `endpoint`.

        Raises:
            UpstreamError: As `config`; `UpstreamInvalid`: it has no such function.
        """
        config = await self.config()
        try:
            info = await self._json("GET", prefix_of(config) + "/info", most_bytes=MOST_CONFIG_BYTES)
        except UpstreamRejected:  # it has no description of itself: parameters have labels and positions then
            info = None
        return read_app(self.http.name, config, info, endpoint)

    async def upload(self, app: GradioApp, given: Input, name: str) -> str:
        """Bring a file to the app; its path there.

        Raises:
            UpstreamError: It did not take it.
        """
        from aiohttp import FormData

        form = FormData()
        form.add_field("files", given.data, filename=name, content_type=given.mime)
        paths = await self._json("POST", app.prefix + "/upload", data=form)
        if isinstance(paths, list) and paths and isinstance(paths[0], str):
            return paths[0]
        raise UpstreamInvalid(f"The engine `{self.http.name}` did not say where it keeps what was uploaded.")

    async def join(self, app: GradioApp, values: list[Any], session: str) -> str:
        """Put a call in the queue; its id.

        Raises:
            UpstreamError: It was not taken; `UpstreamOverloaded` where the queue is full.
        """
        asked = {"data": values, "fn_index": app.function, "session_hash": session, "event_data": None, "trigger_id": None}
        told = await self._json("POST", app.prefix + "/queue/join", json=asked)
        try:
            return str(told["event_id"])
        except (KeyError, TypeError):
            raise UpstreamInvalid(f"The engine `{self.http.name}` gave the call no id.") from None

    async def messages(self, app: GradioApp, session: str, event_id: str) -> AsyncGenerator[dict[str, Any]]:
        """What the app says of a call, until it closes the stream. It beats every 15 s: silence is a fault.

        Raises:
            UpstreamError: It broke off or was silent.
        """
        reader = EventReader(MOST_EVENT_BYTES)
        params = {"session_hash": session}
        async with self.http.request("GET", app.prefix + "/queue/data", params=params, headers=self._headers) as reply:
            async for piece in reply.content.iter_any():
                for payload in self._fed(reader, piece):
                    message = self._decoded(payload)
                    if message.get("event_id") in (None, event_id):
                        yield message

    async def cancel(self, app: GradioApp, session: str, event_id: str) -> None:
        """End the session's calls of the function, those that wait and those under way.

        The id matters only to who still listens; opening the stream of events and leaving it drops what waits in the queue.

        Raises:
            UpstreamError: It did not say that it has.
        """
        asked = {"session_hash": session, "fn_index": app.function, "event_id": event_id}
        try:
            await self._json("POST", app.prefix + "/cancel", json=asked)
        except UpstreamRejected as error:
            if error.upstream_status != 404:
                raise
            await self._json("POST", app.prefix + "/reset", json={"event_id": event_id})  # before 4.21
        async with self.http.request(
            "GET", app.prefix + "/queue/data", params={"session_hash": session}, headers=self._headers, expect=range(200, 500)
        ):
            pass

    async def answer(self, app: GradioApp, values: list[Any], session: str, timeout_s: float) -> list[Any]:
        """Call a function of Gradio 3 that is not in the queue.

        Raises:
            UpstreamError: It failed.
        """
        path = f"/api/{app.api_name}" if app.api_name else "/api/predict"
        asked = {"data": values, "fn_index": app.function, "session_hash": session}
        told = await self._json("POST", path, json=asked, timeout_s=timeout_s)
        if isinstance(told, dict) and isinstance(data := cast("dict[str, Any]", told).get("data"), list):
            return cast("list[Any]", data)
        raise UpstreamInvalid(f"The engine `{self.http.name}` answered without outputs.")

    async def download(self, app: GradioApp, found: Found) -> AsyncGenerator[bytes]:
        """A file's bytes.

        Raises:
            UpstreamError: It is not given out, or does not end.
        """
        size = 0
        async with self.http.request("GET", app.prefix + found.query, headers=self._headers, expect=range(200, 500)) as reply:
            if reply.status != 200:
                raise UpstreamBroken(f"The engine `{self.http.name}` does not give out what it made ({reply.status}).")
            async for piece in reply.content.iter_any():
                size += len(piece)
                if size > MOST_FILE_BYTES:
                    raise UpstreamInvalid(f"The engine `{self.http.name}` gave a file of more than {MOST_FILE_BYTES} bytes.")
                yield piece
        if not size:
            raise UpstreamBroken(f"The engine `{self.http.name}` gave an empty file.")

    @property
    def headers(self) -> Mapping[str, str]:
        """Who was logged in, for sockets."""
        return self._headers

    async def _log_in(self) -> None:
        username, password = self._login
        try:
            async with self.http.request("POST", "/login", data={"username": username, "password": password}) as reply:
                cookies = "; ".join(f"{name}={each.value}" for name, each in reply.cookies.items())
        except UpstreamRejected:
            raise UpstreamAuth(f"The engine `{self.http.name}` does not know the user `{username}` with this password.") from None
        self._headers = {"Cookie": cookies}

    async def _json(self, method: str, path: str, **more: Any) -> Any:
        return await self.http.json(method, path, headers=self._headers, **more)

    def _fed(self, reader: EventReader, piece: bytes) -> list[bytes]:
        try:
            return reader.feed(piece)
        except UpstreamInvalid:
            raise UpstreamInvalid(f"The engine `{self.http.name}` sent an event that does not end.") from None

    def _decoded(self, payload: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(payload, type=dict[str, Any])
        except msgspec.DecodeError:
            raise UpstreamInvalid(f"The engine `{self.http.name}` sent an event that is no message of Gradio.") from None
