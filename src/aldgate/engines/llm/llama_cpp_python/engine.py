"""llama-cpp-python in a process of its own: the gate has no such library, the interpreter of its table does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from aldgate.config.errors import ConfigError
from aldgate.core.errors import ModelNotFound
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.engines.asking import given
from aldgate.engines.library.engine import ChildEngine, ChildSection
from aldgate.engines.llm.writing import WRITES, Writing, messages_of, options_for
from aldgate.engines.section import AtLeastOne, Surroundings, decode_section
from aldgate.making import Run

WORK = Path(__file__).with_name("work.py")
ENDING = ".gguf"
MIB = 1024 * 1024
USUAL_MAX_TOKENS = 512
"""The library's own would be 16 for completions."""


class LlamaCppPythonSection(ChildSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of llama-cpp-python may have."""

    folder: str = ""
    """Where the GGUF files are; each is a model by its name without the ending."""
    n_ctx: AtLeastOne = 4_096
    """Tokens of context."""
    n_gpu_layers: int = -1
    """Layers that are put on the GPU; -1 is all."""


class LlamaCppPython(ChildEngine):
    """An `Engine`.

    Args:
        name: As configured.
        section: Its table.
        surroundings: Its data directory.
    """

    kind = "llama-cpp-python"
    operations = WRITES

    def __init__(self, name: str, section: LlamaCppPythonSection, surroundings: Surroundings) -> None:
        settings = {"n_ctx": section.n_ctx, "n_gpu_layers": section.n_gpu_layers}
        super().__init__(name, section, surroundings, WORK, settings)
        self._section = section
        self._loaded = ""

    async def state(self) -> EngineState:
        """See `Engine`. Its process is not started for it."""
        await self._check_python()
        loaded = self._loaded if self._child.is_running else ""
        models = (
            EngineModel(name=name, operations=WRITES, size_mb=file.stat().st_size // MIB, is_loaded=name == loaded)
            for name, file in (await asyncio.to_thread(self._files)).items()
        )
        return EngineState(models=tuple(models), is_busy=self._turn.locked())

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        options = options_for(asked)
        files = await asyncio.to_thread(self._files)
        model = asked.model or next(iter(files), "")
        if model not in files:
            raise ModelNotFound(f"The engine `{self.name}` has no model `{model[:100]}`.", param="model")
        schema = options.json_schema and {"type": "json_object", "schema": options.json_schema}
        is_chat = asked.operation == "chat" or schema is not None
        sampling = given(
            max_tokens=options.max_tokens or USUAL_MAX_TOKENS,
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k,
            min_p=options.min_p,
            stop=options.stop,
            seed=asked.seed,
            response_format=schema,
        )
        messages = messages_of(asked, options) if is_chat else []
        work = {"model": model, "file": str(files[model]), "prompt": asked.prompt, "messages": messages, "sampling": sampling}
        return await self._write(work, model, Writing(run, options.max_tokens), run)

    def _files(self) -> dict[str, Path]:
        """The models there are: nothing but what lies in the folder can be named."""
        found = sorted(Path(self._section.folder).glob(f"*{ENDING}"))
        return {file.name.removesuffix(ENDING): file for file in found if self._is_served(file)}

    def _is_served(self, file: Path) -> bool:
        served = self._section.models
        return file.is_file() and (served is None or file.name.removesuffix(ENDING) in served)

    async def _write(self, work: Mapping[str, Any], model: str, writing: Writing, run: Run) -> Generated:
        result: Mapping[str, Any] = {}
        async with aclosing(self._working(work, run)) as told:
            async for said in told:
                self._loaded = model
                writing.write(said.text)
                if said.message:
                    run.progress(Progress(message=said.message))
                result = said.result or result
        written, reason = result.get("completion_tokens"), result.get("finish_reason")
        return writing.done(read=None, written=written, reason=reason, facts={"model": model})


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> LlamaCppPython:
    """llama-cpp-python; see `section.Build`."""
    section = decode_section(name, table, LlamaCppPythonSection)
    if not section.folder:
        raise ConfigError(f"[engines.{name}] has no `folder`", hint="name the folder that holds the GGUF files")
    return LlamaCppPython(name, section, surroundings)
