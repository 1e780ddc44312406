"""Finds the usual inputs of a workflow that nobody described: by titles, by what nodes are, by what is linked to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from aldgate.core.levels import Operation

Graph = dict[str, dict[str, Any]]
"""Node id -> `{class_type, inputs, _meta?}`; an input that is a link is `[node id, output number]`."""
Place = tuple[str, str]
"""Node id and input."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("text", "prompt"),
    "negative_prompt": ("text", "prompt", "negative_prompt"),
    "lyrics": ("lyrics", "text"),
    "seed": ("seed", "noise_seed"),
    "steps": ("steps",),
    "guidance": ("cfg", "guidance"),
    "strength": ("denoise",),
    "width": ("width",),
    "height": ("height",),
    "count": ("batch_size", "amount"),
    "duration_s": ("seconds", "duration"),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "checkpoint": ("ckpt_name", "unet_name"),
    "image": ("image",),
    "mask": ("image", "mask"),
}
"""What an input is called on the nodes that take it, the likeliest first. A node titled with a name on the left takes that."""
_ANYTHING = ("value", "string", "text", "number")
"""What the only input of a node is called that holds a value for others."""
_EVERYWHERE = ("seed", "steps", "guidance", "sampler", "scheduler", "checkpoint")
"""Taken from every node that has them: a base model and its refiner want the same."""
_VIDEO = ("savevideo", "videocombine", "savewebm", "saveanimated")
_AUDIO = ("saveaudio",)
_MESH = ("saveglb", "save3d")


def is_link(value: Any) -> bool:
    """Whether an input comes from another node."""
    if not isinstance(value, list):
        return False
    pair = cast("list[Any]", value)
    return len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], int)


def inferred_operation(graph: Graph) -> Operation:
    """What a workflow makes, by the nodes that save."""
    classes = [node["class_type"].lower() for node in graph.values()]
    for words, operation in ((_VIDEO, "video"), (_AUDIO, "audio"), (_MESH, "mesh")):
        if any(word in each for each in classes for word in words):
            return cast("Operation", operation)
    return "image"


def inferred_inputs(graph: Graph) -> dict[str, tuple[Place, ...]]:
    """Names of inputs and where they go. What is ambiguous is left out."""
    found: dict[str, tuple[Place, ...]] = {}
    for name in _EVERYWHERE:
        found[name] = tuple(_places(graph, _FIELDS[name]))
    found |= _prompts(graph) | _sizes(graph) | _images(graph) | _titled(graph)
    return {name: places for name, places in found.items() if places}


def _places(graph: Graph, fields: tuple[str, ...], classes: str = "") -> Iterator[Place]:
    for node, content in graph.items():
        if content["class_type"].startswith(classes):
            yield from ((node, field) for field in fields if field in content["inputs"] and not is_link(content["inputs"][field]))


def _prompts(graph: Graph) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for name, side in (("prompt", "positive"), ("negative_prompt", "negative")):
        nodes = {_text_behind(graph, content["inputs"].get(side)) for content in graph.values()}
        found[name] = tuple((node, "text") for node in sorted(nodes - {None}, key=str) if node is not None)
    if not found["prompt"]:
        texts = [place for place in _places(graph, ("text",)) if "TextEncode" in graph[place[0]]["class_type"]]
        found["prompt"] = tuple(texts) if len(texts) == 1 else ()
    if set(found["prompt"]) & set(found["negative_prompt"]):
        found["negative_prompt"] = ()
    return found


def _text_behind(graph: Graph, link: Any) -> str | None:
    """The node with the text that a sampler's conditioning comes from, through whatever stands between."""
    seen: set[str] = set()
    while is_link(link) and link[0] in graph and link[0] not in seen:
        seen.add(link[0])
        inputs = graph[link[0]]["inputs"]
        if isinstance(inputs.get("text"), str):
            return link[0]
        link = next((inputs[key] for key in ("conditioning", "conditioning_1", "positive", "text") if key in inputs), None)
    return None


def _sizes(graph: Graph) -> dict[str, tuple[Place, ...]]:
    return {name: tuple(_places(graph, _FIELDS[name][:1], "Empty")) for name in ("width", "height", "count")}


def _images(graph: Graph) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    loaders = sorted(node for node, content in graph.items() if content["class_type"] == "LoadImage")
    for number, node in enumerate(loaders, 1):
        found["image" if number == 1 else f"image_{number}"] = ((node, "image"),)
    found["mask"] = tuple(_places(graph, ("image",), "LoadImageMask"))
    strengths = tuple(_places(graph, ("denoise",)))
    found["strength"] = strengths if loaders and len(strengths) == 1 else ()
    return found


def _titled(graph: Graph) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for node, content in graph.items():
        title = str(content.get("_meta", {}).get("title", "")).strip().lower().replace(" ", "_")
        inputs = content["inputs"]
        fields = (*_FIELDS[title], *_ANYTHING) if title in _FIELDS else ()
        field = next((each for each in fields if each in inputs and not is_link(inputs[each])), None)
        if field is not None:
            found[title] = (*found.get(title, ()), (node, field))
    return found
