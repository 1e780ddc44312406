"""What whole messages and streamed deltas have in common on OpenAI's wire, as loosely as servers in the wild write it."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from aldgate.core.conversation import Media

Content = str | list[Any] | None
"""Text, or Mistral's list of `text` and `thinking` chunks (https://docs.mistral.ai/capabilities/reasoning)."""


class Function(msgspec.Struct):
    """A function's name and arguments; some servers send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        given = self.arguments
        return given if isinstance(given, str) else msgspec.json.encode(given).decode() if given is not None else ""


class Custom(msgspec.Struct):
    """A custom tool's name and input."""

    name: str | None = None
    input: str | None = None

    @property
    def text(self) -> str:
        """The input."""
        return self.input or ""


class Call(msgspec.Struct):
    """A tool call, whole or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: dict[str, Any] | None = None


def call_signature(call: Call) -> str | None:
    """Gemini's proof of the thought behind a call, where its OpenAI form has it."""
    google: Any = (call.extra_content or {}).get("google")
    signature: Any = cast("dict[str, Any]", google).get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


class _Url(msgspec.Struct):
    url: str = ""


class Image(msgspec.Struct):
    """An image that a model made, where OpenRouter's form has it: `message.images` and `delta.images`.

    https://openrouter.ai/docs/features/multimodal/image-generation
    """

    image_url: _Url | str = ""

    @property
    def media(self) -> Media:
        """The same in neutral words."""
        url = self.image_url if isinstance(self.image_url, str) else self.image_url.url
        head, found, data = url.partition(";base64,")
        return Media("image", head.removeprefix("data:"), data) if found else Media("image", url=url)


def image_of(image: Media) -> dict[str, Any]:
    """An image as a message holds it."""
    url = image.url if image.data is None else f"data:{image.media_type or 'image/png'};base64,{image.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def has_place(part: Any) -> bool:
    """Whether it is an image that a message can hold."""
    return isinstance(part, Media) and part.kind == "image" and (part.data is not None or part.url is not None)


def said_of(content: Content, reasoning: Content) -> tuple[str, str]:
    """What was thought, and what was said."""
    thoughts, text = (reasoning if isinstance(reasoning, str) else ""), ""
    if isinstance(content, str):
        return thoughts, content
    for chunk in content or ():
        match chunk:
            case {"type": "text", "text": str(more)}:
                text += more
            case {"type": "thinking", "thinking": pieces}:
                thoughts += "".join(piece.get("text", "") for piece in cast("list[dict[str, Any]]", pieces))
            case _:
                pass  # references and other ornaments
    return thoughts, text
