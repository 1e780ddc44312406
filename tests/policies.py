"""Keys with policies, put straight into a gate's store."""

from __future__ import annotations

import secrets
import time
from typing import Any

from aldgate.core.policies import Policy
from aldgate.storage import StoredKey
from tests.support import RunningGate


async def key_with(gate: RunningGate, policy: Policy, **fields: Any) -> str:
    """Make a key with this policy and return its secret."""
    secret = "agk-" + secrets.token_urlsafe(32)
    key_id = "key-" + secrets.token_hex(12)
    key = StoredKey(id=key_id, name="shaped", prefix=secret[:12], policy=policy, created_at=time.time(), **fields)
    identity = gate.app.identity
    await gate.app.store.add_key(key, identity.digest(secret.encode()))
    identity.forget()
    return secret
