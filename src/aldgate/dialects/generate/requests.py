"""What `POST /v1/generate` is asked for, and the same as a chat or as something for an engine to make."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aldgate.core.errors import InvalidRequest, NotFound
from aldgate.core.generation import Generation, Input
from aldgate.core.levels import Operation
from aldgate.core.media_types import HEAD_BYTES, media_type
from aldgate.dialects.reading import read_body

Modality = Literal["text", "image", "3d"]
OPERATIONS: dict[str, Operation] = {"text": "chat", "image": "image", "3d": "mesh"}
ANY = "auto"
"""As a model: whichever there is."""
MOST_IMAGES = 16
_GOVERNED = (b'"modality"', b'"model"', b'"provider"', b'"stream"', b'"input"', b'"parameters"')
_OWN = ("scheduler", "clip_skip", "eta", "top_p")

Text = Annotated[str, Meta(max_length=10_000_000)]


class GenerateInput(msgspec.Struct, omit_defaults=True):
    """What it begins with; images and meshes in base64."""

    prompt: Text | None = None
    images: Annotated[list[Text], Meta(max_length=MOST_IMAGES)] | None = None
    mesh: Text | None = None


class GenerateParameters(msgspec.Struct, omit_defaults=True):
    """How; each modality has its own of these."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    format: Annotated[str, Meta(max_length=32)] | None = None
    """Of a file: `png`, `glb` ...; of a text: `text` or `json`."""
    width: Annotated[int, Meta(ge=1, le=16_384)] | None = None
    height: Annotated[int, Meta(ge=1, le=16_384)] | None = None
    num_inference_steps: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    guidance_scale: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    negative_prompt: Annotated[str, Meta(max_length=32_000)] | None = None
    seed: Annotated[int, Meta(ge=-1, le=2**63 - 1)] | None = None
    """-1: any."""
    num_images: Annotated[int, Meta(ge=1, le=10)] | None = None
    strength: Annotated[float, Meta(ge=0, le=1)] | None = None
    scheduler: Annotated[str, Meta(max_length=64)] | None = None
    clip_skip: Annotated[int, Meta(ge=0, le=12)] | None = None
    eta: Annotated[float, Meta(ge=0, le=1)] | None = None


class GenerateRequest(msgspec.Struct, omit_defaults=True):
    """Body of `POST /v1/generate`."""

    modality: Modality
    input: GenerateInput
    model: Annotated[str, Meta(max_length=512)] | None = None
    """`provider:model`, `provider/model`, a model's own name, an engine's, or `auto`."""
    provider: Annotated[str, Meta(max_length=256)] | None = None
    session_id: Annotated[str, Meta(max_length=256)] | None = None
    state_tokens: Any = None
    parameters: GenerateParameters | None = None
    system_prompt: Text | None = None
    stream: bool = False
    selection_mode: Literal["auto", "free_only", "commercial_only", "model"] | None = None

    @property
    def name(self) -> str:
        """The model as callers name models elsewhere; empty: any."""
        model = "" if self.model in (None, ANY) else self.model
        if not self.provider or self.provider == "local":  # what ran on its own machine had that provider
            return model or ""
        return f"{self.provider}/{model}" if model else self.provider


_request = msgspec.json.Decoder(GenerateRequest)


def read(body: bytes) -> GenerateRequest:
    """The request in a body.

    Raises:
        InvalidRequest: Not JSON, a field of a wrong type or value, or something that is not done here.
        NotFound: It goes on with a session, and there is none.
    """
    asked = read_body(body, _GOVERNED, _request.decode)
    if asked.session_id is not None:
        raise NotFound("There is no such session.", param="session_id")
    if asked.selection_mode in ("free_only", "commercial_only"):
        raise InvalidRequest("Models are not chosen by what they cost: name a `model`.", param="selection_mode")
    if not asked.input.prompt and not asked.input.images and not asked.input.mesh:
        raise InvalidRequest("There is nothing to go by: send an `input.prompt`.", param="input.prompt")
    return asked


def chat_body(asked: GenerateRequest, model: str) -> bytes:
    """A text as a chat in OpenAI's words.

    Raises:
        InvalidRequest: It brings what no chat takes.
    """
    if asked.input.mesh is not None:
        raise InvalidRequest("A text is made of a prompt and images, not of a mesh.", param="input.mesh")
    content: Any = asked.input.prompt or ""
    if asked.input.images:
        pictures = [_picture(text) for text in asked.input.images]
        content = [*([{"type": "text", "text": content}] if content else []), *pictures]
    system = [{"role": "system", "content": asked.system_prompt}] if asked.system_prompt else []
    body: dict[str, Any] = {"messages": [*system, {"role": "user", "content": content}]}
    if model:
        body["model"] = model
    if asked.stream:
        body["stream"] = True
    given = asked.parameters or GenerateParameters()
    body |= {name: value for name in ("temperature", "max_tokens", "top_p") if (value := getattr(given, name)) is not None}
    if given.format not in (None, "text", "json"):
        raise InvalidRequest("The `format` of a text is `text` or `json`.", param="parameters.format")
    if given.format == "json":
        body["response_format"] = {"type": "json_object"}
    return msgspec.json.encode(body)


def generation(asked: GenerateRequest, operation: Operation) -> Generation:
    """An image or a mesh for an engine.

    Raises:
        InvalidRequest: What it begins with is not what it says.
    """
    given = asked.parameters or GenerateParameters()
    own = {name: value for name in _OWN if (value := getattr(given, name)) is not None}
    inputs = [_input(text, "image", f"input.images[{index}]") for index, text in enumerate(asked.input.images or [])]
    if asked.input.mesh is not None:
        inputs.append(_input(asked.input.mesh, "mesh", "input.mesh"))
    return Generation(
        operation=operation,
        prompt=asked.input.prompt or "",
        negative_prompt=given.negative_prompt or "",
        count=given.num_images or 1,
        seed=None if given.seed == -1 else given.seed,
        width=given.width,
        height=given.height,
        steps=given.num_inference_steps,
        guidance=given.guidance_scale,
        strength=given.strength,
        format=given.format,
        options=own,
        inputs=tuple(inputs),
    )


def _picture(text: str) -> dict[str, Any]:
    found = _input(text, "image", "input.images")
    url = f"data:{found.mime};base64,{base64.b64encode(found.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _input(text: str, role: str, param: str) -> Input:
    """Base64, with or without `data:...;base64,` before it."""
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"`{param}` is not base64.", param=param) from None
    found = media_type(data[:HEAD_BYTES], len(data))
    if found is None or not found.startswith("model/" if role == "mesh" else "image/"):
        raise InvalidRequest(f"`{param}` is no {role} that is known here.", param=param)
    return Input(role, found, data)
