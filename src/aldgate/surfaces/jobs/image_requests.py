"""What is asked of `/v1/images`, and the same for an engine.

Wire: https://platform.openai.com/docs/api-reference/images. `negative_prompt`, `seed`, `steps`, `guidance`, `strength`, `sampler`
and `scheduler` are not OpenAI's; engines take them, some also by other names that diffusion servers have for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation, Input

MOST_IMAGES = 16
Prompt = Annotated[str, msgspec.Meta(min_length=1, max_length=32_000)]
Binary = Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
LOSSY = ("jpeg", "webp")
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_HINTS = ("quality", "style", "moderation", "output_compression", "input_fidelity", "background", "user")
_OPTIONS = ("sampler", "scheduler")


class ImageWishes(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What may be said of pictures to be made, on every path."""

    model: str | None = None
    webhook_url: str | None = None
    """Called by POST when the job has ended."""
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    size: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | None = None
    output_compression: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    background: Literal["transparent", "opaque", "auto"] | bool | None = None
    quality: str | None = None
    style: str | None = None
    moderation: Literal["low", "auto"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    stream: bool | None = None
    partial_images: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    negative_prompt: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    steps: Steps | None = None
    num_inference_steps: Steps | None = None
    guidance: float | None = None
    guidance_scale: float | None = None
    cfg_scale: float | None = None
    strength: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    sampler: str | None = None
    scheduler: str | None = None

    def asked(self, prompt: str, inputs: tuple[Input, ...], *, most_pixels: int, usual_format: str | None) -> Generation:
        """The same for an engine.

        Raises:
            InvalidRequest: The size is none, or what is asked for contradicts itself.
        """
        width, height = self._size(most_pixels)
        self._check_together()
        options = {name: getattr(self, name) for name in _OPTIONS if getattr(self, name)}
        hints = {name: getattr(self, name) for name in _HINTS if getattr(self, name) not in (None, "", True, False)}
        if self.background == "transparent":  # not a mere wish: whoever cannot must say so
            options["background"] = hints.pop("background")
        return Generation(
            operation="image",
            prompt=prompt,
            negative_prompt=self.negative_prompt or "",
            count=self.n or 1,
            seed=self.seed,
            width=width,
            height=height,
            steps=self._one("steps", "num_inference_steps"),
            guidance=self._one("guidance", "guidance_scale", "cfg_scale"),
            strength=self.strength,
            format=self.output_format or (usual_format if not inputs else None),
            options=options,
            hints=hints,
            inputs=inputs,
        )

    @property
    def wanted_size(self) -> str:
        """As it was asked for."""
        return self.size or "auto"

    @property
    def identifier(self) -> str | None:
        """Whom the caller makes it for, by an id of the caller's."""
        return self.safety_identifier or self.user or None

    def _size(self, most_pixels: int) -> tuple[int | None, int | None]:
        if self.size is None or self.size == "auto":
            return None, None
        found = _SIZE.fullmatch(self.size)
        if found is None:
            raise InvalidRequest("`size` is `auto` or as in `1024x1024`.", param="size")
        width, height = int(found[1]), int(found[2])
        if width * height > most_pixels:
            raise InvalidRequest(f"A picture of {self.size} has more than {most_pixels} pixels (`size`).", param="size")
        return width, height

    def _check_together(self) -> None:
        if self.output_compression is not None and self.output_format not in LOSSY:
            raise InvalidRequest("`output_compression` is of `jpeg` and `webp` (`output_format`).", param="output_compression")
        if self.background == "transparent" and self.output_format == "jpeg":
            raise InvalidRequest("A `jpeg` has no transparent background; take `png` or `webp`.", param="background")
        if self.stream and self.background is True:
            raise InvalidRequest("What is made in the background is not streamed: leave `stream` out.", param="stream")

    def _one(self, *names: str) -> Any:
        """What was said by one of several names.

        Raises:
            InvalidRequest: Two of them say different things.
        """
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if len(set(given.values())) > 1:
            raise InvalidRequest(f"{' and '.join(f'`{name}`' for name in given)} are the same, and disagree.", param=names[0])
        return next(iter(given.values()), None)


class ImageRequest(ImageWishes, kw_only=True):
    """Pictures of a description."""

    prompt: Prompt


class ImageReference(msgspec.Struct, omit_defaults=True):
    """A picture in JSON: a data URL (`data:image/png;base64,...`), or one of the caller's files."""

    image_url: str | None = None
    file_id: str | None = None


class EditRequest(ImageWishes, kw_only=True):
    """Pictures of other pictures and a description, as JSON."""

    prompt: Prompt
    images: Annotated[list[ImageReference], msgspec.Meta(min_length=1, max_length=MOST_IMAGES)]
    mask: ImageReference | None = None


class EditFields(ImageWishes, kw_only=True):
    """The same as a form, without its files."""

    prompt: Prompt


class EditForm(EditFields, kw_only=True):
    """Pictures of other pictures and a description. Several are `image[]`; the first changes where the mask is transparent."""

    image: list[Binary] | Binary
    mask: Binary | msgspec.UnsetType = msgspec.UNSET


class VariationForm(ImageWishes, kw_only=True):
    """Pictures like another."""

    image: Binary


EDIT_FILES: Mapping[str, int] = {"image": MOST_IMAGES, "image[]": MOST_IMAGES, "mask": 1}
VARIATION_FILES: Mapping[str, int] = {"image": 1}
