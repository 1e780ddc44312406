"""What administrators give, looked at with all that stands above it."""

from __future__ import annotations

from aldgate.core.giving import check_given
from aldgate.core.levels import Level
from aldgate.core.principals import Principal
from aldgate.storage import Store


async def check_gift(store: Store, maker: Principal, own: Level, above: str | None, expires_at: float | None = None) -> None:
    """See that something is no more than who makes it, changes it or is shown its secret.

    Args:
        store: Has the accounts above.
        maker: Who gives it.
        own: Its own level, as it will be.
        above: Id of the account that it is under, or will be.
        expires_at: Unix seconds at which it ends besides.

    Raises:
        PolicyDenied: As `core.giving.check_given`.
    """
    levels = () if above is None else await store.lineage(above)
    check_given(maker, (*(account.level for account in levels), own), expires_at)
