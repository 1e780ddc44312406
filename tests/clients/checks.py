"""What the Python suites share: where the gate is, and how their checks are run, outside pytest.

A suite has an environment of its own. It puts this directory on its path, defines functions named `check_...` and ends with
`sys.exit(checks.run(globals()))`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

URL, KEY = os.environ["GATE_URL"], os.environ["GATE_KEY"]
KEYS: dict[str, str] = json.loads(os.environ["GATE_KEYS"])
MODELS: list[str] = json.loads(os.environ["GATE_MODELS"])
"""One of each dialect."""
ECHO, HELLO = "builtin/echo", "Hello there, gate!"
SAID = {ECHO: HELLO, **dict.fromkeys(MODELS, "Hello from the fake upstream.")}


def like(model: str, kind: str) -> str:
    """The model of the provider that is like `model`'s, but `json` or `limited`."""
    return model.replace("/", f"-{kind}/")


def failure(kind: type[Exception], ask: Callable[..., Any], *asked: Any) -> Any:
    """The error of that class that `ask(*asked)` raises."""
    try:
        ask(*asked)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def run(names: dict[str, Any]) -> int:
    """Run every check among `names`; the number that failed."""
    checks = [(name, check) for name, check in names.items() if name.startswith("check_")]
    assert checks
    failed = 0
    for name, check in checks:
        try:
            asyncio.run(check()) if inspect.iscoroutinefunction(check) else check()
        except Exception:
            failed += 1
            sys.stdout.write(f"{name}\n{traceback.format_exc()}\n")
    sys.stdout.write(f"{len(checks) - failed} passed, {failed} failed\n")
    return failed
