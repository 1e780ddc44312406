"""Who calls, and what that principal may do."""

from collections.abc import Mapping

import msgspec

from aldgate.core.levels import ALL_SCOPES, CALLER_SCOPES, Kind, Level, Operation
from aldgate.core.policies import Policy
from aldgate.core.rights import Rights

__all__ = ["ADMIN", "ALL_SCOPES", "CALLER_SCOPES", "Kind", "Level", "Operation", "OwnCredential", "Policy", "Principal"]


class OwnCredential(msgspec.Struct, frozen=True):
    """A credential that a user brought for a provider; `id` is new with each that is saved. Never shows its secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"OwnCredential({self.id!r}, '***')"


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
        own: By provider, what its calls are made with and paid by instead of the gate's credential; None: nothing.
        credential: What it showed, as a digest: a session, or one of several secrets. Empty: nobody was asked for one.
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
    own: Mapping[str, OwnCredential] | None = None
    credential: bytes = b""

    @classmethod
    def of(cls, kind: Kind, own: Level, above: tuple[Level, ...] = (), expires_at: float | None = None) -> "Principal":
        """The principal that `own` is the last level of, `above` being the others, the outermost first."""
        levels = (*above, own)
        rights = Rights(levels)
        ends = [at for at in (expires_at, rights.expires_at) if at is not None]
        of = {level.kind: level.account for level in levels}.get
        above_key = of("organisation"), of("team"), of("client"), of("user")
        return cls(own.account, kind, own.name, own.account, levels, rights, min(ends, default=None), *above_key)


ADMIN = Principal.of("admin", Level("admin", "admin", "admin", Policy(scopes=ALL_SCOPES)))
