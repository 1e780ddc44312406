"""A fake OpenAI-compatible provider on loopback, with every fault a real one has shown us.

    async with FakeUpstream() as upstream:
        upstream.script(faults.status(429, retry_after_s=1), faults.die_mid_stream(after=2))
        ...  # two calls to upstream.url misbehave so, later ones are answered well
        assert upstream.requests[0].header("authorization") == "Bearer sk-..."

From another process: `python -m aldgate.testing.upstream --port 9000 --fault slow_drip`.
"""

from aldgate.testing.upstream import anthropic, aws, azure, cohere, converse, faults, gemini, ollama, responses
from aldgate.testing.upstream.faults import FAULTS
from aldgate.testing.upstream.plays import Act, Billed, Play, Sleep, Step, Valve, fault
from aldgate.testing.upstream.replies import Asked, Reply
from aldgate.testing.upstream.requests import Recorded
from aldgate.testing.upstream.server import FakeUpstream

__all__ = [
    "FAULTS",
    "Act",
    "Asked",
    "Billed",
    "FakeUpstream",
    "Play",
    "Recorded",
    "Reply",
    "Sleep",
    "Step",
    "Valve",
    "anthropic",
    "aws",
    "azure",
    "cohere",
    "converse",
    "fault",
    "faults",
    "gemini",
    "ollama",
    "responses",
]
