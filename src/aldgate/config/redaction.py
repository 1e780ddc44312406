"""Which values are secret, and a copy of the settings without them.

Our own fields are secret by type. The tables of providers and engines are not decoded here, so there it goes by the name of the
key, and rather one too many than one too few.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec

from aldgate.config.secret import Secret, is_reference

HIDDEN = "***"

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SECRET_WORDS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "cookie", "credential", "key", "pass", "passphrase", "passwd", "password"}
    | {"pwd", "secret", "signature", "token"}
)
_PLACE_WORDS = frozenset({"file", "path", "dir", "url", "host", "id", "name", "header", "type"})
_USERINFO = re.compile(r"://\S*@")
_PARAMETER = re.compile(r"(?P<before>[?&;](?P<name>[^=&;#\s]+)=)(?P<value>[^&;#\s]+)")


def redacted(value: Any) -> Any:
    """`value` as dicts, lists and plain values, with each secret as `***`."""
    match value:
        case Secret():
            return HIDDEN
        case msgspec.Struct():
            fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return {name: _field(item) for name, item in fields if not _is_no_setting(name, item)}
        case Mapping():
            items = cast(Mapping[Any, Any], value).items()
            return {str(key): _hidden(item) if is_secret_name(str(key)) else redacted(item) for key, item in items}
        case str():
            return _without_credentials(value)
        case Sequence():
            return [redacted(item) for item in cast(Sequence[Any], value)]
        case Decimal():
            return str(value)
        case _:
            return value


def _is_no_setting(name: str, item: Any) -> bool:
    """The environment itself, as against a switch of that name, and where settings were read."""
    return name == "reading" or (name == "environment" and isinstance(item, Mapping))


def is_secret_name(name: str) -> bool:
    """Whether a key called `name` holds a secret, going by its words: `api_key`, `X-Auth-Token`, `clientSecret`."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _PLACE_WORDS:
        return False
    # A count of tokens is a number a person chose, not a secret.
    if words[-1] == "tokens" and words[0] in {"max", "default", "min", "limit"}:
        return False
    return any(word in _SECRET_WORDS or word.removesuffix("s") in _SECRET_WORDS for word in words) or "apikey" in "".join(words)


def _field(value: Any) -> Any:
    """A field of ours. The keys of a table here are names of things (`token-factory` is a provider), so they are not judged."""
    if isinstance(value, Mapping):
        return {str(key): redacted(item) for key, item in cast(Mapping[Any, Any], value).items()}
    return redacted(value)


def _hidden(value: Any) -> Any:
    """What stands under a secret name: references stay, everything else goes."""
    match value:
        case Mapping():
            return {str(key): _hidden(item) for key, item in cast(Mapping[Any, Any], value).items()}
        case str():
            return value if not value or is_reference(value) else HIDDEN
        case Sequence():
            return [_hidden(item) for item in cast(Sequence[Any], value)]
        case None | bool():
            return value
        case _:
            return HIDDEN


def _without_credentials(text: str) -> str:
    """`text` without the credentials that URLs carry in front of the host or as parameters."""
    if "://" not in text:
        return text
    text = _USERINFO.sub(f"://{HIDDEN}@", text)
    return _PARAMETER.sub(lambda found: found["before"] + (HIDDEN if is_secret_name(found["name"]) else found["value"]), text)
