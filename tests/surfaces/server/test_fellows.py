"""The metrics of several workers in one answer."""

import asyncio
from pathlib import Path

import pytest

from aldgate.surfaces.server.fellows import Fellows, merged

ONE = b"""\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{model="a b"} 1.0
# HELP held Held.
# TYPE held gauge
held 2.0
"""
TWO = b"""\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{model="c"} 3.0
"""
BOTH = b"""\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{worker="0",model="a b"} 1.0
calls_total{worker="1",model="c"} 3.0
# HELP held Held.
# TYPE held gauge
held{worker="0"} 2.0
# HELP aldgate_worker_up The worker told its metrics.
# TYPE aldgate_worker_up gauge
aldgate_worker_up{worker="0"} 1
aldgate_worker_up{worker="1"} 1
aldgate_worker_up{worker="2"} 0
"""


def test_each_sample_says_whose_it_is_and_families_stay_together() -> None:
    assert merged({0: ONE, 1: TWO, 2: None}) == BOTH


@pytest.mark.anyio
async def test_whichever_is_asked_answers_for_all_that_are_there(tmp_path: Path) -> None:
    one, two = Fellows(tmp_path, 0, 3, lambda: ONE), Fellows(tmp_path, 1, 3, lambda: TWO)
    await one.open()
    await two.open()
    assert await asyncio.gather(one.exposed(), two.exposed()) == [BOTH, BOTH]
    await one.aclose()
    successor = Fellows(tmp_path, 0, 3, lambda: ONE)  # the socket of a worker that was killed is still there
    await successor.open()
    assert await two.exposed() == BOTH
    await successor.aclose()
    await two.aclose()
