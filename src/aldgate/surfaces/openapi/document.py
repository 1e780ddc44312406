"""The OpenAPI document of every path, from the msgspec types that the faces are described by."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec

from aldgate import __version__
from aldgate.books import UsageRow
from aldgate.core.audit import AuditRow, Finding
from aldgate.core.calls import LedgerRow
from aldgate.core.statements import Statement
from aldgate.dialects.anthropic import types as anthropic
from aldgate.dialects.gemini import types as gemini
from aldgate.dialects.ollama.parse import ChatBody, EmbedBody, EmbeddingsBody, GenerateBody, ShowBody
from aldgate.dialects.openai import types
from aldgate.dialects.prompt.requests import PromptReply, PromptRequest
from aldgate.dialects.rerank.requests import RerankBody
from aldgate.dialects.responses import types as response_types
from aldgate.gate.explanation import Explanation
from aldgate.gate.reload import Reloaded
from aldgate.surfaces.admin.accounts import AccountPatch, AccountRequest
from aldgate.surfaces.admin.budgets import ReleaseRequest
from aldgate.surfaces.admin.clients import ClientPatch, ClientRequest
from aldgate.surfaces.admin.keys import KeyPatch, KeyRequest, RotateRequest
from aldgate.surfaces.admin.seed_keys import Enveloped, GenerateForm, NamedKey, RevokeForm
from aldgate.surfaces.admin.users import InviteRequest, ResetRequest, UserChange, UserRequest
from aldgate.surfaces.explain import ExplainRequest
from aldgate.surfaces.jobs.batches import BatchRequest
from aldgate.surfaces.jobs.files import FileForm
from aldgate.surfaces.people.login import LoginRequest, RegisterRequest
from aldgate.surfaces.people.own_credentials import CredentialRequest, ProviderKeyRequest
from aldgate.surfaces.people.profile import PasswordRequest, ProfileRequest, TokenRequest, UiPasswordRequest
from aldgate.surfaces.reports.ledger_query import DIMENSIONS

REF = "#/components/schemas/{name}"


class Path(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    summary: str
    request: type | None = None
    reply: type | None = None
    status: int = 200
    errors: tuple[int, ...] = (401, 403, 429, 503)
    query: tuple[str, ...] = ()
    is_open: bool = False
    tag: str = "openai"
    content: str = "application/json"
    """Type of the request's body."""


_STREAMED = (types.ChatRequest, types.CompletionRequest, response_types.ResponseRequest, anthropic.MessagesRequest)


class UsageList(msgspec.Struct):
    """Ledger sums. Of the dimensions that were not asked for, only the first four stand in a row, as null."""

    object: str
    data: list[UsageRow]
    has_more: bool = False


class Ledger(msgspec.Struct):
    """A page of ledger rows; `next` is the `after` of the page behind it."""

    object: str
    data: list[LedgerRow]
    has_more: bool
    next: str | None


class AuditList(msgspec.Struct):
    """A page of the audit log; each row has also `at`, its time in ISO 8601."""

    object: str
    data: list[AuditRow]
    has_more: bool


class Verification(msgspec.Struct):
    """Whether the audit log is whole."""

    is_whole: bool
    rows: int
    anchor: str | None
    findings: list[Finding]


class AnchorReply(msgspec.Struct):
    """How far the audit log has come: the number and the hash of its last row."""

    anchor: str | None


_CALL_ERRORS = (400, 401, 402, 403, 404, 409, 413, 415, 429, 500, 502, 503, 504)
_KEPT_ERRORS = (400, 401, 403, 404, 503)
_ERRORS: dict[str, type] = {
    "openai": types.ErrorBody,
    "anthropic": anthropic.ErrorReply,
    "gemini": gemini.GeminiError,
    "keys": Enveloped,
}
"""How an error is written on the paths of a tag; where it says nothing, as OpenAI does."""
_FORM = "application/x-www-form-urlencoded"
_LOOK_ERRORS = (400, 401, 403, 404, 503)
_USAGE = ("group_by", *DIMENSIONS, "since", "until", "limit", "offset", "format")
_ADMIN_ERRORS = (400, 401, 403, 404, 413, 415, 503)
_CHANGE_ERRORS = (*_ADMIN_ERRORS, 409)

