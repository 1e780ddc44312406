"""Who calls, and what that principal may do."""

from typing import Literal

import msgspec

from aldgate.core.budgets import Budget
from aldgate.core.limits import UNLIMITED, Limits

Operation = Literal["chat", "complete", "embed", "rerank", "moderate"]

ALL_SCOPES = frozenset({"chat", "complete", "embed", "rerank", "moderate", "models", "usage", "files", "batches", "admin"})
"""Every scope there is: one per operation, and one each for listing models, reading usage, files, batches and administering."""
CALLER_SCOPES = ALL_SCOPES - {"admin"}
"""What a key may do when nothing was said."""


class Policy(msgspec.Struct, frozen=True):
    """What a principal may do. One level today; the intersection of several is taken when a principal is built, not per call."""

    scopes: frozenset[str] = CALLER_SCOPES
    limits: Limits = UNLIMITED
    budget: Budget | None = None


class Principal(msgspec.Struct, frozen=True):
    """Who calls: an application's key, or an admin.

    Attributes:
        id: Stable across rotations of the secret.
        name: What people call it; shown in lists, never used in a decision.
        account: The id its limits, budget and ledger rows are counted under.
        expires_at: Unix seconds; None lives for ever.
    """

    id: str
    kind: Literal["key", "admin"]
    name: str
    policy: Policy
    account: str
    expires_at: float | None = None
