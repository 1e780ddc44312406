"""JSON text that comes in pieces, each of its strings a text of its own on the way through stages.

Escapes are undone before a stage sees a string and put back behind it: no `@` hides in an escape, and what is put into a string
cannot end it. Text that is no JSON goes through word by word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from aldgate.core.guardrails.stages import Stage

_STRING = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PARTIAL = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_OUTSIDE = re.compile(r'([^\s,:\[\]{}"]+)|([\s,:\[\]{}]+)|(")')
_SURROGATE = re.compile("[\ud800-\udfff]")
_SIMPLE = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_LONGEST_TOKEN = 400


def escaped(text: str) -> str:
    """The text as it stands within a JSON string."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)[1:-1])


class JsonText:
    """Implements `stages.Stage` for JSON.

    Args:
        begin: Makes the stage for one string.
    """

    def __init__(self, begin: Callable[[], Stage]) -> None:
        self._begin = begin
        self._string: Stage | None = None
        """The string that is open."""
        self._rest = ""
        """The begin of an escape, or of a word outside of strings."""
        self._high = ""
        """The first half of a character that is written as two escapes."""
        self.most = begin().most + _LONGEST_TOKEN

    @property
    def held(self) -> int:
        """See `stages.Stage`."""
        return (self._string.held if self._string is not None else 0) + len(self._rest) + len(self._high)

    def feed(self, text: str) -> str:
        """See `stages.Stage`."""
        text, self._rest = self._rest + text, ""
        out: list[str] = []
        at = 0
        while at < len(text):
            at = self._inside(text, at, out) if self._string is not None else self._outside(text, at, out)
        return "".join(out)

    def end(self) -> str:
        """See `stages.Stage`."""
        rest, self._rest = self._rest, ""
        if self._string is None:
            return self._token(rest) if rest else ""
        said = self._say(rest)
        return said + self._close()

    def _inside(self, text: str, at: int, out: list[str]) -> int:
        plain = _STRING.match(text, at)
        if plain is not None:
            out.append(self._say(plain[0]))
            return plain.end()
        if text[at] == '"':
            out.append(self._close() + '"')
            return at + 1
        escape = _ESCAPE.match(text, at)
        partial = _PARTIAL.match(text, at)
        if partial is not None and partial.end() == len(text):
            self._rest = text[at:]
            return len(text)
        if escape is None or escape[2] == "u":
            out.append(self._say(text[at : at + 2]))
            return at + 2
        out.append(self._unit(chr(int(escape[1], 16))) if escape[1] else self._say(_SIMPLE.get(escape[2], escape[0])))
        return escape.end()

    def _unit(self, unit: str) -> str:
        """What an escape by number stands for: a character, or half of one."""
        if self._high and "\udc00" <= unit <= "\udfff":
            pair, self._high = self._high + unit, ""
            return self._say(pair.encode("utf-16", "surrogatepass").decode("utf-16"))
        if "\ud800" <= unit <= "\udbff":
            before, self._high = self._high, unit
            return self._feed(before)
        return self._say(unit)

    def _say(self, text: str) -> str:
        text, self._high = self._high + text, ""
        return self._feed(text)

    def _feed(self, text: str) -> str:
        assert self._string is not None
        return escaped(self._string.feed(text)) if text else ""

    def _close(self) -> str:
        said = self._say("")
        assert self._string is not None
        said += escaped(self._string.end())
        self._string = None
        return said

    def _outside(self, text: str, at: int, out: list[str]) -> int:
        found = _OUTSIDE.match(text, at)
        assert found is not None
        token, marks, quote = found.groups()
        if quote is not None:
            self._string = self._begin()
            out.append('"')
        elif marks is not None:
            out.append(marks)
        elif found.end() == len(text) and len(token) < _LONGEST_TOKEN:
            self._rest = token
        else:
            out.append(self._token(token[:_LONGEST_TOKEN]))
            return at + min(len(token), _LONGEST_TOKEN)
        return found.end()

    def _token(self, token: str) -> str:
        """A number or the like. What stands in its place is a string."""
        stage = self._begin()
        said = stage.feed(token) + stage.end()
        return token if said == token else f'"{escaped(said)}"'
