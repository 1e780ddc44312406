"""Levels: who holds the policies that lead to a principal, and the words that policies are made of."""

from typing import Literal, get_args

import msgspec

from aldgate.core.policies import ANYTHING, Policy

Operation = Literal[
    "chat", "complete", "embed", "rerank", "moderate", "image", "video", "audio", "music", "speech", "transcribe", "mesh"
]
Kind = Literal["key", "client", "user", "admin"]
AccountKind = Literal["organisation", "team", "client", "user"]
LevelKind = Literal["organisation", "team", "client", "user", "key", "admin"]
Role = Literal["admin", "member", "viewer"]
"""What a person may do with the gate: administer it, call it, or only look."""

OPERATIONS: frozenset[Operation] = frozenset(get_args(Operation))
CALLER_SCOPES: frozenset[str] = OPERATIONS | {"models", "usage", "files", "batches"}
"""What a key may do when nothing was said: every operation, listing models, reading its usage, files and batches."""
ALL_SCOPES: frozenset[str] = CALLER_SCOPES | {"admin"}
VIEWER_SCOPES: frozenset[str] = frozenset({"models", "usage"})
SCOPES_OF_ROLES: dict[Role, frozenset[str]] = {"admin": ALL_SCOPES, "member": CALLER_SCOPES, "viewer": VIEWER_SCOPES}


class Level(msgspec.Struct, frozen=True):
    """One holder of a policy in the chain that leads to a principal: an account, or at its end a key.

    Attributes:
        account: The id its limits, budgets and ledger rows are counted under.
    """

    kind: LevelKind
    account: str
    name: str
    policy: Policy = ANYTHING

    def __str__(self) -> str:
        return f"{self.kind} `{self.name}`"
