"""Every route that the OpenAPI document tells of, ready to be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx2

from aldgate.surfaces.http.openapi import Path
from aldgate.surfaces.openapi.document import PATHS

GUARDED = tuple(path for path in PATHS if not path.is_open)
BEARING_IDS = tuple(path for path in GUARDED if "{" in path.path)
ABOUT_ONESELF = {"post /v1/explain", "post /v1/users/logout", "post /ui/api/auth/logout", "get /v1/providers"}
"""Routes that any good credential may ask: they tell what it may do, or end it."""
_MESSAGES = [{"role": "user", "content": "hello"}]
_BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/chat/completions", {"messages": _MESSAGES}),
    ("/v1/completions", {"prompt": "hello"}),
    ("/v1/embeddings", {"input": "hello"}),
    ("/v1/responses", {"input": "hello"}),
    ("/v1/moderations", {"input": "hello"}),
    ("/v1/messages", {"messages": _MESSAGES, "max_tokens": 5}),
    ("/rerank", {"query": "hello", "documents": ["hello"]}),
    ("/v1/rerank", {"query": "hello", "documents": ["hello"]}),
    ("/v2/rerank", {"query": "hello", "documents": ["hello"]}),
    ("/api/chat", {"messages": _MESSAGES}),
    ("/api/embeddings", {"prompt": "hello"}),
    ("/api/embed", {"input": "hello"}),
    ("/api/generate", {"prompt": "hello"}),
    ("/v1/generate", {"modality": "text", "input": {"prompt": "hello"}}),
    ("/v1/images/generations", {"prompt": "a fox"}),
    ("/v1/audio/speech", {"input": "hello"}),
    ("/v1/jobs", {"operation": "image", "prompt": "hello"}),
    ("/v1/videos", {"prompt": "a fox"}),
    ("/generate/", {"prompt": "a fox"}),
    ("/tts", {"text": "hello"}),
    ("/llm/generate", {"prompt": "hello"}),
    ("/v1/users/change-password", {"current_password": "x", "new_password": "y"}),
    ("/ui/api/user/password", {"current": "x", "new": "y"}),
    ("/v1/users/provider-keys", {"provider": "lab", "api_key": "sk-of-a-stranger"}),
    ("/v1/provider-credentials", {"api_key": "sk-of-a-stranger"}),
    ("/v1/explain", {"path": "/v1/chat/completions", "body": {"model": "gpt-4.1", "messages": _MESSAGES}}),
)
"""Good bodies of calls, without their model: whether somebody may call is asked once it is known what."""
_FIELD = re.compile(r"\{(\w+)\}")
_VERB = "m:generateContent"
"""What stands for a model where Gemini's verb stands behind it."""


def fields_of(path: Path) -> list[str]:
    """The names of what is to be filled in."""
    return _FIELD.findall(path.path)


def filled(path: Path, ids: Mapping[str, str]) -> str:
    """The path with `ids` in it, and something for the others."""
    otherwise = _VERB if path.tag == "gemini" and path.method == "post" else "x"
    return _FIELD.sub(lambda field: ids.get(field[1], otherwise), path.path)


def name_of(path: Path) -> str:
    """What a test of the path is called."""
    return f"{path.method} {path.path}"


def body_of(path: Path) -> dict[str, Any]:
    """A body that the path can read; an empty object where it reads nothing before it knows who asks."""
    if path.tag == "gemini":
        return {"contents": [{"parts": [{"text": "hello"}]}]}
    if path.path == "/api/v1/generate":
        return {"prompt": "hello"}
    for prefix, body in _BODIES:
        if path.path.startswith(prefix) and path.method != "get":
            return {"model": "gpt-4.1", **body} if path.tag not in ("people", "aldgate") else body
    return {}


async def asked(http: httpx2.AsyncClient, path: Path, headers: Mapping[str, str], ids: Mapping[str, str] = {}) -> httpx2.Response:
    """Ask with a body, where there is to be one."""
    body: dict[str, Any] = {"json": body_of(path)} if path.method in ("post", "put", "patch") else {}
    return await http.request(path.method.upper(), filled(path, ids), headers=headers, **body)
