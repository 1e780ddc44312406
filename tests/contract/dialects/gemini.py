"""Gemini's `generateContent`, as this suite says and reads it."""

import json

from tests.contract.neutral import PARAMETERS, Answer, Ask, Call, Fault, Object, Turn, Used, events_of

_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


class Gemini:
    cannot = frozenset({"one call at a time"})

    def request(self, ask: Ask, model: str, *, stream: bool) -> tuple[str, Object]:
        named = {call.id: call.name for turn in ask.turns for call in turn.calls}
        body: Object = {"contents": [_content(turn, named) for turn in ask.turns]}
        config: Object = {}
        if ask.system:
            body["systemInstruction"] = {"parts": [{"text": ask.system}]}
        if ask.tools:
            body["tools"] = [{"functionDeclarations": [{"name": name, "parametersJsonSchema": PARAMETERS} for name in ask.tools]}]
        if ask.must_call:
            calling: Object = {"mode": "NONE" if ask.must_call == "none" else "ANY"}
            if ask.must_call not in ("any", "none"):
                calling["allowedFunctionNames"] = [ask.must_call]
            body["toolConfig"] = {"functionCallingConfig": calling}
        if ask.schema is not None:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": ask.schema}
        if ask.thinks:
            config["thinkingConfig"] = {"thinkingLevel": "HIGH", "includeThoughts": True}
        if ask.stop:
            config["stopSequences"] = list(ask.stop)
        if ask.cap is not None:
            config["maxOutputTokens"] = ask.cap
        if ask.temperature is not None:
            config["temperature"] = ask.temperature
        if config:
            body["generationConfig"] = config
        return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}", body

    def whole(self, body: Object) -> Answer:
        answer = Answer(ended=True)
        _add(answer, body)
        return _finished(answer)

    def stream(self, body: bytes) -> Answer:
        """A response with a reason to finish is the last; there is no other end."""
        answer = Answer()
        for name, data in events_of(body):
            said = json.loads(data)
            assert not name and not answer.finish and not answer.failure
            if "error" in said:
                assert next(iter(said)) == "error", "the client looks at the first key"
                answer.failure = self.fault(said).message
            else:
                _add(answer, said)
        answer.ended = bool(answer.finish)
        return _finished(answer)

    def fault(self, body: Object) -> Fault:
        error = body["error"]
        assert isinstance(error["code"], int) and error["status"].isupper()
        (info,) = [detail for detail in error["details"] if detail["@type"].endswith("ErrorInfo")]
        return Fault(error["message"], info["reason"])


def _content(turn: Turn, named: dict[str, str]) -> Object:
    parts: list[Object] = [{"text": turn.text}] if turn.text else []
    for image in turn.images:
        inline = {"inlineData": {"mimeType": "image/png", "data": image}}
        parts.append({"fileData": {"fileUri": image, "mimeType": "image/png"}} if image.startswith("http") else inline)
    parts += [{"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in turn.calls]
    for call_id, text in turn.results:
        parts.append({"functionResponse": {"id": call_id, "name": named[call_id], "response": {"output": text}}})
    return {"role": "model" if turn.role == "assistant" else "user", "parts": parts}


def _add(answer: Answer, said: Object) -> None:
    for part in said["candidates"][0]["content"]["parts"]:
        if "functionCall" in part:
            call = part["functionCall"]
            answer.calls.append(Call(call["id"], call["name"], call["args"]))
        elif "inlineData" in part:
            answer.images.append(part["inlineData"]["data"])
        elif part.get("thought"):
            answer.thoughts += part["text"]
        else:
            answer.text += part["text"]
    answer.finish = said["candidates"][0].get("finishReason", "")
    if "usageMetadata" in said:
        usage = said["usageMetadata"]
        thought, made = usage.get("thoughtsTokenCount", 0), usage.get("candidatesTokenCount", 0)
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + made + thought
        answer.usage = Used(usage["promptTokenCount"], made + thought, usage.get("cachedContentTokenCount", 0), thought)


def _finished(answer: Answer) -> Answer:
    finish = _FINISHES.get(answer.finish, answer.finish)
    answer.finish = "tool_calls" if finish == "stop" and answer.calls else finish
    return answer


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire."""
    config: Object = body.get("generationConfig", {})
    calling: Object = body.get("toolConfig", {}).get("functionCallingConfig", {})
    modes = {"AUTO": "", "NONE": "none", "ANY": "any"}
    tools = [tool for holder in body.get("tools", ()) for tool in holder["functionDeclarations"]]
    assert all(tool["parametersJsonSchema"] == PARAMETERS for tool in tools)
    return Ask(
        system="".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", ())),
        turns=tuple(map(_turn, body["contents"])),
        tools=tuple(tool["name"] for tool in tools),
        must_call=calling.get("allowedFunctionNames", [modes[calling.get("mode", "AUTO")]])[0],
        schema=config.get("responseJsonSchema"),
        thinks=config.get("thinkingConfig") == {"thinkingLevel": "HIGH", "includeThoughts": True},
        stop=tuple(config.get("stopSequences", ())),
        cap=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
    )


def _turn(content: Object) -> Turn:
    parts: list[Object] = content["parts"]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    images = [part.get("inlineData", part.get("fileData", {})) for part in parts]
    return Turn(
        "tool" if results else "assistant" if content.get("role") == "model" else "user",
        "".join(part.get("text", "") for part in parts),
        tuple(image.get("data") or image["fileUri"] for image in images if image),
        tuple(Call(call.get("id", ""), call["name"], call["args"]) for call in calls),
        tuple((result.get("id", ""), str(next(iter(result["response"].values())))) for result in results),
    )
