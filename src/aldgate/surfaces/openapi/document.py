"""The OpenAPI document of every path, from the msgspec types that the faces are described by."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from aldgate import __version__
from aldgate.dialects.anthropic import types as anthropic
from aldgate.dialects.gemini import types as gemini
from aldgate.dialects.generate.requests import GenerateRequest
from aldgate.dialects.ollama.parse import ChatBody, GenerateBody
from aldgate.dialects.openai import types
from aldgate.dialects.responses import types as response_types
from aldgate.gate.explain.explanation import Explanation
from aldgate.surfaces.admin import openapi as admin
from aldgate.surfaces.calls import openapi as calls
from aldgate.surfaces.explain import ExplainRequest
from aldgate.surfaces.gpus import openapi as gpus
from aldgate.surfaces.http.envelope import Envelope
from aldgate.surfaces.http.openapi import CHANGE_ERRORS, Path
from aldgate.surfaces.jobs import openapi as jobs
from aldgate.surfaces.jobs.image_requests import EditForm, ImageRequest, VariationForm
from aldgate.surfaces.jobs.speech import SOUND_TYPES, SpeechRequest
from aldgate.surfaces.jobs.transcription_form import TranscriptionForm, TranslationForm
from aldgate.surfaces.models import openapi as models
from aldgate.surfaces.people import openapi as people
from aldgate.surfaces.queued import openapi as queued
from aldgate.surfaces.reports import openapi as reports
from aldgate.surfaces.responses import openapi as responses

REF = "#/components/schemas/{name}"
_HEARD = (TranscriptionForm, TranslationForm)
_PICTURES = (ImageRequest, EditForm, VariationForm)
_STREAMED = (
    types.ChatRequest,
    types.CompletionRequest,
    response_types.ResponseRequest,
    anthropic.MessagesRequest,
    *_PICTURES,
    GenerateRequest,
)
_ERRORS: dict[str, type] = {
    "openai": types.ErrorBody,
    "anthropic": anthropic.ErrorReply,
    "gemini": gemini.GeminiError,
    "keys": Envelope,
    "queue": Envelope,
}
"""How an error is written on the paths of a tag; where it says nothing, as OpenAI does."""
_CALLS = (types.ChatRequest, types.CompletionRequest, types.EmbeddingRequest, types.ModerationRequest)
_MAY_BE_JOBS = (*_CALLS, *_HEARD, *_PICTURES, SpeechRequest)
_OTHER_CONTENTS = {"/v1/jobs/{id}/events": "text/event-stream", "/v1/jobs/{id}/preview": "image/*"}
_PLAIN = ("/admin", "/ready", "/metrics", "/api/")
"""Where paths begin so, errors have no type of their own."""
_OWN = (
    Path(
        "post",
        "/v1/explain",
        "What would become of a call, without making it",
        ExplainRequest,
        Explanation,
        errors=CHANGE_ERRORS,
        tag="aldgate",
    ),
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
PATHS: tuple[Path, ...] = (
    *calls.PATHS,
    *responses.PATHS,
    *models.PATHS,
    *jobs.PATHS,
    *queued.PATHS,
    *admin.PATHS,
    *people.PATHS,
    *reports.PATHS,
    *gpus.PATHS,
    *_OWN,
)


@cache
def document() -> dict[str, Any]:
    """The document. Built on first use and kept."""
    named = [kind for path in PATHS for kind in (path.request, path.as_json, path.reply) if kind is not None]
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
        content = {path.content: {"schema": schema}}
        if path.as_json is not None:
            content["application/json"] = {"schema": by_type[path.as_json]}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(path: Path, by_type: dict[type, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done"}
    if path.path == "/v1/files/{id}/content":
        good["content"] = {"application/octet-stream": {}}
    elif path.request is SpeechRequest:
        good["content"] = {kind: {"schema": {"type": "string"}} for kind in (*SOUND_TYPES, "text/event-stream")}
    elif path.path in _OTHER_CONTENTS:
        good["content"] = {_OTHER_CONTENTS[path.path]: {}}
    elif path.path == "/v1/videos/{id}/content":
        good["content"] = {kind: {"schema": {"type": "string"}} for kind in ("video/*", "image/*")}
    elif path.path.startswith("/ui/images/"):
        good["content"] = {"image/*": {"schema": {"type": "string"}}}
    elif path.path == "/metrics":
        good["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif path.method != "head":
        good["content"] = _texts(path, by_type)
    responses: dict[str, Any] = {str(path.status): good}
    if path.request in _MAY_BE_JOBS:
        responses["202"] = {"description": "Begun", "content": {"application/json": {"schema": {"type": "object"}}}}
    error: Any = (
        {"type": "object"}
        if path.tag in ("people", "generate")
        or path.path.startswith(("/admin", "/ready", "/metrics", "/api/"))
        or _answers_in_two_shapes(path)
        else by_type[_ERRORS.get(path.tag, types.ErrorBody)]
    )
    for status in path.errors:
        responses[str(status)] = {"description": "Refused or failed"}
        if path.method != "head":
            responses[str(status)]["content"] = {"application/json": {"schema": error}}
    return responses


def _texts(path: Path, by_type: dict[type, Any]) -> dict[str, Any]:
    """What a good answer is, in JSON and in whatever else it may be asked for."""
    schema = by_type[path.reply] if path.reply is not None else {"type": "object"}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if "format" in path.query:
        content["text/csv"] = {"schema": {"type": "string"}}
    if path.request in (ChatBody, GenerateBody):
        content["application/x-ndjson"] = {}
    if path.request in (*_STREAMED, TranscriptionForm) or "stream" in path.query:
        content["text/event-stream"] = {}  # JSON Schema has no words for a stream of events
    if path.request in _HEARD:
        content["text/plain"] = {"schema": {"type": "string"}}
    return content


def _answers_in_two_shapes(path: Path) -> bool:
    return path.tag == "gemini" and path.path == "/v1/models/{model}"
