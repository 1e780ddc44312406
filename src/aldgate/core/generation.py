"""What an engine is asked to make, what it says meanwhile, and what came of it: in no engine's words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from aldgate.core.levels import Operation

MEDIA_OPERATIONS: frozenset[Operation] = frozenset({"image", "video", "audio", "music", "speech", "transcribe", "mesh"})
"""What engines make; some also do what providers do (`chat`, `complete`)."""

Recovery = Literal["adopt", "cancel", "kill", "wait", "lose"]
"""What becomes of an attempt whose worker is gone, before another may begin.

`adopt`: it is looked up by the handle that was kept before it was sent. `cancel`: the engine is told to stop, and says when it
has. `kill`: it is a process of ours, which ends. `wait`: nothing can be asked; its longest time must pass. `lose`: nothing can be
asked, and another attempt could be paid for twice: there is none.
"""
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Input(msgspec.Struct, frozen=True):
    """Bytes that a generation begins with.

    Attributes:
        role: What for: `image`, `mask`, `audio`, `mesh`.
        mime: What its content was found to be.
    """

    role: str
    mime: str
    data: bytes
    name: str = ""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an engine. None: the engine's own choice.

    Attributes:
        model: A model, workflow or voice pack in the engine's own words; empty: its first.
        prompt: What to make; of speech, what to say; of music and audio, its description; of transcription, a hint.
        count: How many, from 1.
        seed: 0 to 2^63 - 1; the same seed, the same result, as far as the engine can.
        width: Pixels; so is `height`.
        guidance: How strictly to follow the prompt (classifier-free guidance scale).
        strength: How far to leave the input image behind, 0 to 1.
        duration_s: Seconds to make; of transcription, how long the recording is.
        speed: Of speech, 0.25 to 4.
        language: BCP 47, as in `en` or `pt-BR`.
        format: Wanted file format, as in `png`, `webp`, `mp4`, `wav`, `mp3`, `glb`.
        options: The engine's own further options, by its own names; it refuses those it does not know.
        hints: Wishes in OpenAI's words (`quality`, `style`, `output_compression` ...); who does not know one leaves it.
    """

    operation: Operation
    model: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    lyrics: str = ""
    count: int = 1
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    duration_s: float | None = None
    voice: str | None = None
    speed: float | None = None
    language: str | None = None
    format: str | None = None
    options: Mapping[str, Any] = NO_OPTIONS
    hints: Mapping[str, Any] = NO_OPTIONS
    inputs: tuple[Input, ...] = ()


class Preview(msgspec.Struct, frozen=True):
    """A picture of work under way."""

    mime: str
    data: bytes


class Progress(msgspec.Struct, frozen=True):
    """How far it is. None: not known.

    Attributes:
        fraction: 0 to 1.
        step: Steps done, of `steps`.
        text: All that was heard so far, of what becomes text.
    """

    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    message: str = ""
    preview: Preview | None = None
    text: str = ""


class Segment(msgspec.Struct, frozen=True):
    """A stretch of a transcription, in seconds from its beginning."""

    start_s: float
    end_s: float
    text: str


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a generation, besides the files it saved.

    Attributes:
        text: The words of a transcription or an answer.
        language: What it was heard to be.
        duration_s: Seconds of audio or video, where the engine says so.
        seed: The one that was used.
        details: Further facts by the engine's own names; made of what JSON has.
    """

    text: str | None = None
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    duration_s: float | None = None
    seed: int | None = None
    details: Mapping[str, Any] = NO_OPTIONS


class EngineModel(msgspec.Struct, frozen=True, kw_only=True):
    """Something an engine has installed.

    Attributes:
        operations: What it does; empty: not known.
        size_mb: Memory or file size in MiB, where known.
        is_loaded: It holds memory now.
    """

    name: str
    operations: frozenset[Operation] = frozenset()
    size_mb: int | None = None
    is_loaded: bool = False


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of itself. To ask never makes it load anything.

    Attributes:
        is_busy: It works on something, ours or not; None: it does not say.
        free_mb: Free memory of its device in MiB, by its own word.
    """

    models: tuple[EngineModel, ...] = ()
    version: str = ""
    is_busy: bool | None = None
    free_mb: int | None = None
    total_mb: int | None = None
