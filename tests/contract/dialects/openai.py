"""OpenAI's chat completions, as this suite says and reads them."""

import json
from typing import Any

from tests.contract.neutral import PARAMETERS, Answer, Ask, Call, Fault, Object, Turn, Used, events_of


class OpenAI:
    cannot = frozenset[str]()

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        body: Object = {"model": model, "messages": [{"role": "system", "content": ask.system}] if ask.system else []}
        body["messages"] += [message for turn in ask.turns for message in _messages(turn)]
        if ask.tools:
            body["tools"] = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ask.tools]
        if ask.must_call:
            named = {"type": "function", "function": {"name": ask.must_call}}
            body["tool_choice"] = {"any": "required", "none": "none"}.get(ask.must_call, named)
        if ask.is_serial:
            body["parallel_tool_calls"] = False
        if ask.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "shape", "schema": ask.schema}}
        if ask.thinks:
            body["reasoning_effort"] = "high"
        if ask.stop:
            body["stop"] = list(ask.stop)
        if ask.cap is not None:
            body["max_completion_tokens"] = ask.cap
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return "/v1/chat/completions", body

    def whole(self, body: Object) -> Answer:
        assert body["object"] == "chat.completion"
        (choice,) = body["choices"]
        answer = Answer(finish=choice["finish_reason"], usage=_used(body["usage"]), ended=True)
        calls: dict[int, Object] = {}
        _add(answer, calls, choice["message"])
        return _with_calls(answer, calls)

    def stream(self, body: bytes) -> Answer:
        answer, calls = Answer(), dict[int, Object]()
        for _, data in events_of(body):
            assert not answer.ended and not answer.failure, "something follows the end"
            if data == "[DONE]":
                answer.ended = True
                continue
            said = json.loads(data)
            if "error" in said:
                answer.failure = said["error"]["message"]
                continue
            assert said["object"] == "chat.completion.chunk"
            if said.get("usage"):
                answer.usage = _used(said["usage"])
            for choice in said["choices"]:
                answer.finish = choice["finish_reason"] or answer.finish
                _add(answer, calls, choice["delta"])
        return _with_calls(answer, calls)

    def fault(self, body: Object) -> Fault:
        error = body["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["type"]
        return Fault(error["message"], error["code"] or "")


def _messages(turn: Turn) -> list[Object]:
    if turn.role == "tool":
        return [{"role": "tool", "tool_call_id": call_id, "content": text} for call_id, text in turn.results]
    message: Object = {"role": turn.role, "content": turn.text or None}
    if turn.images:
        urls = (image if image.startswith("http") else f"data:image/png;base64,{image}" for image in turn.images)
        images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        message["content"] = [{"type": "text", "text": turn.text}, *images]
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for call in turn.calls
        ]
    return [message]


def _add(answer: Answer, calls: dict[int, Object], said: Object) -> None:
    answer.text += said.get("content") or ""
    answer.thoughts += said.get("reasoning_content") or ""
    answer.images += [image["image_url"]["url"].partition("base64,")[2] for image in said.get("images") or ()]
    for place, call in enumerate(said.get("tool_calls") or ()):
        slot = calls.setdefault(call.get("index", place), {"arguments": ""})
        slot |= {"id": call["id"], "name": call["function"]["name"]} if "id" in call else {}
        slot["arguments"] += call["function"].get("arguments") or ""


def _with_calls(answer: Answer, calls: dict[int, Object]) -> Answer:
    answer.calls = [Call(call["id"], call["name"], json.loads(call["arguments"])) for _, call in sorted(calls.items())]
    return answer


def _used(usage: Object) -> Used:
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return Used(usage["prompt_tokens"], usage["completion_tokens"], cached, reasoning)


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire."""
    messages: list[Object] = body["messages"]
    wanted: Object = body.get("response_format") or {}
    choice: Any = body.get("tool_choice", "")
    return Ask(
        system="\n".join(_text(each["content"]) for each in messages if each["role"] in ("system", "developer")),
        turns=tuple(_turns([each for each in messages if each["role"] not in ("system", "developer")])),
        tools=tuple(_offered(body)),
        must_call={"required": "any"}.get(choice, choice) if isinstance(choice, str) else choice["function"]["name"],
        is_serial=body.get("parallel_tool_calls") is False,
        schema=wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None,
        thinks=body.get("reasoning_effort") == "high",
        stop=tuple([body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop", ())),
        cap=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature"),
    )


def _offered(body: Object) -> list[str]:
    tools = [tool["function"] for tool in body.get("tools", ())]
    assert all(tool["parameters"] == PARAMETERS for tool in tools)
    return [tool["name"] for tool in tools]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part["type"] == "text")
    return content or ""


def _turns(messages: list[Object]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        if message["role"] == "tool":
            result = (message["tool_call_id"], _text(message["content"]))
            if turns and turns[-1].role == "tool":
                result_turn = turns.pop()
                turns.append(Turn("tool", results=(*result_turn.results, result)))
            else:
                turns.append(Turn("tool", results=(result,)))
            continue
        content = message["content"]
        parts: list[Object] = content if isinstance(content, list) else []
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        images = tuple(url.removeprefix("data:image/png;base64,") for url in urls)
        calls = tuple(
            Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        )
        turns.append(Turn(message["role"], _text(content), images, calls))
    return turns
