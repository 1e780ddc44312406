"""Engines of music, and the generic one that several of them are presets of."""

from aldgate.core.errors import (
    InvalidRequest,
    ModelNotFound,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamLimited,
    UpstreamOverloaded,
)
from aldgate.core.generation import Generation, Input
from aldgate.testing.engines import FakeAceStep, FakeGradio, FakeHeartMula, FakeMusicGpt, FakePrograms
from aldgate.testing.engines.sounds import wav
from tests.engines.contract.case import Case

SONG = Generation(
    operation="music", prompt="a song", duration_s=10, seed=7, model="large", inputs=(Input("audio", "audio/wav", wav(0.1)),)
)
BAD_SONGS = (
    (Generation(operation="music", prompt="x", model="no-such"), ModelNotFound),
    (Generation(operation="music", prompt="x", lyrics="la la"), InvalidRequest),
    (Generation(operation="music", prompt="x", duration_s=121), InvalidRequest),
    (Generation(operation="music", prompt="x", duration_s=0.5), InvalidRequest),
    (Generation(operation="music", prompt="x", options={"text": "y"}), InvalidRequest),
    (Generation(operation="music", prompt="x", format="mp3"), InvalidRequest),
    (Generation(operation="music", prompt="x", count=2), InvalidRequest),
    (Generation(operation="music", prompt="x", seed=2**33), InvalidRequest),
    (Generation(operation="music", prompt="x", inputs=(Input("image", "image/png", b"x"),)), InvalidRequest),
    (Generation(operation="music", prompt="x", inputs=SONG.inputs * 2), InvalidRequest),
    (Generation(operation="image", prompt="x"), InvalidRequest),
)
GRADIO_FAULTS: dict[str, type[UpstreamError]] = {
    "queue_full": UpstreamOverloaded,
    "fails": UpstreamError,
    "out_of_memory": UpstreamOverloaded,
    "interrupted": UpstreamError,
    "dies": UpstreamBroken,
    "forgets": UpstreamBroken,
    "bad_event": UpstreamInvalid,
    "endless_event": UpstreamInvalid,
    "wrong_id": UpstreamBroken,
    "no_files": UpstreamInvalid,
    "no_function": UpstreamInvalid,
    "file_gone": UpstreamBroken,
    "elsewhere": UpstreamInvalid,
}
GRADIO_TABLE = {
    "operations": ["music"],
    "endpoint": "/generate",
    "arguments": {"prompt": "Prompt", "duration_s": 1, "audio": "melody", "seed": "Seed", "model": "Model"},
    "makes": "wav",
}


def gradio(version: str, **more: object) -> Case:
    third = version.startswith("3.")
    table = {**GRADIO_TABLE, "arguments": {**GRADIO_TABLE["arguments"], "audio": 2}}
    faults = {name: error for name, error in GRADIO_FAULTS.items() if not (third and name in ("wrong_id", "endless_event"))}
    return Case(
        kind="gradio",
        fake=lambda _: FakeGradio(version),
        table=lambda fake: {"base_url": fake.url, **table},
        asked=SONG,
        makes=("audio/wav",),
        bad=BAD_SONGS,
        faults=faults,
        can_unload=False,
        **more,
    )


