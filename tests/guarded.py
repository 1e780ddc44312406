"""Keys whose policy has guardrails."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.guardrails.kinds import Guardrail
from tests.support import RunningGate


async def guarded_key(gate: RunningGate, *guardrails: Guardrail, **wanted: Any) -> str:
    """Make a key with these guardrails, and return its secret. `wanted` as `RunningGate.key` takes it."""
    return await gate.key(policy={"guardrails": msgspec.to_builtins(guardrails)}, **wanted)
