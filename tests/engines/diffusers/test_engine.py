"""What is Diffusers' own; what every engine does is in the contract suite."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, UpstreamBroken, UpstreamInvalid, UpstreamOverloaded, UpstreamUnreachable
from aldgate.core.generation import Generation, Input
from aldgate.engines.diffusers.engine import DiffusersEngine, build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeDiffusers
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun, runs

ASKED = Generation(operation="image", prompt="a fox", steps=3)


def diffusers(fake: FakeDiffusers, data: Path, **table: Any) -> DiffusersEngine:
    given = {"library_path": fake.library_path, "models": ["sdxl-turbo", "/models/mine.safetensors"], "stop_s": 5.0, **table}
    return build("mine", given, Surroundings(data=data, environment={}))


async def test_arguments_say_what_was_asked(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    engine = diffusers(fake, tmp_path)
    run = RecordedRun()
    asked = Generation(
        operation="image", prompt="a fox", negative_prompt="a dog", seed=4, width=64, height=32, steps=3, guidance=0.0, count=2
    )
    generated = await engine.generate(asked, run)
    arguments = {"prompt": "a fox", "num_inference_steps": 3, "num_images_per_prompt": 2, "negative_prompt": "a dog"}
    assert json.loads(fake.lines("asked")[0]) == arguments | {"guidance_scale": 0.0, "width": 64, "height": 32, "seeds": [4, 5]}
    assert generated.seed == 4
    assert [file.facts for file in run.files] == [{"width": 2, "height": 2, "seed": 4}, {"width": 2, "height": 2, "seed": 5}]
    assert run.told[-2].step == run.told[-2].steps == 3
    assert fake.lines("devices") == ["cpu"]
    await engine.aclose()


async def test_a_model_is_loaded_once_and_another_takes_its_place(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    engine = diffusers(fake, tmp_path)
    for model in ("sdxl-turbo", "sdxl-turbo", "/models/mine.safetensors"):
        await engine.generate(Generation(operation="image", model=model, prompt="a fox"), RecordedRun())
    loads = [json.loads(line) for line in fake.lines("loads")]
    assert loads == [
        ["AutoPipelineForText2Image", "sdxl-turbo", {"torch_dtype": "float32", "local_files_only": True}],
        ["StableDiffusionXLPipeline", "/models/mine.safetensors", {"torch_dtype": "float32"}],
    ]
    assert fake.unloads == 1
    assert [model.is_loaded for model in (await engine.state()).models] == [False, True]
    await engine.aclose()


async def test_a_picture_to_begin_with(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    engine = diffusers(fake, tmp_path)
    inputs = (Input(role="image", mime="image/png", data=png()),)
    await engine.generate(Generation(operation="image", prompt="a fox", strength=0.5, inputs=inputs), RecordedRun())
    sent = json.loads(fake.lines("asked")[0])
    assert sent["strength"] == 0.5
    assert sent["image"].startswith("image of ")
    assert json.loads(fake.lines("loads")[0])[0] == "AutoPipelineForImage2Image"
    await engine.aclose()


async def test_a_worker_that_took_over_ends_the_process(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    fake.hold()
    engine, other = diffusers(fake, tmp_path), diffusers(fake, tmp_path)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    await fake.until_working()
    await other.stop(run.handles[0])
    with pytest.raises(UpstreamBroken):
        await making
    assert not runs(run)
    fake.release()
    again = RecordedRun()
    await engine.generate(ASKED, again)
    assert again.mimes == ["image/png"], "the next work has a new process"
    await engine.aclose()


async def test_one_that_does_not_heed_is_ended_with_its_process(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    fake.fault = "deaf"
    fake.hold()
    engine = diffusers(fake, tmp_path, stop_s=0.3)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    await fake.until_working()
    making.cancel()
    await asyncio.wait([making])
    await engine.stop(run.handles[0])
    assert not runs(run)
    await engine.aclose()


async def test_after_a_cancellation_the_process_and_its_model_stay(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    fake.hold()
    engine = diffusers(fake, tmp_path)
    run = RecordedRun()
    making = asyncio.create_task(engine.generate(ASKED, run))
    await fake.until_working()
    making.cancel()
    await asyncio.wait([making])
    await engine.stop(run.handles[0])
    fake.release()
    again = RecordedRun()
    await engine.generate(ASKED, again)
    assert again.handles[0].partition("#")[0] == run.handles[0].partition("#")[0]
    assert fake.loads == 1
    await engine.aclose()


async def test_its_process_ends_to_give_memory_back(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    engine = diffusers(fake, tmp_path)
    before, after = RecordedRun(), RecordedRun()
    await engine.generate(ASKED, before)
    assert (await engine.state()).models[0].is_loaded
    await engine.unload()
    assert not runs(before)
    assert not (await engine.state()).models[0].is_loaded
    await engine.generate(ASKED, after)
    assert fake.loads == 2
    await engine.aclose()


async def test_nothing_runs_before_it_is_needed_and_after_it_is_closed(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    engine = diffusers(fake, tmp_path)
    await engine.state()
    await engine.unload()
    await engine.aclose()
    assert fake.loads == 0
    run = RecordedRun()
    await engine.generate(ASKED, run)
    await engine.aclose()
    assert not runs(run)


async def test_a_child_that_says_something_else(tmp_path: Path) -> None:
    (tmp_path / "babble").write_text("#!/bin/sh\necho hello\nread -r order\n")
    (tmp_path / "babble").chmod(0o755)
    engine = diffusers(FakeDiffusers(tmp_path), tmp_path, python=str(tmp_path / "babble"))
    with pytest.raises(UpstreamInvalid, match="should not"):
        await engine.generate(ASKED, RecordedRun())
    await engine.aclose()


async def test_without_a_python_it_is_unreachable(tmp_path: Path) -> None:
    engine = diffusers(FakeDiffusers(tmp_path), tmp_path, python="/nowhere/python")
    with pytest.raises(UpstreamUnreachable):
        await engine.state()
    assert (await diffusers(FakeDiffusers(tmp_path / "b"), tmp_path, python=sys.executable).state()).models
    with pytest.raises(ConfigError):
        build("mine", {}, Surroundings(data=tmp_path, environment={}))


async def test_out_of_memory_has_its_code(tmp_path: Path) -> None:
    fake = FakeDiffusers(tmp_path)
    fake.fault = "out_of_memory"
    engine = diffusers(fake, tmp_path)
    with pytest.raises(UpstreamOverloaded) as raised:
        await engine.generate(ASKED, RecordedRun())
    assert raised.value.upstream_code == "out_of_memory"
    await engine.aclose()


@pytest.mark.parametrize(
    "asked",
    [
        Generation(operation="image", strength=0.5),
        Generation(operation="image", duration_s=3),
        Generation(operation="image", inputs=(Input(role="mask", mime="image/png", data=png()),)),
    ],
)
async def test_what_it_cannot_do_is_refused_before(asked: Generation, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        await diffusers(FakeDiffusers(tmp_path), tmp_path).generate(asked, RecordedRun())


GATE = """
import asyncio, os, signal, sys
from pathlib import Path
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeDiffusers
from tests.engines.diffusers.test_engine import diffusers
from tests.engines.runs import RecordedRun

async def main(folder):
    fake, run = FakeDiffusers(folder), RecordedRun()
    fake.hold()
    making = asyncio.create_task(diffusers(fake, folder).generate(Generation(operation="image", prompt="a fox"), run))
    await fake.until_working()
    sys.stdout.write(run.handles[0])
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_the_process_ends_when_the_gate_is_killed(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    gate = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATE, str(tmp_path), stdout=asyncio.subprocess.PIPE, env=environment
    )
    said, _ = await gate.communicate()
    run = RecordedRun()
    await run.submitting(said.decode())
    async with asyncio.timeout(10):
        while runs(run):
            await asyncio.sleep(0)
    assert gate.returncode == -9
