"""Ollama by its own API, as an engine: what is installed and what is loaded, fetched, unloaded and deleted.

Wire: https://docs.ollama.com/api.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from aldgate.core.errors import ModelNotFound, UpstreamBroken, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress
from aldgate.dialects.ollama.requests import bare
from aldgate.engines.address import reach
from aldgate.engines.asking import given
from aldgate.engines.direct import Direct, DirectSection
from aldgate.engines.endings import failed
from aldgate.engines.http import EngineHttp
from aldgate.engines.llm.lines import lines_of
from aldgate.engines.llm.pulling import Pulling
from aldgate.engines.llm.writing import WRITES, Options, Writing, options_for
from aldgate.engines.section import AtLeastOne, Surroundings, decode_section
from aldgate.making import Run

USUAL = "http://127.0.0.1:11434"
MIB = 1024 * 1024
_NOT_FOUND = 404


class OllamaEngineSection(DirectSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table of Ollama may have."""

    num_ctx: AtLeastOne | None = None
    """Tokens of context; left out, the server's own setting holds."""
    keep_alive: str = ""
    """How long a model stays loaded after a job, as in `5m`; empty is the server's own setting."""


class _Installed(msgspec.Struct):
    name: str
    size: int = 0
    capabilities: list[str] | None = None


class _Loaded(msgspec.Struct):
    name: str
    size: int = 0
    size_vram: int = 0


class _Tags(msgspec.Struct):
    models: list[_Installed] | None


class _Running(msgspec.Struct):
    models: list[_Loaded] | None


class _Version(msgspec.Struct):
    version: str


class _Line(msgspec.Struct):
    """A line of any stream of Ollama's. Whole numbers: nanoseconds, tokens, bytes."""

    response: str = ""
    thinking: str = ""
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int = 0
    eval_count: int | None = None
    total_duration: int | None = None
    load_duration: int | None = None
    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""


S = TypeVar("S", bound=msgspec.Struct)
_line = msgspec.json.Decoder(_Line)


class OllamaEngine(Direct):
    """An `Engine` that has models fetched and deleted, too.

    Args:
        name: As configured.
        section: Its table.
        http: Where it is.
    """

    kind = "ollama"
    operations = WRITES

    def __init__(self, name: str, section: OllamaEngineSection, http: EngineHttp) -> None:
        super().__init__(name, section, http)
        self._section = section

    async def state(self) -> EngineState:
        """See `Engine`. A model's size is what it holds of the device while it is loaded, and else that of its files."""
        version = await self._asked("/api/version", _Version)
        installed = (await self._asked("/api/tags", _Tags)).models or []
        loaded = {model.name: model for model in await self._loaded()}
        models = (
            EngineModel(
                name=model.name,
                operations=WRITES if model.capabilities is None or "completion" in model.capabilities else frozenset(),
                size_mb=(loaded[model.name].size_vram if model.name in loaded else model.size) // MIB,
                is_loaded=model.name in loaded,
            )
            for model in installed
        )
        return EngineState(models=tuple(models), version=version.version)

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`."""
        options = options_for(asked)
        body = await self._body(asked, options)
        await run.submitting(run.reference)
        async with self._working():
            return await self._write(body, Writing(run, options.max_tokens))

    async def pull(self, model: str, tell: Callable[[Progress], None]) -> None:
        """Have it fetch a model, or go on where it was cut off. To cancel is to cancel the task that is in here.

        Raises:
            ModelNotFound: Nobody has such a model.
            UpstreamError: It failed, or ended before it had all of it.
        """
        pulling = Pulling()
        async with self._working():
            sent = self._http.request("POST", "/api/pull", json={"model": model}, timeout_s=self._run_timeout_s)
            async with sent as reply:
                async for line in lines_of(self.name, reply.content.iter_any(), _line):
                    if line.error:
                        raise failed(self.name, line.error)
                    tell(pulling.look(line.status, line.digest, line.completed, line.total))
        if not pulling.is_done:
            raise UpstreamBroken(f"The engine `{self.name}` broke off while it fetched `{model[:100]}`.")

    async def delete(self, model: str) -> None:
        """Have it delete a model's files.

        Raises:
            ModelNotFound: It has no such model.
            UpstreamError: It failed.
        """
        await self._of_model("DELETE", "/api/delete", model, {"model": model})

    async def unload(self, model: str = "") -> None:
        """See `Engine`. What runs, ends first."""
        for each in [model] if model else [loaded.name for loaded in await self._loaded()]:
            await self._of_model("POST", "/api/generate", each, {"model": each, "keep_alive": 0, "stream": False})

    async def _of_model(self, method: str, path: str, model: str, body: Mapping[str, Any]) -> None:
        try:
            await self._http.json(method, path, json=body)
        except UpstreamRejected as error:
            raise self._known(error, model) from error

    def _known(self, error: UpstreamRejected, model: str) -> UpstreamRejected | ModelNotFound:
        if error.upstream_status != _NOT_FOUND:
            return error
        return ModelNotFound(f"The engine `{self.name}` has no model `{model[:100]}`.", param="model")

    async def _loaded(self) -> list[_Loaded]:
        return (await self._asked("/api/ps", _Running)).models or []

    async def _asked(self, path: str, kind: type[S]) -> S:
        said = await self._http.json("GET", path)
        try:
            return msgspec.convert(said, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` answered with what Ollama never says: {error}") from None

    async def _body(self, asked: Generation, options: Options) -> dict[str, Any]:
        sampling = given(
            num_predict=options.max_tokens,
            num_ctx=self._section.num_ctx,
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k,
            min_p=options.min_p,
            stop=options.stop,
            seed=asked.seed,
        )
        more = given(system=options.system, format=options.json_schema, keep_alive=self._section.keep_alive or None)
        return {"model": await self._model(asked), "prompt": asked.prompt, "options": sampling, "stream": True, **more}

    async def _model(self, asked: Generation) -> str:
        """The model that is asked for. One that is not installed is refused before anything is sent."""
        names = self._section.models
        if names is None:
            names = [model.name for model in (await self._asked("/api/tags", _Tags)).models or []]
        if not names or (asked.model and bare(asked.model) not in map(bare, names)):
            raise ModelNotFound(f"The engine `{self.name}` has no model `{asked.model[:100]}`.", param="model")
        return asked.model or names[0]

    async def _write(self, body: Mapping[str, Any], writing: Writing) -> Generated:
        sent = self._http.request("POST", "/api/generate", json=body, timeout_s=self._run_timeout_s)
        thought = ""
        async with sent as reply:
            async for line in lines_of(self.name, reply.content.iter_any(), _line):
                if line.error:
                    raise failed(self.name, line.error)
                thought += line.thinking
                writing.write(line.response)
                if line.done:
                    facts = given(model=body["model"], thinking=thought or None, load_ns=line.load_duration)
                    return writing.done(
                        read=line.prompt_eval_count, written=line.eval_count, reason=line.done_reason, facts=facts
                    )
        raise UpstreamBroken(f"The engine `{self.name}` broke off before it was done.")


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> OllamaEngine:
    """Ollama; see `section.Build`."""
    section = decode_section(name, table, OllamaEngineSection)
    return OllamaEngine(name, section, reach(name, section, surroundings, usual=USUAL))
