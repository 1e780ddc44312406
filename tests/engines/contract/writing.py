"""Engines that write."""

from aldgate.core.errors import InvalidRequest, ModelNotFound, UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.generation import Generation
from aldgate.testing.engines import FakeLlamaCpp, FakeOllama
from tests.engines.contract.case import Case
from tests.engines.contract.speech import AT_WORK

PROMPT = Generation(operation="complete", prompt="one two three", options={"max_tokens": 20})
BAD = (
    (Generation(operation="complete", prompt="x", model="no-such"), ModelNotFound),
    (Generation(operation="complete"), InvalidRequest),
    (Generation(operation="complete", prompt="x", width=3), InvalidRequest),
    (Generation(operation="complete", prompt="x", options={"system": "Be kind."}), InvalidRequest),
    (Generation(operation="chat", prompt="x", options={"temperature": 7.0}), InvalidRequest),
    (Generation(operation="chat", prompt="x", options={"mood": "good"}), InvalidRequest),
)

WRITING = (
    Case(
        kind="ollama",
        fake=lambda _: FakeOllama(),
        table=lambda fake: {"base_url": fake.url},
        asked=PROMPT,
        makes=(),
        bad=BAD,
        faults={
            **AT_WORK,
            "error_line": UpstreamOverloaded,
            "stops_half_way": UpstreamBroken,
            "garbage_half_way": UpstreamInvalid,
        },
    ),
    Case(
        kind="llama-cpp",
        fake=lambda _: FakeLlamaCpp(),
        table=lambda fake: {"base_url": fake.url},
        asked=Generation(operation="complete", prompt="one two three", model="qwen3-8b-q4"),
        makes=(),
        bad=BAD,
        faults={
            **AT_WORK,
            "work_breaks_off": UpstreamInvalid,
            "error_event": UpstreamError,
            "stops_half_way": UpstreamBroken,
            "garbage_half_way": UpstreamInvalid,
        },
        can_unload=False,
    ),
)
