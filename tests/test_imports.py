"""What is loaded when, and what a wheel may hold: each import is paid at every start, by everybody."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import aldgate

SOURCE = Path(aldgate.__file__).parent
PROJECT = SOURCE.parents[1]
NEVER = {"numpy", "jinja2", "aiohttp", "joserfc", "requests", "openai", "httpx", "torch"}
LATER = {
    "fastapi",
    "pydantic",
    "python_multipart",
    "starlette",
    "alembic",
    "argon2",
    "genai_prices",
    "prometheus_client",
    "asyncpg",
    "aiosqlite",
    "cryptography",
    "rich",
    "typer",
}
"""On first need: administration, a migration, a priced provider, a scrape, a database, a table on a terminal."""


def loaded_by(statement: str) -> set[str]:
    """Top-level packages and our own modules in a fresh process after `statement`."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    names = found.split()
    return {name.partition(".")[0] for name in names} | {name for name in names if name.startswith("aldgate.")}


def test_the_gate_loads_only_what_every_call_needs() -> None:
    loaded = loaded_by("import aldgate.app")
    assert not loaded & (NEVER | LATER)
    assert not {name for name in loaded if name.startswith(("aldgate.cli", "aldgate.testing", "aldgate.store.sqlite"))}


def test_the_command_line_loads_neither_the_server_nor_the_settings() -> None:
    loaded = loaded_by("import aldgate.cli.main")
    assert not loaded & (NEVER | (LATER - {"typer"}) | {"sqlalchemy", "uvicorn", "msgspec"})


def test_the_decisions_load_nothing_but_msgspec() -> None:
    modules = ", ".join(f"aldgate.core.{path.stem}" for path in (SOURCE / "core").glob("*.py") if path.stem != "__init__")
    loaded = loaded_by(f"import {modules}")
    assert not loaded & {"asyncio", "socket", "ssl", "sqlalchemy", "uvicorn", "fastapi"}


def test_an_issuer_loads_nothing_before_its_first_token() -> None:
    loaded = loaded_by("import aldgate.oidc.tokens, aldgate.oidc.login, aldgate.surfaces.people.oidc")
    assert not loaded & (NEVER | LATER)


def test_a_wheel_holds_the_package_and_no_start_up_hooks() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/aldgate"]}
    assert not [path for path in (PROJECT / "src").rglob("*") if path.suffix == ".pth"]
