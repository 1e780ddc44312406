"""What is asked at `/generate/*`, `/tts` and `/llm/generate`, and the same for an engine.

`width`, `height` and `duration` are as documented where they are left out; everything else that is left out, the engine chooses.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from aldgate.core.generation import Generation

Text = Annotated[str, Meta(min_length=1, max_length=32_000)]
Name = Annotated[str, Meta(max_length=500)]
Side = Annotated[int, Meta(ge=1, le=99_999)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Wanted(msgspec.Struct, kw_only=True):
    """What every such request has.

    Attributes:
        engine: Who is to make it, as configured; none: the first configured one that can, else what is built in.
        model: `engine/model`, an alias, or a model in the engine's own words.
    """

    prompt: Text
    engine: Name | None = None
    model: Name | None = None


class MediaWanted(Wanted, kw_only=True):
    """What is made by an engine. `webhook_url`: called by POST when the job has ended."""

    webhook_url: str | None = None


class ImageWanted(MediaWanted, kw_only=True):
    """A picture."""

    negative_prompt: str = ""
    width: Side = 512
    height: Side = 512
    steps: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    guidance: float | None = None
    seed: Seed | None = None
    format: Name | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        return Generation(
            operation="image",
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            width=self.width,
            height=self.height,
            steps=self.steps,
            guidance=self.guidance,
            seed=self.seed,
            format=self.format,
        )


class VideoWanted(MediaWanted, kw_only=True):
    """A film. `duration`: seconds."""

    duration: Seconds = 10.0
    negative_prompt: str = ""
    width: Side | None = None
    height: Side | None = None
    steps: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    seed: Seed | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        return Generation(
            operation="video",
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            duration_s=self.duration,
            width=self.width,
            height=self.height,
            steps=self.steps,
            seed=self.seed,
        )


class AudioWanted(MediaWanted, kw_only=True):
    """A sound. `duration`: seconds."""

    duration: Seconds = 10.0
    seed: Seed | None = None
    format: Name | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        return Generation(operation="audio", prompt=self.prompt, duration_s=self.duration, seed=self.seed, format=self.format)


class MusicWanted(MediaWanted, kw_only=True):
    """Music. `duration`: seconds."""

    duration: Seconds = 30.0
    lyrics: Annotated[str, Meta(max_length=32_000)] = ""
    seed: Seed | None = None
    format: Name | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        return Generation(
            operation="music",
            prompt=self.prompt,
            lyrics=self.lyrics,
            duration_s=self.duration,
            seed=self.seed,
            format=self.format,
        )


class SpeechWanted(msgspec.Struct, kw_only=True):
    """Words to be said. `speed`: 1 is the engine's usual one."""

    text: Text
    voice: Name | None = None
    speed: Annotated[float, Meta(ge=0.5, le=2)] = 1.0
    language: Name | None = None
    format: Name | None = None
    engine: Name | None = None
    model: Name | None = None
    webhook_url: str | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        return Generation(
            operation="speech",
            prompt=self.text,
            voice=self.voice,
            speed=None if self.speed == 1.0 else self.speed,
            language=self.language,
            format=self.format,
        )


class TextWanted(Wanted, kw_only=True):
    """A prompt for a model to answer. `system`: what it is told before."""

    prompt: Annotated[str, Meta(min_length=1)]
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    system: str | None = None

    def asked(self) -> Generation:
        """The same for an engine."""
        said = {"temperature": self.temperature, "max_tokens": self.max_tokens, "system": self.system}
        options: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        return Generation(operation="chat", prompt=self.prompt, options=options)


Asking = ImageWanted | VideoWanted | AudioWanted | MusicWanted | SpeechWanted
