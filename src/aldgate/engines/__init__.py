"""Engines: what runs models that are not behind an LLM API. One package or file per engine, named here."""

from aldgate.ports import Backend
from aldgate.registry import Registry

ENGINES: Registry[type[Backend]] = Registry("engine", {"builtin": "aldgate.engines.builtin.backend:Builtin"})
