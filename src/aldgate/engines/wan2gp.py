"""The engine for Wan2GP: one run of its command line per job, https://github.com/deepbeepmeep/Wan2GP `docs/CLI.md`.

It has no API over HTTP. A process per job loads the model each time, and gives all of the memory back when it ends.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamInvalid, UpstreamUnreachable
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.child import end, environment_for, identity_of, interrupt, spawn
from aldgate.engines.endings import failed, interrupted, within
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.section import EngineSection, Seconds, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MOST_SEED = 2**31 - 1
PIECE = 256 * 1024
TAIL = 2_000
_TASK = re.compile(r"\[Task (\d+)/(\d+)\]")
_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]\s*(.*)$")
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "force_fps": (str, int),
    "flow_shift": (int, float),
    "embedded_guidance_scale": (int, float),
    "sample_solver": str,
    "activated_loras": list,
    "loras_multipliers": str,
    "video_prompt_type": str,
}
_INTERRUPTED = (130, -2)


class Wan2GPSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `wan2gp`. `models` are the `model_type`s that may be asked for."""

    command: list[str] = msgspec.field(default_factory=lambda: ["python", "wgp.py"])
    """How its program is started; `--process` and the rest are added. Flags such as `--profile 4` belong here."""
    working_dir: str = ""
    """The folder of Wan2GP."""
    env: dict[str, str] = {}
    """Added to the little of the gate's environment that it sees."""
    settings: dict[str, Any] = {}
    """Settings of every task, as "Export Settings" writes them; what is asked for goes over them."""
    stop_s: Seconds = 15.0
    """Seconds that each signal to stop is given before the next."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> Wan2GPEngine:
    """An engine of kind `wan2gp`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, Wan2GPSection)
    if not section.models:
        raise ConfigError(f"[engines.{name}] has no models", hint='name the model types it may use: `models = ["t2v_1.3B"]`')
    if not section.command:
        raise ConfigError(f"[engines.{name}] has an empty command", hint="leave it out, or name a program")
    return Wan2GPEngine(name, section, surroundings)


