"""google-genai, unmodified but for its base URL, against a running gate: `test_google_genai.py` starts the gate and this.

Runs in an environment of its own, without pytest: every function here that begins with `check_` is one check, each gets a client
for each version of the API. Prints what failed and exits with the number of failures.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Iterator

from google import genai
from google.genai import errors, types

URL, KEY = os.environ["GATE_URL"], os.environ["GATE_KEY"]
MODELS = {
    "google/gemini-3.8-flash": "Hello from the fake upstream.",
    "lab/gpt-4.1": "Hello from the fake upstream.",
    "builtin/echo": "Hello, gate!",
}
FIND = types.FunctionDeclaration(
    name="find", parameters_json_schema={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
)


def connect(key: str = KEY, **options: object) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=URL, **options))


def check_answers_whole(client: genai.Client) -> None:
    for model, text in MODELS.items():
        reply = client.models.generate_content(model=model, contents="Hello, gate!")
        assert reply.text == text, reply
        assert reply.candidates[0].finish_reason == types.FinishReason.STOP
        usage = reply.usage_metadata
        assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


def check_answers_in_a_stream(client: genai.Client) -> None:
    for model, text in MODELS.items():
        pieces = list(client.models.generate_content_stream(model=model, contents="Hello, gate!"))
        assert "".join(piece.text or "" for piece in pieces) == text
        assert len(pieces) > 1 and pieces[-1].usage_metadata.total_token_count > 0


def check_answers_asynchronously(client: genai.Client) -> None:
    async def stream() -> str:
        said = await client.aio.models.generate_content_stream(model="builtin/echo", contents="Hello, gate!")
        return "".join([piece.text or "" async for piece in said])

    assert asyncio.run(stream()) == "Hello, gate!"


def check_a_chat_with_everything(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        max_output_tokens=50,
        stop_sequences=["END"],
        thinking_config=types.ThinkingConfig(thinking_level="low", include_thoughts=True),
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
    )
    for model, text in MODELS.items():
        chat = client.chats.create(model=model, config=config)
        assert chat.send_message("Hello, gate!").text == text
        assert chat.send_message([types.Part.from_text(text="Hello, gate!")]).text == text
        assert len(chat.get_history()) == 4


def check_tools(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[FIND])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = types.Content(role="user", parts=[types.Part.from_text(text="find")])
    reply = client.models.generate_content(model="builtin/echo", contents=[asked], config=config)
    [call] = reply.function_calls
    assert call.name == "find" and isinstance(call.args["q"], str) and call.id
    streamed = list(client.models.generate_content_stream(model="builtin/echo", contents=[asked], config=config))
    assert [each.name for piece in streamed for each in piece.function_calls or ()] == ["find"]
    answered = types.Part.from_function_response(name="find", response={"result": "found"})
    history = [asked, reply.candidates[0].content, types.Content(role="user", parts=[answered])]
    assert client.models.generate_content(model="builtin/echo", contents=history).text


def check_an_answer_in_json(client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]},
    )
    reply = client.models.generate_content(model="builtin/echo", contents="Hello", config=config)
    assert isinstance(reply.parsed["n"], int), reply


def check_embeddings(client: genai.Client) -> None:
    config = types.EmbedContentConfig(output_dimensionality=4)
    for model in ("builtin/embed", "google/gemini-embedding-001"):
        reply = client.models.embed_content(model=model, contents=["a", "b"], config=config)
        assert [len(each.values) for each in reply.embeddings] == [4, 4]


def check_models_and_tokens(client: genai.Client) -> None:
    names = [model.name for model in client.models.list()]
    assert "models/builtin/echo" in names and "models/google/gemini-3.8-flash" in names
    assert client.models.get(model="builtin/echo").supported_actions == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
    ]
    assert client.models.count_tokens(model="builtin/echo", contents="Hello, gate!").total_tokens == 3


def failure(call: object, code: int, status: str) -> errors.APIError:
    try:
        call()
    except errors.APIError as error:
        assert (error.code, error.status) == (code, status), error
        return error
    raise AssertionError("nothing was raised")


def check_errors(client: genai.Client) -> None:
    def ask(model: str, who: genai.Client = client) -> object:
        return who.models.generate_content(model=model, contents="Hello")

    failure(lambda: ask("builtin/nope"), 404, "NOT_FOUND")
    failure(lambda: ask("builtin/embed"), 400, "INVALID_ARGUMENT")
    failure(lambda: ask("builtin/echo", connect("agk-nobody")), 401, "UNAUTHENTICATED")
    failure(lambda: ask("down/g"), 503, "UNAVAILABLE")


def check_a_stream_that_breaks(client: genai.Client) -> None:
    pieces = []

    def read() -> None:
        pieces.extend(piece.text for piece in client.models.generate_content_stream(model="breaking/g", contents="Hello"))

    def read_one_by_one() -> None:
        for piece in client.models.generate_content_stream(model="breaking/g", contents="Hello"):
            pieces.append(piece.text)

    failure(read, 502, "UNAVAILABLE")
    failure(read_one_by_one, 502, "UNAVAILABLE")
    assert pieces


def checks() -> Iterator[tuple[str, object]]:
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            yield name, check


def main() -> int:
    failed = 0
    for version in (None, "v1beta"):
        client = connect(**({"api_version": version} if version else {}))
        for name, check in checks():
            try:
                check(client)
            except Exception:
                failed += 1
                sys.stdout.write(f"FAILED {name} ({version or 'usual version'})\n{traceback.format_exc()}\n")
            else:
                sys.stdout.write(f"passed {name} ({version or 'usual version'})\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
