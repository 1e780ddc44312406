"""Users, their sessions and invites."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from aldgate.core.errors import Conflict
from aldgate.core.users import StoredInvite, StoredSession, StoredUser
from aldgate.storage import StoredAccount
from aldgate.store.accounts import account_of, columns_of, written
from aldgate.store.database import PRINCIPALS, QueryGroup
from aldgate.store.tables import accounts, invites, sessions, users
from aldgate.store.unbroken import unbroken

_BOTH = select(accounts, users).join(users, users.c.id == accounts.c.id)


class Users(QueryGroup):
    """Queries on people; each method as `ports.Store` says."""

    @unbroken
    async def add_user(self, account: StoredAccount, user: StoredUser, invite: bytes | None = None) -> bool:
        """See `Store`."""
        async with self._database.write() as connection:
            if invite is not None:
                used = await connection.execute(delete(invites).where(invites.c.digest == invite))
                if not used.rowcount:
                    return False
            await _check_names(connection, account.id, account.name, user.email)
            await connection.execute(insert(accounts).values(columns_of(account)))
            await connection.execute(insert(users).values(msgspec.structs.asdict(user)))
        return True

    @unbroken
    async def change_user(self, user_id: str, changes: Mapping[str, Any]) -> None:
        """See `Store`."""
        of_user = {name: value for name, value in changes.items() if name in StoredUser.__struct_fields__}
        of_account = {name: value for name, value in changes.items() if name not in of_user}
        if "policy" in of_account:
            of_account["policy"] = written(of_account["policy"])
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            await _check_names(connection, user_id, changes.get("name"), changes.get("email"))
            if of_account:
                await connection.execute(update(accounts).where(accounts.c.id == user_id).values(of_account))
            if of_user:
                await connection.execute(update(users).where(users.c.id == user_id).values(of_user))

    async def find_user(self, name: str) -> tuple[StoredAccount, StoredUser] | None:
        """See `Store`."""
        is_meant = or_(accounts.c.name == name, users.c.email == name, users.c.id == name)
        async with self._database.read() as connection:
            row = (await connection.execute(_BOTH.where(accounts.c.kind == "user", is_meant))).first()
        return None if row is None else _both(row)

    async def list_users(self) -> list[tuple[StoredAccount, StoredUser]]:
        """See `Store`."""
        async with self._database.read() as connection:
            return [_both(row) for row in await connection.execute(_BOTH.order_by(accounts.c.name))]

    @unbroken
    async def add_session(self, session: StoredSession, password: str | None) -> bool:
        """See `Store`."""
        enabled = select(accounts.c.id).where(accounts.c.id == session.user, accounts.c.disabled_at.is_(None))
        is_same = users.c.password.is_(None) if password is None else users.c.password == password
        seen = update(users).where(users.c.id.in_(enabled), is_same).values(last_login_at=session.created_at)
        async with self._database.write() as connection:
            if not (await connection.execute(seen)).rowcount:
                return False
            await connection.execute(delete(sessions).where(sessions.c.expires_at <= session.created_at))
            await connection.execute(insert(sessions).values(msgspec.structs.asdict(session)))
        return True

    async def find_session(self, digest: bytes) -> StoredSession | None:
        """See `Store`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(sessions.c.digest == digest))).mappings().first()
        return None if row is None else StoredSession(**row)

    @unbroken
    async def see_session(self, digest: bytes, at: float) -> None:
        """See `Store`."""
        async with self._database.write(relaxed=True) as connection:
            await connection.execute(update(sessions).where(sessions.c.digest == digest).values(seen_at=at))

    @unbroken
    async def end_sessions(self, user: str, digest: bytes | None = None) -> None:
        """See `Store`."""
        statement = delete(sessions).where(sessions.c.user == user)
        async with self._database.write() as connection:
            await self._announce(connection, PRINCIPALS)
            await connection.execute(statement if digest is None else statement.where(sessions.c.digest == digest))

    @unbroken
    async def add_invite(self, invite: StoredInvite) -> None:
        """See `Store`."""
        async with self._database.write() as connection:
            await connection.execute(insert(invites).values(msgspec.structs.asdict(invite)))

    async def find_invite(self, digest: bytes) -> StoredInvite | None:
        """See `Store`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(invites).where(invites.c.digest == digest))).mappings().first()
        return None if row is None else StoredInvite(**row)


async def _check_names(connection: AsyncConnection, user_id: str, *names: str | None) -> None:
    """Nobody's name is another's address: whoever logs in with it must be one person."""
    wanted = [name for name in names if name is not None]
    is_taken = or_(accounts.c.name.in_(wanted), users.c.email.in_(wanted))
    of_others = _BOTH.where(accounts.c.kind == "user", accounts.c.id != user_id, is_taken)
    if wanted and (await connection.execute(of_others)).first() is not None:
        raise Conflict("There is a user with this name or address.")


def _both(row: Row[*tuple[Any, ...]]) -> tuple[StoredAccount, StoredUser]:
    user = {column.name: getattr(row, column.name) for column in users.c}
    return account_of(row), StoredUser(**user)
