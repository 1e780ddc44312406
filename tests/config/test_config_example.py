import subprocess
import sys
from pathlib import Path

from aldgate.config import load
from aldgate.config.dotenv import parse_dotenv
from aldgate.config.example import env_example, field_help
from aldgate.config.fields import environment_names, leaves

ROOT = Path(__file__).parents[2]


def test_the_committed_example_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), "run: python -m aldgate.config.example > .env.example"


def test_copied_unchanged_it_changes_nothing() -> None:
    assert parse_dotenv(env_example(), ".env.example") == {}


def test_every_line_uncommented_is_the_default(tmp_path: Path) -> None:
    assignments = [
        line.removeprefix("# ") for line in env_example().splitlines() if line.startswith("# ALDGATE_") and "=" in line
    ]
    names = parse_dotenv("\n".join(assignments), ".env")
    assert {environment_names().get(name) for name in names} == {*leaves(), None}
    settings = {name: text for name, text in names.items() if name in environment_names()}
    home = {"HOME": str(tmp_path)}
    loaded = load(flags={}, environment=home | settings, directory=tmp_path)
    assert repr(loaded) == repr(load(flags={}, environment=home, directory=tmp_path))


def test_every_setting_has_one_line_of_help() -> None:
    for leaf in leaves().values():
        text = field_help(leaf.section)[leaf.name]
        assert text.endswith(".") and "\n" not in text, leaf.path


def test_it_is_written_by_a_module() -> None:
    command = [sys.executable, "-m", "aldgate.config.example"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == env_example()
