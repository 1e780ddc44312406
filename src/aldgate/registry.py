"""Names -> "module:attr", so that what is not used is not imported."""

import importlib
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class UnknownName(LookupError):
    """Nothing of this kind is registered under the name."""


class Registry(Generic[T]):
    """The things of one pluggable kind, imported on first use.

    Args:
        kind: What the names name, for messages.
        references: Name -> `module:attr`.
    """

    def __init__(self, kind: str, references: Mapping[str, str]) -> None:
        self.kind = kind
        self._references = dict(references)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._references)

    def load(self, name: str) -> T:
        """Import and return the implementation called `name`.

        Raises:
            UnknownName: Lists the names there are.
        """
        try:
            module, _, attribute = self._references[name].partition(":")
        except KeyError:
            known = ", ".join(self.names())
            raise UnknownName(f"no {self.kind} is called `{name}`; there are {known}") from None
        return getattr(importlib.import_module(module), attribute)
