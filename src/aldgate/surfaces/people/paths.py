"""Everything about people, path by path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aldgate.gate.people import People
from aldgate.surfaces.admin.users import UserAdmin
from aldgate.surfaces.http.requests import Act, OpenAct
from aldgate.surfaces.people.login import Login
from aldgate.surfaces.people.own_credentials import OwnCredentialsFace
from aldgate.surfaces.people.profile import Profile


class Path(NamedTuple):
    """Who answers at a path: `act` for who is known, else `open_act` for anybody."""

    method: str
    path: str
    act: Act | None
    open_act: OpenAct
    status: int = 200


async def _nothing(request: object) -> None:
    del request


def paths_of(people: People) -> Iterator[Path]:
    """All paths."""
    login = Login(people.users)
    profile = Profile(people.store, people.identity, people.users, people.acts)
    admin = UserAdmin(people.store, people.users, people.own, people.acts)
    own = OwnCredentialsFace(people.gate, people.identity, people.own, people.acts)
    yield Path("POST", "/v1/users/register", None, login.register, 201)
    yield Path("POST", "/v1/users/login", None, login.login)
    yield Path("POST", "/ui/api/auth/login", None, login.ui_login)
    known: tuple[tuple[str, str, Act, int], ...] = (
        ("POST", "/v1/users/logout", login.logout, 200),
        ("POST", "/ui/api/auth/logout", login.logout, 200),
        ("GET", "/ui/api/auth/me", profile.ui_me, 200),
        ("POST", "/ui/api/user/password", profile.ui_change_password, 200),
        ("GET", "/v1/users/me", profile.me, 200),
        ("PATCH", "/v1/users/me", profile.change, 200),
        ("POST", "/v1/users/change-password", profile.change_password, 200),
        ("POST", "/v1/users/tokens", profile.create_token, 201),
        ("GET", "/v1/users/tokens", profile.list_tokens, 200),
        ("DELETE", "/v1/users/tokens/{id}", profile.revoke_token, 200),
        ("POST", "/v1/users/invites", admin.invite, 201),
        ("GET", "/v1/providers", own.providers, 200),
        ("POST", "/v1/users/provider-keys", own.create, 201),
        ("GET", "/v1/users/provider-keys", own.list, 200),
        ("DELETE", "/v1/users/provider-keys/{provider}", own.delete, 200),
        ("GET", "/v1/provider-credentials", own.list, 200),
        ("PUT", "/v1/provider-credentials/{provider}", own.put, 200),
        ("DELETE", "/v1/provider-credentials/{provider}", own.delete, 200),
        ("POST", "/v1/provider-credentials/{provider}/test", own.test, 200),
        ("POST", "/admin/users", admin.create, 201),
        ("GET", "/admin/users", admin.list, 200),
        ("POST", "/admin/users/invites", admin.invite, 201),
        ("GET", "/admin/users/{name}", admin.show, 200),
        ("PATCH", "/admin/users/{name}", admin.change, 200),
        ("POST", "/admin/users/{name}/reset", admin.reset, 200),
        ("POST", "/admin/users/{name}/disable", admin.disable, 200),
        ("POST", "/admin/users/{name}/enable", admin.enable, 200),
        ("POST", "/admin/provider-credentials/seal", admin.seal, 200),
    )
    for method, path, act, status in known:
        yield Path(method, path, act, _nothing, status)
