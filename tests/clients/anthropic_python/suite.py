"""Anthropic's Python SDK against a gate, in an environment of its own: `suite.py URL KEY`. Works with every version since 0.40.

Run by test_anthropic_python.py. Each check is a function; what fails is printed with its traceback.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import Any

import anthropic

URL, KEY = sys.argv[1:3]
CLAUDE, GPT, ECHO = "claude/claude-opus-5", "lab/gpt-4.1", "builtin/echo"
HELLO: Any = [{"role": "user", "content": "Hello"}]
TOOLS: Any = [
    {"name": "look", "description": "Looks", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}
]
SAID = {CLAUDE: "Hello from the fake upstream.", GPT: "Hello from the fake upstream.", ECHO: "Hello"}


def client(**options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(**{"base_url": URL, "api_key": KEY, "max_retries": 0, **options})


def create(model: str, **more: Any) -> Any:
    return client().messages.create(**{"model": model, "max_tokens": 64, "messages": HELLO, **more})


def check_messages() -> None:
    for model, said in SAID.items():
        message = create(model, system="Be kind.")
        assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn"), message
        assert [block.text for block in message.content] == [said]
        assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def check_streams() -> None:
    for model, said in SAID.items():
        with client().messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
            assert "".join(stream.text_stream) == said
            message = stream.get_final_message()
        assert (message.stop_reason, message.content[0].text) == ("end_turn", said), message
        assert message.usage.output_tokens > 0


def check_raw_streams() -> None:
    for model in SAID:
        kinds = [event.type for event in create(model, stream=True)]
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds


def check_async_streams() -> None:
    async def run(model: str) -> str:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0) as opened:
            async with opened.messages.stream(model=model, max_tokens=64, messages=HELLO) as stream:
                return "".join([text async for text in stream.text_stream])

    for model, said in SAID.items():
        assert asyncio.run(run(model)) == said


def check_tools() -> None:
    choice: Any = {"type": "tool", "name": "look"}
    for model in (CLAUDE, ECHO):
        message = create(model, tools=TOOLS, tool_choice=choice)
        assert message.stop_reason == "tool_use", message
        call = next(block for block in message.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "a sea"}
        turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
        assert create(model, tools=TOOLS, messages=turns).stop_reason == "end_turn"
        with client().messages.stream(model=model, max_tokens=64, messages=HELLO, tools=TOOLS, tool_choice=choice) as stream:
            streamed = next(block for block in stream.get_final_message().content if block.type == "tool_use")
        assert (streamed.name, streamed.input) == ("look", call.input)


def check_errors() -> None:
    for kind, asking in {
        anthropic.BadRequestError: lambda: create(CLAUDE, messages=[]),
        anthropic.NotFoundError: lambda: create("gone"),
        anthropic.AuthenticationError: lambda: client(api_key="agk-nobody").messages.create(
            model=CLAUDE, max_tokens=1, messages=HELLO
        ),
    }.items():
        try:
            asking()
        except kind as error:
            assert error.request_id if hasattr(error, "request_id") else True
            assert error.body["type"] == "error", error.body  # type: ignore[index]
        else:
            raise AssertionError(f"no {kind.__name__}")


def check_a_failed_stream_raises() -> None:
    for model in ("broken/claude-opus-5", "broken-gpt/gpt-4.1"):
        try:
            for _ in create(model, stream=True):
                pass
        except anthropic.APIStatusError as error:
            assert error.body["type"] == "error", error.body  # type: ignore[index]
        else:
            raise AssertionError("the stream ended as if it were whole")


def check_an_overload_is_tried_again() -> None:
    message = client(max_retries=2).messages.create(model="stumbling/claude-opus-5", max_tokens=64, messages=HELLO)
    assert message.stop_reason == "end_turn"


def check_counts() -> None:
    counting = client().messages if hasattr(client().messages, "count_tokens") else client().beta.messages
    assert counting.count_tokens(model=CLAUDE, messages=HELLO).input_tokens == 10
    assert counting.count_tokens(model=GPT, messages=HELLO).input_tokens > 0


def check_models() -> None:
    if hasattr(client(), "models"):
        ids = [model.id for model in client().models.list(limit=2)]
        assert {CLAUDE, GPT, ECHO} <= set(ids) and len(ids) == len(set(ids)) > 2, ids
        assert client().models.retrieve(CLAUDE).id == CLAUDE


def main() -> int:
    checks = [check for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for check in checks:
        try:
            check()
        except Exception:
            failed += 1
            sys.stdout.write(f"{check.__name__}\n{traceback.format_exc()}\n")
    sys.stdout.write(f"anthropic {anthropic.__version__}: {len(checks) - failed} passed, {failed} failed\n")
    return failed


sys.exit(main())
