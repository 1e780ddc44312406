import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamBroken, UpstreamError, UpstreamOverloaded
from aldgate.core.generation import Generation
from aldgate.testing.engines import libraries
from tests.engines.runs import RecordedRun
from tests.engines.speaking import built

LIBRARIES = str(Path(libraries.__file__).parent)


@asynccontextmanager
async def llama(data: Path, **table: Any) -> AsyncIterator[Any]:
    for name in ("a.gguf", "b.gguf", "notes.txt"):
        (data / name).write_bytes(bytes(2 * 1024 * 1024))
    more = {"python": sys.executable, "library_path": [LIBRARIES], "folder": str(data), **table}
    engine = built("llama-cpp-python", more, data)
    try:
        yield engine
    finally:
        await engine.aclose()


@pytest.mark.parametrize("operation", ["complete", "chat"])
async def test_it_is_told_while_it_is_written(operation: Any, tmp_path: Path) -> None:
    async with llama(tmp_path) as engine:
        run = RecordedRun()
        made = await engine.generate(Generation(operation=operation, prompt="Hi you", options={"max_tokens": 9}), run)
        assert made.text == "Echo: Hi you"
        assert made.details == {"completion_tokens": 3, "finish_reason": "stop", "model": "a"}
        assert [told.message for told in run.told] == [
            "loading",
            "loading a",
            "Echo: ",
            "Echo: Hi ",
            "Echo: Hi you",
            "Echo: Hi you",
        ]
        assert run.fractions == sorted(run.fractions)


async def test_models_are_the_files_of_its_folder_and_no_others(tmp_path: Path) -> None:
    async with llama(tmp_path) as engine:
        await engine.generate(Generation(operation="complete", prompt="x", model="b"), RecordedRun())
        models = (await engine.state()).models
        assert [(model.name, model.is_loaded, model.size_mb) for model in models] == [("a", False, 2), ("b", True, 2)]
        for name in ("../a", "notes", "c"):
            with pytest.raises(ModelNotFound):
                await engine.generate(Generation(operation="complete", prompt="x", model=name), RecordedRun())
        await engine.unload()
        assert not any(model.is_loaded for model in (await engine.state()).models)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("please fail", UpstreamError), ("please run out", UpstreamOverloaded), ("please die", UpstreamBroken)],
)
async def test_every_fault_has_its_error(fault: str, error: type[UpstreamError], tmp_path: Path) -> None:
    async with llama(tmp_path) as engine:
        with pytest.raises(error):
            await engine.generate(Generation(operation="complete", prompt=fault), RecordedRun())


async def test_a_bad_request_starts_nothing(tmp_path: Path) -> None:
    async with llama(tmp_path) as engine:
        run = RecordedRun()
        with pytest.raises(InvalidRequest):
            await engine.generate(Generation(operation="complete", prompt=""), run)
        assert run.handles == []


def test_a_folder_is_needed() -> None:
    with pytest.raises(ConfigError, match="folder"):
        built("llama-cpp-python", {})
