"""A generation as a graph of InvokeAI's nodes: https://github.com/invoke-ai/InvokeAI, `invokeai/app/invocations`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest, ModelNotFound
from aldgate.core.generation import Generation

OUTPUT = "output"
"""The node whose picture counts."""
MOST_SEED = 2**32 - 1
SIDES = {"sd-1": 512, "sd-2": 768, "sdxl": 1024}
"""Architectures that have a graph here, and the side of their pictures where none is asked."""
_OPTIONS = {"scheduler": str, "cfg_rescale_multiplier": float}
Edge = tuple[str, str, str, str]
"""From node and field, to node and field."""


class Model(msgspec.Struct, frozen=True):
    """An installed model, as nodes want it named: by a name alone they do not find it."""

    key: str
    name: str
    base: str = ""
    type: str = "main"
    hash: str = ""


def model_for(wanted: str, known: list[Model], engine: str) -> Model:
    """The model that was asked for by name or key; empty takes the first that has a graph here.

    Raises:
        ModelNotFound: It is not installed.
        InvalidRequest: It is of an architecture without a graph here.
    """
    usable = [model for model in known if model.base in SIDES]
    found = next((model for model in (known if wanted else usable) if not wanted or wanted in (model.name, model.key)), None)
    if found is None:
        raise ModelNotFound(f"The engine `{engine}` has no model `{wanted or 'of a known architecture'}`.", param="model")
    if found.base not in SIDES:
        raise InvalidRequest(f"`{found.name}` is of `{found.base}`; there are graphs for {', '.join(SIDES)}.", param="model")
    return found


def batch_for(asked: Generation, model: Model, seed: int, reference: str, image: str | None) -> dict[str, Any]:
    """The batch to be queued: one graph, run once per seed.

    Args:
        asked: Already checked.
        model: Which to use.
        seed: Of the first picture; the others have the next.
        reference: The id of the batch, by which it is found again.
        image: Name of the uploaded picture to begin with.
    """
    nodes, edges = _graph(asked, model, image)
    seeds = [(seed + number) % (MOST_SEED + 1) for number in range(asked.count)]
    return {
        "batch_id": reference,
        "origin": "aldgate",
        "destination": reference,
        "data": [[{"node_path": "noise", "field_name": "seed", "items": seeds}]],
        "graph": {
            "id": reference,
            "nodes": {name: {"id": name, "is_intermediate": name != OUTPUT, **node} for name, node in nodes.items()},
            "edges": [
                {"source": {"node_id": one, "field": field}, "destination": {"node_id": two, "field": other}}
                for one, field, two, other in edges
            ],
        },
        "runs": 1,
    }


def check(asked: Generation) -> None:
    """See that it can be done.

    Raises:
        InvalidRequest: It cannot.
    """
    for name in ("lyrics", "duration_s", "voice", "speed", "language"):
        if getattr(asked, name) not in (None, ""):
            raise InvalidRequest(f"Pictures have no `{name}`.", param=name)
    for name, value in asked.options.items():
        if name not in _OPTIONS or not isinstance(value, _OPTIONS[name]):
            raise InvalidRequest(f"There is no such option `{name}`; there are {', '.join(_OPTIONS)}.", param=name)
    if len(asked.inputs) > 1 or any(given.role != "image" for given in asked.inputs):
        raise InvalidRequest("It takes one input `image`.", param="image")
    if asked.strength is not None and not asked.inputs:
        raise InvalidRequest("`strength` is of the picture to begin with, and there is none.", param="strength")
    if any(side is not None and (side % 8 or side <= 0) for side in (asked.width, asked.height)):
        raise InvalidRequest("`width` and `height` must be multiples of 8.", param="width")


def _graph(asked: Generation, model: Model, image: str | None) -> tuple[dict[str, dict[str, Any]], list[Edge]]:
    width, height = asked.width or SIDES[model.base], asked.height or SIDES[model.base]
    named = msgspec.to_builtins(model)
    strength = (0.6 if asked.strength is None else asked.strength) if image else 1.0
    nodes: dict[str, dict[str, Any]] = {
        "model": {"type": "sdxl_model_loader" if model.base == "sdxl" else "main_model_loader", "model": named},
        "noise": {"type": "noise", "seed": 0, "width": width, "height": height, "use_cpu": True},
        "denoise": {"type": "denoise_latents", "denoising_start": 1.0 - strength, "denoising_end": 1.0, **_sampling(asked)},
        OUTPUT: {"type": "l2i", "fp32": True},
    }
    edges: list[Edge] = [
        ("model", "unet", "denoise", "unet"),
        ("noise", "noise", "denoise", "noise"),
        ("denoise", "latents", OUTPUT, "latents"),
        ("model", "vae", OUTPUT, "vae"),
    ]
    for side, text in (("positive", asked.prompt), ("negative", asked.negative_prompt)):
        nodes[side] = _words(text, model.base, width, height)
        edges.append((side, "conditioning", "denoise", f"{side}_conditioning"))
        edges += [("model", clip, side, clip) for clip in (("clip", "clip2") if model.base == "sdxl" else ("clip",))]
    if image:
        nodes["fitted"] = {"type": "img_resize", "image": {"image_name": image}, "width": width, "height": height}
        nodes["latents"] = {"type": "i2l", "fp32": True}
        edges += [("fitted", "image", "latents", "image"), ("model", "vae", "latents", "vae")]
        edges.append(("latents", "latents", "denoise", "latents"))
    return nodes, edges


def _sampling(asked: Generation) -> Mapping[str, Any]:
    return {
        "steps": asked.steps or 30,
        "cfg_scale": 7.0 if asked.guidance is None else asked.guidance,
        "scheduler": "euler",
    } | dict(asked.options)


def _words(text: str, base: str, width: int, height: int) -> dict[str, Any]:
    if base != "sdxl":
        return {"type": "compel", "prompt": text}
    sizes = {"original_width": width, "original_height": height, "target_width": width, "target_height": height}
    return {"type": "sdxl_compel_prompt", "prompt": text, "style": text, **sizes}
