"""Every engine that the contract suite runs over."""

from aldgate.core.errors import (
    ContentFiltered,
    InvalidRequest,
    ModelNotFound,
    UpstreamBroken,
    UpstreamError,
    UpstreamInvalid,
    UpstreamOverloaded,
)
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeA1111, FakeComfy, FakeDiffusers, FakeInvoke, FakeOpenAIImages, FakeWan2GP
from tests.engines.contract.case import Case
from tests.engines.contract.music import MUSIC
from tests.engines.contract.speech import SPEECH
from tests.engines.contract.writing import WRITING

PICTURE = Generation(operation="image", prompt="a fox", seed=7, width=64, height=64, steps=4)

PICTURES = (
    Case(
        kind="comfyui",
        fake=lambda _: FakeComfy(),
        table=lambda fake: {"base_url": fake.url, "poll_s": 0.05, "patience_s": 0.2},
        asked=PICTURE,
        makes=("image/png",),
        bad=(
            (Generation(operation="image", model="no-such"), ModelNotFound),
            (Generation(operation="image", prompt="a fox", options={"colour": "red"}), InvalidRequest),
            (Generation(operation="image", prompt="a fox", options={"sampler": ["4", 0]}), InvalidRequest),
            (Generation(operation="image", prompt="a fox", format="tiff"), InvalidRequest),
            (Generation(operation="video", prompt="a fox"), InvalidRequest),
        ),
        faults={
            "out_of_memory": UpstreamOverloaded,
            "fails": UpstreamError,
            "interrupted": UpstreamError,
            "forgets": UpstreamBroken,
            "wrong_id": UpstreamInvalid,
            "file_gone": UpstreamBroken,
            "no_files": UpstreamInvalid,
            "not_a_picture": UpstreamInvalid,
            "goes_away": UpstreamBroken,
        },
    ),
    Case(
        kind="a1111",
        fake=lambda _: FakeA1111(),
        table=lambda fake: {"base_url": fake.url, "poll_s": 0.05},
        asked=PICTURE,
        makes=("image/png",),
        bad=(
            (Generation(operation="image", model="no-such"), ModelNotFound),
            (Generation(operation="image", prompt="a fox", options={"script_name": "x"}), InvalidRequest),
            (Generation(operation="image", prompt="a fox", format="tiff"), InvalidRequest),
        ),
        faults={
            "api_disabled": UpstreamError,
            "out_of_memory": UpstreamOverloaded,
            "fails": UpstreamError,
            "interrupted": UpstreamError,
            "no_images": UpstreamInvalid,
            "not_base64": UpstreamInvalid,
            "bad_info": UpstreamInvalid,
        },
    ),
    Case(
        kind="openai-images",
        fake=lambda _: FakeOpenAIImages(),
        table=lambda fake: {"base_url": fake.url, "run_timeout_s": 0.5 if fake.fault == "hangs" else 30.0},
        asked=Generation(operation="image", prompt="a fox", width=64, height=64),
        makes=("image/png",),
        bad=((Generation(operation="image", prompt="a fox", steps=4), InvalidRequest),),
        faults={
            "moderated": ContentFiltered,
            "elsewhere": UpstreamInvalid,
            "no_images": UpstreamInvalid,
            "not_base64": UpstreamInvalid,
            "neither": UpstreamInvalid,
            "not_a_picture": UpstreamInvalid,
            "out_of_memory": UpstreamOverloaded,
        },
        can_stop=False,
        can_unload=False,
    ),
    Case(
        kind="invokeai",
        fake=lambda _: FakeInvoke(),
        table=lambda fake: {"base_url": fake.url, "poll_s": 0.05, "patience_s": 0.2},
        asked=PICTURE,
        makes=("image/png",),
        bad=(
            (Generation(operation="image", model="no-such"), ModelNotFound),
            (Generation(operation="image", prompt="a fox", options={"colour": "red"}), InvalidRequest),
        ),
        faults={
            "out_of_memory": UpstreamOverloaded,
            "fails": UpstreamError,
            "canceled": UpstreamError,
            "forgets": UpstreamBroken,
            "wrong_id": UpstreamInvalid,
            "file_gone": UpstreamBroken,
            "no_images": UpstreamInvalid,
            "goes_away": UpstreamBroken,
        },
    ),
    Case(
        kind="wan2gp",
        fake=FakeWan2GP,
        table=lambda fake: {"command": fake.command, "models": ["t2v"], "stop_s": 5.0},
        asked=Generation(operation="video", prompt="a fox", seed=7),
        makes=("video/mp4",),
        bad=((Generation(operation="video", model="no-such"), ModelNotFound),),
        faults={
            "out_of_memory": UpstreamOverloaded,
            "fails": UpstreamError,
            "interrupted": UpstreamError,
            "no_files": UpstreamInvalid,
        },
        common=False,
        unloads=0,
    ),
    Case(
        kind="diffusers",
        fake=FakeDiffusers,
        table=lambda fake: {"library_path": fake.library_path, "models": ["sdxl-turbo"], "stop_s": 5.0},
        asked=PICTURE,
        makes=("image/png",),
        bad=(
            (Generation(operation="image", model="no-such"), ModelNotFound),
            (Generation(operation="image", prompt="a fox", options={"colour": "red"}), InvalidRequest),
        ),
        faults={
            "out_of_memory": UpstreamOverloaded,
            "fails": UpstreamError,
            "missing": UpstreamError,
            "dies": UpstreamBroken,
            "no_images": UpstreamInvalid,
        },
        common=False,
        unloads=0,
    ),
)

CASES = (*PICTURES, *MUSIC, *SPEECH, *WRITING)
