"""What is ComfyUI's own; what every engine does is in the contract suite."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import (
    InvalidRequest,
    ModelNotFound,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRejected,
    UpstreamTimeout,
)
from aldgate.core.generation import Generation, Input
from aldgate.engines.comfyui.engine import ComfyEngine, build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeComfy
from aldgate.testing.engines.pictures import png
from tests.engines.comfyui.test_workflow import EXPORT
from tests.engines.runs import RecordedRun

ASKED = Generation(operation="image", prompt="a fox", steps=4)


@asynccontextmanager
async def comfy(**table: Any) -> AsyncIterator[tuple[ComfyEngine, FakeComfy]]:
    async with FakeComfy() as fake:
        engine = engine_at(fake.url, **table)
        try:
            yield engine, fake
        finally:
            await engine.aclose()


def engine_at(url: str, environment: Mapping[str, str] = {}, **table: Any) -> ComfyEngine:
    given = {"base_url": url, "poll_s": 0.05, "request_timeout_s": 5.0, **table}
    return build("mine", given, Surroundings(data=Path(), environment=environment))


def graph(fake: FakeComfy) -> dict[str, dict[str, Any]]:
    return {node["_meta"]["title"]: node["inputs"] for node in fake.body("/prompt")["prompt"].values()}


async def test_the_graph_is_filled_and_the_id_is_ours() -> None:
    async with comfy() as (engine, fake):
        run = RecordedRun()
        asked = Generation(
            operation="image",
            prompt="a fox",
            negative_prompt="a dog",
            seed=5,
            width=768,
            height=512,
            steps=4,
            guidance=3.5,
            count=2,
            options={"sampler": "euler", "scheduler": "normal"},
        )
        generated = await engine.generate(asked, run)
        assert (generated.seed, generated.details["workflow"]) == (5, "sdxl-text-to-image")
        sent = graph(fake)
        assert sent["Positive prompt"]["text"] == "a fox"
        assert sent["Negative prompt"]["text"] == "a dog"
        assert sent["Size"] == {"width": 768, "height": 512, "batch_size": 2}
        sampled = {"seed": 5, "steps": 4, "cfg": 3.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
        assert sent["Sampler"].items() >= sampled.items()
        assert sent["Checkpoint"]["ckpt_name"] == "sd_xl_base_1.0.safetensors", "the one for SDXL, though it is not the first"
        assert run.handles == [run.reference] == [fake.body("/prompt")["prompt_id"]]
        assert run.mimes == ["image/png"] * 2
        assert [file.facts for file in run.files] == [{"width": 16, "height": 8, "seed": 5}] * 2


async def test_what_the_engine_writes_into_pictures_is_taken_out() -> None:
    async with comfy() as (engine, _), comfy(keep_metadata=True) as (keeping, _):
        run, kept = RecordedRun(), RecordedRun()
        await engine.generate(ASKED, run)
        await keeping.generate(ASKED, kept)
        assert b"what was asked for" not in run.files[0].data
        assert b"what was asked for" in kept.files[0].data


async def test_pictures_come_in_the_wanted_format() -> None:
    async with comfy() as (engine, _):
        run = RecordedRun()
        await engine.generate(Generation(operation="image", prompt="a fox", format="webp"), run)
        assert run.mimes == ["image/webp"]
        assert run.files[0].name.endswith(".webp")
        assert run.files[0].data[8:12] == b"WEBP"


async def test_a_seed_is_drawn_where_none_is_given() -> None:
    async with comfy() as (engine, fake):
        first, second = RecordedRun(), RecordedRun()
        seeds = [(await engine.generate(ASKED, run)).seed for run in (first, second)]
        assert seeds[0] != seeds[1]
        assert seeds == [UUID(run.reference).int % 2**63 for run in (first, second)]
        assert graph(fake)["Sampler"]["seed"] == seeds[1]


async def test_progress_has_steps_and_previews() -> None:
    async with comfy() as (engine, _):
        run = RecordedRun()
        await engine.generate(ASKED, run)
        assert [(told.step, told.steps) for told in run.told if told.step] == [(1, 4), (2, 4), (3, 4), (4, 4)]
        previews = [told.preview for told in run.told if told.preview]
        assert len(previews) == 4
        assert previews[0].mime == "image/png"
        assert run.fractions[-1] == 1.0


async def test_no_origin_is_sent() -> None:
    async with comfy() as (engine, fake):
        await engine.generate(ASKED, RecordedRun())
        assert {"/ws", "/prompt", "/view"} <= {asked.path for asked in fake.asked}
        assert not [asked for asked in fake.asked if "Origin" in asked.headers or "Sec-Fetch-Site" in asked.headers]


async def test_a_picture_is_uploaded_and_called_what_the_engine_calls_it() -> None:
    async with comfy() as (engine, fake):
        run = RecordedRun()
        fake.uploads[f"aldgate-{run.reference}-0.png"] = b"another's"
        picture = png(100, 52)
        asked = Generation(
            operation="image", prompt="a fox", strength=0.4, inputs=(Input(role="image", mime="image/png", data=picture),)
        )
        generated = await engine.generate(asked, run)
        sent = graph(fake)
        assert generated.details["workflow"] == "sdxl-image-to-image"
        assert sent["Image"]["image"] == f"aldgate-{run.reference}-0 (1).png"
        assert fake.uploads[sent["Image"]["image"]] == picture
        assert sent["Sampler"]["denoise"] == 0.4
        assert (sent["Size"]["width"], sent["Size"]["height"]) == (96, 48), "as large as the picture, in eights"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (Generation(operation="image", model="sdxl-image-to-image", prompt="a fox"), "image"),
        (Generation(operation="image", prompt="a fox", strength=0.5), "strength"),
        (Generation(operation="image", prompt="a fox", duration_s=3), "duration_s"),
        (Generation(operation="image", prompt="a fox", options={"seed": 3}), "seed"),
        (Generation(operation="image", inputs=(Input(role="image", mime="image/png", data=b"no"),)), "image"),
        (Generation(operation="image", inputs=(Input(role="mask", mime="image/png", data=png()),)), "mask"),
    ],
)
async def test_what_a_workflow_does_not_take_is_refused(asked: Generation, param: str) -> None:
    async with comfy() as (engine, fake):
        with pytest.raises(InvalidRequest) as raised:
            await engine.generate(asked, RecordedRun())
        assert raised.value.param == param
        assert not [each for each in fake.asked if each.method == "POST"]


@pytest.mark.parametrize("model", ["dreamshaper_8", "dreamshaper_8.safetensors"])
async def test_a_checkpoint_can_be_asked_for(model: str) -> None:
    async with comfy() as (engine, fake):
        await engine.generate(Generation(operation="image", model=model, prompt="a fox"), RecordedRun())
        assert graph(fake)["Checkpoint"]["ckpt_name"] == "dreamshaper_8.safetensors"


async def test_a_checkpoint_that_went_away_is_a_missing_model() -> None:
    async with comfy() as (engine, _):
        asked = Generation(operation="image", prompt="a fox", options={"checkpoint": "gone.safetensors"})
        with pytest.raises(ModelNotFound, match="gone.safetensors"):
            await engine.generate(asked, RecordedRun())


async def test_only_listed_models_may_be_asked_for() -> None:
    async with comfy(models=["sdxl-text-to-image"]) as (engine, _):
        assert [model.name for model in (await engine.state()).models] == ["sdxl-text-to-image"]
        with pytest.raises(ModelNotFound):
            await engine.generate(Generation(operation="image", model="dreamshaper_8"), RecordedRun())


async def test_a_refused_value_says_which_and_not_what() -> None:
    async with comfy() as (engine, fake):
        with pytest.raises(UpstreamRejected, match=r"KSampler\.steps: Value 0 smaller") as raised:
            await engine.generate(Generation(operation="image", prompt="a secret", steps=0), RecordedRun())
        assert raised.value.upstream_code == "value_smaller_than_min"
        assert "secret" not in raised.value.message
        assert fake.works == 0


async def test_a_prompt_that_was_taken_in_part_is_refused_and_taken_back() -> None:
    async with comfy() as (engine, fake):
        fake.drops_branches = True
        fake.hold()
        run = RecordedRun()
        with pytest.raises(UpstreamRejected):
            await engine.generate(Generation(operation="image", prompt="a fox", steps=0), run)
        assert (fake.pending, fake.running) == ([], [])


async def test_out_of_memory_has_its_code() -> None:
    async with comfy() as (engine, fake):
        fake.fault = "out_of_memory"
        with pytest.raises(UpstreamOverloaded) as raised:
            await engine.generate(ASKED, RecordedRun())
        assert raised.value.upstream_code == "out_of_memory"


async def test_a_failure_says_what_the_engine_said() -> None:
    async with comfy() as (engine, fake):
        fake.fault = "fails"
        with pytest.raises(UpstreamError, match="mat1 and mat2") as raised:
            await engine.generate(ASKED, RecordedRun())
        assert raised.value.upstream_code == "RuntimeError"


@pytest.mark.parametrize("fault", ["drops_socket", "no_socket", "silent_socket"])
async def test_the_work_is_found_without_its_socket(fault: str) -> None:
    async with comfy() as (engine, fake):
        fake.fault = fault
        run = RecordedRun()
        await engine.generate(ASKED, run)
        assert run.mimes == ["image/png"]


async def test_one_that_waits_is_taken_out_of_the_queue() -> None:
    async with comfy() as (engine, fake):
        fake.hold()
        first, second = RecordedRun(), RecordedRun()
        one = asyncio.create_task(engine.generate(ASKED, first))
        await fake.until_working()
        other = asyncio.create_task(engine.generate(ASKED, second))
        async with asyncio.timeout(5):
            while not any("1 before it" in told.message for told in second.told):
                await asyncio.sleep(0)
        other.cancel()
        await asyncio.wait([other])
        await engine.stop(second.reference)
        assert fake.stopped == [second.reference]
        assert not [asked for asked in fake.asked if asked.path == "/interrupt"], "what runs is another's"
        fake.release()
        await one
        assert first.mimes == ["image/png"]


async def test_an_old_server_is_not_made_to_stop_what_is_anothers() -> None:
    async with comfy() as (engine, fake):
        fake.ignores_interrupted_id = True
        fake.hold()
        one = asyncio.create_task(engine.generate(ASKED, RecordedRun()))
        await fake.until_working()
        await engine.stop("11111111-1111-4111-8111-111111111111")
        assert fake.stopped == []
        fake.release()
        await one


async def test_one_that_does_not_stop_is_said_to_run_on() -> None:
    async with comfy(request_timeout_s=0.3) as (engine, fake):
        fake.fault = "never_stops"
        fake.hold()
        run = RecordedRun()
        one = asyncio.create_task(engine.generate(ASKED, run))
        await fake.until_working()
        with pytest.raises(UpstreamTimeout, match="To stop"):
            await engine.stop(run.reference)
        fake.release()
        await one


async def test_work_that_takes_too_long_is_given_up() -> None:
    async with comfy(run_timeout_s=0.3) as (engine, fake):
        fake.hold()
        with pytest.raises(UpstreamTimeout, match="more than 0.3 s"):
            await engine.generate(ASKED, RecordedRun())


async def test_memory_that_does_not_come_back_is_said_to() -> None:
    async with comfy(request_timeout_s=0.3) as (engine, fake):
        fake.fault = "never_unloads"
        with pytest.raises(UpstreamTimeout, match="To unload"):
            await engine.unload()
        fake.device = "cpu"
        await engine.unload()


async def test_the_state_has_memory_workflows_and_checkpoints() -> None:
    async with comfy() as (engine, fake):
        state = await engine.state()
        assert (state.version, state.is_busy, state.free_mb, state.total_mb) == ("0.3.64", False, 8192, 24576)
        names = [model.name for model in state.models]
        assert names == ["sdxl-text-to-image", "sdxl-image-to-image", *fake.checkpoints]


async def test_a_video_workflow_gives_its_video(tmp_path: Path) -> None:
    video = {**EXPORT, "17": {"class_type": "VHS_VideoCombine", "inputs": {"images": ["16", 0], "filename_prefix": "clip"}}}
    video["13"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["10", 1]}}
    video["10"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamshaper_8.safetensors"}}
    (tmp_path / "clip.json").write_text(json.dumps(video))
    async with comfy(workflows=str(tmp_path)) as (engine, _):
        assert engine.operations == {"image", "video"}
        run = RecordedRun()
        await engine.generate(Generation(operation="video", prompt="a fox runs", count=1), run)
        assert run.mimes == ["video/mp4"]
        assert run.files[0].data[4:8] == b"ftyp"
        assert run.files[0].name == f"clip-{run.reference[:8]}_00001.mp4"
        with pytest.raises(InvalidRequest, match="makes video, not image"):
            await engine.generate(Generation(operation="image", model="clip"), RecordedRun())


async def test_its_place_and_credential_come_from_its_table() -> None:
    async with FakeComfy() as fake:
        engine = engine_at(fake.url, {"COMFY_KEY": "hush"}, api_key="env:COMFY_KEY")
        await engine.state()
        await engine.aclose()
        assert fake.asked[0].headers["Authorization"] == "Bearer hush"
    for table in ({"base_url": "ftp://somewhere"}, {"base_url": "http://user:pw@host"}, {"api_key": "plain"}, {"colour": 1}):
        with pytest.raises(ConfigError):
            build("mine", table, Surroundings(data=Path(), environment={}))
