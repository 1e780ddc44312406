"""What an operator knows of models: it beats what providers and the public catalogue say."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from aldgate.core.routes import Facts

Capability = Literal["tools", "vision", "audio", "documents", "reasoning", "json_schema", "caching"]
Tokens = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One model, under `[models."provider/model"]`."""

    context_window: Tokens | None = None
    """Most tokens of input and output together."""
    max_output: Tokens | None = None
    """Most output tokens of one answer."""
    can: list[Capability] = []
    """What it can: `tools`, `vision`, `audio`, `documents`, `reasoning`, `json_schema`, `caching`."""
    cannot: list[Capability] = []
    """What it cannot, of the same words."""
    ends_on: date | None = None
    """Day on which it is no longer served, as in `2027-01-31`."""
    responses: Literal["only", "no"] | None = None
    """`only`: of what its provider speaks, it is to be had by OpenAI's Responses API alone; `no`: by anything else."""
    residency: list[str] = []
    """Regions that its data may come to, as in `["eu"]`; policies can ask for some."""

    def facts(self) -> Facts:
        """The same for the catalogue."""
        return Facts(
            context_window=self.context_window,
            max_output=self.max_output,
            can=frozenset(self.can),
            cannot=frozenset(self.cannot),
            ends_on=self.ends_on.isoformat() if self.ends_on is not None else None,
            responses=self.responses,
            residency=frozenset(self.residency),
        )
