"""The examples of docs/builtin.md, run."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aldgate.engines.builtin.echo import EchoOptions
from aldgate.engines.builtin.embed import EmbedOptions

from .conftest import Ask

PAGE = (Path(__file__).parents[3] / "docs" / "builtin.md").read_text()
EXAMPLES = re.findall(r"^\$ curl \S+/v1/(\S+) .*? -d '(.*?)'(?: \| jq -c '(.*)')?\n(.*)\n```$", PAGE, re.MULTILINE)
OPERATIONS = {"chat/completions": "chat", "completions": "complete", "embeddings": "embed"}

FILTERS: dict[str, Callable[[Any], Any]] = {
    "": lambda reply: {key: value for key, value in reply.items() if key not in ("id", "created")},
    ".choices[0].message.tool_calls[0].function": lambda reply: reply["choices"][0]["message"]["tool_calls"][0]["function"],
    ".choices[0].message.content | fromjson": lambda reply: json.loads(reply["choices"][0]["message"]["content"]),
    "[.choices[].text]": lambda reply: [choice["text"] for choice in reply["choices"]],
    "[(.data | length), (.data[0].embedding | length), .usage.total_tokens]": lambda reply: [
        len(reply["data"]),
        len(reply["data"][0]["embedding"]),
        reply["usage"]["total_tokens"],
    ],
}


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == PAGE.count("$ curl") == 5


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "body", "jq", "shown"), EXAMPLES)
async def test_examples(ask: Ask, path: str, body: str, jq: str, shown: str) -> None:
    assert FILTERS[jq](await ask(OPERATIONS[path], json.loads(body))) == json.loads(shown)


def test_the_options_are_real() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    engines = tomllib.loads(block)["engines"]
    assert set(engines["echo"]) == set(EchoOptions.__struct_fields__)
    assert set(engines["embed"]) == set(EmbedOptions.__struct_fields__)
    msgspec.convert(engines["echo"], EchoOptions)
    msgspec.convert(engines["embed"], EmbedOptions)
