"""Diffusers in a process of its own: the gate has neither PyTorch nor diffusers, the interpreter of its table does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamInvalid
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.asking import NO_KINDS, check_options, given, take_only
from aldgate.engines.library.engine import ChildEngine, ChildSection
from aldgate.engines.pictures import check_format, save_picture
from aldgate.engines.section import Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

WORK = Path(__file__).with_name("work.py")
MOST_SEED = 2**32 - 1
STEPS = 25
FIELDS = (
    "prompt", "negative_prompt", "count", "seed", "width", "height", "steps", "guidance", "strength", "format"
)  # fmt: skip


class DiffusersSection(ChildSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `diffusers`. `models` are Hugging Face ids, or paths of folders and `.safetensors` files."""

    python: str = ""
    """The interpreter that has torch and diffusers; empty: the gate's own."""
    precision: Literal["float16", "bfloat16", "float32"] = "float16"
    """Of the weights; on a CPU always `float32`."""
    offload: bool = False
    """Keep parts of the model in main memory while they are not used."""
    offline: bool = True
    """Use only what has been downloaded; `false` lets it download on first use."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> DiffusersEngine:
    """An engine of kind `diffusers`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, DiffusersSection)
    if not section.models:
        raise ConfigError(f"[engines.{name}] has no models", hint='name them: `models = ["stabilityai/sdxl-turbo"]`')
    return DiffusersEngine(name, section, section.models, surroundings)


class DiffusersEngine(ChildEngine):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        models: Those of its table.
        surroundings: Its data directory.
    """

    kind = "diffusers"
    operations: frozenset[Operation] = frozenset({"image"})

    def __init__(self, name: str, section: DiffusersSection, models: Sequence[str], surroundings: Surroundings) -> None:
        settings = {"precision": section.precision, "offload": section.offload, "offline": section.offline}
        super().__init__(name, section, surroundings, WORK, settings)
        self._models = models
        self._loaded = ""

    async def state(self) -> EngineState:
        """See `Engine`. Its process is not started for it."""
        await self._check_python()
        loaded = self._loaded if self._child.is_running else ""
        models = (EngineModel(name=name, operations=self.operations, is_loaded=name == loaded) for name in self._models)
        return EngineState(models=tuple(models), is_busy=self._turn.locked())

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        self._check(asked)
        seed = seed_of(asked, run.reference, most=MOST_SEED)
        model = asked.model or self._models[0]
        work = {"model": model, "seed": seed, "arguments": _arguments(asked)}
        details: Mapping[str, Any] = {}
        count, most = 0, 0.0
        async with aclosing(self._working(work, run, [each.data for each in asked.inputs])) as told:
            async for said in told:
                if said.event == "file":
                    name, facts = Path(said.name).stem, {"seed": seed + count}
                    quality = asked.hints.get("output_compression")
                    await save_picture(run, said.data, name=name, asked=asked.format, quality=quality, facts=facts)
                    count += 1
                elif said.event == "done":
                    details = said.result
                elif said.step is not None and said.steps:
                    self._loaded = model
                    most = max(most, min(said.step / said.steps, 1.0))
                    run.progress(Progress(most, said.step, said.steps))
                else:
                    self._loaded = ""
                    run.progress(Progress(message=said.message))
        if not count:
            raise UpstreamInvalid(f"The engine `{self.name}` finished without a picture.")
        run.progress(Progress(fraction=1.0))
        return Generated(seed=seed, details={"model": model, **details})

    def _check(self, asked: Generation) -> None:
        check_format(asked.format)
        if asked.model and asked.model not in self._models:
            raise ModelNotFound(f"The engine `{self.name}` has no model `{asked.model}`.", param="model")
        take_only(asked, FIELDS, roles=("image",))
        check_options(asked, NO_KINDS)
        if len(asked.inputs) > 1:
            raise InvalidRequest("It takes one input `image`.", param="image")
        if asked.strength is not None and not asked.inputs:
            raise InvalidRequest("`strength` is of the picture to begin with, and there is none.", param="strength")


def _arguments(asked: Generation) -> dict[str, Any]:
    """Those of a pipeline; of a picture to begin with, the new one has its size."""
    size = {} if asked.inputs else {"width": asked.width, "height": asked.height}
    return given(
        prompt=asked.prompt,
        num_inference_steps=asked.steps or STEPS,
        num_images_per_prompt=asked.count,
        negative_prompt=asked.negative_prompt or None,
        guidance_scale=asked.guidance,
        strength=asked.strength,
        **size,
    )
