"""A gate in front of fakes of a whisper server and of a speech server that has WAV alone, beside what is built in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aldgate.testing.engines import FakeSpeech, FakeTranscription
from tests.support import RunningGate, running_gate

ENGINES = """[engines.ears]
kind = "openai-transcription"
base_url = "{ears}"
streams = true

[engines.mouth]
kind = "openai-speech"
base_url = "{mouth}"
formats = ["wav"]

[aliases]
whisper-1 = "ears/whisper-1"
tts-1 = "mouth/tts-1"
sora-2 = "builtin/clip"
"""


@asynccontextmanager
async def house_of_engines(data: Path) -> AsyncIterator[RunningGate]:
    """OpenAI's own names of models are aliases here, so that programs need no change at all."""
    async with AsyncExitStack() as stack:
        ears, mouth = [await stack.enter_async_context(fake()) for fake in (FakeTranscription, FakeSpeech)]
        yield await stack.enter_async_context(running_gate(data, config=ENGINES.format(ears=ears.url, mouth=mouth.url)))
