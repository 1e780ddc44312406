"""LangChain's chat models for OpenAI (chat and Responses) and Anthropic, unmodified but for base URL and key, against a gate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[1]))

import checks
from checks import ECHO, HELLO, KEY, KEYS, MODELS, SAID, URL, failure, like

Connect = Callable[..., Any]


def chat(model: str, api_key: str = KEY, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{URL}/v1", api_key=api_key, **options)


def responses(model: str, api_key: str = KEY, **options: Any) -> ChatOpenAI:
    return chat(model, api_key, use_responses_api=True, **options)


def messages(model: str, api_key: str = KEY, **options: Any) -> ChatAnthropic:
    return ChatAnthropic(model=model, base_url=URL, api_key=api_key, max_tokens=64, **options)


EACH: dict[Connect, Any] = {chat: openai, responses: openai, messages: anthropic}
"""How to connect, and whose errors are raised."""


class Cat(BaseModel):
    """A cat."""

    name: str
    lives: int


@tool
def look(at: str) -> str:
    """Looks at something."""
    return f"the {at} is blue"


def each(models: list[str]) -> Iterator[tuple[Connect, str]]:
    for connect in EACH:
        for model in models:
            yield connect, model


def text_of(message: Any) -> str:
    return message.text if isinstance(message.text, str) else message.text()


def is_counted(message: Any) -> bool:
    usage = message.usage_metadata
    return usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] and usage["output_tokens"] > 0


def check_invoke() -> None:
    for connect, model in each([ECHO, *MODELS]):
        answer = connect(model).invoke([SystemMessage("Be kind."), HumanMessage(HELLO)])
        assert text_of(answer) == SAID[model], answer
        assert is_counted(answer), answer.usage_metadata


def check_stream() -> None:
    for connect, model in each([ECHO, *MODELS]):
        pieces = list(connect(model, stream_usage=True).stream(HELLO))
        whole = sum(pieces[1:], pieces[0])
        assert text_of(whole) == SAID[model] and len(pieces) > 2, whole
        assert is_counted(whole), whole.usage_metadata


async def check_stream_asynchronously() -> None:
    for connect, model in each([ECHO, *MODELS]):
        pieces = [text_of(piece) async for piece in connect(model).astream(HELLO)]
        assert "".join(pieces) == SAID[model], (connect, model, pieces)


def check_tools() -> None:
    for connect, model in each(MODELS):
        bound = connect(model).bind_tools([look])
        asked: list[Any] = [HumanMessage("Look at the sea")]
        whole = bound.invoke(asked)
        pieces = list(bound.stream(asked))
        for called in (whole, sum(pieces[1:], pieces[0])):
            (call,) = called.tool_calls
            assert (call["name"], call["args"]) == ("look", {"at": "sea"}), called
            answer = bound.invoke([*asked, called, ToolMessage(look.invoke(call["args"]), tool_call_id=call["id"])])
            assert isinstance(answer, AIMessage) and text_of(answer) == SAID[model], answer


def check_structured_output() -> None:
    for connect, model in each(MODELS):
        asking = connect(like(model, "json")).with_structured_output(Cat, method="json_schema")
        assert asking.invoke("A cat") == Cat(name="Tom", lives=9)


def check_structured_output_by_a_tool() -> None:
    for connect in EACH:
        made = connect(ECHO).with_structured_output(Cat, method="function_calling").invoke(HELLO)
        assert isinstance(made, Cat) and made.name == HELLO, made


def check_embeddings() -> None:
    vectors = OpenAIEmbeddings(
        model="lab/text-embedding-3-small", base_url=f"{URL}/v1", api_key=KEY, check_embedding_ctx_length=False
    )
    assert len(vectors.embed_documents(["one", "two"])) == 2


def check_errors() -> None:
    for connect, sdk in EACH.items():
        wrong = failure(sdk.AuthenticationError, connect(ECHO, KEYS["unknown"]).invoke, HELLO)
        assert wrong.status_code == 401
        gone = failure(sdk.NotFoundError, connect("lab/gone").invoke, HELLO)
        assert "lab/gone" in str(gone)
        failure(sdk.PermissionDeniedError, connect(ECHO, KEYS["embedding"]).invoke, HELLO)


def check_a_limited_provider() -> None:
    for connect, model in each(MODELS):
        error = failure(EACH[connect].RateLimitError, connect(like(model, "limited"), max_retries=0).invoke, HELLO)
        assert error.response.headers["retry-after"] == "1"


def check_a_limited_call_is_tried_again() -> None:
    assert text_of(chat("stumbling/gpt-4.1").invoke(HELLO)) == SAID[MODELS[0]]


def check_a_stream_that_breaks_off_raises() -> None:
    for connect in (chat, messages):
        breaking = connect("breaking/gpt-4.1", max_retries=0).stream
        failure(EACH[connect].APIError, lambda asked, ask=breaking: list(ask(asked)), HELLO)


sys.exit(checks.run(globals()))
