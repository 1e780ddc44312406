"""A generation in the words of AUTOMATIC1111's API, and what its replies mean.

Source: https://github.com/lllyasviel/stable-diffusion-webui-forge, `modules/api`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamInvalid
from aldgate.core.generation import Generation

MOST_SEED = 2**32 - 1
LEAST_CHECKPOINT_BYTES = 256 * 1024**2
"""What a checkpoint takes at the least, and more than what stays when it was unloaded."""
_PLAIN = {
    "prompt": "prompt",
    "negative_prompt": "negative_prompt",
    "width": "width",
    "height": "height",
    "steps": "steps",
    "guidance": "cfg_scale",
    "strength": "denoising_strength",
}
OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "sampler": str,
    "scheduler": str,
    "styles": list,
    "restore_faces": bool,
    "tiling": bool,
    "clip_skip": int,
    "distilled_cfg_scale": (int, float),
    "subseed": int,
    "subseed_strength": (int, float),
    "enable_hr": bool,
    "hr_scale": (int, float),
    "hr_upscaler": str,
    "hr_second_pass_steps": int,
    "denoising_strength": (int, float),
    "refiner_checkpoint": str,
    "refiner_switch_at": (int, float),
    "mask_blur": int,
    "inpainting_fill": int,
    "inpaint_full_res": bool,
    "inpaint_full_res_padding": int,
    "inpainting_mask_invert": int,
    "resize_mode": int,
}
"""What may be asked for besides. Scripts are not among it: they run what they like on that machine."""
_RENAMED = {"sampler": "sampler_name"}


class Checkpoint(msgspec.Struct, frozen=True):
    """An installed model."""

    title: str
    model_name: str = ""
    filename: str = ""

    def is_called(self, wanted: str) -> bool:
        """Whether it is meant: by title, name, file, or file without its ending."""
        file = PurePath(self.filename.replace("\\", "/"))
        return wanted in (self.title, self.model_name, file.name, file.stem)


class Info(msgspec.Struct, frozen=True):
    """What a reply says of its pictures, as JSON within JSON."""

    seed: int | None = None
    all_seeds: list[int] = []
    sd_model_name: str | None = None
    index_of_first_image: int = 0


class Made(msgspec.Struct, frozen=True):
    """The reply to `txt2img` and `img2img`."""

    images: list[str]
    info: str = "{}"


class State(msgspec.Struct, frozen=True):
    """Of the progress: what the server is at."""

    interrupted: bool = False
    job: str = ""
    job_count: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class Now(msgspec.Struct, frozen=True):
    """`/sdapi/v1/progress`, which is of whatever runs."""

    progress: float = 0.0
    state: State = State()
    current_image: str | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing runs."""
        return self.state.job_count <= 0 and not self.state.job


class System(msgspec.Struct, frozen=True):
    """A device's memory in bytes."""

    free: int = 0
    total: int = 0


class Allocated(msgspec.Struct, frozen=True):
    """What its own tensors take, in bytes."""

    current: int = 0


class Cuda(msgspec.Struct, frozen=True):
    """Of a server without CUDA there is no `system`."""

    system: System | None = None
    allocated: Allocated = Allocated()

    @property
    def holds_checkpoint(self) -> bool:
        """Whether one is on the device: the option that names it stays when it is unloaded."""
        return self.allocated.current >= LEAST_CHECKPOINT_BYTES


class Memory(msgspec.Struct, frozen=True):
    """`/sdapi/v1/memory`."""

    cuda: Cuda = Cuda()


class Task(msgspec.Struct, frozen=True):
    """`/internal/progress`, which is of one task; there in the server with its own pages only."""

    active: bool = False
    queued: bool = False
    completed: bool = False
    progress: float | None = None
    live_preview: str | None = None


def payload_for(asked: Generation, seed: int, task: str) -> dict[str, Any]:
    """The body of a request, without its checkpoint.

    Raises:
        InvalidRequest: It asks for what there is not.
    """
    for name in ("lyrics", "duration_s", "voice", "speed", "language"):
        if getattr(asked, name) not in (None, ""):
            raise InvalidRequest(f"Pictures have no `{name}`.", param=name)
    pictures = [given for given in asked.inputs if given.role == "image"]
    masks = [given for given in asked.inputs if given.role == "mask"]
    if len(pictures) + len(masks) != len(asked.inputs) or len(pictures) > 1 or len(masks) > len(pictures):
        raise InvalidRequest("It takes one `image`, and with it one `mask`.", param="image")
    if asked.strength is not None and not pictures:
        raise InvalidRequest("`strength` is of the picture to begin with, and there is none.", param="strength")
    body = {field: value for name, field in _PLAIN.items() if (value := getattr(asked, name)) not in (None, "")}
    body |= {"seed": seed, "n_iter": asked.count, "batch_size": 1, "send_images": True, "save_images": False}
    body |= {"force_task_id": task, "do_not_save_grid": True, "override_settings": {}, **_options(asked.options)}
    if "clip_skip" in body:
        body["override_settings"]["CLIP_stop_at_last_layers"] = body.pop("clip_skip")
    body["override_settings"]["return_grid"] = False
    if pictures:
        body["init_images"] = [base64.b64encode(pictures[0].data).decode()]
    if masks:
        body["mask"] = base64.b64encode(masks[0].data).decode()
    return body


def checkpoint_for(wanted: str, known: list[Checkpoint], engine: str) -> Checkpoint:
    """The model that was asked for.

    Raises:
        ModelNotFound: It is not installed.
    """
    for checkpoint in known:
        if checkpoint.is_called(wanted):
            return checkpoint
    raise ModelNotFound(f"The engine `{engine}` has no checkpoint `{wanted}`.", param="model")


def info_of(made: Made, engine: str) -> Info:
    """What the reply says of its pictures.

    Raises:
        UpstreamInvalid: It is not to be read.
    """
    try:
        return msgspec.json.decode(made.info, type=Info)
    except msgspec.MsgspecError as error:
        raise UpstreamInvalid(f"The engine `{engine}` says of its pictures what cannot be read: {error}") from None


def pictures_in(made: Made, info: Info, count: int, engine: str) -> Iterator[bytes]:
    """The pictures themselves: without the grid before them and the maps after them.

    Raises:
        UpstreamInvalid: There is none, or it is no base64.
    """
    first = max(info.index_of_first_image, 0)
    images = made.images[first : first + count]
    if not images:
        raise UpstreamInvalid(f"The engine `{engine}` finished without a picture.")
    for image in images:
        yield decoded(image, engine)


def decoded(image: str, engine: str) -> bytes:
    """A picture from its base64, with or without `data:` before it.

    Raises:
        UpstreamInvalid: It is none.
    """
    try:
        return base64.b64decode(image.partition("base64,")[2] or image, validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamInvalid(f"The engine `{engine}` gave a picture that is no base64.") from None


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name not in OPTIONS:
            raise InvalidRequest(f"There is no option `{name}`; there are {', '.join(sorted(OPTIONS))}.", param=name)
        if not isinstance(value, OPTIONS[name]):
            raise InvalidRequest(f"`{name}` is of another type.", param=name)
        found[_RENAMED.get(name, name)] = value
    return found