class Wan2GPEngine:
    """Wan2GP on this machine. The handle of an attempt names its process.

    Args:
        name: As configured.
        section: Its table.
        surroundings: Its files lie under the data directory while it works.
    """

    kind = "wan2gp"
    operations: frozenset[Operation] = frozenset({"video"})
    recovery: Recovery = "kill"

    def __init__(self, name: str, section: Wan2GPSection, surroundings: Surroundings) -> None:
        self.name = name
        self._section = section
        self._environment = environment_for(surroundings.environment, section.env)
        self._data = surroundings.data / "engines" / name
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def state(self) -> EngineState:
        """Its configured models, if its program is there."""
        program, folder = self._section.command[0], self._section.working_dir or "."
        if not await asyncio.to_thread(_is_there, program, folder, self._environment.get("PATH")):
            raise UpstreamUnreachable(f"The engine `{self.name}` is not installed: there is no `{program}` for `{folder}`.")
        models = self._section.models or []
        return EngineState(
            models=tuple(EngineModel(name=model, operations=self.operations) for model in models), is_busy=bool(self._running)
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Run its program once. See `Engine.generate`."""
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        settings = self._settings(asked, seed)
        folder = self._data / run.reference
        try:
            async with within(self.name, self._section.run_timeout_s):
                await asyncio.to_thread(_prepare, folder, settings, asked)
                said = await self._run(folder, run)
                files = sorted(
                    path for path in (folder / "out").iterdir() if mime_of_name(path.name).startswith(("video/", "image/"))
                )
                if not files:
                    raise UpstreamInvalid(f"The engine `{self.name}` finished without a file: {said[-300:]}")
                for path in files:
                    await run.save(_pieces(path), mime=mime_of_name(path.name), name=path.name, facts={"seed": seed})
                run.progress(Progress(fraction=1.0))
                return Generated(seed=seed, details={"model": settings["model_type"]})
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Nothing is collected from a process of another worker's: it is ended."""
        return None

    async def stop(self, handle: str) -> None:
        """End its process; at first as by Ctrl-C, so that it can tidy up."""
        await end(self.name, handle, patience_s=self._section.stop_s)
        if (process := self._running.pop(handle, None)) is not None:
            await process.wait()

    async def unload(self, model: str = "") -> None:
        """Nothing to do: between jobs it holds nothing."""

    async def aclose(self) -> None:
        """End what runs."""
        for handle in list(self._running):
            await self.stop(handle)

    def _settings(self, asked: Generation, seed: int) -> dict[str, Any]:
        models = self._section.models or []
        model = asked.model or models[0]
        if model not in models:
            raise ModelNotFound(f"The engine `{self.name}` has no model `{model}`.", param="model")
        if asked.format not in (None, "mp4"):
            raise InvalidRequest("It makes `mp4`.", param="format")
        if asked.strength is not None or asked.lyrics or asked.voice:
            raise InvalidRequest("It takes no `strength`, `lyrics` or `voice`.", param="strength")
        if len(asked.inputs) > 2 or any(given.role != "image" for given in asked.inputs):
            raise InvalidRequest("It takes an input `image` to begin with, and one to end with.", param="image")
        if (asked.width is None) != (asked.height is None):
            raise InvalidRequest("It wants both `width` and `height`, or neither.", param="width")
        settings = {**self._section.settings, "model_type": model, "prompt": asked.prompt, "seed": seed}
        settings |= {"repeat_generation": asked.count, **_options(asked.options)}
        if asked.width is not None:
            settings["resolution"] = f"{asked.width}x{asked.height}"
        if asked.duration_s is not None:
            settings["video_length"] = f"{asked.duration_s:g}s"
        named = {"negative_prompt": asked.negative_prompt, "num_inference_steps": asked.steps, "guidance_scale": asked.guidance}
        return settings | {name: value for name, value in named.items() if value not in (None, "")}

    async def _run(self, folder: Path, run: Run) -> str:
        """The last of what it said."""
        given = ["--process", str(folder / "settings.json"), "--output-dir", str(folder / "out"), "--verbose", "1"]
        command = [*self._section.command, *given]
        working_dir = self._section.working_dir
        process = await spawn(
            self.name, command, folder=working_dir, environment=self._environment, stderr=asyncio.subprocess.STDOUT
        )
        handle = identity_of(process.pid)
        self._running[handle] = process
        try:
            await run.submitting(handle)
            assert process.stdin is not None and process.stdout is not None, "both are pipes"
            process.stdin.write(b"go\n")
            said = await self._heard(process.stdout, run)
            code = await process.wait()
        except BaseException:
            interrupt(process.pid)  # whoever cancelled this calls `stop`, which sees to its end
            raise
        self._running.pop(handle, None)
        if code in _INTERRUPTED:
            raise interrupted(self.name)
        if code != 0:
            raise failed(self.name, said)
        return said

    async def _heard(self, stdout: asyncio.StreamReader, run: Run) -> str:
        told, tail, rest = _Told(), "", ""
        while piece := await stdout.read(PIECE):
            text = piece.decode(errors="replace")
            tail = (tail + text)[-TAIL:]
            *lines, rest = re.split(r"[\r\n]", rest + text)
            for line in lines:
                if (progress := told.line(line)) is not None:
                    run.progress(progress)
            rest = rest[-TAIL:]
        return tail


class _Told:
    """How far it is, by what it prints."""

    def __init__(self) -> None:
        self._task, self._tasks, self._most = 1, 1, 0.0

    def line(self, line: str) -> Progress | None:
        if (task := _TASK.search(line)) is not None:
            self._task, self._tasks = int(task[1]), max(int(task[2]), 1)
            return None
        if (step := _STEP.match(line)) is None or int(step[2]) == 0:
            return None
        done, steps = int(step[1]), int(step[2])
        self._most = max(self._most, min((self._task - 1 + done / steps) / self._tasks, 1.0))
        return Progress(self._most, done, steps, step[3].strip())


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if name not in _OPTIONS or not isinstance(value, _OPTIONS[name]):
            raise InvalidRequest(f"There is no such option `{name}`; there are {', '.join(sorted(_OPTIONS))}.", param=name)
    return dict(options)


def _is_there(program: str, folder: str, path: str | None) -> bool:
    return Path(folder).is_dir() and shutil.which(program, path=path) is not None


def _prepare(folder: Path, settings: dict[str, Any], asked: Generation) -> None:
    (folder / "out").mkdir(parents=True)
    for number, given in enumerate(asked.inputs):
        path = folder / f"input-{number}.{given.mime.rpartition('/')[2]}"
        path.write_bytes(given.data)
        settings["image_start" if number == 0 else "image_end"] = str(path)
    if asked.inputs:
        settings["image_prompt_type"] = "S" if len(asked.inputs) == 1 else "SE"
    (folder / "settings.json").write_bytes(msgspec.json.encode(settings))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
