"""Shap-E in a process of its own: the gate has neither PyTorch nor Shap-E, the interpreter of its table does."""

from __future__ import annotations

import asyncio
import io
import math
import random
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from aldgate.core.errors import InvalidRequest, ModelNotFound, NotSupported, UpstreamInvalid
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.asking import input_of, number, one_of, prompt_of, take_only
from aldgate.engines.library.engine import ChildEngine, ChildSection
from aldgate.engines.section import AtLeastOne, Surroundings, decode_section
from aldgate.making import Run

WORK = Path(__file__).with_name("work.py")
OPERATIONS: frozenset[Operation] = frozenset({"mesh"})
MODELS = {"text300M": False, "image300M": True}
"""Each model, and whether it begins with a picture."""
FORMATS = {"glb": "model/gltf-binary", "obj": "model/obj", "ply": "model/ply"}
MOST_SEED = 2**32 - 1
MOST_COUNT = 8
_DONE = 0.95
"""The share of the work that is sampling; what is left is decoding."""


class ShapESection(ChildSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of Shap-E may have."""

    steps: AtLeastOne = 64
    """Steps of sampling where a request names none."""


class ShapE(ChildEngine):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        surroundings: Its data directory.
    """

    kind = "shap-e"
    operations = OPERATIONS

    def __init__(self, name: str, section: ShapESection, surroundings: Surroundings) -> None:
        super().__init__(name, section, surroundings, WORK, {})
        self._section = section

    async def state(self) -> EngineState:
        """See `Engine`. Its process is not started for it."""
        await self._check_python()
        is_loaded = self._child.is_running
        models = (EngineModel(name=model, operations=OPERATIONS, is_loaded=is_loaded) for model in MODELS)
        return EngineState(models=tuple(models), is_busy=self._turn.locked())

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        wanted = self._checked(asked)
        inputs = [input_of(asked, "image").data] if asked.inputs else []
        seed = random.randrange(MOST_SEED) if asked.seed is None else asked.seed
        steps = asked.steps or self._section.steps
        work = {"prompt": asked.prompt, "count": asked.count, "seed": seed, "steps": steps, "guidance": asked.guidance}
        details: Mapping[str, Any] = {}
        async with aclosing(self._working(work, run, inputs)) as told:
            async for said in told:
                if said.event == "file":
                    await self._keep(said.data, wanted, Path(said.name).stem, seed, run)
                elif said.event == "done":
                    details = said.result
                else:
                    fraction = _DONE * said.step / said.steps if said.step is not None and said.steps else None
                    run.progress(Progress(fraction, said.step, said.steps, said.message))
        run.progress(Progress(fraction=1.0))
        return Generated(seed=seed, details=details)

    def _checked(self, asked: Generation) -> str:
        take_only(asked, ("prompt", "count", "seed", "steps", "guidance", "format"), roles=("image",))
        if asked.options:
            raise InvalidRequest("This engine has no options of its own.", param="options")
        if asked.model and asked.model not in MODELS:
            raise ModelNotFound(f"The engine `{self.name}` has no model `{asked.model[:100]}`.", param="model")
        if asked.model and MODELS[asked.model] is not bool(asked.inputs):
            raise InvalidRequest("`text300M` begins with a prompt, `image300M` with a picture.", param="model")
        if not asked.inputs:
            prompt_of(asked)
        number(asked.count, "count", 1, MOST_COUNT)
        number(asked.seed, "seed", 0, MOST_SEED)
        number(asked.steps, "steps", 1, 1_000)
        number(asked.guidance, "guidance", 0.0, 100.0)
        return one_of(asked.format, "format", FORMATS) or "glb"

    async def _keep(self, ply: bytes, wanted: str, stem: str, seed: int, run: Run) -> None:
        data = ply if wanted == "ply" else await asyncio.to_thread(_converted, self.name, ply, wanted)
        await run.save(data, mime=FORMATS[wanted], name=f"{stem}.{wanted}", facts={"seed": seed})


def _converted(name: str, ply: bytes, wanted: str) -> bytes:
    """The mesh in another format. Up is z in Shap-E, and y in glTF and by custom in OBJ."""
    try:
        import trimesh  # what makes no meshes need not have it
    except ImportError:
        raise NotSupported("Meshes need trimesh: install `aldgate[media]`.") from None
    library: Any = trimesh
    try:
        mesh = library.load(io.BytesIO(ply), file_type="ply")
        mesh.apply_transform(library.transformations.rotation_matrix(-math.pi / 2, (1, 0, 0)))
        exported = mesh.export(file_type=wanted)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise UpstreamInvalid(f"The engine `{name}` gave a mesh that cannot be read: {error}") from None
    return exported.encode() if isinstance(exported, str) else exported


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> ShapE:
    """Shap-E; see `section.Build`."""
    return ShapE(name, decode_section(name, table, ShapESection), surroundings)
