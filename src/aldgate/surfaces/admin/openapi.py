"""The paths of administration, as the OpenAPI document tells of them; those of users are with the ones for people."""

from __future__ import annotations

from aldgate.gate.reload.reload import Reloaded
from aldgate.surfaces.admin.accounts import AccountPatch, AccountRequest
from aldgate.surfaces.admin.budgets import ReleaseRequest
from aldgate.surfaces.admin.clients import ClientPatch, ClientRequest
from aldgate.surfaces.admin.keys import KeyPatch, KeyRequest, RotateRequest
from aldgate.surfaces.admin.seed_keys import GenerateForm, NamedKey, RevokeForm
from aldgate.surfaces.http.envelope import Envelope
from aldgate.surfaces.http.openapi import CHANGE_ERRORS, CONFLICT_ERRORS, LOOK_ERRORS, Path

_FORM = "application/x-www-form-urlencoded"
_ACCOUNTS = tuple(
    Path(
        method,
        f"/admin/{kind}{below}",
        words.format(one=one, all=kind),
        request,
        None,
        status,
        CONFLICT_ERRORS,
        tag="admin",
    )
    for kind, one, made, changed in (
        ("organisations", "an organisation", AccountRequest, AccountPatch),
        ("teams", "a team", AccountRequest, AccountPatch),
        ("clients", "a client", ClientRequest, ClientPatch),
    )
    for method, below, words, request, status in (
        ("get", "", "List {all}", None, 200),
        ("post", "", "Make {one}", made, 201),
        ("get", "/{id}", "Show {one}", None, 200),
        ("patch", "/{id}", "Change {one}", changed, 200),
        ("delete", "/{id}", "Delete {one}", None, 200),
        ("post", "/{id}/disable", "Refuse all calls under {one}", None, 200),
        ("post", "/{id}/enable", "Let {one} call again", None, 200),
    )
)

PATHS = (
    *_ACCOUNTS,
    Path(
        "post",
        "/admin/clients/{id}/rotate",
        "Give a client a new secret",
        RotateRequest,
        None,
        200,
        CONFLICT_ERRORS,
        tag="admin",
    ),
    Path("get", "/api/v1/clients/reload", "Read the clients in files again", errors=LOOK_ERRORS, tag="clients"),
    Path("post", "/api/v1/clients/reload", "Read the clients in files again", errors=LOOK_ERRORS, tag="clients"),
    Path("post", "/admin/keys", "Make a key", KeyRequest, None, 201, CHANGE_ERRORS, tag="admin"),
    Path("patch", "/admin/keys/{key_id}", "Change a key", KeyPatch, None, 200, CONFLICT_ERRORS, tag="admin"),
    Path("get", "/admin/keys", "List keys", None, None, 200, (401, 403, 503), tag="admin"),
    Path(
        "post",
        "/admin/keys/generate",
        "Make a key, by a form",
        GenerateForm,
        errors=(*CHANGE_ERRORS, 429),
        tag="admin",
        content=_FORM,
    ),
    Path("post", "/admin/keys/revoke", "Revoke a key, by a form", RevokeForm, errors=CHANGE_ERRORS, tag="admin", content=_FORM),
    Path("post", "/auth/keys", "Make a key", NamedKey, Envelope, errors=(*CHANGE_ERRORS, 429), tag="keys"),
    Path("get", "/auth/keys", "List keys", None, Envelope, errors=(401, 403, 503), tag="keys"),
    Path("delete", "/auth/keys/{key}", "Revoke a key", None, Envelope, errors=(401, 403, 404, 503), tag="keys"),
    Path("delete", "/admin/keys/{key_id}", "Revoke a key", None, None, 200, (401, 403, 404, 503), tag="admin"),
    Path(
        "post",
        "/admin/keys/{key_id}/rotate",
        "Give a key a new secret",
        RotateRequest,
        None,
        200,
        CONFLICT_ERRORS,
        tag="admin",
    ),
    Path("get", "/admin/budgets", "Where the money of budgets is", errors=(400, 401, 403, 503), tag="admin"),
    Path(
        "post",
        "/admin/budgets/release",
        "Count as unspent what lost processes had",
        ReleaseRequest,
        None,
        200,
        CHANGE_ERRORS,
        tag="admin",
    ),
    Path("post", "/admin/reload", "Read the configuration again", None, Reloaded, errors=(400, 401, 403, 503), tag="admin"),
)
