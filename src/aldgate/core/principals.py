"""Who calls, and what that principal may do."""

import msgspec

from aldgate.core.levels import ALL_SCOPES, CALLER_SCOPES, Kind, Level, Operation
from aldgate.core.policies import Policy
from aldgate.core.rights import Rights

__all__ = ["ADMIN", "ALL_SCOPES", "CALLER_SCOPES", "Kind", "Level", "Operation", "Policy", "Principal"]


class Principal(msgspec.Struct, frozen=True):
    """Who calls: an application's key, a client, a person, or the admin.

    Attributes:
        id: Stable across rotations of the secret.
        name: What people call it; shown in lists, never used in a decision.
        account: The id that files, answers and ledger rows are kept under.
        levels: Whose policies hold for it, the outermost first; the last one is its own.
        rights: What all of them allow.
        expires_at: Unix seconds; None lives for ever.
        organisation: Account id of that level, for the ledger; so are the next three.
    """

    id: str
    kind: Kind
    name: str
    account: str
    levels: tuple[Level, ...]
    rights: Rights
    expires_at: float | None = None
    organisation: str | None = None
    team: str | None = None
    client: str | None = None
    user: str | None = None

    @classmethod
    def of(cls, kind: Kind, own: Level, above: tuple[Level, ...] = (), expires_at: float | None = None) -> "Principal":
        """The principal that `own` is the last level of, `above` being the others, the outermost first."""
        levels = (*above, own)
        rights = Rights(levels)
        ends = [at for at in (expires_at, rights.expires_at) if at is not None]
        accounts = {level.kind: level.account for level in levels if level.kind in ("organisation", "team", "client", "user")}
        return cls(own.account, kind, own.name, own.account, levels, rights, min(ends, default=None), **accounts)


ADMIN = Principal.of("admin", Level("admin", "admin", "admin", Policy(scopes=ALL_SCOPES)))
