"""`builtin/clip`: a drawing that moves, as MP4, WebM or GIF; from a given picture, its shapes move over that."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generated, Generation, Input, Preview, Progress
from aldgate.engines.builtin.media.bounds import check_options, inputs_of, number, one_of, seed_of, whole, whole_option
from aldgate.engines.builtin.media.drawing import drawing
from aldgate.engines.builtin.media.libraries import library
from aldgate.engines.builtin.media.raster import fitted, opened, written
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step
from aldgate.engines.builtin.media.studio import Render, Studio

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_SIDE = 1_920
MOST_DURATION_S = 60.0
MOST_WORK = 1_000_000_000
"""Pixels of all frames together."""
PREVIEW_EVERY_S = 1.0
LOOP_S = 4.0
"""After so long the shapes are back where they began."""


class _Kind(msgspec.Struct, frozen=True):
    mime: str
    codec: str
    pixels: str
    options: Mapping[str, str]


# One thread each: how many threads encode decides on the bytes. Nor may x264 look ahead: with that, no two runs are alike.
H264 = {"preset": "veryfast", "crf": "26", "threads": "1", "x264-params": "rc-lookahead=0:mbtree=0"}
KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "mp4": _Kind("video/mp4", "libx264", "yuv420p", H264),
        "webm": _Kind(
            "video/webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8", "crf": "36", "threads": "1"}
        ),
        "gif": _Kind("image/gif", "gif", "rgb8", {}),
    }
)


class _Plan(msgspec.Struct, frozen=True):
    asked: Generation
    seed: int
    width: int
    height: int
    fps: int
    frames: int
    strength: float
    format: str
    given: Input | None


def model(studio: Studio) -> MediaModel:
    """The model, whose frames are rendered in a studio."""
    return MediaModel("clip", frozenset({"video"}), ("av", "PIL", "resvg_py"), lambda asked: _film(_planned(asked), studio))


def _planned(asked: Generation) -> _Plan:
    check_options(asked, "fps")
    width = whole(asked.width, "width", 320, 16, MOST_SIDE)
    height = whole(asked.height, "height", 240, 16, MOST_SIDE)
    for side, name in ((width, "width"), (height, "height")):
        if side % 2:
            raise InvalidRequest(f"`{name}` of a video is even.", param=name)
    whole(asked.count, "count", 1, 1, 1)
    fps = whole_option(asked.options, "fps", 12, 1, 60)
    frames = max(1, round(number(asked.duration_s, "duration_s", 2.0, 0.1, MOST_DURATION_S) * fps))
    if frames * width * height > MOST_WORK:
        most = MOST_WORK // (width * height * fps)
        raise InvalidRequest(
            f"At this size and `fps`, `duration_s` is at most {most} with the builtin models.", param="duration_s"
        )
    given = inputs_of(asked, "image").get("image")
    if given is not None:
        opened(given)
    strength = number(asked.strength, "strength", 0.5, 0, 1)
    format = one_of(asked.format, "format", KINDS)
    return _Plan(asked, seed_of(asked), width, height, fps, frames, strength, format, given)


def _film(plan: _Plan, studio: Studio) -> Generator[Step]:
    av = library("av")
    kind = KINDS[plan.format]
    before = None if plan.given is None else fitted(opened(plan.given), "image", plan.width, plan.height)
    sink = BytesIO()
    # `bitexact` leaves out what would differ from run to run: times, random ids, versions.
    options = {"fflags": "+bitexact"}
    with studio.at_work() as render, av.open(sink, "w", format=plan.format, options=options) as container:
        stream = container.add_stream(kind.codec, rate=plan.fps, options={**kind.options, "flags": "+bitexact"})
        stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, kind.pixels
        for index in range(plan.frames):
            picture = _frame(plan, render, index, before)
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
            preview = Preview("image/jpeg", written(picture, "jpeg")) if index % round(PREVIEW_EVERY_S * plan.fps) == 0 else None
            yield Progress((index + 1) / plan.frames, index + 1, plan.frames, preview=preview)
        for packet in stream.encode(None):
            container.mux(packet)
    duration_s = plan.frames / plan.fps
    facts = {"width": plan.width, "height": plan.height, "duration_s": duration_s, "fps": plan.fps, "seed": plan.seed}
    yield Made(sink.getvalue(), kind.mime, f"clip.{plan.format}", facts)
    yield Generated(seed=plan.seed, duration_s=duration_s)


def _frame(plan: _Plan, render: Render, index: int, before: Image | None) -> Image:
    from PIL import Image

    phase = index / plan.fps / LOOP_S
    svg = drawing(plan.asked.prompt, plan.seed, plan.width, plan.height, phase=phase)
    drawn = render(svg, plan.width, plan.height)
    return drawn if before is None else Image.blend(before, drawn, plan.strength)
