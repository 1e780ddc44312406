import json
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest
from aldgate.engines.comfyui.section import SHIPPED, ComfySection, workflows_of
from aldgate.engines.comfyui.workflow import Workflow, read_workflow
from aldgate.testing.engines.comfyui import CLASSES

EXPORT: dict[str, Any] = {
    "10": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
    "11": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad hands", "clip": ["10", 1]}},
    "12": {"class_type": "CLIPTextEncode", "inputs": {"text": "a house", "clip": ["10", 1]}},
    "13": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["12", 0], "strength": 1.0}},
    "14": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "15": {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
        | {"model": ["10", 0], "positive": ["13", 0], "negative": ["11", 0], "latent_image": ["14", 0]},
    },
    "16": {"class_type": "VAEDecode", "inputs": {"samples": ["15", 0], "vae": ["10", 2]}},
    "17": {"class_type": "SaveImage", "inputs": {"images": ["16", 0], "filename_prefix": "mine"}},
}


def read(document: Any, name: str = "mine") -> Workflow:
    return read_workflow(name, json.dumps(document).encode())


def titled(graph: dict[str, Any], node: str, title: str) -> dict[str, Any]:
    return {**graph, node: {**graph[node], "_meta": {"title": title}}}


def test_the_inputs_of_a_plain_export_are_found() -> None:
    workflow = read(EXPORT)
    assert workflow.operation == "image"
    assert not workflow.needs_image
    assert dict(workflow.inputs) == {
        "prompt": (("12", "text"),),
        "negative_prompt": (("11", "text"),),
        "seed": (("15", "seed"),),
        "steps": (("15", "steps"),),
        "guidance": (("15", "cfg"),),
        "sampler": (("15", "sampler_name"),),
        "scheduler": (("15", "scheduler"),),
        "checkpoint": (("10", "ckpt_name"),),
        "width": (("14", "width"),),
        "height": (("14", "height"),),
        "count": (("14", "batch_size"),),
    }


def test_filling_changes_nothing_but_the_named_inputs() -> None:
    workflow = read(EXPORT)
    filled = workflow.filled({"prompt": "a fox", "seed": 9}, "tag")
    assert filled["12"]["inputs"]["text"] == "a fox"
    assert filled["15"]["inputs"] == EXPORT["15"]["inputs"] | {"seed": 9}
    assert filled["17"]["inputs"]["filename_prefix"] == "mine-tag"
    assert workflow.graph == EXPORT, "the template is left as it is"


def test_a_title_names_an_input() -> None:
    graph = titled({**EXPORT, "20": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": ""}}}, "20", "Prompt")
    assert read(graph).inputs["prompt"] == (("20", "value"),)


def test_a_picture_and_how_far_to_leave_it() -> None:
    graph = {**EXPORT, "14": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    workflow = read(graph)
    assert workflow.needs_image
    assert workflow.inputs["strength"] == (("15", "denoise"),)


def test_inputs_can_be_said() -> None:
    said = {"style": "15.sampler_name", "prompt": ["12.text", "11.text"], "seed": None, "frames": "Frames.batch_size"}
    workflow = read({"workflow": titled(EXPORT, "14", "Frames"), "operation": "video", "inputs": said, "outputs": ["17"]})
    assert workflow.operation == "video"
    assert workflow.inputs["style"] == (("15", "sampler_name"),)
    assert workflow.inputs["prompt"] == (("12", "text"), ("11", "text"))
    assert workflow.inputs["frames"] == (("14", "batch_size"),)
    assert "seed" not in workflow.inputs
    assert workflow.outputs == {"17"}


@pytest.mark.parametrize(
    ("kind", "operation"), [("VHS_VideoCombine", "video"), ("SaveVideo", "video"), ("SaveAudioMP3", "audio"), ("SaveGLB", "mesh")]
)
def test_what_a_workflow_makes_is_seen_from_what_it_saves(kind: str, operation: str) -> None:
    assert read({**EXPORT, "17": {"class_type": kind, "inputs": {"images": ["16", 0]}}}).operation == operation


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"nodes": [], "links": []}, "what the editor saves"),
        ({"workflow": {"nodes": [], "links": []}}, "what the editor saves"),
        ([1], "no object"),
        ({}, "no nodes"),
        ({"3": {"inputs": {}}}, "no node of the API format"),
        ({"workflow": EXPORT, "input": {}}, "unknown key `input`"),
        ({"workflow": EXPORT, "operation": "chatter"}, "makes `chatter`"),
        ({"workflow": EXPORT, "inputs": {"prompt": "text"}}, "names no input"),
        ({"workflow": EXPORT, "inputs": {"prompt": "99.text"}}, "no node with the id or title `99`"),
        ({"workflow": EXPORT, "inputs": {"prompt": "12.clip"}}, "no free input `clip`"),
        ({"workflow": titled(titled(EXPORT, "11", "T"), "12", "T"), "inputs": {"prompt": "T.text"}}, "2 nodes"),
    ],
)
def test_what_is_no_workflow_is_refused_and_says_why(document: Any, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(document)
    assert said in raised.value.message
    assert "`mine`" in raised.value.message
    assert raised.value.hint


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ConfigError, match="no JSON"):
        read_workflow("mine", b"{")


@pytest.mark.parametrize("value", [["4", 0], {"a": 1}, None])
def test_a_value_cannot_be_a_link(value: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(EXPORT).check({"prompt": value})
    assert raised.value.param == "prompt"


def test_an_unknown_input_is_refused_with_the_known() -> None:
    with pytest.raises(InvalidRequest, match="has no input `colour`; it has .*prompt"):
        read(EXPORT).check({"colour": "red"})


def test_the_shipped_workflows_take_the_usual_inputs() -> None:
    workflows = workflows_of("mine", ComfySection())
    assert tuple(workflows) == SHIPPED
    usual = {
        "prompt",
        "negative_prompt",
        "seed",
        "steps",
        "guidance",
        "sampler",
        "scheduler",
        "width",
        "height",
        "count",
        "checkpoint",
    }
    assert workflows["sdxl-text-to-image"].inputs.keys() == usual
    assert workflows["sdxl-image-to-image"].inputs.keys() == usual | {"image", "strength"}
    assert {node["class_type"] for each in workflows.values() for node in each.graph.values()} <= CLASSES


def test_own_workflows_come_first_and_may_replace_the_shipped(tmp_path: Path) -> None:
    (tmp_path / "house.json").write_text(json.dumps(EXPORT))
    (tmp_path / "sdxl-text-to-image.json").write_text(json.dumps(EXPORT))
    (tmp_path / "notes.txt").write_text("not one")
    workflows = workflows_of("mine", ComfySection(workflows=str(tmp_path)))
    assert list(workflows) == ["house", "sdxl-text-to-image", "sdxl-image-to-image"]
    assert workflows["sdxl-text-to-image"].graph == EXPORT


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        workflows_of("mine", ComfySection(workflows="/nowhere"))
