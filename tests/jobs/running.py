"""Batches made over HTTP, and waiting for what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx2

CHAT = "/v1/chat/completions"
PATIENCE_S = 20


def line(custom_id: str, url: str = CHAT, **body: Any) -> dict[str, Any]:
    """A line of input; by default a chat with the fake provider."""
    asked = {"model": "gpt-4.1", "messages": [{"role": "user", "content": custom_id}]} if url == CHAT else {}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": {**asked, **body}}


def jsonl(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


class Batcher:
    """One caller of a gate."""

    def __init__(self, http: httpx2.AsyncClient, key: str) -> None:
        self.http = http
        self.headers = {"authorization": f"Bearer {key}"}

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return await self.http.request(method, path, headers={**self.headers, **options.pop("headers", {})}, **options)

    async def upload(self, content: bytes, name: str = "in.jsonl", **fields: str) -> httpx2.Response:
        return await self.ask("POST", "/v1/files", files={"file": (name, content)}, data={"purpose": "batch", **fields})

    async def file(self, content: bytes, **fields: str) -> dict[str, Any]:
        reply = await self.upload(content, **fields)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def make(self, file_id: str, endpoint: str = CHAT, **more: Any) -> httpx2.Response:
        headers = more.pop("headers", {})
        wanted = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h", **more}
        return await self.ask("POST", "/v1/batches", json=wanted, headers=headers)

    async def begin(self, lines: Sequence[Any] | bytes, endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
        content = lines if isinstance(lines, bytes) else jsonl(lines)
        reply = await self.make((await self.file(content))["id"], endpoint, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def get(self, batch_id: str) -> dict[str, Any]:
        reply = await self.ask("GET", f"/v1/batches/{batch_id}")
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def until(self, batch_id: str, *statuses: str) -> dict[str, Any]:
        """The batch once it has one of these statuses; by default once it has ended."""
        wanted = statuses or ("failed", "completed", "expired", "cancelled")
        async with asyncio.timeout(PATIENCE_S):
            while (batch := await self.get(batch_id))["status"] not in wanted:
                pass
        return batch

    async def run(self, lines: Sequence[Any] | bytes, endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
        return await self.until((await self.begin(lines, endpoint, **more))["id"])

    async def results(self, file_id: str | None) -> dict[str, Any]:
        """The lines of a result file by custom id; none if there is no file."""
        if file_id is None:
            return {}
        reply = await self.ask("GET", f"/v1/files/{file_id}/content")
        assert reply.status_code == 200, reply.text
        assert reply.content.endswith(b"\n")
        found = [json.loads(each) for each in reply.content.splitlines()]
        assert all(set(each) >= {"id", "custom_id", "response", "error"} for each in found)
        return {each["custom_id"]: each for each in found}
