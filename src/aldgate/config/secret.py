"""Secrets: a wrapper that does not show itself, and the references by which settings name them."""

import hmac
from collections.abc import Mapping
from pathlib import Path

from aldgate.config.errors import ConfigError

_WRITE = "write `env:NAME` or `file:/path`"


class Secret:
    """A text that no `repr`, format or log shows. `reveal` hands it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


def is_reference(text: str) -> bool:
    """Whether `text` names a secret instead of being one."""
    return text.startswith(("env:", "file:"))


def resolve_reference(text: str, environment: Mapping[str, str]) -> str:
    """Follow `env:NAME` or `file:/absolute/path` to the secret it names.

    One trailing line break of a file is not part of the secret.

    Raises:
        ConfigError: `text` is no reference (it is not shown, it may be a secret), or leads nowhere or to nothing.
    """
    kind, colon, target = text.partition(":")
    if colon and kind == "env":
        return _from_environment(target, environment)
    if colon and kind == "file":
        return _from_file(target)
    raise ConfigError("a secret stands where a reference to one belongs", hint=_WRITE)


def _from_environment(name: str, environment: Mapping[str, str]) -> str:
    if not name:
        raise ConfigError("`env:` names no variable", hint=_WRITE)
    value = environment.get(name, "")
    if not value:
        raise ConfigError(f"`env:{name}`: `{name}` is not set", hint=f"set `{name}` in the environment or in `.env`")
    return value


def _from_file(target: str) -> str:
    path = Path(target)
    if not path.is_absolute():
        raise ConfigError(f"`file:{target}` is not an absolute path", hint=_WRITE)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise ConfigError(f"`file:{target}`: {reason}", hint="put the secret there, readable for this user") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigError(f"`file:{target}` is empty", hint="put the secret there")
    return text
