"""Fakes of self-hosted engines on loopback: each speaks its service's wire format, and misbehaves by name.

async with FakeGradio() as fake:
    fake.fault = "out_of_memory"
    ...  # an engine with base_url=fake.url
    assert fake.works == 1
"""

from aldgate.testing.engines.gradio import FakeGradio
from aldgate.testing.engines.server import FAULTS, FakeEngine

__all__ = ["FAULTS", "FakeEngine", "FakeGradio"]
