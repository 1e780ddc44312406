"""Anthropic's messages, as this suite says and reads them."""

import json
from typing import Any

from tests.contract.neutral import PARAMETERS, Answer, Ask, Call, Fault, Object, Turn, Used, events_of

_FINISHES = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


class Anthropic:
    cannot = frozenset[str]()

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        body: Object = {"model": model, "messages": [_message(turn) for turn in ask.turns]}
        body["max_tokens"] = 4000 if ask.cap is None else ask.cap
        if ask.system:
            body["system"] = ask.system
        if ask.tools:
            body["tools"] = [{"name": name, "input_schema": PARAMETERS} for name in ask.tools]
        if ask.must_call or ask.is_serial:
            kinds = {"": "auto", "any": "any", "none": "none"}
            body["tool_choice"] = {"type": kinds.get(ask.must_call, "tool")}
            if body["tool_choice"]["type"] == "tool":
                body["tool_choice"]["name"] = ask.must_call
            if ask.is_serial:
                body["tool_choice"]["disable_parallel_tool_use"] = True
        if ask.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.thinks:
            body |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
        if ask.stop:
            body["stop_sequences"] = list(ask.stop)
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if stream:
            body["stream"] = True
        return "/v1/messages", body

    def whole(self, body: Object) -> Answer:
        assert (body["type"], body["role"]) == ("message", "assistant")
        answer = Answer(finish=_FINISHES[body["stop_reason"]], usage=_used(body["usage"]), ended=True)
        for block in body["content"]:
            _add(answer, block)
        return answer

    def stream(self, body: bytes) -> Answer:
        answer = Answer()
        blocks: list[Object] = []
        is_open = False
        usage: Object = {}
        for name, data in events_of(body):
            said = json.loads(data)
            assert said["type"] == name and not answer.ended and not answer.failure
            match name:
                case "message_start":
                    usage = said["message"]["usage"]
                case "content_block_start":
                    assert not is_open and said["index"] == len(blocks), "one block at a time, in order"
                    is_open = True
                    blocks.append({**said["content_block"], "json": ""})
                case "content_block_delta":
                    assert is_open and said["index"] == len(blocks) - 1
                    _grow(blocks[-1], said["delta"])
                case "content_block_stop":
                    assert is_open
                    is_open = False
                case "message_delta":
                    assert not is_open
                    answer.finish = _FINISHES[said["delta"]["stop_reason"]]
                    usage |= {name: count for name, count in said["usage"].items() if count is not None}
                case "message_stop":
                    answer.ended = True
                case "error":
                    answer.failure = self.fault(said).message
                case _:
                    assert name == "ping"
        answer.usage = _used(usage)
        for block in blocks:
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["json"] or "{}")
            _add(answer, block)
        return answer

    def fault(self, body: Object) -> Fault:
        assert body["type"] == "error" and body["error"]["type"]
        return Fault(body["error"]["message"], body["error"]["details"]["error_code"])


def _message(turn: Turn) -> Object:
    blocks: list[Object] = [{"type": "text", "text": turn.text}] if turn.text else []
    for image in turn.images:
        source = {"type": "base64", "media_type": "image/png", "data": image}
        blocks.append({"type": "image", "source": {"type": "url", "url": image} if image.startswith("http") else source})
    blocks += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in turn.calls]
    blocks += [{"type": "tool_result", "tool_use_id": call_id, "content": text} for call_id, text in turn.results]
    return {"role": "user" if turn.role == "tool" else turn.role, "content": blocks}


def _add(answer: Answer, block: Object) -> None:
    match block["type"]:
        case "text":
            answer.text += block["text"]
        case "thinking":
            assert "signature" in block
            answer.thoughts += block["thinking"]
        case "tool_use":
            answer.calls.append(Call(block["id"], block["name"], block["input"]))
        case kind:
            raise AssertionError(f"an unknown block: {kind}")


def _grow(block: Object, delta: Object) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["json"] += delta["partial_json"]
        case kind:
            raise AssertionError(f"an unknown delta: {kind}")


def _used(usage: Object) -> Used:
    read = usage.get("cache_read_input_tokens") or 0
    total = usage["input_tokens"] + read + (usage.get("cache_creation_input_tokens") or 0)
    return Used(total, usage["output_tokens"], read, (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0))


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire."""
    choice: Object = body.get("tool_choice", {})
    named = {"auto": "", "any": "any", "none": "none", "tool": choice.get("name", "")}
    config: Object = body.get("output_config", {})
    tools = body.get("tools", ())
    assert all(tool["input_schema"] == PARAMETERS for tool in tools)
    return Ask(
        system=_text(body.get("system", "")),
        turns=tuple(map(_turn, body["messages"])),
        tools=tuple(tool["name"] for tool in tools),
        must_call=named[choice.get("type", "auto")],
        is_serial=choice.get("disable_parallel_tool_use") is True,
        schema=config.get("format", {}).get("schema"),
        thinks=body.get("thinking", {}).get("type") == "adaptive" and config.get("effort") == "high",
        stop=tuple(body.get("stop_sequences", ())),
        cap=body["max_tokens"],
        temperature=body.get("temperature"),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def _turn(message: Object) -> Turn:
    blocks: list[Object] = message["content"]
    if isinstance(blocks, str):
        return Turn(message["role"], blocks)
    sources = [block["source"] for block in blocks if block["type"] == "image"]
    uses = [block for block in blocks if block["type"] == "tool_use"]
    results = [block for block in blocks if block["type"] == "tool_result"]
    return Turn(
        "tool" if results else message["role"],
        _text(blocks),
        tuple(source.get("data") or source["url"] for source in sources),
        tuple(Call(use["id"], use["name"], use["input"]) for use in uses),
        tuple((result["tool_use_id"], _text(result["content"])) for result in results),
    )
