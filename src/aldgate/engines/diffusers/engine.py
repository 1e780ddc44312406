"""The engine that runs Diffusers in its own process: started on first need, ended with the worker or by whoever takes over."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamBroken, UpstreamInvalid, UpstreamUnreachable
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.child import end, environment_for, identity_of, spawn
from aldgate.engines.endings import failed, within
from aldgate.engines.pictures import check_format, save_picture
from aldgate.engines.section import EngineSection, Seconds, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MOST_SEED = 2**32 - 1
CHILD = Path(__file__).with_name("child.py")
STEPS = 25


class DiffusersSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `diffusers`. `models` are Hugging Face ids, or paths of folders and `.safetensors` files."""

    python: str = ""
    """Interpreter that has torch and diffusers; empty: the gate's own."""
    env: dict[str, str] = {}
    """Added to the little of the gate's environment that it sees, such as `HF_HOME`."""
    torch_device: str = ""
    """As PyTorch says it, `cuda:1`; empty takes the first GPU, else the CPU."""
    precision: Literal["float16", "bfloat16", "float32"] = "float16"
    """Of the weights; on a CPU always `float32`."""
    offload: bool = False
    """Keep parts of the model in main memory while they are not used."""
    offline: bool = True
    """Use only what has been downloaded; `false` lets it download on first use."""
    stop_s: Seconds = 15.0
    """Seconds that it is given to stop at its next step, and each signal after that."""