ACE_STEP = Case(
    kind="ace-step",
    fake=lambda _: FakeAceStep(),
    table=lambda fake: {"base_url": fake.url, "poll_s": 0.02},
    asked=Generation(operation="music", prompt="a song", lyrics="[verse]\nla", duration_s=10, seed=7, count=2, format="flac"),
    makes=("audio/flac", "audio/flac"),
    bad=(
        (Generation(operation="music", prompt="x", duration_s=9), InvalidRequest),
        (Generation(operation="music", prompt="x", count=9), InvalidRequest),
        (Generation(operation="music", prompt="x", voice="ann"), InvalidRequest),
        (Generation(operation="music", prompt="x", options={"src_audio_path": "/etc/passwd"}), InvalidRequest),
        (Generation(operation="music", prompt="x", model="no-such"), ModelNotFound),
    ),
    faults={
        "queue_full": UpstreamLimited,
        "fails": UpstreamError,
        "forgets": UpstreamBroken,
        "wrong_id": UpstreamInvalid,
        "bad_result": UpstreamInvalid,
        "no_files": UpstreamInvalid,
        "file_gone": UpstreamBroken,
        "elsewhere": UpstreamInvalid,
    },
    can_stop=False,
    can_unload=False,
)
MUSICGPT = Case(
    kind="musicgpt",
    fake=lambda _: FakeMusicGpt(),
    table=lambda fake: {"base_url": fake.url},
    asked=Generation(operation="music", prompt="a song", duration_s=5),
    makes=("audio/wav",),
    bad=(
        (Generation(operation="music", prompt="x", duration_s=31), InvalidRequest),
        (Generation(operation="music", prompt="x", seed=1), InvalidRequest),
        (Generation(operation="music", prompt="x", model="no-such"), ModelNotFound),
        (Generation(operation="music", prompt="x", format="mp3"), InvalidRequest),
    ),
    faults={
        "fails": UpstreamError,
        "breaks_off": UpstreamInvalid,
        "says_no": UpstreamError,
        "dies": UpstreamBroken,
        "aborted": UpstreamError,
        "bad_message": UpstreamInvalid,
        "climbs": UpstreamInvalid,
        "file_gone": UpstreamBroken,
        "not_a_sound": UpstreamInvalid,
    },
    can_unload=False,
)
LYRICS = "[verse]\nla la\n\n[chorus]\nlu lu"
PROGRAM_FAULTS = {
    "fails": UpstreamError,
    "out_of_memory": UpstreamOverloaded,
    "dies": UpstreamBroken,
    "no_files": UpstreamInvalid,
}


def program(kind: str, asked: Generation, mime: str, *bad: Generation) -> Case:
    return Case(
        kind=kind,
        fake=FakePrograms,
        table=lambda fake: fake.table(kind) | ({"weights": "/models/heartmula"} if kind == "heartmula" else {}),
        asked=asked,
        makes=(mime,),
        bad=tuple((each, InvalidRequest) for each in bad),
        faults=PROGRAM_FAULTS,
        common=False,
    )


PROGRAMS = (
    program(
        "yue",
        Generation(operation="music", prompt="pop female", lyrics=LYRICS, seed=7, duration_s=45, inputs=SONG.inputs),
        "audio/mpeg",
        Generation(operation="music", prompt="pop"),
        Generation(operation="music", lyrics=LYRICS),
        Generation(operation="music", prompt="pop", lyrics=LYRICS, format="wav"),
    ),
    program(
        "diffrhythm",
        Generation(operation="music", prompt="folk", lyrics="[00:10.00]la la\n[00:13.20]lu lu"),
        "audio/wav",
        Generation(operation="music", prompt="folk", lyrics=LYRICS),
        Generation(operation="music", lyrics="[00:10.00]la"),
        Generation(operation="music", prompt="folk", inputs=SONG.inputs),
        Generation(operation="music", prompt="folk", duration_s=286),
    ),
    program(
        "heartmula",
        Generation(operation="music", prompt="pop, happy", lyrics="[Verse]\nla", duration_s=20, seed=7, guidance=2.0),
        "audio/mpeg",
        Generation(operation="music"),
        Generation(operation="music", prompt="pop", options={"weights": "/etc"}),
    ),
)
HEARTMULA = Case(
    kind="heartmula",
    fake=lambda _: FakeHeartMula(),
    table=lambda fake: {"base_url": fake.url, "run_timeout_s": 3.0},
    asked=Generation(operation="music", prompt="pop, happy", duration_s=20),
    makes=("audio/wav",),
    bad=((Generation(operation="music"), InvalidRequest), (Generation(operation="music", prompt="x", seed=1), InvalidRequest)),
    faults={"file_gone": UpstreamBroken, "elsewhere": UpstreamInvalid},
    can_stop=False,
    can_unload=False,
)
MUSIC = (gradio("3.50.2"), gradio("4.44.1"), gradio("6.31.0"), ACE_STEP, MUSICGPT, HEARTMULA, *PROGRAMS)
