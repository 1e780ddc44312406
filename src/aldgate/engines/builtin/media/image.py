"""`builtin/svg`: drawings as PNG, JPEG, WebP or SVG; given pictures are drawn over, within a mask if there is one."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generated, Generation, Input, Preview, Progress
from aldgate.engines.builtin.media.bounds import (
    MOST_COUNT,
    MOST_STEPS,
    check_options,
    inputs_of,
    number,
    one_of,
    seed_of,
    whole,
)
from aldgate.engines.builtin.media.drawing import drawing
from aldgate.engines.builtin.media.raster import WRITTEN, changing, fitted, opened, written
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step
from aldgate.engines.builtin.media.studio import Render, Studio

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE, USUAL_SIDE, MOST_SIDE = 16, 512, 2_048
USUAL_STEPS = 4
MOST_PREVIEWS = 8
PREVIEW_SIDE = 256
FORMATS = ("png", "jpeg", "jpg", "webp", "svg")


class _Plan(msgspec.Struct, frozen=True):
    asked: Generation
    count: int
    seed: int
    width: int
    height: int
    steps: int
    strength: float
    format: str
    given: dict[str, Input]


def model(studio: Studio) -> MediaModel:
    """The model, whose drawings are rendered in a studio."""
    return MediaModel("svg", frozenset({"image"}), ("PIL", "resvg_py"), lambda asked: _draw(_planned(asked), studio))


def _planned(asked: Generation) -> _Plan:
    check_options(asked)
    given = inputs_of(asked, "image", "mask")
    if "mask" in given and "image" not in given:
        raise InvalidRequest("A `mask` needs the `image` that it is for.", param="image")
    format = one_of(asked.format, "format", FORMATS)
    if format == "svg" and given:
        raise InvalidRequest("A picture that is made of another one cannot be `svg`; take `png`.", param="format")
    size = opened(given["image"]).size if "image" in given else (USUAL_SIDE, USUAL_SIDE)
    for role in given:
        opened(given[role])
    return _Plan(
        asked,
        whole(asked.count, "count", 1, 1, MOST_COUNT),
        seed_of(asked),
        whole(asked.width, "width", min(max(size[0], LEAST_SIDE), MOST_SIDE), LEAST_SIDE, MOST_SIDE),
        whole(asked.height, "height", min(max(size[1], LEAST_SIDE), MOST_SIDE), LEAST_SIDE, MOST_SIDE),
        whole(asked.steps, "steps", USUAL_STEPS, 1, MOST_STEPS),
        number(asked.strength, "strength", 0.6, 0, 1),
        format,
        given,
    )


def _draw(plan: _Plan, studio: Studio) -> Generator[Step]:
    steps = plan.steps * plan.count
    every = max(1, -(-plan.steps // MOST_PREVIEWS))
    with studio.at_work() as render:
        for index in range(plan.count):
            for step in range(1, plan.steps):
                done, share = index * plan.steps + step, step / plan.steps
                preview = None if step % every else _preview(plan, render, plan.seed + index, share)
                yield Progress(done / steps, done, steps, preview=preview)
            yield _picture(plan, render, index)
            yield Progress((index + 1) / plan.count, (index + 1) * plan.steps, steps)
    yield Generated(seed=plan.seed)


def _picture(plan: _Plan, render: Render, index: int) -> Made:
    seed = plan.seed + index
    facts = {"width": plan.width, "height": plan.height, "seed": seed}
    name = f"picture-{index + 1}.{plan.format}"
    if plan.format == "svg":
        svg = drawing(plan.asked.prompt, seed, plan.width, plan.height)
        return Made(svg.encode(), "image/svg+xml", name, facts)
    drawn = _drawn(plan, render, seed, plan.width, plan.height, 1.0)
    return Made(written(drawn, plan.format, plan.asked.hints.get("output_compression")), WRITTEN[plan.format][1], name, facts)


def _preview(plan: _Plan, render: Render, seed: int, share: float) -> Preview:
    scale = min(1.0, PREVIEW_SIDE / max(plan.width, plan.height))
    width, height = max(1, round(plan.width * scale)), max(1, round(plan.height * scale))
    return Preview("image/png", written(_drawn(plan, render, seed, width, height, share), "png"))


def _drawn(plan: _Plan, render: Render, seed: int, width: int, height: int, share: float) -> Image:
    from PIL import Image

    svg = drawing(plan.asked.prompt, seed, plan.width, plan.height, share=share)
    drawn = render(svg, width, height)
    if "image" not in plan.given:
        return drawn
    before = fitted(opened(plan.given["image"]), "image", width, height)
    after = Image.blend(before, drawn, plan.strength)
    if "mask" not in plan.given:
        return after
    return Image.composite(after, before, changing(fitted(opened(plan.given["mask"]), "mask", width, height)))
