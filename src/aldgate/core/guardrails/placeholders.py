"""What stands in a request in place of what a provider shall not see, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MOST_CHARACTERS = 40
"""The longest placeholder."""
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]{0,24}_[0-9]{1,9}\]")
_BEGUN = re.compile(rf"\[[A-Z0-9_]{{0,{MOST_CHARACTERS - 2}}}$")


class Names:
    """Placeholders of one call: each names one value, and none stands in its texts already."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._taken = {found for text in texts for found in _PLACEHOLDER.findall(text)}
        self._last: dict[str, int] = {}

    def fresh(self, label: str) -> str:
        """A new one: `[EMAIL_1]`."""
        number = self._last.get(label, 0) + 1
        while (name := f"[{label}_{number}]") in self._taken:
            number += 1
        self._last[label] = number
        return name


class Vault:
    """What one guardrail took out of a request. It lives as long as the call, in memory alone."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._names_of: dict[tuple[str, str], str] = {}
        self.values: dict[str, str] = {}

    def hide(self, label: str, value: str) -> str:
        """The placeholder for a value, always the same one for the same value."""
        name = self._names_of.get((label, value))
        if name is None:
            name = self._names_of[label, value] = self._names.fresh(label)
            self.values[name] = value
        return name


class Restoring:
    """Implements `stages.Stage`: puts a vault's values back where a text has their placeholders.

    Args:
        write: How a value is written there, if not as it is.
    """

    most = MOST_CHARACTERS

    def __init__(self, vault: Vault, write: Callable[[str], str] | None = None) -> None:
        values = vault.values
        self._values = values if write is None else {name: write(value) for name, value in values.items()}
        self._text = ""

    @property
    def held(self) -> int:
        """See `stages.Stage`."""
        return len(self._text)

    def feed(self, text: str) -> str:
        """See `stages.Stage`."""
        text = self._text + text
        begun = _BEGUN.search(text, max(0, len(text) - MOST_CHARACTERS + 1)) if "[" in text else None
        end = len(text) if begun is None else begun.start()
        self._text = text[end:]
        return self._restored(text[:end])

    def end(self) -> str:
        """See `stages.Stage`."""
        rest, self._text = self._text, ""
        return rest

    def _restored(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._values.get(found[0], found[0]), text) if "[" in text else text
