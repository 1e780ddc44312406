"""Bedrock's Converse, as this suite reads what it was asked."""

import json

from tests.contract.neutral import PARAMETERS, Ask, Call, Object, Turn


def arrived(body: Object) -> Ask:
    """What a provider was asked in this wire. What only Claude knows stands in its own fields."""
    config: Object = body.get("inferenceConfig", {})
    offered: Object = body.get("toolConfig", {})
    own: Object = body.get("additionalModelRequestFields", {})
    tools = [tool["toolSpec"] for tool in offered.get("tools", ())]
    assert all(tool["inputSchema"]["json"] == PARAMETERS for tool in tools)
    output: Object = body.get("outputConfig", {})
    schema = output.get("textFormat", {}).get("structure", {}).get("jsonSchema", {}).get("schema")
    return Ask(
        system="\n".join(block["text"] for block in body.get("system", ())),
        turns=tuple(map(_turn, body["messages"])),
        tools=tuple(tool["name"] for tool in tools),
        must_call=_must_call(offered.get("toolChoice", {}), own.get("tool_choice", {})),
        is_serial=own.get("tool_choice", {}).get("disable_parallel_tool_use") is True,
        schema=None if schema is None else json.loads(schema),
        thinks=own.get("thinking", {}).get("type") == "adaptive" and output.get("effort") == "high",
        stop=tuple(config.get("stopSequences", ())),
        cap=config.get("maxTokens"),
        temperature=config.get("temperature"),
    )


def _must_call(choice: Object, own: Object) -> str:
    if "tool" in choice:
        return choice["tool"]["name"]
    return "any" if "any" in choice or own.get("type") == "any" else own.get("name", "")


def _turn(message: Object) -> Turn:
    blocks: list[Object] = message["content"]
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    return Turn(
        "tool" if results else message["role"],
        "".join(block.get("text", "") for block in blocks),
        tuple(block["image"]["source"]["bytes"] for block in blocks if "image" in block),
        tuple(Call(use["toolUseId"], use["name"], use["input"]) for use in uses),
        tuple((result["toolUseId"], "".join(part["text"] for part in result["content"])) for result in results),
    )
