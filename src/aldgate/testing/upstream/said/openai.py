"""OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat/object and /chat/streaming).

Thoughts and images stand where the compatible servers put them: `reasoning_content` (DeepSeek, vLLM) and `images` (OpenRouter,
https://openrouter.ai/docs/features/multimodal/image-generation).
"""

from aldgate.testing.upstream.replies import CREATED, Object, error_body
from aldgate.testing.upstream.said.words import Called, Refused, Said, Wire, data, halves


def _whole(said: Said, model: str) -> Object:
    message: Object = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.thoughts:
        message["reasoning_content"] = said.thoughts
    if said.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in said.calls]
    if said.images:
        message["images"] = [_image(image) for image in said.images]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish}
    return {**_common(model, "chat.completion"), "choices": [choice], "usage": _usage(said)}


def _events(said: Said, model: str) -> list[bytes]:
    deltas: list[Object] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in halves(said.thoughts)]
    deltas += [{"content": piece} for piece in halves(said.text)]
    deltas += [{"images": [{"index": 0, **_image(image)}]} for image in said.images]
    deltas += [{"tool_calls": [{"index": place, **_call(call, "")}]} for place, call in enumerate(said.calls)]
    for number in (0, 1):  # the arguments of calls made side by side come in turns
        for place, call in enumerate(said.calls):
            deltas.append({"tool_calls": [{"index": place, "function": {"arguments": halves(call.arguments)[number]}}]})
    common = _common(model, "chat.completion.chunk")
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None} for delta in deltas]
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": said.finish}], "usage": None})
    chunks.append({**common, "choices": [], "usage": _usage(said)})
    return [*map(data, chunks), b"data: [DONE]\n\n"]


def _common(model: str, kind: str) -> Object:
    return {"id": "chatcmpl-said", "object": kind, "created": CREATED, "model": model}


def _call(call: Called, arguments: str) -> Object:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _image(image: str) -> Object:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}


def _usage(said: Said) -> Object:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
    }


def refusal(why: Refused) -> tuple[int, Object]:
    """An error in OpenAI's words."""
    match why:
        case "limited":
            return 429, error_body("Rate limit reached for requests.", "rate_limit_exceeded", "requests")
        case "too_long":
            return 400, error_body("This model's maximum context length is 8192 tokens.", "context_length_exceeded")
        case "unauthorised":
            return 401, error_body("Incorrect API key provided: sk-up***key.", "invalid_api_key")
        case "overloaded":
            return 503, error_body("The engine is currently overloaded.", "service_unavailable", "server_error")


_TROUBLE = error_body("The server had an error while processing your request.", "server_error", "server_error")
WIRE = Wire(_whole, _events, refusal, data(_TROUBLE))
