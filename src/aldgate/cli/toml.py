"""Writes settings as TOML, one `dotted.name = value` per line, so that what is shown can be pasted into a file."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_lines(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The lines of `tree`; what is None becomes a comment."""
    for name, value in tree.items():
        path = prefix + _key(name)
        if isinstance(value, dict) and value:
            yield from toml_lines(cast(dict[str, Any], value), f"{path}.")
        else:
            yield f"# {path} is not set" if value is None else f"{path} = {_value(value)}"


def _value(value: Any) -> str:
    match value:
        case Mapping():
            items = cast(Mapping[str, Any], value).items()
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in items if item is not None) + "}"
        case list():
            return "[" + ", ".join(_value(item) for item in cast(list[Any], value)) + "]"
        case str():
            return _text(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, and for the surrogate pairs that `ensure_ascii` would make.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
