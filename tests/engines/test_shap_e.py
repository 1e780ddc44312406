import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trimesh

from aldgate.core.errors import (
    InvalidRequest,
    ModelNotFound,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamOverloaded,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from aldgate.core.generation import Generation, Input
from aldgate.testing.engines import libraries
from tests.engines.runs import RecordedRun, runs
from tests.engines.speaking import built

LIBRARIES = str(Path(libraries.__file__).parent)


@asynccontextmanager
async def shap_e(data: Path, **table: Any) -> AsyncIterator[Any]:
    engine = built("shap-e", {"python": sys.executable, "library_path": [LIBRARIES], "steps": 4, **table}, data)
    try:
        yield engine
    finally:
        await engine.aclose()


def mesh(prompt: str = "a chair", **asked: object) -> Generation:
    return Generation(operation="mesh", prompt=prompt, **asked)  # pyright: ignore[reportArgumentType]


def process_of(run: RecordedRun) -> str:
    return run.handles[0].partition("#")[0]


async def until_told(run: RecordedRun, making: "asyncio.Task[Any]", step: int) -> None:
    async with asyncio.timeout(20):
        while not any(told.step == step for told in run.told):
            assert not making.done()
            await asyncio.sleep(0)


@pytest.mark.parametrize(("wanted", "mime"), [(None, "model/gltf-binary"), ("obj", "model/obj"), ("ply", "model/ply")])
async def test_meshes_are_made_upright_in_each_format(wanted: str | None, mime: str, tmp_path: Path) -> None:
    async with shap_e(tmp_path) as engine:
        run = RecordedRun()
        made = await engine.generate(mesh(seed=2, count=2, format=wanted), run)
        assert run.mimes == [mime, mime]
        assert [file.name for file in run.files] == [f"mesh-1.{wanted or 'glb'}", f"mesh-2.{wanted or 'glb'}"]
        assert made.seed == 2
        assert made.details == {"model": "text300M", "device": "cpu"}
        assert run.fractions == sorted(run.fractions)
        assert run.fractions[-1] == 1.0
        read = trimesh.load(io.BytesIO(run.files[0].data), file_type=wanted or "glb", force="mesh")
        tallest = list(read.extents).index(max(read.extents))
        assert tallest == (2 if wanted == "ply" else 1)


async def test_nothing_runs_before_there_is_work_and_one_process_does_it_all(tmp_path: Path) -> None:
    async with shap_e(tmp_path) as engine:
        assert not any(model.is_loaded for model in (await engine.state()).models)
        first, second = RecordedRun(), RecordedRun()
        await engine.generate(mesh(), first)
        await engine.generate(mesh("", inputs=(Input("image", "image/png", _png()),), model="image300M"), second)
        assert process_of(first) == process_of(second)
        assert all(model.is_loaded for model in (await engine.state()).models)
        await engine.unload()
        assert not runs(first)
        assert "downloading transmitter" in (tmp_path / "engines" / "mine.log").read_text()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("please fail", UpstreamError),
        ("please run out", UpstreamOverloaded),
        ("please die", UpstreamBroken),
        ("please babble", UpstreamInvalid),
    ],
)
async def test_every_fault_has_its_error_and_the_next_job_goes_well(
    fault: str, error: type[UpstreamError], tmp_path: Path
) -> None:
    async with shap_e(tmp_path) as engine:
        with pytest.raises(error):
            await engine.generate(mesh(fault), RecordedRun())
        run = RecordedRun()
        await engine.generate(mesh(), run)
        assert len(run.files) == 1


async def test_what_is_cancelled_leaves_its_work_and_keeps_its_model(tmp_path: Path) -> None:
    async with shap_e(tmp_path, steps=1_000_000) as engine:
        run, after = RecordedRun(), RecordedRun()
        making = asyncio.create_task(engine.generate(mesh(), run))
        await until_told(run, making, 0)
        with pytest.raises(UpstreamOverloaded):
            await engine.unload()
        making.cancel()
        await asyncio.wait([making])
        await engine.stop(run.handles[0])
        assert runs(run)
        await engine.generate(mesh(steps=2), after)
        assert process_of(after) == process_of(run)


async def test_to_stop_what_has_ended_does_not_stop_the_next(tmp_path: Path) -> None:
    async with shap_e(tmp_path, steps=1_000_000) as engine:
        before, run = RecordedRun(), RecordedRun()
        await engine.generate(mesh(steps=2), before)
        making = asyncio.create_task(engine.generate(mesh(), run))
        await until_told(run, making, 0)
        await engine.stop(before.handles[0])
        await until_told(run, making, len(run.told) + 10)
        making.cancel()
        await asyncio.wait([making])
        await engine.stop(run.handles[0])


async def test_what_hangs_is_ended(tmp_path: Path) -> None:
    async with shap_e(tmp_path, stop_s=0.1, run_timeout_s=20) as engine:
        run = RecordedRun()
        making = asyncio.create_task(engine.generate(mesh("please hang"), run))
        await until_told(run, making, 2)
        making.cancel()
        await asyncio.wait([making])
        await engine.stop(run.handles[0])
        assert not runs(run)


async def test_another_worker_s_process_is_ended_by_its_identity(tmp_path: Path) -> None:
    async with shap_e(tmp_path) as engine, shap_e(tmp_path / "other") as other:
        run = RecordedRun()
        making = asyncio.create_task(engine.generate(mesh("please hang"), run))
        await until_told(run, making, 2)
        await other.stop(run.handles[0])
        with pytest.raises(UpstreamBroken):
            await making
        await other.stop(run.handles[0])


async def test_a_process_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async with shap_e(tmp_path, run_timeout_s=0.5) as engine:
        with pytest.raises(UpstreamTimeout):
            await engine.generate(mesh("please hang"), RecordedRun())


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (mesh(""), InvalidRequest),
        (mesh(model="text3000M"), ModelNotFound),
        (mesh(model="image300M"), InvalidRequest),
        (mesh(count=99), InvalidRequest),
        (mesh(format="stl"), InvalidRequest),
        (mesh(options={"smooth": True}), InvalidRequest),
        (mesh(inputs=(Input("audio", "audio/wav", b"x"),)), InvalidRequest),
    ],
)
async def test_a_bad_request_starts_nothing(asked: Generation, error: type[Exception], tmp_path: Path) -> None:
    async with shap_e(tmp_path) as engine:
        run = RecordedRun()
        with pytest.raises(error):
            await engine.generate(asked, run)
        assert run.handles == []
        assert not (tmp_path / "engines").exists()


async def test_a_python_that_is_not_there_is_not_reached(tmp_path: Path) -> None:
    async with shap_e(tmp_path, python=str(tmp_path / "nowhere")) as engine:
        with pytest.raises(UpstreamUnreachable):
            await engine.state()
        with pytest.raises(UpstreamUnreachable):
            await engine.generate(mesh(), RecordedRun())


async def test_a_library_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with shap_e(tmp_path, library_path=[]) as engine:
        with pytest.raises(UpstreamError, match="torch"):
            await engine.generate(mesh(), RecordedRun())


def _png() -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (4, 4)).save(written, "PNG")
    return written.getvalue()
