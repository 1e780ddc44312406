"""The settings one by one: their dotted paths, their environment names, and how each is read from a text."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta

from aldgate.config.settings import NOT_SETTINGS, Listener, Settings

ALSO_NAMED = {"ALDGATE_ADMIN_KEY": "auth.admin_key"}
"""Environment names beside the regular ones."""

_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\[\]\s]*):)?(?P<port>[0-9]{1,5})(?:/(?P<faces>all|ops))?")
_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Leaf(NamedTuple):
    """One setting that holds a value, not a table.

    Attributes:
        section: The struct it is a field of.
        path: Dotted, like `server.port`.
        kind: Its type without the bounds.
        bounds: The bounds, if it is a number.
    """

    section: type[msgspec.Struct]
    path: str
    kind: Any
    bounds: Meta | None
    default: Any

    @property
    def name(self) -> str:
        """Its name within the section."""
        return self.path.rpartition(".")[2]

    @property
    def env(self) -> str:
        """Its regular environment name."""
        return "ALDGATE_" + self.path.replace(".", "_").upper()

    @property
    def wants(self) -> str:
        """What values it takes, in words."""
        if self.kind == tuple[Listener, ...]:
            return "addresses like `127.0.0.1:8000`, `:1301` or `:8801/ops`, separated by commas"
        if self.kind == tuple[str, ...]:
            return "texts separated by commas"
        if get_origin(self.kind) is Literal:
            return "one of " + ", ".join(f"`{word}`" for word in get_args(self.kind))
        if self.kind in (int, float):
            return ("a whole number" if self.kind is int else "a number") + _range(self.bounds)
        return "`true` or `false`" if self.kind is bool else "a text"

    def parse(self, text: str) -> Any:
        """Read the setting from the environment or a flag.

        Raises:
            ValueError: It is not what the setting `wants`.
        """
        if self.kind == tuple[Listener, ...]:
            return [_address(part.strip()) for part in text.split(",")]
        if self.kind == tuple[str, ...]:
            return [part.strip() for part in text.split(",") if part.strip()]
        if get_origin(self.kind) is Literal:
            return _choose(text, {word.casefold(): word for word in get_args(self.kind)})
        if self.kind is bool:
            return _choose(text, _TRUTH)
        if self.kind in (int, float):
            # Python also reads the digits of other scripts; nobody means that here.
            number = self.kind(text.encode("ascii").decode())
            return msgspec.convert(number, Annotated[self.kind, self.bounds])
        return text


@cache
def leaves() -> Mapping[str, Leaf]:
    """Every setting by its path, in the order of the tree."""
    return {leaf.path: leaf for leaf in _walk(Settings, "")}


@cache
def environment_names() -> Mapping[str, str]:
    """Every environment name of ours -> the path it sets."""
    return {leaf.env: path for path, leaf in leaves().items()} | ALSO_NAMED


def section_of(kind: Any) -> type[msgspec.Struct] | None:
    """`kind` if it is a section of the tree."""
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _walk(section: type[msgspec.Struct], prefix: str) -> Iterator[Leaf]:
    for field in msgspec.structs.fields(section):
        path = prefix + field.name
        if path in NOT_SETTINGS:
            continue
        kind, bounds = field.type, None
        if get_origin(kind) is Annotated:
            kind, bounds = get_args(kind)
        inner = section_of(kind)
        if inner is not None:
            yield from _walk(inner, f"{path}.")
        elif get_origin(kind) not in (dict, Mapping):
            yield Leaf(section, path, kind, bounds, field.default)


def _address(text: str) -> dict[str, Any]:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(text)
    given = {"host": (found["host"] or "").strip("[]"), "port": int(found["port"]), "faces": found["faces"]}
    return {name: value for name, value in given.items() if value not in ("", None)}


def _range(bounds: Meta | None) -> str:
    if bounds is None:
        return ""
    least = f" from {bounds.ge:,}" if bounds.ge is not None else f" above {bounds.gt:,}"
    return f"{least} to {bounds.le:,}"


def _choose(text: str, choices: Mapping[str, Any]) -> Any:
    try:
        return choices[text.casefold()]
    except KeyError:
        raise ValueError(text) from None
