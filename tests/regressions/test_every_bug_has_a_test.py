"""The reported bugs of other gateways that were gathered before this one was written, so that none of their tests gets lost.

A test is named after its bug: `test_a1_...` for A1. Those of `S` are complaints in general.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BUGS = {
    "a1": "parallel calls of a Responses stream all at index 0",
    "a2": "Ollama's calls: one index, objects for arguments, finish `stop`, a broken history that fails a turn later",
    "a3": "interleaved arguments all sent to the block that is open",
    "a4": "text and a call end with `end_turn`",
    "a5": "Gemini's STOP not raised to `tool_calls` after a last chunk without content",
    "a6": "calls discarded beside SAFETY; an empty blockReason blocks",
    "a7": "OpenAI's tools refused by Anthropic for their schema",
    "a8": "schemas that Gemini refuses, and its 400 as a 502",
    "a9": "`disable_parallel_tool_use` dropped, or sent without tools",
    "a10": "images in results of tools dropped",
    "b1": "a failure after the 200 became a well-formed empty answer",
    "b2": "a truncated stream closed with a clean end",
    "b3": "an `error` event that becomes no `response.failed`",
    "b4": "a terminal event of another protocol",
    "b5": "an overload before any output that does not fail over",
    "b6": "a stream of one error retried as a truncated body",
    "c1": "no thought before a call: 400 in turn two",
    "c2": "Gemini's signature on a thought part of its own lost",
    "c3": "the caller's word on summaries of thoughts overwritten",
    "c4": "thoughts absent because chat was used where Responses is needed",
    "c5": "reasoning items dropped in silence for bridged providers",
    "c6": "encrypted reasoning without storage refused as not found",
    "c7": "encrypted content sent to another account",
    "c8": "redacted thoughts lost; a block without its end",
    "c9": "DeepSeek's thoughts not sent back with their calls",
    "d1": "usage never asked for: rows of zeros",
    "d2": "`stream_options` forced on who refuses it; a usage chunk that nobody asked for",
    "d3": "the caller's `include_usage` ignored, an explicit false too",
    "d4": "`stream_options` dropped from text completions",
    "d5": "usage lost beside an empty last choice",
    "d6": "`message_start` with no input tokens",
    "d7": "the split of cache tokens lost for callers of Messages",
    "d8": "a Responses stream's usage all zero, by the form of its input",
    "d9": "a stream without details of its prompt tokens",
    "d10": "`message_delta` added to `message_start`",
    "e1": "parameters that gpt-5 refuses, and its refusal as a 500",
    "e2": "`stop_sequences` dropped",
    "e3": "betas that Bedrock does not know sent there",
    "e4": "a prefix stripped twice from a model's name",
    "e5": "the model that answered hidden, and priced as the one that was asked for",
    "e6": "models of Responses alone: 404, and tools with effort refused on chat",
    "e7": "encrypted reasoning asked of models that refuse that",
    "f1": "written cache billed twice, read cache at the full price",
    "f2": "written tokens among the cached ones",
    "f3": "marks for the cache dropped",
    "f4": "rewriting that misses the provider's cache",
    "f5": "a partial stream priced at nothing for a prefixed name",
    "f6": "embeddings that cost nothing",
    "g1": "a provider's wait under another name than `retry-after`",
    "g2": "our own 429 without `retry-after`",
    "g3": "529 told as 429",
    "g4": "a spent account told as the caller's 400",
    "g5": "a 429 inside a 500",
    "g6": "no rate-limit headers: clients retry for ever",
    "h1": "empty text blocks refused",
    "h2": "a first chunk without its role; Anthropic's usage in an OpenAI stream",
    "h3": "Azure's chunks without choices, and choices without delta",
    "h4": "Gemini's candidate with an end and no content",
    "i1": "tokens billed by the provider and no row, as the caller left",
    "i2": "a caller who hangs up after a call: statistics lost",
    "i3": "the provider not stopped, or another asked, after the caller left",
    "j1": "a `previous_response_id` that only one deployment knows",
    "j2": "a response that cannot be found without its model",
    "s9": "free models closed to a key whose budget is spent",
    "s15": "arguments dropped, bunched or merged; a call lost after text, or told as text",
    "s16": "every stream a 500 with the libraries of the day",
    "s17": "one caller's request freezes the streams of others",
}


def named(folder: Path) -> set[str]:
    """The names of all tests in a folder."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in folder.glob("test_*.py"))
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if ast.get_docstring(function)}


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_has_a_test(bug: str) -> None:
    """A function of its name, which says in a line what must happen."""
    assert any(name.startswith(f"test_{bug}_") for name in named(Path(__file__).parent)), BUGS[bug]
