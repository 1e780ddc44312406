"""The proxy as most people write it: pydantic models, FastAPI, httpx. What the gate is measured against, not an example."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

UPSTREAM = os.environ["BENCH_UPSTREAM"]
KEY = os.environ["BENCH_KEY"]


class Message(BaseModel):
    role: str
    content: str


class ChatRequest(BaseModel):
    model: str
    messages: list[Message]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    stream_options: dict[str, Any] | None = None


class ReplyMessage(BaseModel):
    role: str
    content: str | None


class Choice(BaseModel):
    index: int
    message: ReplyMessage
    finish_reason: str | None


class ChatReply(BaseModel):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, Any]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/chat/completions", response_model=None)
async def chat(request: ChatRequest, authorization: str = Header()) -> ChatReply | StreamingResponse:
    if authorization != f"Bearer {KEY}":
        raise HTTPException(401, "invalid key")
    body = request.model_dump(exclude_none=True)
    headers = {"Authorization": "Bearer lab"}
    if request.stream:
        return StreamingResponse(relay(body, headers), media_type="text/event-stream")
    reply = await app.state.client.post(f"{UPSTREAM}/chat/completions", json=body, headers=headers)
    reply.raise_for_status()
    return ChatReply.model_validate(reply.json())


async def relay(body: dict[str, Any], headers: dict[str, str]) -> AsyncIterator[str]:
    async with app.state.client.stream("POST", f"{UPSTREAM}/chat/completions", json=body, headers=headers) as reply:
        async for line in reply.aiter_lines():
            if line:
                yield f"{line}\n\n"