_VERBS = "Gemini's verbs behind the model: `:generateContent`, `:streamGenerateContent`, `:embedContent` ..."
_GEMINI = tuple(
    path
    for version in ("v1beta", "v1alpha")
    for path in (
        Path("get", f"/{version}/models", "List models to Gemini's clients", None, gemini.GeminiModelPage, tag="gemini"),
        Path(
            "get",
            f"/{version}/models/{{model}}",
            "Show one model to Gemini's clients",
            None,
            gemini.GeminiModel,
            errors=(401, 403, 404, 503),
            tag="gemini",
        ),
        Path("post", f"/{version}/models/{{model}}", _VERBS, gemini.GeminiRequest, None, errors=_CALL_ERRORS, tag="gemini"),
    )
)

_ACCOUNTS = tuple(
    Path(
        method,
        f"/admin/{kind}{below}",
        words.format(one=one, all=kind),
        request,
        None,
        status,
        _CHANGE_ERRORS,
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

_USER_ERRORS = (400, 401, 403, 404, 413, 415, 503)


def _of_people(
    method: str, path: str, summary: str, request: type | None = None, status: int = 200, *more: int, is_open: bool = False
) -> Path:
    errors = (*_USER_ERRORS, *more) if method in ("post", "put", "patch") else _LOOK_ERRORS
    tag = "admin" if path.startswith("/admin") else "people"
    return Path(method, path, summary, request, None, status, errors, is_open=is_open, tag=tag)


_PEOPLE = (
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

PATHS = (
    *_ACCOUNTS,
    Path(
        "post",
        "/admin/clients/{id}/rotate",
        "Give a client a new secret",
        RotateRequest,
        None,
        200,
        _CHANGE_ERRORS,
        tag="admin",
    ),
    Path("post", "/api/v1/generate", "Answer a prompt", PromptRequest, PromptReply, errors=_CALL_ERRORS, tag="clients"),
    Path("get", "/api/v1/clients/reload", "Read the clients in files again", errors=_LOOK_ERRORS, tag="clients"),
    Path("post", "/api/v1/clients/reload", "Read the clients in files again", errors=_LOOK_ERRORS, tag="clients"),
    *_GEMINI,
    Path("post", "/v1/models/{model}", _VERBS, gemini.GeminiRequest, None, errors=(*_CALL_ERRORS, 405), tag="gemini"),
    Path("post", "/v1/chat/completions", "Answer a conversation", types.ChatRequest, types.ChatCompletion, errors=_CALL_ERRORS),
    Path("post", "/v1/completions", "Continue a text", types.CompletionRequest, types.Completion, errors=_CALL_ERRORS),
    Path("post", "/v1/embeddings", "Embed texts", types.EmbeddingRequest, types.EmbeddingList, errors=_CALL_ERRORS),
    Path(
        "post",
        "/v1/responses",
        "Answer a conversation, and keep it",
        response_types.ResponseRequest,
        response_types.ResponseObject,
        errors=_CALL_ERRORS,
    ),
    Path(
        "get",
        "/v1/responses/{response_id}",
        "Show a kept response",
        None,
        response_types.ResponseObject,
        errors=_KEPT_ERRORS,
        query=("stream", "starting_after"),
    ),
    Path(
        "delete",
        "/v1/responses/{response_id}",
        "Delete a kept response",
        None,
        response_types.DeletedResponse,
        errors=_KEPT_ERRORS,
    ),
    Path(
        "get",
        "/v1/responses/{response_id}/input_items",
        "List what a response was made from",
        None,
        response_types.ItemList,
        errors=_KEPT_ERRORS,
        query=("limit", "order", "after"),
    ),
    Path(
        "post",
        "/v1/responses/{response_id}/cancel",
        "Cancel a response that runs in the background",
        None,
        response_types.ResponseObject,
        errors=_KEPT_ERRORS,
    ),
    Path(
        "post",
        "/v1/responses/compact",
        "Compact a conversation",
        response_types.CompactionRequest,
        response_types.CompactionObject,
        errors=_CALL_ERRORS,
    ),
    Path(
        "post",
        "/v1/responses/input_tokens",
        "Estimate the tokens of an input",
        response_types.InputTokensRequest,
        response_types.InputTokens,
        errors=(*_KEPT_ERRORS, 413, 415),
    ),
    Path("post", "/v1/moderations", "Judge texts", types.ModerationRequest, None, errors=_CALL_ERRORS),
    Path("post", "/v1/rerank", "Rank documents", RerankBody, None, errors=_CALL_ERRORS, tag="rerank"),
    Path("post", "/rerank", "Rank documents", RerankBody, None, errors=_CALL_ERRORS, tag="rerank"),
    Path("post", "/v2/rerank", "Rank documents", RerankBody, None, errors=_CALL_ERRORS, tag="rerank"),
    Path("post", "/api/chat", "Answer a conversation", ChatBody, None, errors=_CALL_ERRORS, tag="ollama"),
    Path("post", "/api/generate", "Answer a prompt", GenerateBody, None, errors=_CALL_ERRORS, tag="ollama"),
    Path("post", "/api/embed", "Embed texts", EmbedBody, None, errors=_CALL_ERRORS, tag="ollama"),
    Path("post", "/api/embeddings", "Embed a text", EmbeddingsBody, None, errors=_CALL_ERRORS, tag="ollama"),
    Path("get", "/api/tags", "List models", errors=(401, 403, 503), tag="ollama"),
    Path("post", "/api/show", "Show one model", ShowBody, errors=(400, 401, 403, 404, 413, 503), tag="ollama"),
    Path("get", "/api/ps", "List models in memory", errors=(401, 403, 503), tag="ollama"),
    Path("get", "/api/version", "The version of Ollama's API", errors=(), is_open=True, tag="ollama"),
    Path("head", "/api/version", "Somebody is there", errors=(), is_open=True, tag="ollama"),
    Path(
        "post",
        "/v1/messages",
        "Answer a conversation, in Anthropic's form",
        anthropic.MessagesRequest,
        anthropic.MessagesReply,
        errors=(*_CALL_ERRORS, 529),
        tag="anthropic",
    ),
    Path(
        "post",
        "/v1/messages/count_tokens",
        "Count a conversation's tokens; free",
        anthropic.CountRequest,
        anthropic.CountReply,
        errors=(*_CALL_ERRORS, 529),
        tag="anthropic",
    ),
    Path(
        "get",
        "/v1/models",
        "List models",
        None,
        types.ModelList,
        errors=(400, 401, 403, 429, 503),
        query=("modality", "limit", "cursor"),
    ),
    Path("get", "/v1/models/{model}", "Show one model; ids may contain slashes", None, types.Model, errors=(401, 403, 404, 503)),
    Path(
        "get",
        "/v1/usage",
        "What was used and what it cost",
        None,
        UsageList,
        errors=(400, 401, 403, 503),
        query=_USAGE,
        tag="aldgate",
    ),
    Path(
        "post",
        "/v1/explain",
        "What would become of a call, without making it",
        ExplainRequest,
        Explanation,
        errors=_ADMIN_ERRORS,
        tag="aldgate",
    ),
    Path(
        "post",
        "/v1/files",
        "Keep a file",
        FileForm,
        errors=(400, 401, 403, 413, 415, 503),
        tag="batches",
        content="multipart/form-data",
    ),
    Path("get", "/v1/files", "List files", errors=_LOOK_ERRORS, query=("purpose", "limit", "order", "after"), tag="batches"),
    Path("get", "/v1/files/{id}", "Show a file", errors=_LOOK_ERRORS, tag="batches"),
    Path("delete", "/v1/files/{id}", "Delete a file", errors=_LOOK_ERRORS, tag="batches"),
    Path("get", "/v1/files/{id}/content", "Read a file", errors=_LOOK_ERRORS, tag="batches"),
    Path("post", "/v1/batches", "Make the calls of a file", BatchRequest, errors=(*_ADMIN_ERRORS, 409, 429), tag="batches"),
    Path("get", "/v1/batches", "List batches", errors=_LOOK_ERRORS, query=("limit", "after"), tag="batches"),
    Path("get", "/v1/batches/{id}", "Show a batch", errors=_LOOK_ERRORS, tag="batches"),
    Path("post", "/v1/batches/{id}/cancel", "Begin no more of its calls", errors=(*_LOOK_ERRORS, 409), tag="batches"),
    Path("post", "/admin/keys", "Make a key", KeyRequest, None, 201, _ADMIN_ERRORS, tag="admin"),
    Path("patch", "/admin/keys/{key_id}", "Change a key", KeyPatch, None, 200, _CHANGE_ERRORS, tag="admin"),
    Path("get", "/admin/keys", "List keys", None, None, 200, (401, 403, 503), tag="admin"),
    Path(
        "post",
        "/admin/keys/generate",
        "Make a key, by a form",
        GenerateForm,
        errors=(*_ADMIN_ERRORS, 429),
        tag="admin",
        content=_FORM,
    ),
    Path("post", "/admin/keys/revoke", "Revoke a key, by a form", RevokeForm, errors=_ADMIN_ERRORS, tag="admin", content=_FORM),
    Path("post", "/auth/keys", "Make a key", NamedKey, Enveloped, errors=(*_ADMIN_ERRORS, 429), tag="keys"),
    Path("get", "/auth/keys", "List keys", None, Enveloped, errors=(401, 403, 503), tag="keys"),
    Path("delete", "/auth/keys/{key}", "Revoke a key", None, Enveloped, errors=(401, 403, 404, 503), tag="keys"),
    Path("delete", "/admin/keys/{key_id}", "Revoke a key", None, None, 200, (401, 403, 404, 503), tag="admin"),
    Path(
        "post",
        "/admin/keys/{key_id}/rotate",
        "Give a key a new secret",
        RotateRequest,
        None,
        200,
        _CHANGE_ERRORS,
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
        _ADMIN_ERRORS,
        tag="admin",
    ),
    *_PEOPLE,
    Path("get", "/admin/usage", "What was used by all", None, UsageList, errors=(400, 401, 403, 503), query=_USAGE, tag="admin"),
    Path(
        "get",
        "/admin/ledger",
        "The ledger row by row",
        None,
        Ledger,
        errors=(400, 401, 403, 503),
        query=(*DIMENSIONS, "since", "until", "limit", "after", "format"),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/statements/{account}",
        "A month of one account",
        None,
        Statement,
        errors=_LOOK_ERRORS,
        query=("month", "format"),
        tag="admin",
    ),
    Path(
        "post",
        "/admin/reconcile",
        "The ledger beside a provider's export",
        str,
        None,
        errors=(400, 401, 403, 413, 503),
        query=("provider", "month", "layout", "column", "model", "tolerance_ppm", "tolerance_microusd"),
        tag="admin",
        content="text/csv",
    ),
    Path(
        "get",
        "/admin/audit",
        "What administrators did",
        None,
        AuditList,
        errors=(400, 401, 403, 503),
        query=("who", "act", "target", "outcome", "origin", "since", "until", "before", "after", "limit", "format"),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/audit/verify",
        "Whether the audit log is whole",
        None,
        Verification,
        errors=(400, 401, 403, 503),
        query=("anchor",),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/audit/anchor",
        "How far the audit log has come",
        None,
        AnchorReply,
        errors=(400, 401, 403, 503),
        tag="admin",
    ),
    Path("post", "/admin/reload", "Read the configuration again", None, Reloaded, errors=(400, 401, 403, 503), tag="admin"),
    Path("get", "/", "Who answers, and where to read on", errors=(), is_open=True, tag="operations"),
    Path("head", "/", "The process answers", errors=(), is_open=True, tag="operations"),
    Path("get", "/health", "The process answers", errors=(), is_open=True, tag="operations"),
    Path("head", "/health", "The process answers", errors=(), is_open=True, tag="operations"),
    Path("get", "/ready", "The gate can serve; 503 says why not", errors=(503,), is_open=True, tag="operations"),
    Path("head", "/ready", "The gate can serve", errors=(503,), is_open=True, tag="operations"),
    Path("get", "/health/upstreams", "How each provider answered last", errors=(401, 403), is_open=True, tag="operations"),
    Path("get", "/version", "The gate's version", errors=(), is_open=True, tag="operations"),
    Path("get", "/metrics", "Prometheus metrics", errors=(401, 403), is_open=True, tag="operations"),
)


@cache
def document() -> dict[str, Any]:
    """The document. Built on first use and kept."""
    named = [kind for path in PATHS for kind in (path.request, path.reply) if kind is not None]
    schemas, components = msgspec.json.schema_components([*dict.fromkeys(named), *_ERRORS.values()], ref_template=REF)
    by_type: dict[type, Any] = dict(zip([*dict.fromkeys(named), *_ERRORS.values()], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path in PATHS:
        paths.setdefault(path.path, {})[path.method] = _operation(path, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Aldgate", "version": __version__, "description": "One gate in front of every model."},
        "paths": paths,
        "components": {
            "schemas": msgspec.json.decode(msgspec.json.encode(components)),  # defaults are in it as Python has them
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(path: Path, by_type: dict[type, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": path.summary,
        "tags": [path.tag],
        "operationId": f"{path.method}{path.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "responses": _responses(path, by_type),
        "security": [] if path.is_open else [{"bearer": []}, {"apiKey": []}],
    }
    names = [piece[1:-1] for piece in path.path.split("/") if piece.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in path.query]
    if parameters:
        operation["parameters"] = parameters
    if path.request is not None:
        schema: Any = {"type": "string"} if path.content == "text/csv" else by_type[path.request]
        operation["requestBody"] = {"required": True, "content": {path.content: {"schema": schema}}}
    return operation


def _responses(path: Path, by_type: dict[type, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done"}
    if path.path == "/v1/files/{id}/content":
        good["content"] = {"application/octet-stream": {}}
    elif path.path == "/metrics":
        good["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif path.method != "head":
        schema = by_type[path.reply] if path.reply is not None else {"type": "object"}
        good["content"] = {"application/json": {"schema": schema}}
        if "format" in path.query:
            good["content"]["text/csv"] = {"schema": {"type": "string"}}
        if path.request in (ChatBody, GenerateBody):
            good["content"]["application/x-ndjson"] = {}
        if path.request in _STREAMED or "stream" in path.query:
            good["content"]["text/event-stream"] = {}  # JSON Schema has no words for a stream of events
    responses: dict[str, Any] = {str(path.status): good}
    error: Any = (
        {"type": "object"}
        if path.tag == "people" or path.path.startswith(("/admin", "/ready", "/metrics", "/api/")) or _answers_in_two_shapes(path)
        else by_type[_ERRORS.get(path.tag, types.ErrorBody)]
    )
    for status in path.errors:
        responses[str(status)] = {"description": "Refused or failed"}
        if path.method != "head":
            responses[str(status)]["content"] = {"application/json": {"schema": error}}
    return responses


def _answers_in_two_shapes(path: Path) -> bool:
    return path.tag == "gemini" and path.path == "/v1/models/{model}"
