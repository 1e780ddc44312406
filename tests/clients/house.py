"""A gate in front of a provider of every dialect, so that a client meets its own and those that are translated."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aldgate.testing.upstream import FakeUpstream, Reply, faults
from tests.support import RunningGate, lab, running_gate

KINDS: dict[str, dict[str, Any]] = {
    "lab": {"models": ["gpt-4.1", "text-embedding-3-small"]},
    "newer": {"responses": "yes"},
    "claude": {"kind": "anthropic", "models": ["claude-opus-5"]},
    "gemini": {"kind": "gemini", "models": ["gemini-3.8-flash"]},
    "ollama": {"kind": "ollama", "models": ["qwen3:8b"]},
}
"""OpenAI's chat, its Responses, Anthropic's, Google's and Ollama's dialects."""
MODELS = tuple(f"{name}/{table.get('models', ['gpt-4.1'])[0]}" for name, table in KINDS.items())
ALIASES = """[aliases]
"gpt-6-sol" = "lab/gpt-4.1"
"claude-sonnet-5-5" = "lab/gpt-4.1"
"""
"""Names that clients know for other models."""
SAID = "Hello from the fake upstream."
LOOK = Reply(call=("look", '{"at":"sea"}'))
"""Calls the tool `look` where it is offered, and says `SAID` otherwise."""
CAT = Reply(text='{"name":"Tom","lives":9}')


@dataclass
class House:
    """The gate and what stands behind it: for each kind a provider, `KIND-json` and `KIND-limited`, and two that fail otherwise.

    Attributes:
        upstreams: By the provider's name; `stumbling` refuses the first call for a moment, `breaking` ends its streams too soon.
    """

    gate: RunningGate
    upstreams: dict[str, FakeUpstream]

    def behind(self, model: str) -> FakeUpstream:
        """The upstream that answers for `model`."""
        return self.upstreams[model.partition("/")[0]]

    async def environment(self) -> dict[str, str]:
        """Where a client finds the gate and what it may call there."""
        keys = {
            "unknown": "agk-nobody",
            "limited": await self.gate.key(rpm=1),
            "embedding": await self.gate.key(scopes=["embed"]),
        }
        return {
            "GATE_URL": self.gate.url,
            "GATE_KEY": await self.gate.key(),
            "GATE_KEYS": json.dumps(keys),
            "GATE_MODELS": json.dumps(MODELS),
        }


@asynccontextmanager
async def house(data: Path) -> AsyncIterator[House]:
    """Everything, started."""
    async with AsyncExitStack() as stack:
        fakes = {name: FakeUpstream(reply=LOOK) for name in KINDS}
        fakes |= {f"{name}-json": FakeUpstream(reply=CAT) for name in KINDS}
        fakes |= {f"{name}-limited": FakeUpstream(default=faults.status(429, retry_after_s=1)) for name in KINDS}
        fakes |= {"stumbling": FakeUpstream(), "breaking": FakeUpstream(default=faults.die_mid_stream(after=3))}
        fakes["stumbling"].script(faults.status(429, retry_after_s=1))
        tables: dict[str, dict[str, Any]] = {}
        for name, fake in fakes.items():
            await stack.enter_async_context(fake)
            tables[name] = lab(fake.url, **KINDS.get(name.partition("-")[0], {}))
            if tables[name]["kind"] == "gemini":
                tables[name]["base_url"] = fake.url + "beta"
        yield House(await stack.enter_async_context(running_gate(data, providers=tables, config=ALIASES)), fakes)
