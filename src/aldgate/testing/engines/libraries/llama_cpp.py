"""As much of llama-cpp-python as its work asks for: an echo."""

import sys
from collections.abc import Iterator
from typing import Any

import stand_in_faults  # pyright: ignore[reportMissingImports] - beside it, in the process


class Llama:
    """A model that repeats what it is told."""

    def __init__(self, model_path: str, *, n_ctx: int, n_gpu_layers: int, verbose: bool) -> None:
        sys.stdout.write(f"loading {model_path}\n")  # as libraries do: it must not reach the protocol

    def close(self) -> None:
        """Give memory back."""

    def create_completion(self, prompt: str, **sampling: Any) -> Iterator[dict[str, Any]]:
        """Words as they come."""
        for word, reason in _words(prompt, sampling["max_tokens"]):
            yield {"choices": [{"text": word, "finish_reason": reason}]}

    def create_chat_completion(self, messages: list[dict[str, str]], **sampling: Any) -> Iterator[dict[str, Any]]:
        """Words as they come."""
        yield {"choices": [{"delta": {"role": "assistant"}, "finish_reason": None}]}
        for word, reason in _words(messages[-1]["content"], sampling["max_tokens"]):
            yield {"choices": [{"delta": {"content": word}, "finish_reason": reason}]}


def _words(prompt: str, most: int) -> Iterator[tuple[str, str | None]]:
    faults: Any = stand_in_faults
    words = f"Echo: {prompt}".replace(" ", " \0").split("\0")
    for number, word in enumerate(words[:most]):
        if number == 1:
            faults.obey(prompt)
        yield word, None
    yield "", "length" if most <= len(words) else "stop"
