"""What those who know of people ask of the store beside all else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aldgate.core.users import StoredInvite, StoredOwnCredential, StoredSession, StoredUser
from aldgate.storage import Store, StoredAccount


class UserStore(Store, Protocol):
    """People, who of them has logged in, whom they invited, and what credentials they brought."""

    async def add_user(self, account: StoredAccount, user: StoredUser, invite: bytes | None = None) -> bool:
        """Keep a new one and use the invite with this digest up, both or neither; False if there is no such invite any more.

        Raises `Conflict` if the name or address is somebody's name or address.
        """
        ...

    async def change_user(self, user_id: str, changes: Mapping[str, Any]) -> None:
        """Set these fields of the `StoredUser` and of its `StoredAccount`, and no others. Raises `Conflict` as `add_user`."""
        ...

    async def find_user(self, name: str) -> tuple[StoredAccount, StoredUser] | None:
        """The user with this name, address or id."""
        ...

    async def list_users(self) -> list[tuple[StoredAccount, StoredUser]]:
        """All users, by name."""
        ...

    async def add_session(self, session: StoredSession, password: str | None) -> bool:
        """Keep a new one, and forget those that have expired; False if the user is disabled, or has another `password` by now."""
        ...

    async def find_session(self, digest: bytes) -> StoredSession | None:
        """The session with this digest, expired ones included."""
        ...

    async def see_session(self, digest: bytes, at: float) -> None:
        """It was used."""
        ...

    async def end_sessions(self, user: str, digest: bytes | None = None) -> None:
        """Forget one of the user's, or all."""
        ...

    async def add_invite(self, invite: StoredInvite) -> None:
        """Keep a new one."""
        ...

    async def find_invite(self, digest: bytes) -> StoredInvite | None:
        """The invite with this digest, unless it is used up; expired ones included."""
        ...

    async def save_own_credential(self, credential: StoredOwnCredential, *, again: bool = False) -> None:
        """Keep it in place of the user's earlier one at this provider; `again`: only if that one has the same id."""
        ...

    async def own_credentials(self, user: str | None = None) -> list[StoredOwnCredential]:
        """Those of a user, or all, by provider."""
        ...

    async def delete_own_credential(self, user: str, provider: str) -> bool:
        """Forget it; False if there is none."""
        ...
