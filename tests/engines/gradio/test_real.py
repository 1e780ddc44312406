"""The engine against real Gradio servers of each major version, each in an environment and a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import UpstreamAuth, UpstreamError, UpstreamInvalid, UpstreamUnreachable
from aldgate.core.generation import Generation, Input
from aldgate.engines.gradio.engine import GradioEngine, build
from aldgate.engines.section import Surroundings
from tests.clients import installing
from tests.clients.running import OFFLINE
from tests.engines.runs import RecordedRun

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
QUIET = {"PATH": os.environ.get("PATH", ""), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
WAVE = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0\x80>\0\0\x02\0\x10\0data\0\0\0\0"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def served(version: str, folder: Path, *login: str) -> AsyncIterator[str]:
    """The address of a running app."""
    python = installing.python(HERE / f"gradio{version}.lock")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        python,
        str(HERE / "served.py"),
        str(port),
        str(folder),
        *login,
        env={
            "PATH": os.environ.get("PATH", ""),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            **OFFLINE,
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until_up(process, engine_at(f"http://127.0.0.1:{port}"))
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_up(process: asyncio.subprocess.Process, engine: GradioEngine) -> None:
    async with asyncio.timeout(120):
        while process.returncode is None:
            try:
                await engine.state()
            except UpstreamUnreachable:
                await asyncio.sleep(0.1)
            except UpstreamAuth:
                break
            else:
                break
    await engine.aclose()
    assert process.returncode is None, "the app ended"


def engine_at(url: str, **table: Any) -> GradioEngine:
    usual = {"operations": ["music"], "endpoint": "/music", "arguments": {"prompt": "prompt"}, "base_url": url}
    return build("app", {**usual, **table}, Surroundings(Path(), {"PASSWORD": "secret", "WRONG": "wrong"}))


@pytest.fixture(scope="module", params=["4", "5", "6"])
async def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp(f"gradio{request.param}")
    async with served(request.param, folder) as url:
        yield url, folder


async def test_music_from_a_melody(app: tuple[str, Path]) -> None:
    arguments = {"prompt": "prompt", "duration_s": "Length", "audio": 2, "seed": "seed"}
    engine, run = engine_at(app[0], arguments=arguments), RecordedRun()
    melody = Input("audio", "audio/wav", WAVE)
    asked = Generation(operation="music", prompt="a song", duration_s=0.5, seed=7, inputs=(melody,))
    made = await engine.generate(asked, run)
    assert (made.seed, run.handles) == (7, [run.reference])
    [file] = run.files
    assert file.mime in ("audio/wav", "audio/x-wav") and file.name.endswith(".wav") and len(file.data) == 44 + 8000
    assert run.fractions == sorted(run.fractions) and 0 < run.fractions[-1] <= 1
    assert {each.message for each in run.told} >= {"step 2"}
    await engine.aclose()


async def test_what_the_function_was_called_with(app: tuple[str, Path]) -> None:
    table = {"arguments": {"prompt": "prompt", "audio": "melody", "seed": "seed"}, "operations": ["music", "transcribe"]}
    engine, run = engine_at(app[0], outputs=[0], **table), RecordedRun()
    asked = Generation(operation="transcribe", prompt="a song", seed=7, inputs=(Input("audio", "audio/wav", WAVE),))
    assert (await engine.generate(asked, run)).text == f"a song 0.2 {len(WAVE)} '7'"
    assert run.files == []
    await engine.aclose()


async def test_values_that_grow(app: tuple[str, Path]) -> None:
    engine, run = engine_at(app[0], endpoint="slowly", operations=["transcribe", "music"]), RecordedRun()
    made = await engine.generate(Generation(operation="transcribe", prompt="grows"), run)
    assert made.text == "grows"
    await engine.generate(Generation(operation="music", prompt="grows"), run)
    assert [file.data[:4] for file in run.files] == [b"RIFF"]
    await engine.aclose()


async def test_pictures_and_a_gallery(app: tuple[str, Path]) -> None:
    arguments = {"prompt": "prompt", "image": "picture"}
    engine, run = engine_at(app[0], endpoint="/pictures", operations=["image"], arguments=arguments), RecordedRun()
    await engine.generate(Generation(operation="image", prompt="x", inputs=(Input("image", "image/png", PNG),)), run)
    assert len(run.files) in (2, 3) and {file.mime.partition("/")[0] for file in run.files} == {"image"}
    assert all(len(file.data) > 30 for file in run.files)
    await engine.aclose()


async def test_work_that_is_stopped_has_stopped(app: tuple[str, Path]) -> None:
    engine, run = engine_at(app[0], endpoint="/work", operations=["transcribe"]), RecordedRun()
    trace = app[1] / "stopped"
    work = asyncio.create_task(engine.generate(Generation(operation="transcribe", prompt=trace.name), run))
    async with asyncio.timeout(20):
        while not trace.exists():
            await asyncio.sleep(0.02)
    work.cancel()
    await asyncio.wait([work])
    await engine.stop(run.handles[0])
    await asyncio.sleep(0.2)
    then = trace.read_text()
    await asyncio.sleep(0.3)
    assert trace.read_text() == then != "199"
    assert await engine.adopt(run.handles[0], Generation(operation="transcribe"), run) is None
    await engine.stop(run.handles[0])
    await engine.aclose()


async def test_the_session_of_a_worker_that_is_gone_is_stopped(app: tuple[str, Path]) -> None:
    ours, theirs, run = engine_at(app[0], endpoint="/work"), engine_at(app[0], endpoint="/work"), RecordedRun()
    trace = app[1] / "gone"
    work = asyncio.create_task(theirs.generate(Generation(operation="music", prompt=trace.name), run))
    async with asyncio.timeout(20):
        while not trace.exists():
            await asyncio.sleep(0.02)
    await ours.stop(run.reference)
    await asyncio.sleep(0.2)
    then = trace.read_text()
    await asyncio.sleep(0.3)
    assert trace.read_text() == then != "199"
    work.cancel()  # version 4 may leave whoever listens without a last word
    await asyncio.wait([work])
    await ours.aclose()
    await theirs.aclose()


async def test_what_the_app_says_went_wrong(app: tuple[str, Path]) -> None:
    engine = engine_at(app[0], endpoint="/fail", operations=["transcribe"])
    with pytest.raises(UpstreamError, match="bad thing"):
        await engine.generate(Generation(operation="transcribe", prompt="bad thing"), RecordedRun())
    await engine.aclose()


async def test_a_function_that_is_not_there(app: tuple[str, Path]) -> None:
    engine = engine_at(app[0], endpoint="/nothing")
    with pytest.raises(UpstreamInvalid, match="/music"):
        await engine.generate(Generation(operation="music", prompt="x"), RecordedRun())
    await engine.aclose()


@pytest.mark.parametrize("version", ["4", "5", "6"])
async def test_logging_in(version: str, tmp_path: Path) -> None:
    async with served(version, tmp_path, "ann", "secret") as url:
        engine, run = engine_at(url, username="ann", api_key="env:PASSWORD"), RecordedRun()
        await engine.generate(Generation(operation="music", prompt="x"), run)
        assert run.files
        await engine.aclose()
        for table in ({}, {"username": "ann", "api_key": "env:WRONG"}):
            stranger = engine_at(url, **table)
            with pytest.raises(UpstreamAuth):
                await stranger.generate(Generation(operation="music", prompt="x"), RecordedRun())
            await stranger.aclose()
