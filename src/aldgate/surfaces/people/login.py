"""Registering, logging in and out: `/v1/users/*` for programs, `/ui/api/auth/*` for pages, which get the session as a cookie."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response

from aldgate.core.errors import BadLogin, Conflict, ForeignOrigin, InvalidRequest
from aldgate.core.principals import Principal
from aldgate.gate.principals.sessions import NewSession
from aldgate.gate.principals.users import NewUser, Person, Users
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.credentials import SESSION_COOKIE, is_from_here, secret_of
from aldgate.surfaces.http.requests import address_of, body_of
from aldgate.surfaces.people.profile import described


class RegisterRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody who has been invited. A `username`, an `email`, or both."""

    password: str
    invite_token: str = ""
    username: str | None = None
    email: str | None = None
    display_name: str | None = None


class LoginRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Who wants in, by name or address."""

    password: str
    username: str | None = None
    email: str | None = None


class Login:
    """What those paths do."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def register(self, request: Request) -> dict[str, Any]:
        """POST /v1/users/register."""
        wanted = decoded(await body_of(request), RegisterRequest)
        name = wanted.username or wanted.email
        if not name:
            raise InvalidRequest("A user needs a `username` or an `email`.", param="username")
        new = NewUser(name=name, password=wanted.password, email=wanted.email, display_name=wanted.display_name)
        try:
            person = await self._users.register(wanted.invite_token, new, address_of(request))
        except Conflict as taken:
            raise InvalidRequest(taken.message, param="username") from None
        return described(*person)

    async def login(self, request: Request) -> dict[str, Any]:
        """POST /v1/users/login."""
        session, person = await self._begin(request)
        return {"token": session.token, "expires_at": session.expires_at, "user": described(*person)}

    async def ui_login(self, request: Request) -> Response:
        """POST /ui/api/auth/login: the cookie is all that a page gets."""
        headers = headers_of(request.scope)
        if b"origin" in headers and not is_from_here(headers):  # who logs others in as himself reads what they write
            raise ForeignOrigin("Only pages of the gate's own or a listed origin may log in here.")
        try:
            session, (account, _) = await self._begin(request)
        except BadLogin:
            refused = BadLogin("invalid credentials")
            refused.status = 403
            raise refused from None
        body = msgspec.json.encode({"ok": True, "user": {"id": account.id, "username": account.name}})
        return with_cookie(request, body, session)

    async def _begin(self, request: Request) -> tuple[NewSession, Person]:
        wanted = decoded(await body_of(request), LoginRequest)
        return await self._users.login(wanted.username or wanted.email or "", wanted.password, address_of(request))

    async def logout(self, who: Principal, request: Request) -> Response:
        """POST /v1/users/logout, /ui/api/auth/logout: end the session that asks. A key is no session, and stays."""
        headers = headers_of(request.scope)
        token = secret_of(headers).removeprefix(b"session\0").decode("utf-8", "surrogateescape")
        if who.kind == "user":
            await self._users.sessions.end(who.id, token)
        return with_cookie(request, b'{"ok":true}', None)


def with_cookie(request: Request, body: bytes, session: NewSession | None) -> Response:
    """A JSON answer that sets the session's cookie, or with None removes it."""
    secure = "; Secure" if request.scope["scheme"] == "https" else ""
    value, age = (session.token, "") if session is not None else ("", "; Max-Age=0")
    cookie = f"{SESSION_COOKIE.decode()}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"
    return Response(body, 200, {"cache-control": "no-store", "set-cookie": cookie}, "application/json")
