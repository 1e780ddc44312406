"""The layers settings come from, each read into paths and values: flags, the environment, seed names, the file."""

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.fields import environment_names, leaves, section_of
from aldgate.config.seed_names import SEED_NAMES
from aldgate.config.settings import NOT_SETTINGS, Listener, Settings

CLIENT_NAMES = frozenset({"ALDGATE_CONFIG", "ALDGATE_URL", "ALDGATE_API_KEY"})
"""Names of ours that are no settings of the gate."""


def flag_layer(flags: Mapping[str, str]) -> dict[str, Any]:
    """Path -> value of the flags, which are named by their paths."""
    for path in flags:
        if path not in leaves():
            raise _unknown(path, list(leaves()), "the flags")
    return {path: _parse(path, text, f"`--{leaves()[path].name.replace('_', '-')}`") for path, text in flags.items()}


def environment_layer(environment: Mapping[str, str]) -> dict[str, Any]:
    """Path -> value of every `ALDGATE_` name. An empty value counts as unset."""
    _refuse_misspelt(environment)
    given = {name: path for name, path in environment_names().items() if environment.get(name)}
    return _agreed({name: (path, _parse(path, environment[name], f"`{name}`")) for name, path in given.items()})


def seed_layer(environment: Mapping[str, str], settled: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> value of the seed names, but for the paths already `settled`. An empty value counts as unset."""
    given = {name: seed for name, seed in SEED_NAMES.items() if environment.get(name) and seed.path not in settled}
    return _agreed(
        {name: (seed.path, _parse(seed.path, seed.translate(environment[name]), f"`{name}`")) for name, seed in given.items()}
    )


def file_layer(path: Path | None) -> dict[str, Any]:
    """The nested tables of the TOML file at `path`; floating-point numbers stay exact within `prices`.

    Raises:
        ConfigError: It cannot be read, is not TOML or has a key that does not exist.
    """
    if path is None:
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        hint = "name the file with --config or ALDGATE_CONFIG"
        raise ConfigError(f"{path}: {error.strerror or 'it cannot be read'}", hint=hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: {reason}", hint="the file is TOML 1.0, see https://toml.io") from None
    _check_names(tree, Settings, "", str(path))
    return {name: value if name == "prices" else _floats(value) for name, value in tree.items()}


def _parse(path: str, text: str, origin: str) -> Any:
    leaf = leaves()[path]
    try:
        return leaf.parse(text.strip())
    except (ValueError, OverflowError, msgspec.ValidationError):
        # The value stays out of the message: whatever was pasted there by mistake may be a secret.
        raise ConfigError(f"{origin} is not {leaf.wants}", hint=f"it sets `{path}`; correct or remove it") from None


def _agreed(given: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    settled: dict[str, Any] = {}
    first: dict[str, str] = {}
    for name, (path, value) in given.items():
        if settled.setdefault(path, value) != value:
            message = f"`{first[path]}` and `{name}` both set `{path}` and disagree"
            raise ConfigError(message, hint=f"remove one, or set `{leaves()[path].env}`, which beats other gateways' names")
        first.setdefault(path, name)
    return settled


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Refuse unknown names under one of our sections. Others starting with `ALDGATE_` may be anybody's, like a secret's."""
    sections = tuple({f"ALDGATE_{path.partition('.')[0].upper()}_" for path in leaves() if "." in path})
    known = environment_names()
    for name in environment:
        if name.startswith(sections) and name not in known and name not in CLIENT_NAMES:
            raise _unknown(name, list(known), "the environment")


def _check_names(tree: Mapping[str, Any], section: type[msgspec.Struct], prefix: str, where: str) -> None:
    kinds = {field.name: field.type for field in msgspec.structs.fields(section)}
    if section is Settings:
        kinds = {name: kind for name, kind in kinds.items() if name not in NOT_SETTINGS}
    for name, value in tree.items():
        path = prefix + name
        if name not in kinds:
            raise _unknown(path, [prefix + other for other in kinds] + list(leaves()), where)
        kind = kinds[name]
        inner, item = section_of(kind), _item_of(kind)
        if inner is not None and isinstance(value, dict):
            _check_names(cast(dict[str, Any], value), inner, f"{path}.", where)
        elif item is Listener and isinstance(value, list):
            for each in cast(list[Any], value):
                if isinstance(each, dict):
                    _check_names(cast(dict[str, Any], each), Listener, f"{path}.", where)
        elif item is not None and isinstance(value, dict):
            for key, each in cast(dict[str, Any], value).items():
                if isinstance(each, dict):
                    _check_names(cast(dict[str, Any], each), item, f'{path}."{key}".', where)


def _item_of(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a table or list of structs holds."""
    arguments = get_args(kind) if get_origin(kind) in (dict, tuple) else ()
    return next((argument for argument in arguments if section_of(argument)), None)


def _unknown(name: str, known: list[str], where: str) -> ConfigError:
    last = name.rpartition(".")[2]
    elsewhere = [path for path in known if path.rpartition(".")[2] == last]
    near = elsewhere[:1] or get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean `{near[0]}`?" if near else "remove it; `aldgate config show` lists every setting"
    return ConfigError(f"{where}: there is no setting `{name}`", hint=hint)


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_floats(item) for item in cast(list[Any], value)]
    return float(value) if isinstance(value, Decimal) else value
