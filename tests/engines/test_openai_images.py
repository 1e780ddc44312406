"""What is their own; what every engine does is in the contract suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import ContentFiltered, InvalidRequest, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import Generation, Input
from aldgate.engines.openai_images import OpenAIImagesEngine, build
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeOpenAIImages
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun

ASKED = Generation(operation="image", prompt="a fox")


@asynccontextmanager
async def imitator(**table: Any) -> AsyncIterator[tuple[OpenAIImagesEngine, FakeOpenAIImages]]:
    async with FakeOpenAIImages() as fake:
        given = {"base_url": f"{fake.url}/v1", **table}
        engine = build("mine", given, Surroundings(data=Path(), environment={}))
        try:
            yield engine, fake
        finally:
            await engine.aclose()


async def test_what_is_asked_is_said_in_its_words() -> None:
    async with imitator(sends={"seed": "seed", "guidance": "cfg_scale"}) as (engine, fake):
        run = RecordedRun()
        asked = Generation(
            operation="image",
            model="flux",
            prompt="a fox",
            width=64,
            height=32,
            count=2,
            seed=4,
            guidance=2.5,
            options={"quality": "high"},
        )
        generated = await engine.generate(asked, run)
        assert fake.body("/v1/images/generations") == {
            "model": "flux",
            "prompt": "a fox",
            "n": 2,
            "size": "64x32",
            "response_format": "b64_json",
            "seed": 4,
            "cfg_scale": 2.5,
            "quality": "high",
        }
        assert generated.seed == 4
        assert run.files[0].facts == {"width": 16, "height": 8, "revised_prompt": "a red fox"}
        assert b"words" not in run.files[0].data


async def test_gpt_image_is_not_told_a_format() -> None:
    async with imitator(models=["gpt-image-2"]) as (engine, fake):
        await engine.generate(ASKED, RecordedRun())
        assert fake.body("/v1/images/generations") == {"model": "gpt-image-2", "prompt": "a fox", "n": 1}


@pytest.mark.parametrize("gives", ["b64_json", "data", "url", "path", "localhost"])
async def test_a_picture_is_had_however_it_is_given(gives: str) -> None:
    async with imitator() as (engine, fake):
        fake.gives = gives
        run = RecordedRun()
        await engine.generate(ASKED, run)
        assert run.mimes == ["image/png"]


async def test_nothing_is_fetched_from_elsewhere() -> None:
    async with imitator() as (engine, fake):
        fake.fault = "elsewhere"
        with pytest.raises(UpstreamInvalid, match="elsewhere"):
            await engine.generate(ASKED, RecordedRun())
        assert [asked.path for asked in fake.asked] == ["/v1/images/generations"]


@pytest.mark.parametrize("count", [1, 2])
async def test_pictures_to_begin_with_go_as_files(count: int) -> None:
    async with imitator() as (engine, fake):
        inputs = (Input(role="image", mime="image/png", data=png()),) * count + (
            Input(role="mask", mime="image/png", data=png(4, 4)),
        )
        await engine.generate(Generation(operation="image", prompt="a fox", inputs=inputs), RecordedRun())
        assert fake.asked[0].path == "/v1/images/edits"
        names = [name for name, _ in fake.asked[0].form]
        assert names == ["prompt", "n", "response_format", *["image" if count == 1 else "image[]"] * count, "mask"]
        assert fake.asked[0].form[-1][1] == png(4, 4)


async def test_failures_have_their_class_and_code() -> None:
    async with imitator() as (engine, fake):
        fake.fault = "moderated"
        with pytest.raises(ContentFiltered):
            await engine.generate(ASKED, RecordedRun())
        fake.fault = "out_of_memory"
        with pytest.raises(UpstreamOverloaded) as raised:
            await engine.generate(ASKED, RecordedRun())
        assert raised.value.upstream_code == "out_of_memory"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (Generation(operation="image"), "prompt"),
        (Generation(operation="image", prompt="x", steps=3), "steps"),
        (Generation(operation="image", prompt="x", seed=3), "seed"),
        (Generation(operation="image", prompt="x", width=64), "height"),
        (Generation(operation="image", prompt="x", options={"colour": 1}), "colour"),
        (Generation(operation="image", prompt="x", options={"quality": [1]}), "quality"),
    ],
)
async def test_what_it_cannot_do_is_refused_before(asked: Generation, param: str) -> None:
    async with imitator() as (engine, fake):
        with pytest.raises(InvalidRequest) as raised:
            await engine.generate(asked, RecordedRun())
        assert raised.value.param == param
        assert fake.asked == []


async def test_wishes_are_passed_on_and_what_it_counts_is_told() -> None:
    async with imitator() as (engine, fake):
        hints = {"quality": "high", "user": "somebody", "output_compression": 40}
        run = RecordedRun()
        await engine.generate(Generation(operation="image", prompt="a fox", hints=hints, format="jpeg"), run)
        body = fake.body("/v1/images/generations")
        assert body == {"prompt": "a fox", "n": 1, "response_format": "b64_json", "quality": "high", "user": "somebody"}
        assert run.files[0].mime == "image/jpeg"


async def test_a_picture_without_words_is_varied() -> None:
    async with imitator() as (engine, fake):
        picture = Input("image", "image/png", png(), "fox.png")
        await engine.generate(Generation(operation="image", inputs=(picture,), count=2), RecordedRun())
        (asked,) = [each for each in fake.asked if each.path == "/v1/images/variations"]
        assert dict(asked.form)["image"] == png() and "prompt" not in dict(asked.form)
        with pytest.raises(InvalidRequest) as refused:
            await engine.generate(Generation(operation="image", inputs=(picture, picture)), RecordedRun())
        assert refused.value.param == "prompt"
