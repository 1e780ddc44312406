"""What is delivered, what secrets must be like, and how they are compared."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import aldgate
from aldgate.config.errors import ConfigError
from aldgate.config.loader import load

PROJECT = Path(__file__).parents[2]
SOURCES = sorted(Path(aldgate.__file__).parent.rglob("*.py"))
MOST_DISTRIBUTIONS = 65
_WATCH = """
import sys
seen = []
watched = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork")
sys.addaudithook(lambda event, _: seen.append(event) if event in watched else None)
import aldgate.app, aldgate.cli.main, aldgate.surfaces.api
print(sorted(set(seen)))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheel, built twice."""
    found: list[Path] = []
    for attempt in ("one", "two"):
        folder = tmp_path_factory.mktemp(attempt)
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
        found += folder.glob("*.whl")
    return found


def test_supply_chain_a_wheel_runs_nothing_by_being_there(wheels: list[Path]) -> None:
    """No `.pth` and no `sitecustomize`, and nothing outside the package's own folders."""
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
    assert not [name for name in names if name.endswith((".pth", ".so", ".pyd", ".sh")) or "customize" in name]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"aldgate"}


def test_supply_chain_an_import_starts_and_connects_nothing() -> None:
    """Importing all of it opens no connection, resolves no name and starts no process."""
    run = subprocess.run(
        [sys.executable, "-c", _WATCH], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCES[0].parents[1])}
    )
    assert run.stdout == "[]\n", run.stdout


def test_supply_chain_what_is_installed_is_pinned_and_little() -> None:
    """Every distribution has one version and hashes, and there are no more of them than were agreed."""
    text = (PROJECT / "requirements/run.lock").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in pin and pin.rstrip().endswith("\\") for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert len(pins) <= MOST_DISTRIBUTIONS


def test_image_poisoning_a_build_can_be_repeated(wheels: list[Path]) -> None:
    """Two builds of one tree are the same to the byte, so that anybody can see what was published."""
    one, two = wheels
    assert one.name == two.name and one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("secret", ["", " ", "x", "short", "0" * 64, "change-me", "whsec_"])
@pytest.mark.parametrize(
    "name",
    ["ALDGATE_ADMIN_KEY", "ADMIN_SECRET", "ALDGATE_GUARDRAILS_WEBHOOK_SECRET", "ALDGATE_BUDGETS_ALERT_SECRET"],
)
def test_cve_2026_41432_an_empty_or_short_secret_signs_and_opens_nothing(tmp_path: Path, name: str, secret: str) -> None:
    """A secret that anybody can guess does not start; an empty one is none, and without one nothing is signed or let in."""
    try:
        settings = load(
            flags={"data": str(tmp_path)},
            environment={name: secret, "ALDGATE_BUDGETS_ALERT_URL": "https://a.example"},
            directory=tmp_path,
        )
    except ConfigError as error:
        assert not secret.strip() or len(secret) < 7 or secret not in error.message
        return
    found = {
        "ALDGATE_ADMIN_KEY": settings.auth.admin_key,
        "ADMIN_SECRET": settings.auth.admin_key,
        "ALDGATE_GUARDRAILS_WEBHOOK_SECRET": settings.guardrails.webhook_secret,
        "ALDGATE_BUDGETS_ALERT_SECRET": settings.budgets.alert_secret,
    }[name]
    assert found is None or len(found.reveal()) >= 24


_SECRET_NAMES = {"secret", "token", "password", "passphrase", "digest", "signature", "proof", "nonce", "api_key", "admin_key"}


def test_agentgateway_2191_secrets_are_compared_in_constant_time() -> None:
    """No `==` between what is secret: `hmac.compare_digest`, or a look-up by a keyed digest."""
    found = []
    for file in SOURCES:
        if {"testing", "cli", "store"} & set(file.parts) or file.name == "entra.py":
            continue  # fakes, what people type, columns in statements, and which of its own tokens a provider refused
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)):
                continue
            sides = [node.left, *node.comparators]
            names = [getattr(side, "id", getattr(side, "attr", "")) for side in sides]
            if all(name in _SECRET_NAMES or name.endswith(("_secret", "_digest", "_token")) for name in names):
                found.append(f"{file.name}:{node.lineno}")
    assert found == []


def test_seeds_clients_secrets_are_kept_as_hashes() -> None:
    """A client's row has no column for a secret as it is, and neither have keys, sessions or users."""
    from aldgate.store.tables import METADATA

    names = {f"{table.name}.{column.name}" for table in METADATA.tables.values() for column in table.columns}
    plain = {name for name in names if name.split(".")[1] in ("secret", "key", "token", "api_key", "password_plain")}
    assert plain == {
        "idempotency.key",
        "batches.token",
        "jobs.token",
        "residencies.token",
        "devices.token",
        "webhook_deliveries.token",
    }  # a caller's word for a repetition, and numbers that tell one claim from the next: no credentials
