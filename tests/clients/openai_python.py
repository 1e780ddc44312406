"""openai-python, synchronous or asynchronous, behind one way of calling: each test is written once and runs with both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI, OpenAI

Ask = Callable[[Any], Any]
"""What a test does with a client: `lambda client: client.chat.completions.create(...)`."""


class Sdk:
    """One client as it comes, but for the base URL and the key.

    Args:
        client: A synchronous one runs in a thread, since the gate runs in the test's loop.
    """

    def __init__(self, client: OpenAI | AsyncOpenAI) -> None:
        self.is_async = isinstance(client, AsyncOpenAI)
        self.client: Any = client

    @classmethod
    def open(cls, kind: str, **options: Any) -> Sdk:
        """A new client: `sync` or `async`."""
        return cls(AsyncOpenAI(**options) if kind == "async" else OpenAI(**options))

    def having(self, **options: Any) -> Sdk:
        """The same client with other options, on the same connections."""
        return Sdk(self.client.with_options(**options))

    async def call(self, ask: Ask) -> Any:
        """What `ask` returns, awaited where it must be."""
        return await ask(self.client) if self.is_async else await asyncio.to_thread(ask, self.client)

    async def stream(self, ask: Ask, each: Callable[[Any], None] | None = None) -> list[Any]:
        """Everything that iterating over what `ask` returns gives; `each` is called as it comes, in whatever thread."""
        found: list[Any] = []
        take = found.append if each is None else each
        if self.is_async:
            async for item in await ask(self.client):
                take(item)
        else:
            await asyncio.to_thread(lambda: [take(item) for item in ask(self.client)])
        return found

    async def follow(self, ask: Ask) -> tuple[list[Any], Any]:
        """The events of a `.stream()` helper, and the completion it puts together."""
        if self.is_async:
            async with ask(self.client) as stream:
                return [event async for event in stream], await stream.get_final_completion()
        return await asyncio.to_thread(_follow, ask, self.client)

    async def close(self) -> None:
        """Close the client's connections."""
        await self.call(lambda client: client.close())


def _follow(ask: Ask, client: Any) -> tuple[list[Any], Any]:
    with ask(client) as stream:
        return list(stream), stream.get_final_completion()
