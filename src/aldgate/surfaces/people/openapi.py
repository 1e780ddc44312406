"""Every path about people, as the OpenAPI document tells of it."""

from __future__ import annotations

from aldgate.surfaces.admin.users import InviteRequest, ResetRequest, UserChange, UserRequest
from aldgate.surfaces.http.openapi import CHANGE_ERRORS, LOOK_ERRORS, Path
from aldgate.surfaces.people.login import LoginRequest, RegisterRequest
from aldgate.surfaces.people.own_credentials import CredentialRequest, ProviderKeyRequest
from aldgate.surfaces.people.profile import PasswordRequest, ProfileRequest, TokenRequest, UiPasswordRequest


def _of_people(
    method: str, path: str, summary: str, request: type | None = None, status: int = 200, *more: int, is_open: bool = False
) -> Path:
    errors = (*CHANGE_ERRORS, *more) if method in ("post", "put", "patch") else LOOK_ERRORS
    tag = "admin" if path.startswith("/admin") else "people"
    return Path(method, path, summary, request, None, status, errors, is_open=is_open, tag=tag)


PATHS = (
    _of_people("post", "/v1/users/register", "Become a user by an invite", RegisterRequest, 201, 429, is_open=True),
    _of_people("post", "/v1/users/login", "Begin a session", LoginRequest, 200, 429, is_open=True),
    _of_people("post", "/v1/users/logout", "End the session that asks"),
    _of_people("get", "/v1/users/me", "Show who asks"),
    _of_people("patch", "/v1/users/me", "Change one's profile", ProfileRequest),
    _of_people("post", "/v1/users/change-password", "Take another password", PasswordRequest, 200, 429),
    _of_people("post", "/v1/users/tokens", "Make a key for oneself", TokenRequest, 201),
    _of_people("get", "/v1/users/tokens", "List one's keys"),
    _of_people("delete", "/v1/users/tokens/{id}", "Revoke a key of one's own"),
    _of_people("post", "/v1/users/invites", "Invite somebody", InviteRequest, 201),
    _of_people("post", "/v1/users/provider-keys", "Bring a credential for a provider", ProviderKeyRequest, 201),
    _of_people("get", "/v1/users/provider-keys", "List the credentials one brought"),
    _of_people("delete", "/v1/users/provider-keys/{provider}", "Take a credential back"),
    _of_people("get", "/v1/provider-credentials", "List the credentials one brought"),
    _of_people("put", "/v1/provider-credentials/{provider}", "Bring a credential for a provider", CredentialRequest),
    _of_people("delete", "/v1/provider-credentials/{provider}", "Take a credential back"),
    _of_people("post", "/v1/provider-credentials/{provider}/test", "See whether the provider takes it"),
    _of_people("get", "/v1/providers", "What who asks has at which provider"),
    _of_people("post", "/ui/api/auth/login", "Begin a session in a cookie", LoginRequest, 200, 429, is_open=True),
    _of_people("post", "/ui/api/auth/logout", "End it"),
    _of_people("get", "/ui/api/auth/oidc", "List the issuers to log in through", is_open=True),
    _of_people("get", "/ui/api/auth/oidc/{issuer}", "Log in through an issuer", None, 303, 429, is_open=True),
    _of_people("get", "/ui/api/auth/oidc/{issuer}/callback", "Come back from it", None, 303, 429, is_open=True),
    _of_people("get", "/ui/api/auth/me", "Show who asks"),
    _of_people("post", "/ui/api/user/password", "Take another password", UiPasswordRequest, 200, 429),
    _of_people("post", "/admin/users", "Make a user", UserRequest, 201, 409),
    _of_people("get", "/admin/users", "List users"),
    _of_people("post", "/admin/users/invites", "Invite somebody", InviteRequest, 201),
    _of_people("get", "/admin/users/{name}", "Show a user"),
    _of_people("patch", "/admin/users/{name}", "Change a user", UserChange, 200, 409),
    _of_people("post", "/admin/users/{name}/reset", "Give a user another password", ResetRequest),
    _of_people("post", "/admin/users/{name}/disable", "Let a user do nothing any more"),
    _of_people("post", "/admin/users/{name}/enable", "Let a user go on"),
    _of_people("post", "/admin/provider-credentials/seal", "Seal users' credentials with the newest key"),
)
