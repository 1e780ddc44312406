"""One line per figure, with its bar and goal; the table, and the facts of the machine."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

PACKAGES = ("aldgate", "uvicorn", "uvloop", "httptools", "msgspec", "fastapi", "pydantic", "httpx")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure. `value` None: not measured, and `note` says why. `best` is which way is better."""

    row: str
    label: str
    value: float | None
    unit: str
    bar: float | None = None
    goal: float | None = None
    best: Literal["low", "high"] = "low"
    note: str = ""
    raw: Any = None

    @property
    def verdict(self) -> str:
        """`pass`, `goal` when it reaches that too, `miss`, or nothing without a bar."""
        if self.value is None:
            return "not run"
        if self.bar is None:
            return ""
        if not self._reaches(self.bar):
            return "MISS"
        return "goal" if self.goal is not None and self._reaches(self.goal) else "pass"

    def _reaches(self, line: float) -> bool:
        assert self.value is not None
        return self.value <= line if self.best == "low" else self.value >= line


def table(lines: Iterable[Line]) -> str:
    """The figures as text."""
    rows = [("", "figure", "value", "bar", "goal", "", "")]
    for line in lines:
        sign = "<=" if line.best == "low" else ">="
        rows.append(
            (
                line.row,
                line.label,
                "-"
                if line.value is None
                else f"{line.value:,.4g} {line.unit}"
                if line.value < 1000
                else f"{line.value:,.0f} {line.unit}",
                "" if line.bar is None else f"{sign} {line.bar:g}",
                "" if line.goal is None else f"{sign} {line.goal:g}",
                line.verdict,
                line.note,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[6]]).rstrip() for row in rows
    )


def machine() -> dict[str, Any]:
    """What this ran on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "load_average": os.getloadavg(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def write(path: Path, facts: dict[str, Any], lines: Iterable[Line]) -> None:
    """Keep everything, raw figures included."""
    path.write_text(
        json.dumps({**facts, "figures": [{**asdict(line), "verdict": line.verdict} for line in lines]}, indent=2) + "\n"
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo").read_text()
    return next(
        (line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine()
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
