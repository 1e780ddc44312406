"""Prompts for models that the gate calls: which one is meant, the chat that it becomes, and what the kept answer says."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.defaults import first_that_chats
from aldgate.core.errors import ModelNotFound
from aldgate.core.generation import Generation
from aldgate.core.jobs import CALLS, Job
from aldgate.core.routes import Catalogue

PATH = "/v1/chat/completions"
"""Where such a call would be made."""
DEFAULT = "default"
"""The model of those who name none."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


def knows(catalogue: Catalogue, name: str) -> bool:
    """Whether a provider's model is meant by that name."""
    try:
        catalogue.resolve(name, tells_near=False)
    except ModelNotFound:
        return False
    return True


def model_of(catalogue: Catalogue, provider: str, model: str) -> str:
    """A provider's model by its full name, without one its first that chats; empty: there is none."""
    if not model:
        return first_that_chats(catalogue, provider)
    name = f"{provider}/{model.removeprefix(f'{provider}/')}"
    return name if knows(catalogue, name) else ""


def usual(catalogue: Catalogue) -> str:
    """The model of a prompt that names none.

    Raises:
        ModelNotFound: There is none that chats.
    """
    return DEFAULT if DEFAULT in catalogue.routes else catalogue.default("chat").name


def chat_body(asked: Generation, model: str) -> bytes:
    """A prompt as the body of a chat. Of its options, `system`, `temperature` and `max_tokens` are known."""
    system = [{"role": "system", "content": asked.options["system"]}] if "system" in asked.options else []
    body: dict[str, Any] = {"model": model, "messages": [*system, {"role": "user", "content": asked.prompt}]}
    body |= {option: asked.options[option] for option in ("temperature", "max_tokens") if option in asked.options}
    return msgspec.json.encode(body)


def service_of(job: Job) -> str:
    """Who makes a job: its engine, or the provider that is called."""
    return (job.model or job.requested_model).partition("/")[0] if job.engine == CALLS else job.engine


def text_of(job: Job) -> str | None:
    """The text that a job came to; None: it made none."""
    if job.result is None or job.engine != CALLS:
        return None if job.result is None else job.result.text
    try:
        completion = msgspec.convert(job.result.details.get("answer"), _Completion)
    except msgspec.ValidationError:
        return None  # an embedding, or whatever else was called
    return "".join(choice.message.content or "" for choice in completion.choices[:1])
