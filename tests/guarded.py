"""Keys whose policy has guardrails."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from aldgate.core.guardrails.kinds import Guardrail
from aldgate.core.policies import Policy
from tests.support import RunningGate


async def guarded_key(gate: RunningGate, database: Path, *guardrails: Guardrail, **wanted: Any) -> str:
    """Make a key with these guardrails, and return its secret. `wanted` as `RunningGate.key` takes it."""
    key = await gate.key(**wanted)
    with sqlite3.connect(database) as connection:
        ((policy,),) = connection.execute("select policy from keys where prefix = ?", (key[:12],)).fetchall()
        guarded = msgspec.structs.replace(msgspec.json.decode(policy, type=Policy), guardrails=guardrails)
        connection.execute("update keys set policy = ? where prefix = ?", (msgspec.json.encode(guarded).decode(), key[:12]))
    connection.close()
    return key