class Answer(msgspec.Struct, frozen=True):
    """A line of the child's."""

    event: str
    id: str = ""
    step: int = 0
    steps: int = 0
    files: list[str] = []
    flagged: bool = False
    kind: str = ""
    message: str = ""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> DiffusersEngine:
    """An engine of kind `diffusers`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, DiffusersSection)
    if not section.models:
        raise ConfigError(f"[engines.{name}] has no models", hint='name them: `models = ["stabilityai/sdxl-turbo"]`')
    return DiffusersEngine(name, section, surroundings)


class DiffusersEngine:
    """Diffusers on this machine. The handle of an attempt is its process and its reference.

    Args:
        name: As configured.
        section: Its table.
        surroundings: Its files lie under the data directory while it works.
    """

    kind = "diffusers"
    operations: frozenset[Operation] = frozenset({"image"})
    recovery: Recovery = "kill"

    def __init__(self, name: str, section: DiffusersSection, surroundings: Surroundings) -> None:
        self.name = name
        self._section = section
        self._environment = environment_for(surroundings.environment, section.env)
        self._data = surroundings.data / "engines" / name
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._identity = ""
        self._loaded = ""
        self._under_way = ""

    async def state(self) -> EngineState:
        """Its configured models, and which is loaded."""
        python = self._section.python or sys.executable
        if await asyncio.to_thread(shutil.which, python, path=self._environment.get("PATH")) is None:
            raise UpstreamUnreachable(f"The engine `{self.name}` has no Python at `{python}`.")
        names = self._section.models or []
        models = tuple(EngineModel(name=name, operations=self.operations, is_loaded=name == self._loaded) for name in names)
        return EngineState(models=models, is_busy=bool(self._under_way))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Give the child an order and wait. See `Engine.generate`."""
        check_format(asked.format)
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        order = self._order(asked, seed, run.reference)
        folder = self._data / run.reference
        try:
            async with self._turn, within(self.name, self._section.run_timeout_s):
                await asyncio.to_thread(_prepare, folder, order, asked)
                child = await self._started()
                await run.submitting(f"{self._identity}#{run.reference}")
                self._under_way = run.reference
                done = await self._done(child, order, run)
                self._under_way, self._loaded = "", order["model"]
                if not done.files:
                    raise UpstreamInvalid(f"The engine `{self.name}` finished without a picture.")
                for number, name in enumerate(done.files):
                    data = await asyncio.to_thread((folder / Path(name).name).read_bytes)
                    await save_picture(
                        run,
                        data,
                        name=Path(name).stem,
                        asked=asked.format,
                        quality=asked.hints.get("output_compression"),
                        facts={"seed": seed + number},
                    )
                run.progress(Progress(fraction=1.0))
                return Generated(seed=seed, details={"model": order["model"], "flagged": done.flagged})
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Nothing is collected from a process of another worker's: it is ended."""
        return None

    async def stop(self, handle: str) -> None:
        """Cancel at the next step; where the process is another's, or does not heed, end it."""
        identity, _, reference = handle.partition("#")
        if identity != self._identity or self._child is None:
            await end(self.name, identity, patience_s=self._section.stop_s)
        elif self._under_way == reference:
            await self._cancel(self._child, reference)

    async def unload(self, model: str = "") -> None:
        """Have it give its model back; the process stays."""
        async with self._turn:
            if self._child is None or self._child.returncode is not None:
                return
            async with within(self.name, self._section.request_timeout_s, "To unload"):
                await self._say(self._child, {"do": "unload", "id": "unload"})
                await self._ended(self._child, "unload")
            self._loaded = ""

    async def aclose(self) -> None:
        """End its process."""
        if self._child is not None:
            await self._end_child(self._child)

    def _order(self, asked: Generation, seed: int, reference: str) -> dict[str, Any]:
        models = self._section.models or []
        model = asked.model or models[0]
        if model not in models:
            raise ModelNotFound(f"The engine `{self.name}` has no model `{model}`.", param="model")
        for name in ("lyrics", "duration_s", "voice", "speed", "language"):
            if getattr(asked, name) not in (None, ""):
                raise InvalidRequest(f"Pictures have no `{name}`.", param=name)
        if asked.options:
            raise InvalidRequest("It has no further options.", param=next(iter(asked.options)))
        if len(asked.inputs) > 1 or any(given.role != "image" for given in asked.inputs):
            raise InvalidRequest("It takes one input `image`.", param="image")
        if asked.strength is not None and not asked.inputs:
            raise InvalidRequest("`strength` is of the picture to begin with, and there is none.", param="strength")
        given = {"negative_prompt": asked.negative_prompt or None, "guidance_scale": asked.guidance, "strength": asked.strength}
        given |= {"width": asked.width, "height": asked.height} if not asked.inputs else {}
        arguments = {"prompt": asked.prompt, "num_inference_steps": asked.steps or STEPS, "num_images_per_prompt": asked.count}
        section = self._section
        return {
            "do": "generate",
            "id": reference,
            "model": model,
            "source": model,
            "torch_device": section.torch_device,
            "precision": section.precision,
            "offload": section.offload,
            "offline": section.offline,
            "seed": seed,
            "arguments": arguments | {name: value for name, value in given.items() if value is not None},
        }

    async def _started(self) -> asyncio.subprocess.Process:
        if self._under_way and self._child is not None:
            await self._end_child(self._child)  # what was not stopped is still in it
        if self._child is None or self._child.returncode is not None:
            command = [self._section.python or sys.executable, str(CHILD)]
            self._child = await spawn(
                self.name, command, folder="", environment=self._environment, stderr=asyncio.subprocess.DEVNULL
            )
            self._identity, self._loaded, self._under_way = identity_of(self._child.pid), "", ""
            await self._say(self._child, None)
        return self._child

    async def _done(self, child: asyncio.subprocess.Process, order: dict[str, Any], run: Run) -> Answer:
        await self._say(child, order)
        most, count = 0.0, order["arguments"]["num_inference_steps"]
        while True:
            answer = await self._answer(child, order["id"])
            if answer.event == "progress":
                most = max(most, min(answer.step / count, 1.0))
                run.progress(Progress(most, answer.step, count))
            elif answer.event == "error":
                self._under_way = ""
                raise failed(self.name, answer.message, kind=answer.kind)
            elif answer.event == "done":
                return answer

    async def _cancel(self, child: asyncio.subprocess.Process, reference: str) -> None:
        try:
            async with asyncio.timeout(self._section.stop_s):
                await self._say(child, {"do": "cancel", "id": reference})
                await self._ended(child, reference)
                self._under_way = ""
        except (TimeoutError, UpstreamBroken, UpstreamInvalid):
            await self._end_child(child)

    async def _ended(self, child: asyncio.subprocess.Process, order_id: str) -> None:
        while (await self._answer(child, order_id)).event == "progress":
            continue

    async def _end_child(self, child: asyncio.subprocess.Process) -> None:
        await end(self.name, self._identity, patience_s=self._section.stop_s)
        await child.wait()
        if child.stdin is not None:
            child.stdin.close()
        self._child, self._loaded, self._under_way = None, "", ""

    async def _say(self, child: asyncio.subprocess.Process, order: dict[str, Any] | None) -> None:
        assert child.stdin is not None, "it is a pipe"
        try:
            child.stdin.write(b"go\n" if order is None else msgspec.json.encode(order) + b"\n")
            await child.stdin.drain()
        except ConnectionError:
            raise UpstreamBroken(f"The process of the engine `{self.name}` has ended.") from None

    async def _answer(self, child: asyncio.subprocess.Process, order_id: str) -> Answer:
        assert child.stdout is not None, "it is a pipe"
        while True:
            line = await child.stdout.readline()
            if not line:
                raise UpstreamBroken(f"The process of the engine `{self.name}` ended while it worked.")
            try:
                answer = msgspec.json.decode(line, type=Answer)
            except msgspec.MsgspecError:
                raise UpstreamInvalid(f"The process of the engine `{self.name}` does not speak its language.") from None
            if answer.id == order_id:
                return answer


def _prepare(folder: Path, order: dict[str, Any], asked: Generation) -> None:
    folder.mkdir(parents=True)
    order["folder"] = str(folder)
    for given in asked.inputs:
        path = folder / f"input.{given.mime.rpartition('/')[2]}"
        path.write_bytes(given.data)
        order["image"] = str(path)
