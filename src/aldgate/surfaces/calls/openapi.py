"""The paths of calls, as the OpenAPI document tells of them; those of responses are beside theirs."""

from __future__ import annotations

from aldgate.dialects.anthropic import types as anthropic
from aldgate.dialects.gemini import types as gemini
from aldgate.dialects.ollama.parse import ChatBody, EmbedBody, EmbeddingsBody, GenerateBody, ShowBody
from aldgate.dialects.openai import types
from aldgate.dialects.prompt.requests import PromptReply, PromptRequest
from aldgate.dialects.rerank.requests import RerankBody
from aldgate.surfaces.http.openapi import CALL_ERRORS, Path

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
        Path("post", f"/{version}/models/{{model}}", _VERBS, gemini.GeminiRequest, None, errors=CALL_ERRORS, tag="gemini"),
    )
)

PATHS = (
    Path("post", "/api/v1/generate", "Answer a prompt", PromptRequest, PromptReply, errors=CALL_ERRORS, tag="clients"),
    *_GEMINI,
    Path("post", "/v1/models/{model}", _VERBS, gemini.GeminiRequest, None, errors=(*CALL_ERRORS, 405), tag="gemini"),
    Path("post", "/v1/chat/completions", "Answer a conversation", types.ChatRequest, types.ChatCompletion, errors=CALL_ERRORS),
    Path("post", "/v1/completions", "Continue a text", types.CompletionRequest, types.Completion, errors=CALL_ERRORS),
    Path("post", "/v1/embeddings", "Embed texts", types.EmbeddingRequest, types.EmbeddingList, errors=CALL_ERRORS),
    Path("post", "/v1/moderations", "Judge texts", types.ModerationRequest, None, errors=CALL_ERRORS),
    Path("post", "/v1/rerank", "Rank documents", RerankBody, None, errors=CALL_ERRORS, tag="rerank"),
    Path("post", "/rerank", "Rank documents", RerankBody, None, errors=CALL_ERRORS, tag="rerank"),
    Path("post", "/v2/rerank", "Rank documents", RerankBody, None, errors=CALL_ERRORS, tag="rerank"),
    Path("post", "/api/chat", "Answer a conversation", ChatBody, None, errors=CALL_ERRORS, tag="ollama"),
    Path("post", "/api/generate", "Answer a prompt", GenerateBody, None, errors=CALL_ERRORS, tag="ollama"),
    Path("post", "/api/embed", "Embed texts", EmbedBody, None, errors=CALL_ERRORS, tag="ollama"),
    Path("post", "/api/embeddings", "Embed a text", EmbeddingsBody, None, errors=CALL_ERRORS, tag="ollama"),
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
        errors=(*CALL_ERRORS, 529),
        tag="anthropic",
    ),
    Path(
        "post",
        "/v1/messages/count_tokens",
        "Count a conversation's tokens; free",
        anthropic.CountRequest,
        anthropic.CountReply,
        errors=(*CALL_ERRORS, 529),
        tag="anthropic",
    ),
)
