"""OpenAI's Responses, as this suite says and reads them."""

import json
from typing import Any

from tests.contract.neutral import PARAMETERS, Answer, Ask, Call, Fault, Object, Turn, Used, events_of


class Responses:
    cannot = frozenset({"stop"})

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        body: Object = {"model": model, "input": [item for turn in ask.turns for item in _items(turn)], "store": False}
        if ask.system:
            body["instructions"] = ask.system
        if ask.tools:
            body["tools"] = [{"type": "function", "name": name, "parameters": PARAMETERS} for name in ask.tools]
        if ask.must_call:
            named = {"type": "function", "name": ask.must_call}
            body["tool_choice"] = {"any": "required", "none": "none"}.get(ask.must_call, named)
        if ask.is_serial:
            body["parallel_tool_calls"] = False
        if ask.schema is not None:
            body["text"] = {"format": {"type": "json_schema", "name": "shape", "schema": ask.schema}}
        if ask.thinks:
            body["reasoning"] = {"effort": "high", "summary": "auto"}
        if ask.cap is not None:
            body["max_output_tokens"] = ask.cap
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if stream:
            body["stream"] = True
        return "/v1/responses", body

    def whole(self, body: Object) -> Answer:
        assert body["object"] == "response" and body["status"] in ("completed", "incomplete")
        answer = Answer(usage=_used(body["usage"]), ended=True)
        for item in body["output"]:
            _add(answer, item)
        answer.finish = _finish(body, answer)
        return answer

    def stream(self, body: bytes) -> Answer:
        """What the deltas tell must be what the last event holds."""
        told, last = Answer(), Answer()
        arguments: dict[str, str] = {}
        events = events_of(body)
        if events[-1][1] == "[DONE]":
            events.pop()
        for number, (name, data) in enumerate(events):
            said = json.loads(data)
            assert said["type"] == name and said["sequence_number"] == number, said
            assert not last.ended and not last.failure, "something follows the end"
            match name:
                case "response.output_text.delta":
                    told.text += said["delta"]
                case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                    told.thoughts += said["delta"]
                case "response.function_call_arguments.delta":
                    arguments[said["item_id"]] = arguments.get(said["item_id"], "") + said["delta"]
                case "response.completed" | "response.incomplete":
                    last = self.whole(said["response"])
                case "response.failed":
                    last.failure = said["response"]["error"]["message"]
                case _:
                    pass
        if last.failure:
            told.failure = last.failure
            return told
        assert (told.text, told.thoughts) == (last.text, last.thoughts)
        assert [json.loads(text) for text in arguments.values()] == [call.arguments for call in last.calls]
        return last

    def fault(self, body: Object) -> Fault:
        error = body["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["type"]
        return Fault(error["message"], error["code"] or "")


def _items(turn: Turn) -> list[Object]:
    if turn.role == "tool":
        return [{"type": "function_call_output", "call_id": call_id, "output": text} for call_id, text in turn.results]
    kind = "output_text" if turn.role == "assistant" else "input_text"
    content: list[Object] = [{"type": kind, "text": turn.text}] if turn.text else []
    urls = (image if image.startswith("http") else f"data:image/png;base64,{image}" for image in turn.images)
    content += [{"type": "input_image", "image_url": url, "detail": "auto"} for url in urls]
    said = [{"type": "message", "role": turn.role, "content": content}] if content else []
    calls = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
        for call in turn.calls
    ]
    return [*said, *calls]


def _add(answer: Answer, item: Object) -> None:
    match item["type"]:
        case "message":
            answer.text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
        case "reasoning":
            answer.thoughts += "".join(part["text"] for part in item["summary"])
        case "function_call":
            answer.calls.append(Call(item["call_id"], item["name"], json.loads(item["arguments"])))
        case "image_generation_call":
            answer.images.append(item["result"])
        case kind:
            raise AssertionError(f"an unknown item: {kind}")


def _finish(body: Object, answer: Answer) -> str:
    if body["status"] == "incomplete":
        reason: str = body["incomplete_details"]["reason"]
        return {"max_output_tokens": "length"}.get(reason, reason)
    return "tool_calls" if answer.calls else "stop"


def _used(usage: Object) -> Used:
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    cached, reasoning = usage["input_tokens_details"]["cached_tokens"], usage["output_tokens_details"]["reasoning_tokens"]
    return Used(usage["input_tokens"], usage["output_tokens"], cached, reasoning)


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire."""
    given: list[Object] = body["input"]
    roles = {"system", "developer"}
    systems = [_text(item["content"]) for item in given if item.get("role") in roles]
    wanted: Object = body.get("text", {}).get("format", {})
    choice: Any = body.get("tool_choice", "")
    tools = body.get("tools", ())
    assert all(tool["parameters"] == PARAMETERS for tool in tools)
    return Ask(
        system="\n".join([body["instructions"]] if body.get("instructions") else systems),
        turns=tuple(_turns([item for item in given if item.get("role") not in roles])),
        tools=tuple(tool["name"] for tool in tools),
        must_call={"required": "any"}.get(choice, choice) if isinstance(choice, str) else choice["name"],
        is_serial=body.get("parallel_tool_calls") is False,
        schema=wanted.get("schema"),
        thinks=(body.get("reasoning") or {}).get("effort") == "high",
        cap=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _turns(items: list[Object]) -> list[Turn]:
    turns: list[Turn] = []
    for item in items:
        match item.get("type", "message"):
            case "message":
                parts = [] if isinstance(item["content"], str) else item["content"]
                urls = [part["image_url"] for part in parts if part["type"] == "input_image"]
                images = tuple(url.removeprefix("data:image/png;base64,") for url in urls)
                turns.append(Turn(item["role"], _text(item["content"]), images))
            case "function_call":
                call = Call(item["call_id"], item["name"], json.loads(item["arguments"]))
                last = turns.pop() if turns and turns[-1].role == "assistant" else Turn("assistant")
                turns.append(Turn("assistant", last.text, calls=(*last.calls, call)))
            case "function_call_output":
                last = turns.pop() if turns[-1].role == "tool" else Turn("tool")
                turns.append(Turn("tool", results=(*last.results, (item["call_id"], _text(item["output"])))))
            case kind:
                raise AssertionError(f"an unknown item: {kind}")
    return turns
