"""What is A1111's own; what every engine does is in the contract suite."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import (
    InvalidRequest,
    ModelNotFound,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.core.generation import Generation, Input
from aldgate.engines.a1111.engine import A1111Engine, build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeA1111
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun

ASKED = Generation(operation="image", prompt="a fox")
PICTURE = Input(role="image", mime="image/png", data=png())
MASK = Input(role="mask", mime="image/png", data=png(shade=255))


@asynccontextmanager
async def a1111(**table: Any) -> AsyncIterator[tuple[A1111Engine, FakeA1111]]:
    async with FakeA1111() as fake:
        given = {"base_url": fake.url, "poll_s": 0.02, "request_timeout_s": 5.0, **table}
        engine = build("mine", given, Surroundings(data=Path(), environment={"UI": "me:secret"}))
        try:
            yield engine, fake
        finally:
            await engine.aclose()


async def test_what_is_asked_is_said_in_its_words() -> None:
    async with a1111() as (engine, fake):
        run = RecordedRun()
        options = {"sampler": "Euler a", "scheduler": "karras", "clip_skip": 2, "enable_hr": True}
        asked = Generation(
            operation="image",
            model="dreamshaper",
            prompt="a fox",
            seed=3,
            width=640,
            steps=9,
            guidance=5,
            count=2,
            options=options,
        )
        generated = await engine.generate(asked, run)
        sent = fake.body("/sdapi/v1/txt2img")
        expected = {"prompt": "a fox", "seed": 3, "width": 640, "steps": 9, "cfg_scale": 5, "n_iter": 2, "batch_size": 1}
        expected |= {"sampler_name": "Euler a", "scheduler": "karras", "enable_hr": True, "force_task_id": run.handles[0]}
        assert sent.items() >= expected.items()
        assert sent["override_settings"] == {
            "CLIP_stop_at_last_layers": 2,
            "return_grid": False,
            "sd_model_checkpoint": "dreamshaper.safetensors [31e35c80fc]",
        }
        assert "height" not in sent
        assert (generated.seed, generated.details) == (3, {"model": "dreamshaper"})


async def test_the_grid_is_dropped_and_words_are_taken_out() -> None:
    async with a1111() as (engine, _):
        run = RecordedRun()
        await engine.generate(Generation(operation="image", prompt="a fox", seed=3, count=3), run)
        assert [file.facts for file in run.files] == [{"width": 16, "height": 8, "seed": 3 + number} for number in range(3)]
        assert not [file for file in run.files if b"a fox" in file.data]


async def test_a_picture_and_its_mask_go_along() -> None:
    async with a1111() as (engine, fake):
        asked = Generation(operation="image", prompt="a fox", strength=0.3, inputs=(PICTURE, MASK))
        await engine.generate(asked, RecordedRun())
        sent = fake.body("/sdapi/v1/img2img")
        assert sent["denoising_strength"] == 0.3
        assert base64.b64decode(sent["init_images"][0]) == PICTURE.data
        assert base64.b64decode(sent["mask"]) == MASK.data  # it cannot be seen through, and is white where it counts


async def test_progress_is_told_while_it_works() -> None:
    async with a1111() as (engine, fake):
        fake.hold()
        run = RecordedRun()
        making = asyncio.create_task(engine.generate(ASKED, run))
        async with asyncio.timeout(5):
            while not run.told:
                await asyncio.sleep(0)
        fake.release()
        await making
        first = run.told[0]
        assert (first.fraction, first.step, first.steps) == (0.25, 5, 20)
        assert first.preview is not None and first.preview.mime == "image/png"
        assert run.fractions[-1] == 1.0


async def test_progress_of_others_is_not_told_as_ours() -> None:
    async with a1111() as (engine, fake), a1111(base_url=fake.url) as (other, _):
        fake.hold()
        theirs, ours = RecordedRun(), RecordedRun()
        one = asyncio.create_task(engine.generate(ASKED, theirs))
        await fake.until_working()
        two = asyncio.create_task(other.generate(ASKED, ours))
        async with asyncio.timeout(5):
            while len([asked for asked in fake.asked if asked.path == "/sdapi/v1/txt2img"]) < 2 or not theirs.told:
                await asyncio.sleep(0)
        assert ours.told == []
        two.cancel()
        await asyncio.wait([two])
        stopping = asyncio.create_task(other.stop(ours.handles[0]))
        asked = len(fake.asked)
        async with asyncio.timeout(5):
            while len(fake.asked) < asked + 6:
                await asyncio.sleep(0)
        assert fake.stopped == [], "what runs is another's; ours waits behind it"
        fake.release()
        await one
        await stopping
        assert theirs.mimes == ["image/png"]


async def test_without_its_pages_only_one_that_is_alone_interrupts() -> None:
    for alone in (True, False):
        async with a1111(alone=alone, request_timeout_s=0.5) as (engine, fake):
            fake.has_pages = False
            fake.hold()
            run = RecordedRun()
            making = asyncio.create_task(engine.generate(ASKED, run))
            await fake.until_working()
            making.cancel()
            await asyncio.wait([making])
            if alone:
                await engine.stop(run.handles[0])
                assert fake.stopped == run.handles
            else:
                with pytest.raises(UpstreamTimeout):
                    await engine.stop(run.handles[0])
                assert fake.stopped == []


async def test_without_its_api_it_says_how_to_switch_it_on() -> None:
    async with a1111() as (engine, fake):
        fake.fault = "api_disabled"
        with pytest.raises(UpstreamError, match="--api") as raised:
            await engine.state()
        assert raised.value.upstream_code == "api_disabled"


async def test_codes_of_failures() -> None:
    async with a1111() as (engine, fake):
        for fault, code, error in (
            ("out_of_memory", "out_of_memory", UpstreamOverloaded),
            ("interrupted", "interrupted", UpstreamError),
        ):
            fake.fault = fault
            run = RecordedRun()
            with pytest.raises(error) as raised:
                await engine.generate(ASKED, run)
            assert raised.value.upstream_code == code
            assert run.files == []


async def test_a_refusal_is_the_callers_to_mend() -> None:
    async with a1111() as (engine, _):
        with pytest.raises(UpstreamRejected, match="Sampler not found"):
            await engine.generate(Generation(operation="image", prompt="a fox", options={"sampler": "nonsense"}), RecordedRun())


@pytest.mark.parametrize(
    "asked",
    [
        Generation(operation="image", strength=0.5),
        Generation(operation="image", inputs=(MASK,)),
        Generation(operation="image", inputs=(PICTURE, PICTURE)),
        Generation(operation="image", seed=2**40),
        Generation(operation="image", options={"script_name": "x"}),
        Generation(operation="image", options={"tiling": "yes"}),
    ],
)
async def test_what_it_cannot_do_is_refused_before(asked: Generation) -> None:
    async with a1111() as (engine, fake):
        with pytest.raises(InvalidRequest):
            await engine.generate(asked, RecordedRun())
        assert fake.works == 0


async def test_its_credential_is_basic() -> None:
    async with a1111(api_key="env:UI") as (engine, fake):
        state = await engine.state()
        assert fake.asked[0].headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()
        assert [(model.name, model.is_loaded) for model in state.models] == [("sdxl_base", True), ("dreamshaper", False)]
        assert (state.is_busy, state.free_mb, state.total_mb) == (False, 8192, 24576)
        with pytest.raises(ModelNotFound):
            await engine.generate(Generation(operation="image", model="nothing"), RecordedRun())


async def test_what_was_unloaded_is_not_loaded_though_it_stays_chosen() -> None:
    async with a1111() as (engine, _):
        await engine.unload()
        state = await engine.state()
        assert [model.is_loaded for model in state.models] == [False, False]
