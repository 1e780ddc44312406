"""The ComfyUI engine: fills a workflow, puts it in the queue, watches it, fetches what it made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import PurePosixPath
from typing import Any

from aldgate.core.errors import UpstreamBroken, UpstreamError, UpstreamInvalid
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.beside import beside
from aldgate.engines.comfyui.api import MIB, Comfy, Stats
from aldgate.engines.comfyui.asking import checkpoint_for, named_pictures, values_for, workflow_for
from aldgate.engines.comfyui.events import FIRST_WORDS, Tracker
from aldgate.engines.comfyui.inference import Graph
from aldgate.engines.comfyui.replies import File, ending, files_of, refusal
from aldgate.engines.comfyui.section import SHIPPED, ComfySection, workflows_of
from aldgate.engines.comfyui.workflow import Workflow
from aldgate.engines.endings import within
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.pictures import check_format, save_picture, size_of
from aldgate.engines.polling import until_over
from aldgate.engines.section import Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

UNLOADED_MIB = 64
"""What PyTorch may still hold when all models are gone."""
LARGEST_SIDE = 2048
HEARTBEAT_S = 30.0


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> ComfyEngine:
    """An engine of kind `comfyui`; its folder of workflows is read.

    Raises:
        ConfigError: A key, a value or a workflow cannot be used.
    """
    section = decode_section(name, table, ComfySection)
    comfy = Comfy(reach(name, section, surroundings, usual="http://127.0.0.1:8188"))
    return ComfyEngine(name, section, comfy, workflows_of(name, section))


class ComfyEngine:
    """A ComfyUI server. The handle of an attempt is its prompt id, which is ours to choose, so that it can be found again.

    Args:
        name: As configured.
        section: Its table.
        comfy: Its server.
        workflows: By name, the likeliest first.
    """

    kind = "comfyui"
    recovery: Recovery = "adopt"

    def __init__(self, name: str, section: ComfySection, comfy: Comfy, workflows: Mapping[str, Workflow]) -> None:
        self.name = name
        self.operations: frozenset[Operation] = frozenset(workflow.operation for workflow in workflows.values())
        self._section = section
        self._comfy = comfy
        self._workflows = workflows

    async def state(self) -> EngineState:
        """Version, memory, workflows and checkpoints."""
        stats, remaining = await self._comfy.stats(), await self._comfy.remaining()
        allowed = self._section.models
        models = [EngineModel(name=each.name, operations=frozenset({each.operation})) for each in self._workflows.values()]
        models += [EngineModel(name=name, operations=frozenset({"image"})) for name in await self._comfy.checkpoints()]
        device = stats.devices[0] if stats.devices else None
        return EngineState(
            models=tuple(model for model in models if allowed is None or model.name in allowed),
            version=stats.system.comfyui_version,
            is_busy=remaining > 0,
            free_mb=device.vram_free // MIB if device else None,
            total_mb=device.vram_total // MIB if device else None,
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Run a workflow. See `Engine.generate`."""
        workflow, checkpoint = workflow_for(asked, self._workflows, self._section.models)
        check_format(asked.format if workflow.operation == "image" else None)
        values = values_for(asked, workflow, seed_of(asked, run.reference))
        values |= await self._checkpoint(workflow, checkpoint, values)
        values |= await self._size(asked, workflow, values)
        async with within(self.name, self._section.run_timeout_s):
            await run.submitting(run.reference)
            for number, (name, picture) in enumerate(named_pictures(asked)):
                values[name] = await self._comfy.upload(
                    picture, f"aldgate-{run.reference}-{number}.{picture.mime.rpartition('/')[2]}"
                )
            graph = workflow.filled(values, run.reference[:8])
            tracker = Tracker(run.reference, graph)
            async with self._listening(tracker, run) as woken:
                await self._begin(run.reference, graph)
                entry = await self._ended(run, woken)
            if entry is None:
                raise UpstreamBroken(
                    f"The engine `{self.name}` has forgotten the work; it was restarted, or its history cleared."
                )
            return await self._collected(entry, asked, workflow, run)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Find the prompt in the queue or the history. See `Engine.adopt`."""
        workflow, _ = workflow_for(asked, self._workflows, None)
        async with within(self.name, self._section.run_timeout_s):
            queue = await self._comfy.queue()
            graph = queue.running(handle) or queue.pending(handle)
            async with self._listening(Tracker(handle, graph or {}), run) as woken:
                entry = await self._ended(run, woken)
            return None if entry is None else await self._collected(entry, asked, workflow, run)

    async def stop(self, handle: str) -> None:
        """Take the prompt out of the queue; if it runs, and only then, interrupt."""
        async with within(self.name, self._section.request_timeout_s, "To stop"):
            await self._comfy.drop(handle)
            has_asked = False
            while True:
                queue = await self._comfy.queue()
                is_running = queue.running(handle) is not None
                if not is_running and queue.pending(handle) is None:
                    return
                if is_running and not has_asked:
                    await self._comfy.interrupt(handle)
                    has_asked = True
                await asyncio.sleep(self._section.poll_s / 10)

    async def unload(self, model: str = "") -> None:
        """Have it unload all models, and see its memory come back."""
        before = await self._comfy.stats()
        await self._comfy.free()
        async with within(self.name, self._section.request_timeout_s, "To unload"):
            while True:
                if _is_unloaded(before, await self._comfy.stats()):
                    return
                await asyncio.sleep(self._section.poll_s / 10)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._comfy.http.aclose()

    async def _checkpoint(self, workflow: Workflow, wanted: str, values: Mapping[str, Any]) -> dict[str, str]:
        if "checkpoint" in values or (not wanted and workflow.name not in SHIPPED):
            return {}
        known = await self._comfy.checkpoints()
        return {"checkpoint": checkpoint_for(wanted or self._section.checkpoint, known, self.name)}

    async def _size(self, asked: Generation, workflow: Workflow, values: Mapping[str, Any]) -> dict[str, int]:
        """Of the shipped image-to-image workflow: as large as the picture it begins with."""
        if not (workflow.name in SHIPPED and workflow.needs_image) or "width" in values or "height" in values:
            return {}
        width, height = await size_of(next(given.data for given in asked.inputs if given.role == "image"))
        scale = min(1.0, LARGEST_SIDE / max(width, height))
        return {"width": max(int(width * scale) // 8 * 8, 16), "height": max(int(height * scale) // 8 * 8, 16)}

    async def _begin(self, prompt_id: str, graph: Graph) -> None:
        reply = await self._comfy.prompt(prompt_id, graph)
        if (error := refusal(self.name, reply)) is not None:
            if reply.prompt_id:
                await self.stop(reply.prompt_id)  # it has dropped what is wrong and would make the rest
            raise error
        if reply.prompt_id != prompt_id:
            if reply.prompt_id:
                await self.stop(reply.prompt_id)
            raise UpstreamInvalid(f"The engine `{self.name}` knows the work by another id than it was given; it is too old.")

    @asynccontextmanager
    async def _listening(self, tracker: Tracker, run: Run) -> AsyncGenerator[asyncio.Event]:
        """While the body runs, progress is told; the event is set whenever it may be worth to look at the history."""
        woken, connected = asyncio.Event(), asyncio.Event()
        async with beside(self._listen(tracker, run, woken, connected)):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._section.request_timeout_s):
                    await connected.wait()
            yield woken

    async def _listen(self, tracker: Tracker, run: Run, woken: asyncio.Event, connected: asyncio.Event) -> None:
        from aiohttp import WSMsgType

        while True:
            # Without a socket there is no progress, and the work goes on: the history is looked at all the same.
            with suppress(UpstreamError):
                query = {"clientId": tracker.prompt_id}
                async with self._comfy.http.socket("/ws", params=query, heartbeat=HEARTBEAT_S) as socket:
                    await socket.send_str(FIRST_WORDS)
                    connected.set()
                    async for message in socket:
                        told = tracker.binary(message.data) if message.type is WSMsgType.BINARY else tracker.text(message.data)
                        if told is not None:
                            run.progress(told)
                        if tracker.has_ended:
                            woken.set()
            connected.set()
            woken.set()
            await asyncio.sleep(self._section.poll_s)

    async def _ended(self, run: Run, woken: asyncio.Event) -> dict[str, Any] | None:
        """Wait until the prompt is in the history; None: it is nowhere."""
        poll_s, patience_s = self._section.poll_s, self._section.patience_s
        return await until_over(self.name, lambda: self._looked(run), woken, poll_s=poll_s, patience_s=patience_s)

    async def _looked(self, run: Run) -> tuple[bool, dict[str, Any] | None]:
        entry = await self._comfy.entry(run.reference)
        if entry is not None:
            return True, entry
        queue = await self._comfy.queue()
        if queue.pending(run.reference) is not None:
            run.progress(Progress(message=f"{queue.before(run.reference)} before it in the queue"))
            return False, None
        if queue.running(run.reference) is not None:
            return False, None
        return True, await self._comfy.entry(run.reference)  # it may have ended between the two looks

    async def _collected(self, entry: dict[str, Any], asked: Generation, workflow: Workflow, run: Run) -> Generated:
        if (error := ending(self.name, entry)) is not None:
            raise error
        seed = seed_of(asked, run.reference) if "seed" in workflow.inputs else None
        for file in files_of(self.name, entry, workflow.outputs):
            await self._save(file, asked, run, {} if seed is None else {"seed": seed})
        run.progress(Progress(fraction=1.0))
        return Generated(seed=seed, details={"workflow": workflow.name, "prompt_id": run.reference})

    async def _save(self, file: File, asked: Generation, run: Run, facts: Mapping[str, Any]) -> None:
        name = PurePosixPath(file.filename).name
        mime = mime_of_name(name)
        if not mime.startswith("image/"):
            return await run.save(self._comfy.pieces(file), mime=mime, name=name, facts=facts)
        data = await self._comfy.picture(file)
        wanted = asked.format if asked.operation == "image" else None
        keep = self._section.keep_metadata
        await save_picture(
            run,
            data,
            name=PurePosixPath(name).stem,
            asked=wanted,
            quality=asked.hints.get("output_compression"),
            keep_words=keep,
            facts=facts,
        )


def _is_unloaded(before: Stats, now: Stats) -> bool:
    if not before.devices or not now.devices or now.devices[0].type in ("cpu", "mps"):
        return True  # its memory is the machine's, whose figures say nothing of models
    was, is_now = before.devices[0], now.devices[0]
    return is_now.vram_free > was.vram_free or is_now.torch_vram_total <= UNLOADED_MIB * MIB
