"""Engines that speak and listen."""

from aldgate.core.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamOverloaded,
    UpstreamRejected,
)
from aldgate.core.generation import Generation, Input
from aldgate.testing.engines import FakeAllTalk, FakeSpeech, FakeTranscription
from aldgate.testing.engines.direct import WORK
from aldgate.testing.engines.noises import wav
from tests.engines.contract.case import COMMON, Case

AT_WORK: dict[str, type[GatewayError]] = {
    **{WORK + fault: error for fault, error in COMMON.items() if fault not in ("refuses", "hangs")},
    "out_of_memory": UpstreamOverloaded,
}
"""The faults of any server, where they befall the work and not what goes before."""
WORDS = Generation(operation="speech", prompt="Hello there.")
RECORDING = Generation(operation="transcribe", inputs=(Input("audio", "audio/wav", wav(), "hello.wav"),))


def speech(**asked: object) -> Generation:
    return Generation(operation="speech", **{"prompt": "Hello", **asked})  # pyright: ignore[reportArgumentType]


SPEECH = (
    Case(
        kind="openai-speech",
        fake=lambda _: FakeSpeech(),
        table=lambda fake: {"base_url": fake.url, "unload_path": "/dev/unload"},
        asked=speech(format="wav", speed=1.5),
        makes=("audio/wav",),
        bad=(
            (speech(prompt=" "), InvalidRequest),
            (speech(speed=9.0), InvalidRequest),
            (speech(format="midi"), InvalidRequest),
            (speech(count=2), InvalidRequest),
            (speech(options={"colour": "red"}), InvalidRequest),
            (speech(inputs=(Input("image", "image/png", b"x"),)), InvalidRequest),
        ),
        faults={**AT_WORK, "empty": UpstreamBroken, "truncated": UpstreamBroken, "apologises": UpstreamInvalid},
    ),
    Case(
        kind="alltalk",
        fake=lambda _: FakeAllTalk(),
        table=lambda fake: {"base_url": fake.url, "resting_model": "piper - en_US"},
        asked=speech(voice="female_01.wav", language="en-GB"),
        makes=("audio/wav",),
        bad=(
            (speech(model="no such"), ModelNotFound),
            (speech(speed=3.0), InvalidRequest),
            (speech(options={"narrator_enabled": "perhaps"}), InvalidRequest),
            (speech(prompt=""), InvalidRequest),
        ),
        faults={
            **{fault: error for fault, error in AT_WORK.items() if fault != "work_huge"},
            "no_room": UpstreamOverloaded,
            "fails": UpstreamError,
            "elsewhere": UpstreamInvalid,
            "file_gone": UpstreamRejected,
            "no_sound": UpstreamInvalid,
        },
    ),
    Case(
        kind="openai-transcription",
        fake=lambda _: FakeTranscription(),
        table=lambda fake: {"base_url": fake.url, "unload_path": "/unload"},
        asked=RECORDING,
        makes=(),
        bad=(
            (Generation(operation="transcribe"), InvalidRequest),
            (Generation(operation="transcribe", inputs=RECORDING.inputs * 2), InvalidRequest),
            (Generation(operation="transcribe", inputs=RECORDING.inputs, format="docx"), InvalidRequest),
            (Generation(operation="transcribe", inputs=RECORDING.inputs, options={"task": "sing"}), InvalidRequest),
            (Generation(operation="transcribe", inputs=RECORDING.inputs, seed=1), InvalidRequest),
        ),
        faults=AT_WORK,
    ),
)
