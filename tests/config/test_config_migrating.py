import re
from pathlib import Path

from aldgate.config.fields import environment_names, leaves
from aldgate.config.seed_names import SEED_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
SECTIONS = {title: text for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])}


def test_every_seed_name_is_listed_with_its_gateway_and_our_name() -> None:
    for name, seed in SEED_NAMES.items():
        for gateway in seed.gateways:
            row = next(row for row in SECTIONS[gateway].splitlines() if f"`{name}`" in row)
            assert "(**read**)" in row and row.endswith("| now |"), name
            assert leaves()[seed.path].env in row, name


def test_every_name_of_ours_on_the_page_exists() -> None:
    assert set(re.findall(r"ALDGATE_[A-Z_]*[A-Z]", PAGE)) <= {*environment_names()}


def test_every_row_has_a_status() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith(("| there", "| ---"))]
    assert len(rows) > 80
    for row in rows:
        status = row.replace("\\|", "").split("|")[3].strip()
        assert re.match(r"(now|with \w+|not planned)\b", status), row
