"""Writes `.env.example` from the settings: `python -m aldgate.config.example > .env.example`."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from aldgate.config.fields import ALSO_NAMED, Leaf, leaves
from aldgate.config.seed_names import SEED_NAMES

_HEAD = """\
# Copy this file to `.env` and uncomment what you need. Every line shows the default.
# Flags beat the process environment, which beats `.env`, which beats the TOML file (ALDGATE_CONFIG, or ./aldgate.toml).
# Values may be quoted; an empty value counts as unset.

# --- Files and the command line ---

# TOML file to read.
# ALDGATE_CONFIG=aldgate.toml
# Where client commands find the gate.
# ALDGATE_URL=http://127.0.0.1:8000
# Key that client commands send; without it they send ALDGATE_ADMIN_KEY.
# ALDGATE_API_KEY=
"""


def field_help(section: type[msgspec.Struct]) -> dict[str, str]:
    """The line beneath each field of `section`, by the field's name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = str(ast.literal_eval(text.value))
    return found


def env_example() -> str:
    """The whole of `.env.example`."""
    return "\n".join([_HEAD, *_sections(), *_seeds()])


def _sections() -> Iterator[str]:
    for section, group in groupby(leaves().values(), key=lambda leaf: leaf.section):
        members = list(group)
        title = members[0].path.partition(".")[0] if "." in members[0].path else "Where things are kept"
        yield f"# --- {title}: {inspect.getdoc(section)} ---\n" if "." in members[0].path else f"# --- {title} ---\n"
        texts = field_help(section)
        also = {path: name for name, path in ALSO_NAMED.items()}
        for leaf in members:
            yield f"# {texts[leaf.name]}\n# {also.get(leaf.path, leaf.env)}={_text(leaf)}"
        yield ""


def _seeds() -> Iterator[str]:
    yield "# --- Names of other gateways that are understood; the ALDGATE_ name beats them ---\n"
    for name, seed in SEED_NAMES.items():
        yield f"# {name} sets {leaves()[seed.path].env} ({', '.join(seed.gateways)})"
    yield ""


def _text(leaf: Leaf) -> str:
    value: Any = leaf.default
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.stdout.write(env_example())
