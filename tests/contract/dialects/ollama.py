"""Ollama's `/api/chat`, as this suite says and reads it."""

import json

from tests.contract.neutral import PARAMETERS, Answer, Ask, Call, Fault, Object, Turn, Used


class Ollama:
    cannot = frozenset({"any tool", "one tool", "no tool", "one call at a time", "image by address"})

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        messages = [{"role": "system", "content": ask.system}] if ask.system else []
        named = {call.id: call.name for turn in ask.turns for call in turn.calls}
        body: Object = {"model": model, "messages": messages + [each for turn in ask.turns for each in _messages(turn, named)]}
        if ask.tools:
            body["tools"] = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ask.tools]
        if ask.schema is not None:
            body["format"] = ask.schema
        if ask.thinks:
            body["think"] = "high"
        options = {"stop": list(ask.stop) or None, "num_predict": ask.cap, "temperature": ask.temperature}
        if given := {name: value for name, value in options.items() if value is not None}:
            body["options"] = given
        return "/api/chat", body if stream else {**body, "stream": False}

    def whole(self, body: Object) -> Answer:
        assert body["done"] is True
        answer = Answer(ended=True)
        _add(answer, body)
        return answer

    def stream(self, body: bytes) -> Answer:
        answer = Answer()
        for line in body.decode().splitlines():
            assert not answer.ended and not answer.failure
            said = json.loads(line)
            if "error" in said:
                answer.failure = said["error"]
                continue
            _add(answer, said)
            answer.ended = said["done"]
        return answer

    def fault(self, body: Object) -> Fault:
        assert set(body) == {"error"}
        return Fault(body["error"], "")


def _messages(turn: Turn, named: dict[str, str]) -> list[Object]:
    if turn.role == "tool":
        return [
            {"role": "tool", "tool_name": named[call_id], "tool_call_id": call_id, "content": text}
            for call_id, text in turn.results
        ]
    message: Object = {"role": turn.role, "content": turn.text}
    if turn.images:
        message["images"] = list(turn.images)
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}} for call in turn.calls
        ]
    return [message]


def _add(answer: Answer, said: Object) -> None:
    message = said["message"]
    answer.text += message["content"]
    answer.thoughts += message.get("thinking", "")
    answer.images += message.get("images", ())
    for call in message.get("tool_calls", ()):
        answer.calls.append(Call(call["id"], call["function"]["name"], call["function"]["arguments"]))
    if said["done"]:
        reason = said["done_reason"]
        answer.finish = "tool_calls" if reason == "stop" and answer.calls else reason
        answer.usage = Used(said["prompt_eval_count"], said["eval_count"])


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire."""
    options: Object = body.get("options", {})
    tools = [tool["function"] for tool in body.get("tools", ())]
    assert all(tool["parameters"] == PARAMETERS for tool in tools)
    messages: list[Object] = body["messages"]
    stop = options.get("stop", ())
    return Ask(
        system="\n".join(each["content"] for each in messages if each["role"] == "system"),
        turns=tuple(_turns([each for each in messages if each["role"] != "system"])),
        tools=tuple(tool["name"] for tool in tools),
        schema=body.get("format"),
        thinks=body.get("think") == "high",
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        cap=options.get("num_predict"),
        temperature=options.get("temperature"),
    )


def _turns(messages: list[Object]) -> list[Turn]:
    turns: list[Turn] = []
    for message in messages:
        if message["role"] == "tool":
            last = turns.pop() if turns[-1].role == "tool" else Turn("tool")
            turns.append(Turn("tool", results=(*last.results, (message["tool_call_id"], message["content"]))))
            continue
        functions = [(call.get("id", ""), call["function"]) for call in message.get("tool_calls", ())]
        calls = tuple(Call(call_id, function["name"], function["arguments"]) for call_id, function in functions)
        turns.append(Turn(message["role"], message["content"], tuple(message.get("images", ())), calls))
    return turns
