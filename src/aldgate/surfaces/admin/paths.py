"""The paths of administration: each with what it does. All need a principal with the `admin` scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from fastapi import Request, Response

from aldgate.core.principals import Principal
from aldgate.gate.principals.clients import Clients
from aldgate.surfaces.admin.accounts import AccountAdmin
from aldgate.surfaces.admin.acts import Administration
from aldgate.surfaces.admin.budgets import BudgetAdmin
from aldgate.surfaces.admin.clients import ClientAdmin
from aldgate.surfaces.admin.keys import KeyAdmin, require_admin
from aldgate.surfaces.http.requests import Act, body_of


class AdminPath(NamedTuple):
    """One path and method."""

    method: str
    path: str
    act: Act
    status: int = 200


def admin_paths(
    administration: Administration, clients: Clients, committed: Callable[[], Awaitable[None]]
) -> Iterator[AdminPath]:
    """Every path of administration that changes or shows keys, accounts and budgets."""
    client_admin = ClientAdmin(administration, clients)
    yield from _key_paths(KeyAdmin(administration))
    yield from _budget_paths(BudgetAdmin(administration), committed)
    yield from _account_paths("/admin/organisations", AccountAdmin("organisation", administration))
    yield from _account_paths("/admin/teams", AccountAdmin("team", administration))
    yield from _account_paths("/admin/clients", client_admin)

    async def rotate(who: Principal, request: Request) -> dict[str, Any]:
        return await client_admin.rotate(who, request.path_params["id"], await body_of(request))

    yield AdminPath("POST", "/admin/clients/{id}/rotate", only_admin(rotate))


def _key_paths(keys: KeyAdmin) -> Iterator[AdminPath]:
    async def create(who: Principal, request: Request) -> dict[str, Any]:
        return await keys.create(who, await body_of(request))

    async def change(who: Principal, request: Request) -> dict[str, Any]:
        return await keys.change(who, request.path_params["key_id"], await body_of(request))

    async def rotate(who: Principal, request: Request) -> dict[str, Any]:
        return await keys.rotate(who, request.path_params["key_id"], await body_of(request))

    yield AdminPath("POST", "/admin/keys", only_admin(create), 201)
    yield AdminPath("GET", "/admin/keys", only_admin(lambda who, request: keys.list()))
    yield AdminPath("PATCH", "/admin/keys/{key_id}", only_admin(change))
    yield AdminPath(
        "DELETE", "/admin/keys/{key_id}", only_admin(lambda who, request: keys.revoke(who, request.path_params["key_id"]))
    )
    yield AdminPath("POST", "/admin/keys/{key_id}/rotate", only_admin(rotate))


def _budget_paths(budgets: BudgetAdmin, committed: Callable[[], Awaitable[None]]) -> Iterator[AdminPath]:
    async def show(who: Principal, request: Request) -> dict[str, Any]:
        await committed()
        return await budgets.list(request.query_params)

    async def release(who: Principal, request: Request) -> dict[str, Any]:
        return await budgets.release(who, await body_of(request))

    yield AdminPath("GET", "/admin/budgets", only_admin(show))
    yield AdminPath("POST", "/admin/budgets/release", only_admin(release))


def _account_paths(path: str, accounts: AccountAdmin) -> Iterator[AdminPath]:
    async def create(who: Principal, request: Request) -> dict[str, Any]:
        return await accounts.create(who, await body_of(request))

    async def change(who: Principal, request: Request) -> dict[str, Any]:
        return await accounts.change(who, request.path_params["id"], await body_of(request))

    def disabling(is_disabled: bool) -> Act:
        return lambda who, request: accounts.set_disabled(who, request.path_params["id"], is_disabled)

    one = f"{path}/{{id}}"
    yield AdminPath("GET", path, only_admin(lambda who, request: accounts.list()))
    yield AdminPath("POST", path, only_admin(create), 201)
    yield AdminPath("GET", one, only_admin(lambda who, request: accounts.get(request.path_params["id"])))
    yield AdminPath("PATCH", one, only_admin(change))
    yield AdminPath("DELETE", one, only_admin(lambda who, request: accounts.delete(who, request.path_params["id"])))
    yield AdminPath("POST", f"{one}/disable", only_admin(disabling(True)))
    yield AdminPath("POST", f"{one}/enable", only_admin(disabling(False)))


def only_admin(act: Act) -> Act:
    """The act, for whoever may administer."""

    async def acting(who: Principal, request: Request) -> dict[str, Any] | Response:
        require_admin(who)
        return await act(who, request)

    return acting
