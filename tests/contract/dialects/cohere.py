"""Cohere's v2 chat, as this suite reads what it was asked: OpenAI's messages with options of its own."""

from tests.contract.dialects import openai
from tests.contract.neutral import Ask, Object


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire. The one tool that must be called is the only one it is told of."""
    choice = {"REQUIRED": "any", "NONE": "none"}.get(body.get("tool_choice", ""), "")
    thinking: Object = body.get("thinking", {})
    wanted: Object = body.get("response_format", {})
    renamed = {"messages": [{"content": None, **message} for message in body["messages"]], "tools": body.get("tools", [])}
    said = openai.arrived(renamed)
    return Ask(
        system=said.system,
        turns=said.turns,
        tools=said.tools,
        must_call=said.tools[0] if choice == "any" and len(said.tools) == 1 else choice,
        schema=wanted.get("json_schema"),
        thinks=thinking.get("type") == "enabled" and "token_budget" not in thinking,
        stop=tuple(body.get("stop_sequences", ())),
        cap=body.get("max_tokens"),
        temperature=body.get("temperature"),
    )
