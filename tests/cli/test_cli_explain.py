"""`aldgate explain` prints what a gate tells."""

from typing import Any

import pytest

from tests.cli.loopback_gate import Aldgate, LoopbackGate

TOLD: dict[str, Any] = {
    "verdict": "denied",
    "reasons": [{"status": 402, "code": "budget_exceeded", "message": "Too dear."}],
    "who": {"id": "key-1", "name": "shop", "scopes": ["chat", "embed"]},
    "model": {"asked": "team", "matched": "route", "near": []},
    "limits": [
        {"what": "requests per minute", "limit": 60, "left": 59, "reset_s": 1.0},
        {"what": "calls at once", "limit": 4, "left": 4, "reset_s": None},
    ],
    "budgets": [
        {
            "level": "",
            "free": {"usd": "0.10"},
            "limit": {"usd": "10.00"},
            "period": "2026-11",
            "needed": {"usd": "0.20"},
            "cuts_output": False,
        }
    ],
    "estimate": {"input_tokens": 3, "output_tokens": 512, "expected": {"usd": "0.01"}, "most": None},
    "route": {
        "candidates": [
            {
                "deployment": "a/big",
                "verdict": "ready",
                "order": 1,
                "for": ["it is number 1 of the list"],
                "against": [],
                "translation": {"how": "translated", "left_out": ["top_k"], "denial": None},
            }
        ],
        "fallbacks": [
            {
                "candidates": [
                    {
                        "deployment": "b/small",
                        "verdict": "out",
                        "order": None,
                        "for": [],
                        "against": ["it cannot chat; it can embed"],
                        "translation": None,
                    }
                ]
            }
        ],
    },
}


def test_a_decision_is_printed_with_its_reasons(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/v1/explain", TOLD)
    lines = [" ".join(line.split()) for line in aldgate("explain", "team").out.splitlines()]
    assert lines == [
        "verdict denied",
        "because 402 budget_exceeded: Too dear.",
        "key shop (key-1)",
        "scopes chat embed",
        "model team: route",
        "requests per minute 59 of 60 left, all again in 1 s",
        "calls at once 4 of 4 left",
        "budget $0.10 of $10.00 free in 2026-11, this call needs up to $0.20",
        "tokens about 3 in, 512 out",
        "cost about $0.01",
        "",
        "order deployment verdict request for against",
        "1 a/big ready translated, without top_k it is number 1 of the list -",
        "- b/small out - - it cannot chat; it can embed",
    ]


def test_the_cost_says_at_whom_it_is_the_first_or_the_dearest(aldgate: Aldgate, gate: LoopbackGate) -> None:
    first, second = TOLD["route"]["candidates"][0], TOLD["route"]["fallbacks"][0]["candidates"][0]
    route = {"candidates": [second | {"order": 2}, first], "fallbacks": []}
    gate.reply("POST", "/v1/explain", TOLD | {"route": route, "estimate": TOLD["estimate"] | {"most": {"usd": "0.30"}}})
    assert "about $0.01 (a/big) at most $0.30 (the dearest)" in " ".join(aldgate("explain", "team").out.split())


def test_a_request_that_is_never_read_is_printed_too(aldgate: Aldgate, gate: LoopbackGate) -> None:
    nothing = {"model": None, "limits": [], "budgets": [], "estimate": None, "route": None}
    gate.reply("POST", "/v1/explain", TOLD | nothing)
    lines = [" ".join(line.split()) for line in aldgate("explain", "team").out.splitlines()]
    assert lines[-1] == "scopes chat embed"


@pytest.mark.parametrize(
    ("operation", "question"),
    [
        ("chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("complete", {"prompt": "Hi"}),
        ("embed", {"input": "Hi"}),
        ("rerank", {"query": "Hi", "documents": ["Hi"]}),
    ],
)
def test_the_gate_is_asked_for_what_was_meant(
    aldgate: Aldgate, gate: LoopbackGate, operation: str, question: dict[str, Any]
) -> None:
    gate.reply("POST", "/v1/explain", TOLD)
    arguments = ("--operation", operation, "--message", "Hi", "--max-tokens", "9", "--key", "key-1", "--json")
    assert aldgate("explain", "team", *arguments).json == TOLD
    asked = {"operation": operation, "model": "team", **question, "max_tokens": 9, "key_id": "key-1"}
    assert gate.requests[-1].body == asked


def test_an_operation_that_there_is_not_is_wrong_usage(aldgate: Aldgate) -> None:
    assert aldgate("explain", "team", "--operation", "paint").code == 2
