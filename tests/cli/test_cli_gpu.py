"""`aldgate gpu`: what it asks, and what it makes of the answer."""

import json
from typing import Any

import pytest

from tests.cli.loopback_gate import Aldgate, LoopbackGate

STATUS: dict[str, Any] = {
    "gpu": {
        "gpus": [
            {
                "device": "gpu0",
                "name": "RTX",
                "total_mb": 24_576,
                "used_mb": 14_000,
                "free_mb": 10_576,
                "utilization": 7,
                "foreign_mb": 0,
                "residencies": [{"engine": "comfyui", "state": "ready", "memory_mb": 14_000, "running": 1}],
            }
        ]
    },
    "loaded_models": ["comfyui"],
    "gpu_processes": [{"pid": "7", "name": "python", "memory": "14000 MiB"}],
    "engines": ["comfyui", "wan2gp"],
}


@pytest.mark.parametrize("arguments", [("status",), (), ("--status",), ("-s",)])
def test_the_status_is_shown(aldgate: Aldgate, gate: LoopbackGate, arguments: tuple[str, ...]) -> None:
    gate.reply("GET", "/gpu/status", STATUS)
    shown = aldgate("gpu", *arguments)
    assert shown.code == 0
    assert "24576 MiB" in shown.out and "comfyui" in shown.out and "python" in shown.out


def test_programs_get_the_same_three_fields_as_ever(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/gpu/status", STATUS)
    assert set(json.loads(aldgate("gpu", "--json").out)) == {"gpu", "loaded_models", "gpu_processes"}


def test_a_machine_without_a_gpu_says_so(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/gpu/status", STATUS | {"gpu": None})
    assert "no GPU" in aldgate("gpu", "status").err


def test_engines_are_listed(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/gpu/status", STATUS)
    lines = [line.split() for line in aldgate("gpu", "--list").out.splitlines()]
    assert lines[-2:] == [["comfyui", "yes"], ["wan2gp", "no"]]
    assert json.loads(aldgate("gpu", "-l", "--json").out)["engines"] == ["comfyui", "wan2gp"]


@pytest.mark.parametrize("arguments", [("stop", "comfyui"), ("--stop", "comfyui")])
def test_one_is_stopped(aldgate: Aldgate, gate: LoopbackGate, arguments: tuple[str, ...]) -> None:
    gate.reply("POST", "/admin/gpu/stop", {"stopped": ["comfyui"]})
    assert aldgate("gpu", *arguments).out == "comfyui has left\n"
    assert gate.requests[-1].body == {"model": "comfyui"}


@pytest.mark.parametrize("arguments", [("stop-all",), ("--stop-all",)])
def test_all_are_stopped_and_whoever_stays_is_an_error(aldgate: Aldgate, gate: LoopbackGate, arguments: tuple[str, ...]) -> None:
    gate.reply("POST", "/admin/gpu/free", {"stopped": ["comfyui"], "left": ["wan2gp"]})
    result = aldgate("gpu", *arguments)
    assert (result.code, gate.requests[-1].body) == (1, {})
    assert "still there: wan2gp" in result.err


def test_a_device_is_freed(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/admin/gpu/free", {"stopped": [], "left": []})
    assert aldgate("gpu", "free", "gpu0").code == 0
    assert gate.requests[-1].body == {"device": "gpu0"}
