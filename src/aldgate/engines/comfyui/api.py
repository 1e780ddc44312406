"""The calls to ComfyUI's server, typed: https://docs.comfy.org/development/comfyui-server/comms_routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar, cast

import msgspec

from aldgate.core.errors import UpstreamBroken, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import Input
from aldgate.engines.comfyui.inference import Graph
from aldgate.engines.comfyui.replies import File, PromptReply
from aldgate.engines.http import EngineHttp

MIB = 1024 * 1024
MOST_PICTURE_BYTES = 256 * MIB

T = TypeVar("T")


class Device(msgspec.Struct, frozen=True):
    """A device by ComfyUI's word; sizes in bytes."""

    type: str = ""
    vram_total: int = 0
    vram_free: int = 0
    torch_vram_total: int = 0


class System(msgspec.Struct, frozen=True):
    """Of what `/system_stats` says of the program."""

    comfyui_version: str = ""


class Stats(msgspec.Struct, frozen=True):
    """`/system_stats`."""

    system: System
    devices: list[Device] = []


class Queue(msgspec.Struct, frozen=True):
    """`/queue`; an item is `[number, prompt id, graph, ...]`, and later versions append to it."""

    queue_running: list[list[Any]] = []
    queue_pending: list[list[Any]] = []

    def running(self, prompt_id: str) -> Graph | None:
        """The graph of a prompt that runs."""
        return _graph_in(self.queue_running, prompt_id)

    def pending(self, prompt_id: str) -> Graph | None:
        """The graph of a prompt that waits."""
        return _graph_in(self.queue_pending, prompt_id)

    def before(self, prompt_id: str) -> int:
        """How many are done before a prompt that waits."""
        mine = next((item[0] for item in self.queue_pending if item[1:2] == [prompt_id]), 0)
        return len(self.queue_running) + sum(1 for item in self.queue_pending if item and item[0] < mine)


class Uploaded(msgspec.Struct, frozen=True):
    """Where an upload lies."""

    name: str
    subfolder: str = ""


class Comfy:
    """A ComfyUI server.

    Args:
        http: Its address. No `Origin` is ever sent: the server refuses foreign ones.
    """

    def __init__(self, http: EngineHttp) -> None:
        self.http = http

    async def stats(self) -> Stats:
        """How it is and what memory it has; answers while it works."""
        return self._read(await self.http.json("GET", "/system_stats"), Stats)

    async def remaining(self) -> int:
        """Prompts that run or wait."""
        reply = self._read(await self.http.json("GET", "/prompt"), dict[str, dict[str, Any]])
        return int(reply.get("exec_info", {}).get("queue_remaining", 0))

    async def checkpoints(self) -> list[str]:
        """File names of the checkpoints it has; none of an old version without this call."""
        try:
            return self._read(await self.http.json("GET", "/models/checkpoints"), list[str])
        except UpstreamRejected:
            return []

    async def upload(self, image: Input, name: str) -> str:
        """Put a picture among its inputs; what `LoadImage` is to be told."""
        from aiohttp import FormData

        form = FormData()
        form.add_field("image", image.data, filename=name, content_type=image.mime)
        form.add_field("type", "input")
        form.add_field("overwrite", "true")
        lies = self._read(await self.http.json("POST", "/upload/image", data=form), Uploaded)
        return f"{lies.subfolder}/{lies.name}" if lies.subfolder else lies.name

    async def prompt(self, prompt_id: str, graph: Graph) -> PromptReply:
        """Put a prompt in its queue; the reply says whether it took it. Its events go to the socket with the same id."""
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": prompt_id}
        return self._read(await self.http.json("POST", "/prompt", json=body, expect={200, 400}), PromptReply)

    async def queue(self) -> Queue:
        """What runs and what waits."""
        return self._read(await self.http.json("GET", "/queue"), Queue)

    async def entry(self, prompt_id: str) -> dict[str, Any] | None:
        """The history of a prompt; None while it waits or runs, and of one that it does not know."""
        found = self._read(await self.http.json("GET", f"/history/{prompt_id}"), dict[str, dict[str, Any]])
        return found.get(prompt_id)

    async def drop(self, prompt_id: str) -> None:
        """Take a prompt out of the queue; one that runs, runs on."""
        await self.http.json("POST", "/queue", json={"delete": [prompt_id]})

    async def interrupt(self, prompt_id: str) -> None:
        """Stop the running prompt at its next step. Versions before 0.3.57 stop whatever runs, so look first whose it is."""
        await self.http.json("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def free(self) -> None:
        """Have it unload its models; it does so when it next has time."""
        await self.http.json("POST", "/free", json={"unload_models": True, "free_memory": True})

    async def picture(self, file: File) -> bytes:
        """The bytes of a picture."""
        try:
            return await self.http.whole("GET", "/view", params=_named(file), most_bytes=MOST_PICTURE_BYTES)
        except UpstreamRejected as error:
            raise self._gone(file) from error

    async def pieces(self, file: File) -> AsyncIterator[bytes]:
        """The bytes of a file, piece by piece."""
        try:
            async for piece in self.http.pieces("GET", "/view", params=_named(file)):
                yield piece
        except UpstreamRejected as error:
            raise self._gone(file) from error

    def _gone(self, file: File) -> UpstreamBroken:
        return UpstreamBroken(f"The engine `{self.http.name}` made `{file.filename}` and has it no longer.")

    def _read(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.http.name}` does not answer as ComfyUI does: {error}") from None


def _named(file: File) -> dict[str, str]:
    return {"filename": file.filename, "subfolder": file.subfolder, "type": file.type}


def _graph_in(items: list[list[Any]], prompt_id: str) -> Graph | None:
    item = next((item for item in items if item[1:2] == [prompt_id]), None)
    if item is None:
        return None
    return cast("Graph", item[2]) if len(item) > 2 and isinstance(item[2], dict) else {}
