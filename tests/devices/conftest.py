"""Tests of a real GPU run where one is, and are left out elsewhere."""

from pathlib import Path

import pytest

HAS_GPU = Path("/dev/nvidiactl").exists() and Path("/dev/nvidia0").exists()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    without = [item for item in items if item.get_closest_marker("gpu") is not None and not HAS_GPU]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
