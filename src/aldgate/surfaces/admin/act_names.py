"""What the audit log calls each administrative request, whatever becomes of it."""

from __future__ import annotations

from aldgate.gate.reload.reload import RELOAD


def act_of(method: str, template: str) -> str:
    """The name that its handler gives the act when it is done, as in `key.create`; where there is none, method and path."""
    return _NAMES.get((method, template), f"{method} {template}")


def _of_account(kind: str) -> dict[tuple[str, str], str]:
    path = f"/admin/{kind}s"
    return {
        ("POST", path): f"{kind}.create",
        ("PATCH", f"{path}/{{id}}"): f"{kind}.edit",
        ("DELETE", f"{path}/{{id}}"): f"{kind}.delete",
        ("POST", f"{path}/{{id}}/disable"): f"{kind}.disable",
        ("POST", f"{path}/{{id}}/enable"): f"{kind}.enable",
    }


_NAMES: dict[tuple[str, str], str] = {
    **_of_account("organisation"),
    **_of_account("team"),
    **_of_account("client"),
    ("POST", "/admin/clients/{id}/rotate"): "client.rotate",
    ("POST", "/api/v1/clients/reload"): "client.reload",
    ("POST", "/admin/users"): "user.create",
    ("PATCH", "/admin/users/{name}"): "user.change",
    ("POST", "/admin/users/{name}/reset"): "user.reset",
    ("POST", "/admin/users/{name}/disable"): "user.disable",
    ("POST", "/admin/users/{name}/enable"): "user.enable",
    ("POST", "/admin/users/invites"): "user.invite",
    ("POST", "/admin/keys"): "key.create",
    ("POST", "/admin/keys/generate"): "key.create",
    ("POST", "/auth/keys"): "key.create",
    ("PATCH", "/admin/keys/{key_id}"): "key.edit",
    ("POST", "/admin/keys/{key_id}/rotate"): "key.rotate",
    ("DELETE", "/admin/keys/{key_id}"): "key.revoke",
    ("POST", "/admin/keys/revoke"): "key.revoke",
    ("DELETE", "/auth/keys/{key}"): "key.revoke",
    ("POST", "/admin/budgets/release"): "budget.release",
    ("POST", "/admin/provider-credentials/seal"): "provider_credentials.seal",
    ("POST", "/admin/reload"): RELOAD,
}
