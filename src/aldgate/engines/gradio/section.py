"""The table of a Gradio engine: which function of the app is called, and what goes where in it."""

from typing import Annotated, Any, Literal

import msgspec

from aldgate.core.levels import Operation
from aldgate.engines.section import EngineSection

Place = str | Annotated[int, msgspec.Meta(ge=0)]
"""A parameter's name or label as the app tells them, or its position, from 0."""


class GradioSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Gradio app, of version 3 to 6."""

    operations: list[Operation] = []
    """What the function does."""
    endpoint: Place = ""
    """Its name, as in `/generate`, or its number where it has none."""
    arguments: dict[str, Place] = {}
    """What of a request goes into which parameter: `prompt`, `seed`, `duration_s` ..., inputs by role: `image`, `audio` ..."""
    constants: dict[str, Any] = {}
    """Further parameters, by name, label or position, and what they always get."""
    options: list[str] = []
    """Names of parameters that callers may set themselves, in `options`."""
    outputs: list[Annotated[int, msgspec.Meta(ge=0)]] = []
    """Positions of the outputs to keep; none keeps every file of the operation's kind."""
    makes: str = ""
    """Format of its files, as in `wav`; callers who ask for another one are refused."""
    username: str = ""
    """Name to log in with where the app wants that; `api_key` is its password then."""
    recovery: Literal["cancel", "wait"] = "cancel"
    """`wait` where the function does not end when it is cancelled: it is no generator and tells no progress."""
