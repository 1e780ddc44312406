"""MusicGPT: generations over a WebSocket, files over HTTP. Ids are ours to choose.

Source: https://github.com/gabotechs/MusicGPT (v0.3.28), `src/backend`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from uuid import UUID, uuid5

import msgspec

from aldgate.core.errors import ModelNotFound, NotSupported, UpstreamBroken, UpstreamInvalid, UpstreamRejected, UpstreamTimeout
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.asking import check_asked, number
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.section import EngineSection, Surroundings, decode_section
from aldgate.making import Run

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

USUAL_SECONDS = 10
MOST_SECONDS = 30
Message = dict[str, Any]


class MusicGptSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `musicgpt`."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> MusicGpt:
    """An engine of kind `musicgpt`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, MusicGptSection)
    return MusicGpt(name, section, reach(name, section, surroundings, usual="http://127.0.0.1:8642"))


class MusicGpt:
    """A MusicGPT. The handle of an attempt is its id, and its chat's id follows from it.

    Args:
        name: As configured.
        section: Its table.
        http: Its address.
    """

    kind = "musicgpt"
    recovery: Recovery = "cancel"
    operations: frozenset[Operation] = frozenset({"music"})

    def __init__(self, name: str, section: MusicGptSection, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http

    async def state(self) -> EngineState:
        """The model it was started with."""
        async with within(self.name, self._section.request_timeout_s), self._socket() as (socket, model):
            await socket.close()
        model = EngineModel(name=model, operations=self.operations, is_loaded=True)
        return EngineState(models=(model,))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Ask for a sound and wait for it. See `Engine.generate`."""
        check_asked(asked, operations=self.operations, fields=("model", "duration_s"), formats=("wav",))
        number(asked.duration_s, "duration_s", 1, MOST_SECONDS)
        seconds = round(asked.duration_s or USUAL_SECONDS)
        async with within(self.name, self._section.run_timeout_s):
            async with self._socket() as (socket, model):
                if asked.model and asked.model != model:
                    raise ModelNotFound(f"The engine `{self.name}` has the model `{model}` and no other.", param="model")
                await run.submitting(run.reference)
                ids = _ids(run.reference)
                await socket.send_json({"GenerateAudioNewChat": {**ids, "prompt": asked.prompt, "secs": seconds}})
                path = await self._made(socket, ids["id"], run)
            await self._keep(path, run)
        return Generated(duration_s=float(seconds), details={"model": model})

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: it is stopped, and begun anew."""
        return None

    async def stop(self, handle: str) -> None:
        """Abort it. It answers requests in order, so that its answer to the next one says that it has read this one."""
        ids = _ids(handle)
        async with within(self.name, self._section.request_timeout_s, "To stop"), self._socket() as (socket, _):
            await socket.send_json({"AbortGeneration": ids})
            await socket.send_json({"GetChat": {"chat_id": ids["chat_id"]}})
            while True:
                message = await self._receive(socket)
                if "Chat" in message or "Error" in message or _generation(message, ids["id"])[0] in ("Error", "Result"):
                    return

    async def unload(self, model: str = "") -> None:
        """It has no word for it."""
        raise NotSupported(f"The engine `{self.name}` holds its memory until its process is stopped.")

    async def aclose(self) -> None:
        """See `Engine.aclose`."""
        await self._http.aclose()

    @asynccontextmanager
    async def _socket(self) -> AsyncGenerator[tuple[ClientWebSocketResponse[Any], str]]:
        """A socket, and the model that it tells of first."""
        async with AsyncExitStack() as stack:
            async with within(self.name, self._section.request_timeout_s, "To connect"):
                socket = await stack.enter_async_context(self._http.socket("/ws"))
            message = await self._receive(socket)
            while "Info" not in message:
                message = await self._receive(socket)
            info = message["Info"]
            if not isinstance(info, dict):
                raise self._strange()
            yield socket, str(cast("Message", info).get("model", ""))

    async def _receive(self, socket: ClientWebSocketResponse[Any]) -> Message:
        try:
            received = await socket.receive(self._section.request_timeout_s)
        except TimeoutError:
            raise UpstreamTimeout(f"The engine `{self.name}` was silent for too long.") from None
        if not isinstance(received.data, str):
            raise UpstreamBroken(f"The engine `{self.name}` closed the socket.")
        try:
            return msgspec.json.decode(received.data, type=Message)
        except msgspec.DecodeError:
            raise self._strange() from None

    async def _made(self, socket: ClientWebSocketResponse[Any], id_: str, run: Run) -> str:
        """Where the sound is, once it is made. What others asked for is told here, too."""
        furthest = 0.0
        while True:
            message = await self._receive(socket)
            if isinstance(said := message.get("Error"), str):
                raise failed(self.name, said)
            kind, told = _generation(message, id_)
            match kind:
                case "Progress" if isinstance(fraction := told.get("progress"), int | float):
                    furthest = max(furthest, min(1.0, float(fraction)))
                    run.progress(Progress(furthest))
                case "Result":
                    return str(told.get("relpath", ""))
                case "Error" if told.get("error") == "Aborted":
                    raise interrupted(self.name)
                case "Error":
                    raise failed(self.name, str(told.get("error", "")))
                case _:
                    pass

    async def _keep(self, path: str, run: Run) -> None:
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise self._strange()
        try:
            data = await self._http.whole("GET", "/files/" + quote(path))
        except UpstreamRejected as error:
            raise UpstreamBroken(f"The engine `{self.name}` does not give out what it made: {error.message}") from None
        if not data.startswith(b"RIFF"):
            raise UpstreamInvalid(f"The engine `{self.name}` gave something that is no WAV file.")
        await run.save(data, mime="audio/wav", name=parts[-1])

    def _strange(self) -> UpstreamInvalid:
        return UpstreamInvalid(f"What answers as the engine `{self.name}` is no MusicGPT.")


def _ids(handle: str) -> dict[str, str]:
    return {"id": handle, "chat_id": str(uuid5(UUID(handle), "chat"))}


def _generation(message: Message, id_: str) -> tuple[str, Message]:
    """What a message says of this generation: its kind and content; an empty kind is nothing."""
    told = message.get("Generation")
    if isinstance(told, dict):
        for kind, content in cast("dict[str, Any]", told).items():
            if isinstance(content, dict) and cast("Message", content).get("id") == id_:
                return kind, cast("Message", content)
    return "", {}
