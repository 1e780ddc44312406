"""What is InvokeAI's own; what every engine does is in the contract suite."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input
from aldgate.engines.invokeai.engine import InvokeEngine, build
from aldgate.engines.invokeai.events import Listener
from aldgate.engines.section import Surroundings
from aldgate.testing.engines import FakeInvoke
from aldgate.testing.engines.pictures import png
from tests.engines.runs import RecordedRun


@asynccontextmanager
async def invoke(**table: Any) -> AsyncIterator[tuple[InvokeEngine, FakeInvoke]]:
    async with FakeInvoke() as fake:
        engine = build("mine", {"base_url": fake.url, "poll_s": 0.02, **table}, Surroundings(data=Path(), environment={}))
        try:
            yield engine, fake
        finally:
            await engine.aclose()


def sent(fake: FakeInvoke) -> dict[str, Any]:
    return fake.body("/api/v1/queue/default/enqueue_batch")["batch"]


def edges(batch: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (
            f"{edge['source']['node_id']}.{edge['source']['field']}",
            f"{edge['destination']['node_id']}.{edge['destination']['field']}",
        )
        for edge in batch["graph"]["edges"]
    }


async def test_an_sdxl_model_gets_its_graph() -> None:
    async with invoke() as (engine, fake):
        run = RecordedRun()
        asked = Generation(
            operation="image", prompt="a fox", negative_prompt="a dog", seed=2**32 - 1, count=2, width=640, height=512
        )
        generated = await engine.generate(asked, run)
        batch = sent(fake)
        assert batch["batch_id"] == run.reference == run.handles[0]
        assert batch["data"] == [[{"node_path": "noise", "field_name": "seed", "items": [2**32 - 1, 0]}]]
        nodes = batch["graph"]["nodes"]
        assert nodes["model"]["type"] == "sdxl_model_loader"
        assert nodes["model"]["model"] == {
            "key": "k-xl",
            "hash": "blake3:2",
            "name": "Juggernaut XL",
            "base": "sdxl",
            "type": "main",
        }
        assert (nodes["positive"]["prompt"], nodes["negative"]["style"], nodes["positive"]["target_width"]) == (
            "a fox",
            "a dog",
            640,
        )
        assert nodes["denoise"]["denoising_start"] == 0.0
        assert {
            ("model.clip2", "positive.clip2"),
            ("noise.noise", "denoise.noise"),
            ("denoise.latents", "output.latents"),
        } <= edges(batch)
        assert [name for name, node in nodes.items() if not node["is_intermediate"]] == ["output"]
        assert run.mimes == ["image/png"] * 2
        assert generated.details["model"] == "Juggernaut XL"
        assert b"invokeai_metadata" not in run.files[0].data


async def test_an_older_model_and_a_picture_to_begin_with() -> None:
    async with invoke() as (engine, fake):
        picture = Input(role="image", mime="image/png", data=png())
        asked = Generation(operation="image", model="Dreamshaper 8", prompt="a fox", strength=0.25, inputs=(picture,))
        await engine.generate(asked, RecordedRun())
        nodes = sent(fake)["graph"]["nodes"]
        assert (nodes["model"]["type"], nodes["positive"]["type"]) == ("main_model_loader", "compel")
        assert nodes["denoise"]["denoising_start"] == 0.75
        assert nodes["fitted"] == {
            "id": "fitted",
            "is_intermediate": True,
            "type": "img_resize",
            "image": {"image_name": "upload-1.png"},
            "width": 512,
            "height": 512,
        }
        assert ("latents.latents", "denoise.latents") in edges(sent(fake))
        assert not [edge for edge in edges(sent(fake)) if "clip2" in edge[0]]
        assert fake.uploads == [picture.data]


@pytest.mark.parametrize("fault", ["", "no_socket"])
async def test_the_work_is_found_with_and_without_its_socket(fault: str) -> None:
    async with invoke() as (engine, fake):
        fake.fault = fault
        run = RecordedRun()
        await engine.generate(Generation(operation="image", prompt="a fox"), run)
        assert run.mimes == ["image/png"]
        assert run.fractions[-1] == 1.0


def test_events_of_a_batch_become_progress() -> None:
    listener = Listener("mine", 2)
    assert listener.answer('0{"sid":"x"}') == "40"
    assert listener.answer("2") == "3"
    assert listener.answer('40{"sid":"y"}') == '42["subscribe_queue",{"queue_id":"default"}]'

    def told(kind: str, **facts: Any) -> Any:
        frame = "42" + json.dumps([kind, {"batch_id": "mine", "item_id": 1, **facts}])
        assert listener.answer(frame) is None
        return listener.told(frame)

    first = told("invocation_progress", percentage=0.5, message="Denoising", image={"dataURL": "data:image/jpeg;base64,aGk="})
    assert (first.fraction, first.message, first.preview.mime, first.preview.data) == (0.25, "Denoising", "image/jpeg", b"hi")
    assert told("invocation_progress", item_id=2, percentage=None).fraction == 0.5
    assert told("invocation_progress", batch_id="other", percentage=1.0) is None
    assert told("queue_item_status_changed", status="completed") is None
    assert listener.may_have_ended
    for frame in ("42", "42[", "42[1]", '42["a",[]]', "9"):
        assert listener.told(frame) is None


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (Generation(operation="image", model="FLUX schnell"), "model"),
        (Generation(operation="image", width=100), "width"),
        (Generation(operation="image", strength=0.5), "strength"),
        (Generation(operation="image", options={"colour": 1}), "colour"),
        (Generation(operation="image", duration_s=3), "duration_s"),
        (Generation(operation="image", inputs=(Input(role="mask", mime="image/png", data=png()),)), "image"),
    ],
)
async def test_what_it_cannot_do_is_refused_before(asked: Generation, param: str) -> None:
    async with invoke() as (engine, fake):
        with pytest.raises(InvalidRequest) as raised:
            await engine.generate(asked, RecordedRun())
        assert raised.value.param == param
        assert fake.items == []


async def test_the_state_lists_what_can_be_used() -> None:
    async with invoke() as (engine, _):
        state = await engine.state()
        assert [model.name for model in state.models] == ["Juggernaut XL", "Dreamshaper 8"]
        assert (state.version, state.is_busy) == ("6.14.2", False)
