"""The table of a ComfyUI engine, and the workflows it names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from aldgate.config.errors import ConfigError
from aldgate.engines.comfyui.workflow import Workflow, read_workflow
from aldgate.engines.section import EngineSection, Seconds

SHIPPED = ("sdxl-text-to-image", "sdxl-image-to-image")


class ComfySection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `comfyui`."""

    workflows: str = ""
    """Folder with workflows of your own, `NAME.json` each, in API format; they come before the shipped ones."""
    checkpoint: str = ""
    """Checkpoint of the shipped workflows; empty takes the first with `xl` in its name, else the first."""
    keep_metadata: bool = False
    """Leave prompt and workflow in the PNG files, where ComfyUI writes them."""
    patience_s: Seconds = 20.0
    """Seconds it may be away while it works before the attempt is given up."""
    poll_s: Seconds = 2.0
    """Seconds between two looks at its queue, besides what its socket tells."""


def workflows_of(name: str, section: ComfySection) -> dict[str, Workflow]:
    """The workflows of an engine by name: its own, then the shipped ones.

    Raises:
        ConfigError: The folder cannot be read, or a file in it is no workflow.
    """
    found = {workflow.name: workflow for workflow in _own(name, section.workflows)}
    folder = files("aldgate.engines.comfyui") / "workflows"
    for shipped in SHIPPED:
        if shipped not in found:
            found[shipped] = read_workflow(shipped, (folder / f"{shipped}.json").read_bytes())
    return found


def _own(name: str, folder: str) -> list[Workflow]:
    if not folder:
        return []
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix == ".json")
        return [read_workflow(path.stem, path.read_bytes()) for path in paths]
    except OSError as error:
        raise ConfigError(
            f"[engines.{name}] workflows `{folder}`: {error.strerror}", hint="name a folder that can be read"
        ) from None
